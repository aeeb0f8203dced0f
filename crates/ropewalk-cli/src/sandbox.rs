//! A network namespace of our own, with its loopback interface up, gone when dropped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use ropewalk_linux::{Linux, Netns, NetnsError};
use ropewalk_netstate::resource::{Attribute, LinkAttribute};
use ropewalk_netstate::{Kernel, Place, Step};

use crate::exit::Exit;
use crate::failure::Failure;

/// A namespace and the path it is mounted at.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) netns: Netns,
    path: PathBuf,
    keep: bool,
}

/// Where named namespaces are, for `ip netns` too.
const DIRECTORY: &str = "/run/netns";

impl Sandbox {
    /// Makes a namespace of this name.
    pub(crate) fn create(name: &str) -> Result<Self, Failure> {
        let path = Self::path_of(name);
        fs::create_dir_all(DIRECTORY).map_err(|error| not_made(name, &error.to_string()))?;
        let netns = Netns::create(&path).map_err(|error| of_netns(name, &error))?;
        let sandbox = Self { netns, path, keep: false };
        let up = LinkAttribute {
            link: "lo".parse().map_err(|_| not_made(name, "it has no loopback interface"))?,
            attribute: Attribute::Up(true),
        };
        let up = Step::Create(Place::Host, up.into());
        sandbox.apply(&[up])?;
        Ok(sandbox)
    }

    /// Where a namespace of this name is mounted.
    pub(crate) fn path_of(name: &str) -> PathBuf {
        Path::new(DIRECTORY).join(name)
    }

    /// Removes the namespace of this name, if there is one.
    pub(crate) fn remove(name: &str) -> Result<(), Failure> {
        let path = Self::path_of(name);
        if !path.exists() {
            return Ok(());
        }
        Netns::delete(&path)
            .map_err(|error| Failure::failed(format!("failed to remove namespace {name}: {error}")))
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it behind when this goes.
    pub(crate) fn keep(&mut self) {
        self.keep = true;
    }

    /// Applies steps whose [`Place::Host`] is this namespace.
    pub(crate) fn apply(&self, steps: &[Step]) -> Result<(), Failure> {
        self.apply_with(steps, Linux::host_only)
    }

    /// The same with another namespace as [`Place::Sandbox`].
    pub(crate) fn apply_with(
        &self,
        steps: &[Step],
        kernel: impl FnOnce() -> Linux,
    ) -> Result<(), Failure> {
        self.within(|| kernel().apply(steps))?.map_err(|partial| {
            let step = &steps[partial.failed];
            Failure::failed(format!("failed to {step}: {}", partial.error))
        })
    }

    /// Calls a function in this namespace.
    pub(crate) fn within<T>(&self, act: impl FnOnce() -> T) -> Result<T, Failure> {
        let name = self.path.display().to_string();
        self.netns.within(act).map_err(|error| of_netns(&name, &error))
    }

    /// Starts a process in this namespace.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Child, Failure> {
        let program = command.get_program().to_string_lossy().into_owned();
        let started: io::Result<Child> = self.within(|| command.spawn())?;
        started.map_err(|error| Failure::failed(format!("failed to start {program}: {error}")))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !self.keep {
            // Whoever is told has lost interest already: this happens on the way out.
            let _ = Netns::delete(&self.path);
        }
    }
}

fn not_made(name: &str, reason: &str) -> Failure {
    Failure::failed(format!("failed to make namespace {name}: {reason}"))
}

fn of_netns(name: &str, error: &NetnsError) -> Failure {
    let text = error.to_string();
    if text.contains("not permitted") || text.contains("ermission denied") {
        return Failure::new(Exit::NotPermitted, format!("failed to use namespace {name}: {text}"))
            .with_hint("run this command as root, with CAP_NET_ADMIN and CAP_SYS_ADMIN");
    }
    Failure::failed(format!("failed to use namespace {name}: {text}"))
}

/// What a command that makes namespaces needs first.
pub(crate) fn require_root(what: &str) -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::NotPermitted,
        format!("failed to {what}: it makes network namespaces, which needs root"),
    )
    .with_hint("run it with sudo, or as root in a virtual machine"))
}
