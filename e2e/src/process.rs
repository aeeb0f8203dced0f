//! A program that runs beside a test, in its private host, and ends with it.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use crate::Lab;

/// A process that is killed when it is dropped, or when this process ends in whatever way.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a program of a Debian package; what it prints goes to a file inside.
    #[track_caller]
    pub fn start(lab: &Lab, package: &str, words: &[&str], log: &str) -> Self {
        let log = File::create(lab.outside(log)).expect("a private host takes files");
        let errors = log.try_clone().expect("a file can be opened twice");
        Self::spawn(lab, package, words, log.into(), errors.into())
    }

    /// Starts a program whose standard output is read by the caller.
    #[track_caller]
    pub fn start_piped(lab: &Lab, package: &str, words: &[&str]) -> Self {
        Self::spawn(lab, package, words, Stdio::piped(), Stdio::null())
    }

    #[track_caller]
    fn spawn(lab: &Lab, package: &str, words: &[&str], stdout: Stdio, stderr: Stdio) -> Self {
        let program = words[0];
        assert!(
            lab.outside(program).exists(),
            "this test needs {program}: apt-get install --no-install-recommends {package}"
        );
        // Neither nsenter nor setpriv stays: the child is the program itself.
        let mut command: Command = lab.enter();
        command.args(["setpriv", "--pdeathsig", "KILL"]).args(words);
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        Self(command.spawn().expect("nsenter is installed"))
    }

    /// The process itself.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.expect("a child has a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .expect("our own child can be asked to end");
        self.0.wait().expect("our own child can be waited for");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.0.kill();
        self.0.wait().expect("our own child can be waited for");
    }
}
