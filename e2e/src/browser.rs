//! A real browser in a private host, and the server of its page.
//!
//! It must never look at anything but loopback of that host.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::Value;

use crate::{Lab, Process, command_path, patience};

/// What drives the browser; the packages that it needs are beside it.
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ui/tests/driver.mjs");

/// `ropewalk ui`, until it is dropped.
#[derive(Debug)]
pub struct Ui {
    process: Process,
    address: String,
}

impl Ui {
    /// Starts it at a port that is free.
    #[track_caller]
    pub fn start(lab: &Lab) -> Self {
        Self::start_with(lab, &["--listen", "127.0.0.1:0"])
    }

    /// Starts it with other arguments.
    #[track_caller]
    pub fn start_with(lab: &Lab, arguments: &[&str]) -> Self {
        let command = command_path().display().to_string();
        let mut words = vec![command.as_str(), "ui", "--token-file", "/run/ui-token"];
        words.extend(arguments);
        let mut process = Process::start_piped(lab, "ropewalk", &words);
        let stdout = process.child().stdout.take().expect("standard output is a pipe");
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address).expect("the server tells its address");
        assert!(address.starts_with("http"), "the server did not start: {address:?}");
        Self { process, address: address.trim_end().to_owned() }
    }

    /// Where it is, with the token.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it is, without.
    pub fn origin(&self) -> &str {
        self.address.split("/?").next().unwrap_or_default()
    }

    /// The token.
    pub fn token(&self) -> &str {
        self.address.rsplit("token=").next().unwrap_or_default()
    }

    /// Its port.
    pub fn port(&self) -> &str {
        self.origin().rsplit(':').next().unwrap_or_default()
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(self) {
        self.process.terminate();
    }
}

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Browser {
    /// Opens an address, as somebody sees it who likes a colour scheme: `light` or `dark`.
    #[track_caller]
    pub fn open(lab: &Lab, address: &str, scheme: &str) -> Self {
        let modules = Path::new(DRIVER).with_file_name("../node_modules/playwright-core");
        assert!(modules.exists(), "the driver of the browser is missing: run `cargo xtask ui`");
        let factor = patience(std::time::Duration::from_secs(1)).as_secs().to_string();
        // A browser gives up what it loads when an address comes.
        lab.wait_until("links have their addresses", || {
            lab.try_sh("ip -6 address show tentative").stdout.is_empty()
        });
        let mut command = lab.enter();
        command.args(["setpriv", "--pdeathsig", "KILL"]);
        command.args(["node", DRIVER, address, scheme, &factor]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter is installed");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let mut browser = Self { child, stdin, stdout };
        browser.answer("the page is opened");
        browser
    }

    /// Runs a script with `page`, and gives what it returns.
    #[track_caller]
    pub fn run(&mut self, script: &str) -> Value {
        let line = format!("{}\n", Value::from(script));
        let stdin = self.stdin.as_mut().expect("the driver reads scripts");
        stdin.write_all(line.as_bytes()).expect("the driver reads scripts");
        self.answer(script)
    }

    #[track_caller]
    fn answer(&mut self, what: &str) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the driver answers");
        let mut answer: Value =
            line.parse().unwrap_or_else(|_| panic!("the browser ended: {what}: {line:?}"));
        assert!(answer.get("error").is_none(), "{what}: {}", answer["error"]);
        answer["value"].take()
    }

    /// Waits until a script in the page says yes.
    #[track_caller]
    pub fn wait_for(&mut self, condition: &str) {
        self.run(&format!("await page.waitForFunction(() => {condition})"));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It closes the browser first.
        let _ = self.child.wait();
    }
}
