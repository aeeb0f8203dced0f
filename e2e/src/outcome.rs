//! What one run of a plugin or command answered, and assertions about it.
//!
//! Every assertion prints the whole answer, so a failed test explains itself.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use serde_json::Value;

use crate::reference;

/// What one run answered.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was run, for messages.
    pub what: String,
    /// The exit status; a signal is its negative number.
    pub code: i32,
    /// Everything written to standard output.
    pub stdout: String,
    /// Everything written to standard error.
    pub stderr: String,
}

/// A CNI error object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CniError {
    /// The error code.
    pub code: i64,
    /// The message.
    pub msg: String,
    /// The details; empty when the object has none.
    pub details: String,
}

impl Outcome {
    pub(crate) fn new(what: String, output: &Output) -> Self {
        let code = output.status.code().or_else(|| output.status.signal().map(|signal| -signal));
        Self {
            what,
            code: code.expect("the process has ended"),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts success with nothing on standard output: what CHECK, DEL, GC and STATUS answer.
    #[track_caller]
    pub fn silent(&self) {
        assert_eq!(self.code, 0, "should have succeeded: {self}");
        assert_eq!(self.stdout, "", "should have printed nothing: {self}");
    }

    /// Asserts success and parses the JSON document on standard output.
    #[track_caller]
    pub fn result(&self) -> Value {
        assert_eq!(self.code, 0, "should have succeeded: {self}");
        self.json()
    }

    /// Asserts exit status 1 and parses the CNI error object on standard output.
    #[track_caller]
    pub fn error(&self) -> CniError {
        assert_eq!(self.code, 1, "should have failed with exit status 1: {self}");
        let value = self.json();
        let object = value.as_object().unwrap_or_else(|| panic!("not an error object: {self}"));
        for key in object.keys() {
            assert!(
                ["code", "msg", "details"].contains(&key.as_str()),
                "unexpected key {key} in the error object: {self}"
            );
        }
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        CniError {
            code: value["code"].as_i64().unwrap_or_else(|| panic!("error without code: {self}")),
            msg: text("msg").unwrap_or_else(|| panic!("error without msg: {self}")),
            details: text("details").unwrap_or_default(),
        }
    }

    /// Asserts an error object with this code, and answers its message.
    #[track_caller]
    pub fn error_with_code(&self, code: i64) -> String {
        let error = self.error();
        assert_eq!(error.code, code, "wrong error code: {self}");
        error.msg
    }

    /// Asserts an ordinary failure (code 999), and answers its message.
    #[track_caller]
    pub fn failure(&self) -> String {
        self.error_with_code(999)
    }

    /// Asserts that the plugin refused its configuration, and answers the message.
    ///
    /// We say code 7 where the reference plugins say 999.
    #[track_caller]
    pub fn invalid_config(&self) -> String {
        self.error_with_code(if reference() { 999 } else { 7 })
    }

    /// Asserts a refusal that may come as code 7 or 999, and answers the message.
    ///
    /// The reference plugins find some bad values only while they act; we may know before.
    #[track_caller]
    pub fn refused(&self) -> String {
        let error = self.error();
        assert!([7, 999].contains(&error.code), "wrong error code: {self}");
        error.msg
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("standard output is not one JSON document: {error}: {self}")
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}\n--- exit status {}\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.what, self.code, self.stdout, self.stderr
        )
    }
}
