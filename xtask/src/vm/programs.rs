//! The test programs that run on test hosts, as cargo tells them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::process;

/// A test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) name: String,
    /// The directory of its package: cargo starts test programs there.
    pub(super) directory: PathBuf,
    pub(super) executable: PathBuf,
}

/// The directories of the packages whose tests ask the kernel for something.
const ASK_THE_KERNEL: [&str; 2] = ["e2e", "crates/ropewalk-linux"];

/// Programs that run on this machine alone, and why.
pub(super) const LEFT_OUT: &[(&str, &str)] = &[
    ("containerd", "its images and shims take too long without hardware virtualisation"),
    ("library", "it compiles a program with Go"),
    ("podman", "its images and containers take too long without hardware virtualisation"),
];

/// Builds all test programs of the workspace, and answers those that ask the kernel.
pub(super) fn build(root: &Path) -> Result<Vec<Program>, String> {
    let mut cargo = process::cargo(root);
    // The same selection of packages as for all tests: another one would be built once more.
    cargo.args(["test", "--workspace", "--no-run", "--quiet", "--message-format=json"]);
    let messages = process::output(&mut cargo)?;
    let mut programs: Vec<Program> = messages.lines().filter_map(|line| read(root, line)).collect();
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(programs)
}

/// Reads one of cargo's messages.
fn read(root: &Path, line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    let executable =
        message["executable"].as_str().filter(|_| message["profile"]["test"] == true)?;
    let directory = Path::new(message["manifest_path"].as_str()?).parent()?;
    let is_wanted = ASK_THE_KERNEL.iter().any(|wanted| directory == root.join(wanted));
    is_wanted.then(|| Program {
        name: message["target"]["name"].as_str().unwrap_or_default().to_owned(),
        directory: directory.to_owned(),
        executable: PathBuf::from(executable),
    })
}

impl Program {
    /// The reason why it is not run on test hosts, if there is one.
    pub(super) fn reason_left_out(&self) -> Option<&'static str> {
        LEFT_OUT.iter().find(|(name, _)| *name == self.name).map(|(_, reason)| *reason)
    }

    /// Whether it has a test whose name contains this text.
    pub(super) fn has_test(&self, filter: &str) -> bool {
        let mut list = Command::new(&self.executable);
        let names = process::output(list.args(["--list", "--format=terse", filter]));
        names.is_ok_and(|names| names.lines().any(|line| line.ends_with(": test")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(directory: &str, test: bool) -> String {
        json!({
            "reason": "compiler-artifact",
            "manifest_path": format!("/tree/{directory}/Cargo.toml"),
            "target": { "name": "bridge" },
            "profile": { "test": test },
            "executable": "/tree/target/debug/deps/bridge-0123",
        })
        .to_string()
    }

    #[test]
    fn test_programs_of_packages_that_ask_the_kernel_are_read() {
        let root = Path::new("/tree");
        let program = read(root, &message("e2e", true)).expect("it is wanted");
        assert_eq!(program.name, "bridge");
        assert_eq!(program.directory, Path::new("/tree/e2e"));
        assert_eq!(program.executable, Path::new("/tree/target/debug/deps/bridge-0123"));
        assert_eq!(read(root, &message("e2e", false)), None, "it is no test");
        assert_eq!(read(root, &message("crates/ropewalk-addr", true)), None, "it is pure");
        assert_eq!(read(root, "{\"reason\":\"build-finished\",\"success\":true}"), None);
    }
}
