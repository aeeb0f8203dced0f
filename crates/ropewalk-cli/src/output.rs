//! The only place that writes to standard output and standard error.
//!
//! A reader who closed the other end has read enough; that is not a failure. A terminal must never
//! get what it would obey but from us: containers choose names.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use ropewalk_topology::terminal::{is_shown, lines};
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

    /// Prints exactly this, whatever the format: nothing in it was chosen by others.
    #[expect(clippy::unused_self, reason = "whoever prints must have been given an output")]
    pub(crate) fn raw(self, bytes: &[u8]) -> Result<(), Failure> {
        write_all(&mut io::stdout().lock(), bytes)
            .map_err(|error| Failure::failed(format!("failed to write the answer: {error}")))
    }

    /// Prints text, whatever the format.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        self.raw(lines(text).as_bytes())
    }

    /// Prints an answer in the wanted format.
    pub(crate) fn answer(
        self,
        text: impl FnOnce() -> String,
        document: impl FnOnce() -> Value,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Text => self.text(&text()),
            Format::Json => self.json(&document()),
        }
    }

    /// The same for a text that can be had with colours. Where something in it could be taken for
    /// them, it has none.
    pub(crate) fn coloured(
        self,
        text: impl Fn(bool) -> String,
        document: impl FnOnce() -> Value,
    ) -> Result<(), Failure> {
        let may_have = self.has_colours() && lines(&text(false)) == text(false);
        if may_have {
            self.raw(text(true).as_bytes())
        } else {
            self.answer(|| text(false), document)
        }
    }

    /// Prints a document, whatever the format.
    pub(crate) fn json(self, document: &Value) -> Result<(), Failure> {
        self.raw(json_text(&format!("{document:#}\n")).as_bytes())
    }

    /// Whether a script asked.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints a document in one line, whatever the format: one of many.
    pub(crate) fn line(self, document: &Value) -> Result<(), Failure> {
        self.raw(json_text(&format!("{document}\n")).as_bytes())
    }

    /// Whether a person reads on a terminal that shows colours, and wants them.
    fn has_colours(self) -> bool {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        self.format == Format::Text && io::stdout().is_terminal() && !is_unwanted
    }

    /// Tells a person how far it is; a script waits for the document at the end.
    pub(crate) fn progress(self, line: &str) -> Result<(), Failure> {
        match self.format {
            Format::Text => self.text(&format!("{line}\n")),
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
            Format::Text => lines(&format!("ropewalk: {failure}\n")).into_owned(),
            Format::Json => json_text(&format!("{}\n", failure.to_json())),
        };
        // There is nobody left to tell.
        let _ = write_all(&mut io::stderr().lock(), line.as_bytes());
    }

    /// Says what is not as it should be, but stops nobody.
    pub(crate) fn warn(self, text: &str) {
        let line = match self.format {
            Format::Text => lines(&format!("ropewalk: warning: {text}\n")).into_owned(),
            Format::Json => json_text(&format!("{}\n", json!({ "warning": text }))),
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

/// JSON as a terminal may get it. Only the first 32 letters must be escaped in JSON, but terminals
/// obey others, too.
fn json_text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter == '\n' || is_shown(letter) {
            safe.push(letter);
        } else {
            // Writing to a String cannot fail; all of them have four digits.
            let _ = write!(safe, "\\u{:04x}", u32::from(letter));
        }
    }
    safe
}

fn write_all(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_and_no_terminal_obeys_it() {
        let value = json!({ "name\u{9b}": "a\u{1b}[31m\u{7f}\u{202e}ü\n" });
        let text = json_text(&format!("{value:#}\n"));
        assert_eq!(text, "{\n  \"name\\u009b\": \"a\\u001b[31m\\u007f\\u202eü\\n\"\n}\n");
        assert_eq!(text.parse::<Value>().ok(), Some(value));
    }
}
