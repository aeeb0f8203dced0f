//! Where a database is, as a URL says it.
//!
//! A password must never leave here but to the server.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// SQLite: a file.
    File(PathBuf),
    /// PostgreSQL: one or several servers with the same content.
    Server(Server),
}

/// A PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it may be, to be tried in this order. A path is the directory of a Unix socket.
    pub hosts: Vec<(String, u16)>,
    /// Who we are.
    pub user: String,
    /// The password, if the URL has it.
    pub password: Option<Secret>,
    /// A file with it: a line, or lines as in `.pgpass`.
    pub password_file: Option<PathBuf>,
    /// The database's name.
    pub database: String,
}

/// A text that nobody may see.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// How to use a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long everything may take, connecting included.
    pub patience: Duration,
    /// Whether it begins anew with each question: for those who ask for as long as it takes.
    pub is_renewed: bool,
    /// SQLite: whether a lease is on the disk before anybody is told of it.
    pub sync: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { patience: Duration::from_secs(10), is_renewed: false, sync: false }
    }
}

const SCHEMES: &str = "expected sqlite:///path/to/file or postgres://user@host:5432/database";

impl Location {
    /// Reads a URL. What is wrong with it is told without repeating it, for it may have a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            let path = Path::new(path);
            if !path.is_absolute() || path.file_name().is_none() {
                return Err("the path of an SQLite database must be absolute, as in \
                            sqlite:///var/lib/ropewalk/ipam.db"
                    .to_owned());
            }
            return Ok(Self::File(path.to_owned()));
        }
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        rest.map_or_else(|| Err(SCHEMES.to_owned()), server).map(Self::Server)
    }
}

fn server(rest: &str) -> Result<Server, String> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (decode(user)?, Some(decode(password)?)),
        None => (decode(login)?, None),
    };
    let mut parameters = parameters(query)?;
    let user = parameters.remove("user").unwrap_or(user);
    let user = if user.is_empty() { "postgres".to_owned() } else { user };
    let port = parameters.remove("port").map(|text| port(&text)).transpose()?.unwrap_or(5432);
    let mut found = hosts.split(',').filter(|host| !host.is_empty()).map(|text| host(text, port));
    let mut hosts = found.by_ref().collect::<Result<Vec<_>, String>>()?;
    if let Some(named) = parameters.remove("host") {
        hosts.extend(named.split(',').map(|name| (name.to_owned(), port)));
    }
    if hosts.is_empty() {
        hosts.push(("/var/run/postgresql".to_owned(), port));
    }
    let database = decode(database)?;
    let password = parameters.remove("password").or(password);
    let password_file = parameters.remove("passfile").map(PathBuf::from);
    check_rest(&mut parameters)?;
    Ok(Server {
        hosts,
        database: if database.is_empty() { user.clone() } else { database },
        user,
        password: password.map(Secret),
        password_file,
    })
}

/// What can be asked for otherwise, and is not done here, is refused.
fn check_rest(parameters: &mut BTreeMap<String, String>) -> Result<(), String> {
    match parameters.remove("sslmode").as_deref() {
        None | Some("disable" | "allow" | "prefer") => {}
        Some("require" | "verify-ca" | "verify-full") => {
            return Err("this program cannot encrypt its connection to the database; reach it \
                        over a Unix socket or a tunnel, with sslmode=disable"
                .to_owned());
        }
        Some(mode) => return Err(format!("unknown sslmode {mode:?}")),
    }
    match parameters.remove("target_session_attrs").as_deref() {
        None | Some("any" | "read-write" | "primary") => {}
        Some(other) => {
            return Err(format!("target_session_attrs must be read-write, not {other:?}"));
        }
    }
    // Where a password has a question mark, its end would be taken for a parameter.
    let is_word = |key: &&String| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    match parameters.keys().next() {
        None => Ok(()),
        Some(unknown) if is_word(&unknown) => {
            Err(format!("unknown parameter {unknown:?} of a database URL"))
        }
        Some(_) => Err("unknown parameter of a database URL".to_owned()),
    }
}

fn parameters(query: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(key)?, decode(value)?))
    };
    pairs.map(pair).collect()
}

/// `name`, `name:port`, `[address]`, `[address]:port`.
fn host(text: &str, port: u16) -> Result<(String, u16), String> {
    let (name, after) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((name, after)) => (name, after.strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let port = after.map(self::port).transpose()?.unwrap_or(port);
    Ok((decode(name)?, port))
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "the port of a database URL must be from 0 to 65535".to_owned())
}

/// Writes what has a meaning of its own in a URL as `%2F` and its like.
fn encode(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// Undoes `%2F` and its like.
fn decode(text: &str) -> Result<String, String> {
    let broken = || "a database URL has a % that no two hexadecimal digits follow".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| (byte? as char).to_digit(16);
        let high = digit(rest.next()).ok_or_else(broken)?;
        let low = digit(rest.next()).ok_or_else(broken)?;
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    String::from_utf8(bytes).map_err(|_| "a database URL is not UTF-8".to_owned())
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "sqlite://{}", path.display()),
            Self::Server(server) => server.fmt(f),
        }
    }
}

/// A URL again, without the password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |(host, port): &(String, u16)| {
            if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{}:{port}", encode(host))
            }
        };
        let hosts: Vec<String> = self.hosts.iter().map(host).collect();
        let (user, database) = (encode(&self.user), encode(&self.database));
        write!(f, "postgres://{user}@{}/{database}", hosts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        Location::parse(url).map_or_else(|error| error, |location| location.to_string())
    }

    #[test]
    fn urls_are_read() {
        for (url, expected) in [
            ("sqlite:///var/lib/x.db", "sqlite:///var/lib/x.db"),
            ("postgres://a:b@h/d", "postgres://a@h:5432/d"),
            (
                "postgresql://a@h1:1,h2/d?target_session_attrs=read-write",
                "postgres://a@h1:1,h2:5432/d",
            ),
            ("postgres://a@[fd00::1]:7,[::1]/d", "postgres://a@[fd00::1]:7,[::1]:5432/d"),
            ("postgres://a@%2Frun%2Fpg/d", "postgres://a@%2Frun%2Fpg:5432/d"),
            ("postgres:///d?host=/run/pg&port=9&user=u", "postgres://u@%2Frun%2Fpg:9/d"),
            ("postgres://a%40b:c%3Ad@h", "postgres://a%40b@h:5432/a%40b"),
        ] {
            assert_eq!(shown(url), expected, "{url}");
            assert_eq!(shown(expected), expected);
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_without_repeating_the_url() {
        for (url, expected) in [
            ("mysql://a:secret@h/d", "expected sqlite:///"),
            ("sqlite://relative", "must be absolute"),
            ("postgres://a:secret@h:x/d", "the port"),
            ("postgres://a:secret%zz@h/d", "has a %"),
            ("postgres://a:secret@h/d?sslmode=require", "cannot encrypt"),
            ("postgres://a:secret@h/d?sslmode=maybe", "unknown sslmode"),
            ("postgres://a:secret@h/d?target_session_attrs=standby", "must be read-write"),
            ("postgres://a:secret@h/d?colour=red", "unknown parameter \"colour\""),
            ("postgres://a:1?secret@h/d", "unknown parameter of"),
        ] {
            let error = Location::parse(url).unwrap_err();
            assert!(error.contains(expected) && !error.contains("secret"), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let location = Location::parse("postgres://a:hidden@h/d?password=concealed").unwrap();
        let text = format!("{location} {location:?}");
        assert!(!text.contains("hidden") && !text.contains("concealed"), "{text}");
        let Location::Server(server) = location else { panic!("a server") };
        assert_eq!(server.password, Some(Secret("concealed".to_owned())));
    }
}
