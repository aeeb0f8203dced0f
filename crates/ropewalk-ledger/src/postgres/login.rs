//! Logging in to a server: who we are, the password in the way the server asks for it, and whether
//! the server takes changes.
//!
//! It must never put a password into an error.

use std::{fs, io, path::Path};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::{
    authentication::{
        md5_hash,
        sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256},
    },
    message::{backend::Message, frontend},
};

use super::{stream::Stream, trouble, unreachable};
use crate::{
    location::Server,
    trouble::{Kind, Trouble},
};

/// What the server calls us in its list of sessions.
const APPLICATION: &str = "ropewalk";

/// Logs in. A server that takes no changes is as good as none.
pub(super) fn log_in(
    mut stream: Stream,
    server: &Server,
    host: (&str, u16),
) -> Result<Stream, Trouble> {
    let mut buffer = BytesMut::new();
    let parameters = [
        ("user", server.user.as_str()),
        ("database", server.database.as_str()),
        ("application_name", APPLICATION),
        ("client_encoding", "UTF8"),
    ];
    let startup = frontend::startup_message(parameters, &mut buffer);
    startup.and_then(|()| stream.send(&buffer)).map_err(|error| unreachable(&error))?;
    authenticate(&mut stream, server, host)?;
    if is_read_only(&mut stream)? {
        return Err(Trouble::new(Kind::ReadOnly, "the server is read-only"));
    }
    Ok(stream)
}

/// The next message; what the server has against us is an error.
fn next(stream: &mut Stream) -> Result<Message, Trouble> {
    match stream.receive().map_err(|error| unreachable(&error))? {
        Message::ErrorResponse(body) => {
            Err(trouble(&body).unwrap_or_else(|error| unreachable(&error)))
        }
        message => Ok(message),
    }
}

fn authenticate(stream: &mut Stream, server: &Server, host: (&str, u16)) -> Result<(), Trouble> {
    let password = || password(server, host);
    loop {
        match next(stream)? {
            Message::AuthenticationOk => return Ok(()),
            Message::AuthenticationCleartextPassword => {
                send_password(stream, password()?.as_bytes())?;
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(server.user.as_bytes(), password()?.as_bytes(), body.salt());
                send_password(stream, hash.as_bytes())?;
            }
            Message::AuthenticationSasl(body) => {
                let mechanisms: Vec<String> =
                    body.mechanisms().map(|name| Ok(name.to_owned())).collect().unwrap_or_default();
                if !mechanisms.iter().any(|name| name == SCRAM_SHA_256) {
                    return Err(unknown_way());
                }
                scram(stream, &password()?)?;
            }
            _ => return Err(unknown_way()),
        }
    }
}

fn unknown_way() -> Trouble {
    Trouble::new(
        Kind::Refused,
        "the server asks for a kind of authentication other than a password (scram-sha-256, md5)",
    )
}

fn send_password(stream: &mut Stream, password: &[u8]) -> Result<(), Trouble> {
    let mut buffer = BytesMut::new();
    let written = frontend::password_message(password, &mut buffer);
    written.and_then(|()| stream.send(&buffer)).map_err(|error| unreachable(&error))
}

fn scram(stream: &mut Stream, password: &str) -> Result<(), Trouble> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            Trouble::new(Kind::Refused, "the server's side of the authentication is wrong")
        }
        _ => unreachable(&error),
    };
    let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    let mut buffer = BytesMut::new();
    frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut buffer)
        .and_then(|()| stream.send(&buffer))
        .map_err(failed)?;
    let Message::AuthenticationSaslContinue(body) = next(stream)? else {
        return Err(unknown_way());
    };
    scram.update(body.data()).map_err(failed)?;
    buffer.clear();
    frontend::sasl_response(scram.message(), &mut buffer)
        .and_then(|()| stream.send(&buffer))
        .map_err(failed)?;
    let Message::AuthenticationSaslFinal(body) = next(stream)? else {
        return Err(unknown_way());
    };
    scram.finish(body.data()).map_err(failed)
}

/// The server tells this by itself since version 14; an older one refuses the first change.
fn is_read_only(stream: &mut Stream) -> Result<bool, Trouble> {
    let mut is_read_only = false;
    loop {
        match next(stream)? {
            Message::ParameterStatus(body) => {
                let is_one =
                    matches!(body.name(), Ok("in_hot_standby" | "default_transaction_read_only"));
                is_read_only |= is_one && matches!(body.value(), Ok("on"));
            }
            Message::ReadyForQuery(_) => return Ok(is_read_only),
            _ => {}
        }
    }
}

/// The password from the URL, else from the file.
fn password(server: &Server, (host, port): (&str, u16)) -> Result<String, Trouble> {
    let refused = |text: String| Trouble::new(Kind::Refused, text);
    if let Some(secret) = &server.password {
        return Ok(secret.0.clone());
    }
    let Some(path) = &server.password_file else {
        return Err(refused("the server asks for a password; hint: set passwordFile".to_owned()));
    };
    let text = fs::read_to_string(path)
        .map_err(|error| refused(format!("failed to read {}: {error}", path.display())))?;
    let wanted = [host, &port.to_string(), &server.database, &server.user];
    of_file(&text, wanted).ok_or_else(|| no_line(path))
}

fn no_line(path: &Path) -> Trouble {
    let text = format!("{} has no password for this server, database and user", path.display());
    Trouble::new(Kind::Refused, text)
}

/// A file of one line without colons is a password. Other lines are as in `.pgpass`: host, port,
/// database, user and password; `*` stands for all, and `\` before a colon or itself.
fn of_file(text: &str, wanted: [&str; 4]) -> Option<String> {
    let lines = || text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    if lines().count() == 1 && !text.contains(':') {
        return lines().next().map(str::to_owned);
    }
    let matching = |line: &str| {
        let parts = parts(line);
        let is_match = parts.len() == 5
            && parts.iter().zip(wanted).all(|(part, wanted)| part == "*" || part == wanted);
        is_match.then(|| parts.into_iter().nth(4)).flatten()
    };
    lines().find_map(matching)
}

fn parts(line: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let last = parts.len() - 1;
        match letter {
            ':' if parts.len() < 5 => parts.push(String::new()),
            '\\' => parts[last].extend(letters.next()),
            other => parts[last].push(other),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_files_have_one_password_or_one_for_each_server() {
        let wanted = ["db1", "5432", "ipam", "ropewalk"];
        let found = |text| of_file(text, wanted);
        assert_eq!(found("secret\n").as_deref(), Some("secret"));
        assert_eq!(found("db1:5432:ipam:ropewalk:a\\:b:c").as_deref(), Some("a:b:c"));
        let lines = "# comment\ndb2:*:*:*:no\n*:*:ipam:ropewalk:yes\n";
        assert_eq!(found(lines).as_deref(), Some("yes"));
        assert_eq!(found("db2:*:*:*:no"), None);
        assert_eq!(found(""), None);
    }
}
