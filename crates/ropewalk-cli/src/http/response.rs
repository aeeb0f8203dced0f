//! Answers: a body at once, or events for as long as the client stays.
//!
//! A name or value of a header must never come from a request.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use serde_json::Value;

use super::Request;

/// How long a client hears nothing before it is asked whether it is still there.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// What the source of events says when it is asked for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// An event: its name and its data, one line.
    Send(&'static str, String),
    /// There was none in the time that was given.
    Nothing,
    /// There will be no more.
    End,
}

type Source = Box<dyn FnMut(Duration) -> Turn + Send>;

enum Body {
    Whole(Cow<'static, [u8]>),
    Events(Source),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    status: u16,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    body: Body,
}

impl Response {
    /// A document of this type.
    pub(crate) fn new(kind: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        let headers = vec![("content-type", kind.into())];
        Self { status: 200, headers, body: Body::Whole(body.into()) }
    }

    pub(crate) fn json(document: &Value) -> Self {
        Self::new("application/json", document.to_string().into_bytes())
    }

    /// A status with its own words as the document.
    pub(crate) fn error(status: u16) -> Self {
        Self::refusal(status, reason(status))
    }

    /// A status with a sentence.
    pub(crate) fn refusal(status: u16, sentence: &str) -> Self {
        let text = format!("{sentence}\n").into_bytes();
        Self { status, ..Self::new("text/plain; charset=utf-8", text) }
    }

    /// Server-sent events. The source is asked for one after the other, with the time in which it
    /// has to answer.
    pub(crate) fn events(source: impl FnMut(Duration) -> Turn + Send + 'static) -> Self {
        let headers = vec![("content-type", "text/event-stream".into())];
        Self { status: 200, headers, body: Body::Events(Box::new(source)) }
    }

    /// Another path to ask for.
    pub(crate) fn moved(path: &'static str) -> Self {
        Self { status: 302, ..Self::error(302) }.with_header("location", path)
    }

    pub(crate) fn with_header(
        mut self,
        name: &'static str,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// What is kept: how long, is said by those who do not want the ordinary.
    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let mut put = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = fmt::Write::write_fmt(&mut head, format_args!("{name}: {value}\r\n"));
        };
        for (name, value) in &self.headers {
            put(name, value);
        }
        if !self.headers.iter().any(|(name, _)| *name == "cache-control") {
            put("cache-control", "no-store");
        }
        if let Body::Whole(body) = &self.body {
            put("content-length", &body.len().to_string());
        }
        if self.status == 405 {
            put("allow", "GET, HEAD");
        }
        put("x-content-type-options", "nosniff");
        put("connection", "close");
        head.push_str("\r\n");
        head
    }

    pub(super) fn send(self, stream: &mut impl Write, request: &Request) -> io::Result<()> {
        stream.write_all(self.head().as_bytes())?;
        match self.body {
            _ if request.is_head => {}
            Body::Whole(body) => stream.write_all(&body)?,
            Body::Events(source) => send_events(stream, source)?,
        }
        stream.flush()
    }
}

fn send_events(stream: &mut impl Write, mut source: Source) -> io::Result<()> {
    stream.flush()?;
    loop {
        match source(HEARTBEAT) {
            Turn::Send(name, data) => write!(stream, "event: {name}\ndata: {data}\n\n")?,
            Turn::Nothing => stream.write_all(b": still here\n\n")?,
            Turn::End => return Ok(()),
        }
        stream.flush()?;
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(body) => write!(f, "{} bytes", body.len()),
            Self::Events(_) => f.write_str("events"),
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}
