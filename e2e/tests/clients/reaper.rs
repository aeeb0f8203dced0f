//! Ends what a container engine started in a laboratory, however the test ends.
//!
//! Engines leave processes to themselves: monitors, shims, containers. All of them share the
//! laboratory's mount namespace or sit in control groups below one that only this laboratory uses,
//! so both are searched; nothing else on the machine can be in either.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ropewalk_e2e::{Lab, patience};
use rustix::process::{Pid, Signal, kill_process};

/// Kills everything that was started inside a laboratory when it is dropped.
///
/// It must be dropped before the laboratory.
pub(crate) struct Reaper {
    holder: i32,
    mounts: PathBuf,
    cgroup: String,
}

impl Reaper {
    pub(crate) fn new(lab: &Lab) -> Self {
        let root = lab.outside("");
        let process = root.ancestors().find_map(|path| {
            let name = path.file_name()?.to_str()?;
            Some((path.to_owned(), name.parse::<i32>().ok()?))
        });
        let (process, holder) = process.expect("a laboratory is seen through /proc/PID");
        let mounts = fs::read_link(process.join("ns/mnt")).expect("the holder lives");
        let own = fs::read_link("/proc/self/ns/mnt").expect("/proc is mounted");
        assert_ne!(mounts, own, "a laboratory has its own mount namespace");
        Self { holder, mounts, cgroup: format!("ropewalk-e2e-{holder}") }
    }

    /// The control group that containers are to be put under.
    pub(crate) fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// The processes that live inside, without those that keep the laboratory.
    pub(crate) fn strays(&self) -> Vec<i32> {
        let mut found: Vec<i32> = entries(Path::new("/proc"))
            .iter()
            .filter(|path| fs::read_link(path.join("ns/mnt")).is_ok_and(|it| it == self.mounts))
            .filter_map(|path| path.file_name()?.to_str()?.parse().ok())
            .collect();
        for group in self.cgroups() {
            let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            found.extend(members.lines().filter_map(|line| line.parse::<i32>().ok()));
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|pid| *pid != self.holder && is_alive(*pid));
        found
    }

    /// The control groups of the laboratory in every hierarchy, children before parents.
    fn cgroups(&self) -> Vec<PathBuf> {
        let mount = Path::new("/sys/fs/cgroup");
        let mut roots = entries(mount);
        roots.push(mount.to_owned());
        let mut found = Vec::new();
        for root in roots {
            descend(&root.join(&self.cgroup), &mut found);
        }
        found
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        let deadline = Instant::now() + patience(Duration::from_secs(10));
        loop {
            let strays = self.strays();
            if strays.is_empty() || Instant::now() > deadline {
                break;
            }
            for pid in strays.iter().filter_map(|pid| Pid::from_raw(*pid)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::yield_now();
        }
        for group in self.cgroups() {
            let _ = fs::remove_dir(group);
        }
    }
}

/// Whether a process runs: one that has ended and is not waited for yet does not.
fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn descend(directory: &Path, found: &mut Vec<PathBuf>) {
    if directory.is_dir() {
        for child in entries(directory) {
            descend(&child, found);
        }
        found.push(directory.to_owned());
    }
}
