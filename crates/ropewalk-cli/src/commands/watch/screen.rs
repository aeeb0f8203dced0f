//! The terminal: its whole screen for as long as this lives, given back as it was.
//!
//! It must never print what comes from the kernel unseen: names may hold control characters.

use std::fmt::Write as _;
use std::io::{self, Stdin, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use ropewalk_topology::terminal::line;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::SIGWINCH;
use signal_hook::low_level::pipe;

use super::keys::{Key, keys};
use crate::failure::Failure;
use crate::output::Output;

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    #[default]
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Chosen,
    Bar,
}

/// A line of the screen: pieces with a look each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line(pub(super) Vec<(Style, String)>);

impl Line {
    pub(super) fn of(style: Style, text: impl Into<String>) -> Self {
        Self(vec![(style, text.into())])
    }

    fn put(&self, columns: usize, out: &mut String) {
        let mut left = columns;
        for (style, text) in &self.0 {
            let shown: String = line(text).chars().take(left).collect();
            left -= shown.chars().count();
            // Writing to a String cannot fail.
            let _ = write!(out, "\x1b[0{}m{shown}", style.code());
        }
        if self.0.iter().any(|(style, _)| matches!(style, Style::Bar | Style::Chosen)) {
            out.push_str(&" ".repeat(left));
        }
        out.push_str("\x1b[0m\x1b[K");
    }
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => ";1",
            Self::Dim => ";2",
            Self::Good => ";32",
            Self::Bad => ";31",
            Self::Chosen => ";7",
            Self::Bar => ";1;7",
        }
    }
}

/// The screen.
#[derive(Debug)]
pub(super) struct Screen {
    input: Stdin,
    before: Termios,
    resized: UnixStream,
    output: Output,
}

impl Screen {
    /// Takes the terminal at standard input and output.
    pub(super) fn take(output: Output) -> Result<Self, Failure> {
        let failed =
            |error: io::Error| Failure::failed(format!("failed to use the terminal: {error}"));
        let before = tcgetattr(stdin()).map_err(|errno| failed(errno.into()))?;
        let (resized, teller) = UnixStream::pair().map_err(failed)?;
        resized.set_nonblocking(true).map_err(failed)?;
        pipe::register(SIGWINCH, teller).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).map_err(|errno| failed(errno.into()))?;
        let screen = Self { input: stdin(), before, resized, output };
        screen.output.raw(b"\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }

    /// Readable when the terminal has another size.
    pub(super) fn resized(&self) -> BorrowedFd<'_> {
        self.resized.as_fd()
    }

    /// Draws the lines that are made for a size, all rows.
    pub(super) fn draw(&mut self, lines: impl FnOnce(Size) -> Vec<Line>) -> Result<(), Failure> {
        let mut told = [0; 64];
        // How often it changed does not matter.
        while rustix::io::read(&self.resized, &mut told).is_ok_and(|count| count > 0) {}
        let size = tcgetwinsize(stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
        let (columns, rows) = size.map_or((80, 24), |size| (size.ws_col, size.ws_row));
        let size = Size { columns: columns.into(), rows: rows.into() };
        let mut out = "\x1b[H".to_owned();
        for (row, line) in lines(size).iter().take(size.rows).enumerate() {
            if row > 0 {
                out.push_str("\r\n");
            }
            line.put(size.columns, &mut out);
        }
        out.push_str("\x1b[J");
        self.output.raw(out.as_bytes())
    }

    /// What was pressed since the last call.
    pub(super) fn keys(&self) -> Result<Vec<Key>, Failure> {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut waiting = [PollFd::new(&self.input, PollFlags::IN)];
        let is_there = poll(&mut waiting, Some(&now)).is_ok_and(|count| count > 0);
        if !is_there {
            return Ok(Vec::new());
        }
        let mut buffer = [0; 256];
        match rustix::io::read(&self.input, &mut buffer) {
            // The terminal is gone.
            Ok(0) => Ok(vec![Key::Interrupt]),
            Ok(count) => Ok(keys(&buffer[..count])),
            Err(errno) => Err(Failure::failed(format!("failed to read the terminal: {errno}"))),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = self.output.raw(b"\x1b[?25h\x1b[?1049l");
        let _ = tcsetattr(&self.input, OptionalActions::Now, &self.before);
    }
}
