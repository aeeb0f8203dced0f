//! Real processes: scripts in a temporary folder.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::Pid;

use super::*;

struct Script {
    directory: tempfile::TempDir,
}

impl Script {
    fn new(text: &str) -> Self {
        let script = Self { directory: tempfile::tempdir().unwrap() };
        // A child writes the file: one that this process holds open for writing could not be run,
        // and another test's child might inherit it for a moment.
        let mut child = Command::new("sh")
            .args(["-c", r#"cat >"$0" && chmod 755 "$0""#])
            .arg(script.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(format!("#!/bin/sh\n{text}\n").as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
        script
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("plugin")
    }

    fn run(&self, stdin: &str, deadline: Duration) -> Finished {
        Processes { stderr: PluginStderr::Discard }.execute(&Invocation {
            program: self.path().to_str().unwrap().to_owned(),
            variables: vec![("CNI_COMMAND", "ADD".to_owned())],
            stdin: stdin.to_owned(),
            deadline,
        })
    }
}

const LONG: Duration = Duration::from_mins(1);

#[test]
fn a_plugin_gets_variables_and_input_and_gives_output() {
    let finished = Script::new("echo $CNI_COMMAND; echo log >&2; cat").run("{}", LONG);
    assert_eq!(String::from_utf8_lossy(&finished.stdout), "ADD\n{}");
    assert_eq!(finished.stderr, b"log\n");
    assert_eq!(finished.quiet(), Ok(()));
}

#[test]
fn input_larger_than_a_pipe_arrives_whole_while_output_comes_back() {
    let input = "x".repeat(1 << 20);
    let finished = Script::new("cat").run(&input, LONG);
    assert_eq!(finished.stdout.len(), input.len());
}

#[test]
fn a_plugin_need_not_read_its_input() {
    let finished = Script::new("exit 0").run(&"x".repeat(1 << 20), LONG);
    assert_eq!(finished.ending, Ending::Exit(ExitKind::Status(0)));
}

#[test]
fn a_plugin_that_hangs_is_killed_at_its_deadline() {
    let started = Instant::now();
    let finished = Script::new("echo partial; exec sleep 1000").run("", Duration::from_millis(200));
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(finished.ending, Ending::DeadlinePassed(Duration::from_millis(200)));
    let error = finished.quiet().unwrap_err();
    assert_eq!(error.code, 0);
    assert_eq!(error.msg, "netplugin did not finish within 200ms and was killed");
}

#[test]
fn children_that_keep_the_pipes_open_hold_nobody_up() {
    let started = Instant::now();
    let finished = Script::new("sleep 1000 & echo $!; exit 0").run("", LONG);
    let child = String::from_utf8_lossy(&finished.stdout).trim().parse::<i32>().unwrap();
    let pid = Pid::from_raw(child).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(finished.ending, Ending::Exit(ExitKind::Status(0)));
}

#[test]
fn endless_output_ends_the_plugin_and_endless_logging_does_not() {
    let finished = Script::new("exec cat /dev/zero").run("", LONG);
    assert_eq!(finished.ending, Ending::TooMuchOutput);
    let logged = Script::new("head -c 20000000 /dev/zero >&2; echo done").run("", LONG);
    assert_eq!(logged.ending, Ending::Exit(ExitKind::Status(0)));
    assert_eq!(
        (logged.stdout.as_slice(), logged.stderr.len()),
        (&b"done\n"[..], OUTPUT_LIMIT_BYTES)
    );
}

#[test]
fn failures_are_told_in_the_words_of_the_reference() {
    let msg = |script: &str| Script::new(script).run("", LONG).quiet().unwrap_err().msg;
    assert_eq!(msg("exit 3"), "netplugin failed with no error message: exit status 3");
    assert_eq!(msg("kill -9 $$"), "netplugin failed with no error message: signal: killed");
    assert_eq!(msg("echo why >&2; exit 1"), r#"netplugin failed: "why\n""#);
    assert_eq!(msg(r#"echo '{"code": 11, "msg": "later"}'; exit 1"#), "later");
}

#[test]
fn a_file_that_cannot_be_executed_says_why() {
    let script = Script::new("exit 0");
    fs::set_permissions(script.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let error = script.run("", LONG).quiet().unwrap_err();
    let expected = format!("fork/exec {}: permission denied", script.path().display());
    assert_eq!(error.msg, format!("netplugin failed with no error message: {expected}"));
}

#[test]
fn a_file_that_is_still_being_written_is_tried_until_the_deadline() {
    let script = Script::new("exit 0");
    let file = fs::OpenOptions::new().append(true).open(script.path()).unwrap();
    let (started, deadline) = (Instant::now(), Duration::from_millis(100));
    let error = script.run("", deadline).quiet().unwrap_err();
    assert!(started.elapsed() >= deadline, "it gave up after {:?}", started.elapsed());
    assert!(error.msg.ends_with("text file busy"), "{error}");
    std::thread::scope(|scope| {
        let run = scope.spawn(|| script.run("", LONG));
        drop(file);
        assert_eq!(run.join().unwrap().ending, Ending::Exit(ExitKind::Status(0)));
    });
}
