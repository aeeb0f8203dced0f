//! Installing into temporary folders.

use super::*;

struct Bench {
    root: tempfile::TempDir,
    options: Options,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let binary = root.path().join("binary");
        fs::write(&binary, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let directory = root.path().join("opt/cni/bin");
        let options = Options { directory, dry_run: false, keep: None, from: Some(binary) };
        Self { root, options }
    }

    fn run(&self) -> Result<Vec<Action>, Failure> {
        let (_, plan) = install(&self.options)?;
        Ok(plan.into_values().collect())
    }

    fn inode(&self, name: &str) -> u64 {
        fs::metadata(self.options.directory.join(name)).unwrap().ino()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.options.directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

#[test]
fn every_plugin_becomes_a_link_to_the_binary() {
    let bench = Bench::new();
    bench.run().unwrap();
    let expected: Vec<&str> = ropewalk_plugins::names().collect();
    assert_eq!(bench.names(), expected);
    let binary = fs::metadata(bench.root.path().join("binary")).unwrap();
    for name in expected {
        assert_eq!(bench.inode(name), binary.ino(), "{name}");
    }
    assert!(bench.run().unwrap().into_iter().all(|action| action == Action::Keep));
}

#[test]
fn a_plugin_with_a_program_of_its_own_becomes_a_link_to_that() {
    let bench = Bench::new();
    let program = bench.root.path().join("ropewalk-sql");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    bench.run().unwrap();
    assert_eq!(bench.inode("sql"), fs::metadata(&program).unwrap().ino());
    assert!(bench.run().unwrap().into_iter().all(|action| action == Action::Keep));
    let copied = tempfile::tempdir_in("/dev/shm").unwrap();
    let options = Options { directory: copied.path().to_owned(), ..bench.options };
    install(&options).unwrap();
    let read = |path: &Path| fs::read(path).unwrap();
    assert_eq!(read(&copied.path().join("sql")), read(&program));
}

#[test]
fn old_plugins_are_replaced_and_other_files_stay() {
    let bench = Bench::new();
    fs::create_dir_all(&bench.options.directory).unwrap();
    for name in ["bridge", "flannel", "bridge.bak"] {
        fs::write(bench.options.directory.join(name), "old").unwrap();
    }
    bench.run().unwrap();
    let read = |name| fs::read_to_string(bench.options.directory.join(name)).unwrap();
    assert_eq!((read("flannel").as_str(), read("bridge.bak").as_str()), ("old", "old"));
    assert_eq!(read("bridge"), "#!/bin/sh\n");
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut bench = Bench::new();
    bench.options.dry_run = true;
    bench.run().unwrap();
    assert!(!bench.options.directory.exists());
}

#[test]
fn across_file_systems_the_first_plugin_is_a_copy_and_the_rest_are_links_to_it() {
    let mut bench = Bench::new();
    // The kernel's own file system takes no links from elsewhere, nor gives any.
    bench.options.from = Some(PathBuf::from("/proc/self/exe"));
    let shm = tempfile::tempdir_in("/dev/shm").unwrap();
    bench.options.directory = shm.path().to_owned();
    bench.run().unwrap();
    let inodes: Vec<u64> = ropewalk_plugins::names().map(|name| bench.inode(name)).collect();
    assert!(inodes.iter().all(|inode| *inode == inodes[0]), "{inodes:?}");
    let mode = fs::metadata(shm.path().join("bridge")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(bench.names().len(), ropewalk_plugins::names().count(), "{:?}", bench.names());
}

#[test]
fn what_cannot_be_executed_is_not_installed() {
    let mut bench = Bench::new();
    let file = bench.root.path().join("text");
    fs::write(&file, "").unwrap();
    bench.options.from = Some(file.clone());
    let expected = format!("failed to install {}: not an executable file", file.display());
    assert_eq!(bench.run().unwrap_err().message, expected);
}

#[test]
fn what_is_replaced_is_kept_once_and_returns() {
    let mut bench = Bench::new();
    let kept = bench.root.path().join("kept");
    bench.options.keep = Some(kept.clone());
    let bridge = bench.options.directory.join("bridge");
    fs::create_dir_all(&bench.options.directory).unwrap();
    fs::write(&bridge, "the first").unwrap();
    bench.run().unwrap();
    assert_eq!(fs::read_to_string(kept.join("bridge")).unwrap(), "the first");
    // Somebody replaces it again: the original stays.
    fs::remove_file(&bridge).unwrap();
    fs::write(&bridge, "the second").unwrap();
    bench.run().unwrap();
    assert_eq!(fs::read_to_string(kept.join("bridge")).unwrap(), "the first");
}
