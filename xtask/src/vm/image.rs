//! The image that a test host starts from: a kernel of Debian's and its modules.
//!
//! The package is downloaded and unpacked, never installed: installing it would make boot files for
//! this machine.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{kernel, modules};
use crate::{
    console::say,
    elf::{self, Linkage},
    packages, process,
};

/// The first process of a test host.
const INIT: &str = include_str!("init.sh");

/// Kernel and first file system, ready to be started.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) kernel: PathBuf,
    pub(super) files: PathBuf,
}

impl Image {
    /// The image in this directory; it is made if it is not there or was made by another recipe.
    pub(super) fn prepare(directory: &Path) -> Result<Self, String> {
        let image = Self { kernel: directory.join("kernel"), files: directory.join("files.cpio") };
        let recipe_path = directory.join("recipe");
        let recipe = recipe();
        if fs::read_to_string(&recipe_path).is_ok_and(|made| made == recipe) {
            return Ok(image);
        }
        say("making the image of the test hosts");
        // Half an image must not be taken for a whole one.
        let _ = fs::remove_dir_all(directory);
        create_directory(directory)?;
        image.make(&directory.join("work"))?;
        write(&recipe_path, recipe.as_bytes())?;
        Ok(image)
    }

    fn make(&self, work: &Path) -> Result<(), String> {
        let package = unpack_package(work)?;
        let release = only_entry(&package.join("lib/modules"))?;
        let root = work.join("root");
        collect_modules(&package, &release, &root)?;
        create_directory(&root.join("bin"))?;
        for directory in ["dev", "proc", "sys"] {
            create_directory(&root.join(directory))?;
        }
        copy_busybox(&root.join("bin/busybox"))?;
        let init = root.join("init");
        write(&init, INIT.as_bytes())?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755))
            .map_err(|error| failed("make executable", &init, &error))?;
        let mut cpio = Command::new("sh");
        cpio.current_dir(&root).arg("-c");
        cpio.arg(r#"find . | cpio --create --format=newc --quiet >"$0""#).arg(&self.files);
        process::run(&mut cpio)?;
        let boot = package.join("boot").join(format!("vmlinuz-{release}"));
        kernel::extract(&boot, &self.kernel)?;
        let _ = fs::remove_dir_all(work);
        Ok(())
    }
}

/// Everything that decides what is in the image, but for the version of the kernel.
fn recipe() -> String {
    modules::wanted().chain([INIT]).collect::<Vec<_>>().join("\n")
}

/// Downloads the newest kernel package and unpacks it; the answer is where.
fn unpack_package(work: &Path) -> Result<PathBuf, String> {
    create_directory(work)?;
    // apt gives up its rights to download, and must still be able to write here.
    fs::set_permissions(work, fs::Permissions::from_mode(0o777))
        .map_err(|error| failed("open up", work, &error))?;
    let name = kernel_package()?;
    say(&format!("downloading {name}"));
    process::run(Command::new("apt-get").current_dir(work).args(["download", "-qq", &name]))?;
    let archive =
        entries(work)?.into_iter().find(|path| path.extension().is_some_and(|e| e == "deb"));
    let archive = archive.ok_or_else(|| format!("apt-get download {name} left no package"))?;
    let package = work.join("package");
    process::run(Command::new("dpkg-deb").arg("-x").args([&archive, &package]))?;
    Ok(package)
}

/// The package that Debian's name for the newest kernel depends on.
fn kernel_package() -> Result<String, String> {
    let ask = || process::output(Command::new("apt-cache").args(["depends", "linux-image-amd64"]));
    if let Some(name) = named_kernel(&ask().unwrap_or_default()) {
        return Ok(name);
    }
    packages::update()?;
    named_kernel(&ask()?).ok_or_else(|| "linux-image-amd64 depends on no kernel".to_owned())
}

/// Reads what `apt-cache depends` prints.
fn named_kernel(printed: &str) -> Option<String> {
    let depends = printed.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let mut kernels = depends.filter(|name| name.starts_with("linux-image-"));
    kernels.next().map(str::to_owned)
}

/// Copies the wanted modules and what they depend on.
fn collect_modules(package: &Path, release: &str, root: &Path) -> Result<(), String> {
    depmod(package, release)?;
    let mut copied = 0;
    for name in modules::wanted() {
        let mut modprobe = Command::new("modprobe");
        modprobe.arg("-d").arg(package).args(["-S", release, "--show-depends", name]);
        let Ok(printed) = process::output(&mut modprobe) else {
            say(&format!("NOTE: this kernel has no module {name}"));
            continue;
        };
        for file in modules::files(&printed) {
            let inner = file.strip_prefix(package).map_err(|_| format!("{name} is elsewhere"))?;
            let target = root.join(inner);
            if !target.exists() {
                create_directory(target.parent().unwrap_or(root))?;
                copy(&file, &target)?;
                copied += 1;
            }
        }
    }
    let inner = Path::new("lib/modules").join(release);
    for list in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        copy(&package.join(&inner).join(list), &root.join(&inner).join(list))?;
    }
    // busybox, which loads the first ones, reads no compressed modules.
    process::run(
        Command::new("find").arg(root).args(["-name", "*.ko.xz", "-exec", "xz", "-d", "{}", "+"]),
    )?;
    say(&format!("{copied} modules of {release}"));
    depmod(root, release)
}

/// Writes the lists of dependencies and names below `root/lib/modules`.
fn depmod(root: &Path, release: &str) -> Result<(), String> {
    process::run(Command::new("depmod").arg("-b").arg(root).arg(release))
}

/// Nothing but this program is there when a host starts, no library either.
fn copy_busybox(to: &Path) -> Result<(), String> {
    let busybox = Path::new("/bin/busybox");
    let file = fs::read(busybox).map_err(|error| failed("read", busybox, &error))?;
    match elf::linkage(&file) {
        Ok(Linkage::Static) => copy(busybox, to),
        Ok(Linkage::Dynamic) => Err("busybox is not static: install busybox-static".to_owned()),
        Err(error) => Err(format!("{}: {error}", busybox.display())),
    }
}

fn only_entry(directory: &Path) -> Result<String, String> {
    let found = entries(directory)?;
    let [path] = &found[..] else {
        return Err(format!("{} should hold one entry: {found:?}", directory.display()));
    };
    Ok(path.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(directory).map_err(|error| failed("read", directory, &error))?;
    Ok(entries.filter_map(Result::ok).map(|entry| entry.path()).collect())
}

fn create_directory(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| failed("make", path, &error))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|error| failed("copy", from, &error))
}

pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), String> {
    fs::write(path, content).map_err(|error| failed("write", path, &error))
}

pub(super) fn failed(verb: &str, path: &Path, error: &std::io::Error) -> String {
    format!("failed to {verb} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_the_package_that_the_name_depends_on() {
        let printed =
            "linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n  Suggests: grub\n";
        assert_eq!(named_kernel(printed).as_deref(), Some("linux-image-6.1.0-56-amd64"));
        assert_eq!(named_kernel("N: Unable to locate package linux-image-amd64\n"), None);
    }

    #[test]
    fn the_recipe_holds_the_first_process() {
        assert!(recipe().ends_with(INIT));
    }
}
