//! What a verb does, counted by strace: programs and processes started, system calls, netlink
//! messages. Such numbers do not depend on the machine's mood, so that tests can rely on them.

use std::fs;

use serde_json::{Value, json};

use crate::{Outcome, attachment::Container, call::Verb, failed};

/// What one verb does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Programs started beyond those of the list.
    pub programs: usize,
    /// Processes and threads started.
    pub children: usize,
    /// System calls of all of them.
    pub calls: usize,
    /// Calls that send to netlink.
    pub netlink: usize,
}

/// Where strace writes.
const TRACE: &str = "/run/bench/trace";

/// Counts what the verbs of a container do, in the order of [`Verb::ALL`].
pub fn count(container: &mut Container) -> Outcome<Vec<Counts>> {
    let mut all = Vec::new();
    for verb in Verb::ALL {
        fs::write(TRACE, "").map_err(failed(TRACE))?;
        let strace = ["strace", "-f", "-yy", "-qq", "-A", "-o", TRACE];
        container.run_with(verb, &strace)?;
        let trace = fs::read_to_string(TRACE).map_err(failed(TRACE))?;
        let mut counts = Counts::read(&trace);
        counts.programs = counts.programs.saturating_sub(container.plugins());
        all.push(counts);
    }
    Ok(all)
}

impl Counts {
    /// Reads what strace wrote. A call that another process interrupts has two lines, of which the
    /// second begins with `<...`.
    fn read(trace: &str) -> Self {
        let mut counts = Self::default();
        for line in trace.lines() {
            let call = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
            let is_done = call.ends_with(" = 0");
            if is_done && (call.starts_with("execve(") || call.starts_with("<... execve")) {
                counts.programs += 1;
            }
            let Some((name, arguments)) = call.split_once('(') else { continue };
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                continue;
            }
            counts.calls += 1;
            match name {
                "clone" | "clone3" | "fork" | "vfork" => counts.children += 1,
                "sendto" | "sendmsg" | "sendmmsg" | "write" | "writev" => {
                    let descriptor = arguments.split(',').next().unwrap_or_default();
                    counts.netlink += usize::from(descriptor.contains("<NETLINK:"));
                }
                _ => {}
            }
        }
        counts
    }

    /// For machines.
    pub fn to_json(self) -> Value {
        let Self { programs, children, calls, netlink } = self;
        json!({ "programs": programs, "children": children, "calls": calls, "netlink": netlink })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_once() {
        let trace = "\
7 execve(\"/run/bench/ropewalk/bridge\", [\"bridge\"], 0x7ffd /* 8 vars */) = 0
7 sendto(3<NETLINK:[ROUTE:7]>, [{nlmsg_len=44}], 44, 0, NULL, 0) = 44
7 write(1<pipe:[9]>, \"<NETLINK:\", 9) = 9
7 clone(child_stack=0x7f, flags=CLONE_VM|SIGCHLD <unfinished ...>
8 close_range(0, 3, 0) = 0
7 <... clone resumed>) = 8
8 execve(\"/sbin/nft\", [\"nft\"], 0x7ffd /* 8 vars */ <unfinished ...>
7 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED} ---
8 <... execve resumed>) = 0
8 execve(\"/nowhere\", [\"nft\"], 0x7ffd /* 8 vars */) = -1 ENOENT (No such file or directory)
8 +++ exited with 0 +++
";
        let expected = Counts { programs: 2, children: 1, calls: 7, netlink: 1 };
        assert_eq!(Counts::read(trace), expected);
    }
}
