//! The only place that writes to standard output and standard error.
//!
//! A reader who closed the other end has read enough; that is not a failure.

use std::io::{self, IsTerminal, Write};

use serde_json::{Value, json};

use crate::failure::Failure;

/// How people and scripts want their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Prints answers in one format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { format: if json { Format::Json } else { Format::Text } }
    }

    /// Prints text exactly as it is, whatever the format.
    #[expect(clippy::unused_self, reason = "whoever prints must have been given an output")]
    pub(crate) fn raw(self, bytes: &[u8]) -> Result<(), Failure> {
        write_all(&mut io::stdout().lock(), bytes)
            .map_err(|error| Failure::failed(format!("failed to write the answer: {error}")))
    }

    /// Prints an answer in the wanted format.
    pub(crate) fn answer(
        self,
        text: impl FnOnce() -> String,
        document: impl FnOnce() -> Value,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Text => self.raw(text().as_bytes()),
            Format::Json => self.raw(format!("{:#}\n", document()).as_bytes()),
        }
    }

    /// Whether a script asked.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints a document in one line, whatever the format: one of many.
    pub(crate) fn line(self, document: &Value) -> Result<(), Failure> {
        self.raw(format!("{document}\n").as_bytes())
    }

    /// Whether a person reads on a terminal that shows colours, and wants them.
    pub(crate) fn has_colours(self) -> bool {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        self.format == Format::Text && io::stdout().is_terminal() && !is_unwanted
    }

    /// Tells a person how far it is; a script waits for the document at the end.
    pub(crate) fn progress(self, line: &str) -> Result<(), Failure> {
        match self.format {
            Format::Text => self.raw(format!("{line}\n").as_bytes()),
            Format::Json => Ok(()),
        }
    }

    /// A bar that shows a person how much of long work is done.
    pub(crate) fn bar(self, what: &'static str, all: usize) -> Bar {
        let is_shown = self.format == Format::Text && io::stderr().is_terminal();
        Bar { what, done: 0, all, shown: 0, is_shown }
    }

    /// Gives a script its document; a person was told before.
    pub(crate) fn document(self, document: impl FnOnce() -> Value) -> Result<(), Failure> {
        self.answer(String::new, document)
    }

    /// Says that something went well that has no answer: only scripts want to know.
    pub(crate) fn done(self, document: impl FnOnce() -> Value) -> Result<(), Failure> {
        self.answer(String::new, document)
    }

    /// Says why the command failed.
    pub(crate) fn complain(self, failure: &Failure) {
        let line = match self.format {
            Format::Text => format!("ropewalk: {failure}\n"),
            Format::Json => format!("{}\n", failure.to_json()),
        };
        // There is nobody left to tell.
        let _ = write_all(&mut io::stderr().lock(), line.as_bytes());
    }

    /// Says what is not as it should be, but stops nobody.
    pub(crate) fn warn(self, text: &str) {
        let line = match self.format {
            Format::Text => format!("ropewalk: warning: {text}\n"),
            Format::Json => format!("{}\n", json!({ "warning": text })),
        };
        // A warning that nobody can read is not worth failing for.
        let _ = write_all(&mut io::stderr().lock(), line.as_bytes());
    }
}

/// How far long work is, on the terminal of a person: gone when it is done.
#[derive(Debug)]
pub(crate) struct Bar {
    what: &'static str,
    done: usize,
    all: usize,
    shown: usize,
    is_shown: bool,
}

/// How many columns a bar has.
const COLUMNS: usize = 40;

impl Bar {
    /// One more is done.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        let columns = self.done * COLUMNS / self.all.max(1);
        if self.is_shown && columns != self.shown {
            self.shown = columns;
            let bar = format!("{}{}", "#".repeat(columns), ".".repeat(COLUMNS - columns));
            let line = format!("\r[{bar}] {}/{} {}", self.done, self.all, self.what);
            // A bar that nobody can see is not worth failing for.
            let _ = write_all(&mut io::stderr().lock(), line.as_bytes());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown > 0 {
            // As above.
            let _ = write_all(&mut io::stderr().lock(), b"\r\x1b[K");
        }
    }
}

fn write_all(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
