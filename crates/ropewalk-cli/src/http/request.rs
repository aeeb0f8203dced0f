//! Requests: what of HTTP/1.1 a browser or a monitor says when it asks for something.
//!
//! A body is never read. What is not understood is a status, and never a guess.

use std::io::Read;
use std::net::{IpAddr, Ipv6Addr};

/// What a head may be long in bytes: cookies of other programs on this host come along.
const LONGEST_HEAD: usize = 16 * 1024;

/// A request for something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// Whether only the head of the answer is wanted.
    pub(crate) is_head: bool,
    /// The path, decoded.
    pub(crate) path: String,
    query: Vec<(String, String)>,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads a head; the error is the status to answer with.
    pub(super) fn read(stream: &mut impl Read) -> Result<Self, u16> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 2048];
        loop {
            let count = stream.read(&mut buffer).map_err(|_| 408_u16)?;
            if count == 0 {
                return Err(400);
            }
            bytes.extend_from_slice(&buffer[..count]);
            if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
                let head = std::str::from_utf8(&bytes[..end]).map_err(|_| 400_u16)?;
                return Self::parse(head);
            }
            if bytes.len() > LONGEST_HEAD {
                return Err(431);
            }
        }
    }

    fn parse(head: &str) -> Result<Self, u16> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(400);
        };
        if !["HTTP/1.1", "HTTP/1.0"].contains(&version) {
            return Err(505);
        }
        if !["GET", "HEAD"].contains(&method) {
            return Err(405);
        }
        let headers = lines.map(header).collect::<Option<Vec<_>>>().ok_or(400_u16)?;
        if !target.starts_with('/') {
            return Err(400);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Self {
            is_head: method == "HEAD",
            path: decoded(path).ok_or(400_u16)?,
            query: pairs(query).ok_or(400_u16)?,
            headers,
        };
        let hosts = request.headers.iter().filter(|(name, _)| name == "host").count();
        if hosts > 1 || hosts == 0 && version == "HTTP/1.1" {
            return Err(400);
        }
        Ok(request)
    }

    /// A parameter behind the path.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// A header; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Whether it was meant for this host and comes from nobody else's page: under a name that
    /// anybody may give to this address, a page from elsewhere could read the answers.
    pub(crate) fn is_from_here(&self) -> bool {
        let host = self.header("host").unwrap_or_default();
        let is_own = |origin: &str| {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority == Some(host)
        };
        let site = self.header("sec-fetch-site").unwrap_or("none");
        is_address(host)
            && self.header("origin").is_none_or(is_own)
            && ["none", "same-origin"].contains(&site)
    }
}

/// Whether a host is told without a name server: as a number, or as `localhost`.
fn is_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4())
        || inner.is_some_and(|name| name.parse::<Ipv6Addr>().is_ok())
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then(|| (name.to_ascii_lowercase(), value.trim().to_owned()))
}

fn pairs(query: &str) -> Option<Vec<(String, String)>> {
    let words = query.split('&').filter(|word| !word.is_empty());
    let pair = |word: &str| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        Some((decoded(name)?, decoded(&value.replace('+', " "))?))
    };
    words.map(pair).collect()
}

/// Without its percent signs; `None` if it is wrong or no text.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_number)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, u16> {
        Request::read(&mut text.as_bytes())
    }

    #[test]
    fn path_and_parameters_are_decoded() {
        let request =
            read("GET /a%20b?from=c1&to=10.0.0.1%3A80&x=1+2&y HTTP/1.1\r\nHost: h\r\n\r\n");
        let request = request.unwrap();
        assert_eq!(request.path, "/a b");
        let parameter = |name| request.parameter(name);
        assert_eq!(parameter("from"), Some("c1"));
        assert_eq!(parameter("to"), Some("10.0.0.1:80"));
        assert_eq!((parameter("x"), parameter("y"), parameter("z")), (Some("1 2"), Some(""), None));
        assert_eq!(request.header("host"), Some("h"));
    }

    #[test]
    fn what_is_no_request_has_a_status() {
        let long = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(20_000));
        let cases = [
            ("", 400),
            ("GET / HTTP/1.1\r\nHost: h", 400),
            ("GET /\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET /%+1 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET /%ff HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET /%C HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: h\r\n\r\n", 405),
            ("GET / HTTP/2\r\nHost: h\r\n\r\n", 505),
            (long.as_str(), 431),
        ];
        for (text, status) in cases {
            assert_eq!(read(text), Err(status), "{text:.60}");
        }
    }

    #[test]
    fn fuzz_requests() {
        ropewalk_testkit::fuzz("request", |bytes| {
            let Ok(request) = Request::read(&mut &*bytes) else { return };
            assert!(request.path.starts_with('/'));
            request.is_from_here();
        });
    }

    #[test]
    fn other_peoples_pages_are_noticed() {
        let is_from_here =
            |headers: &str| read(&format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n")).unwrap();
        for headers in [
            "Host: 127.0.0.1:8080",
            "Host: localhost",
            "Host: [::1]:8080",
            "Host: 127.0.0.1:8080\r\nOrigin: http://127.0.0.1:8080\r\nSec-Fetch-Site: same-origin",
        ] {
            assert!(is_from_here(headers).is_from_here(), "{headers}");
        }
        for headers in [
            "Host: evil.example:8080",
            "Host: 127.0.0.1.evil.example",
            "Host: ::1",
            "Host: ",
            "Host: localhost\r\nOrigin: https://evil.example",
            "Host: localhost\r\nOrigin: null",
            "Host: localhost\r\nSec-Fetch-Site: cross-site",
        ] {
            assert!(!is_from_here(headers).is_from_here(), "{headers}");
        }
    }
}
