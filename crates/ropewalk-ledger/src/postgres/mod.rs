//! PostgreSQL, spoken to over its own protocol by one thread that waits.
//!
//! All statements of a call go out together, and the answers come back together. Of several
//! servers the first that takes changes is used.

mod login;
mod stream;

use std::{
    io,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::{
    IsNull,
    message::{
        backend::{CommandCompleteBody, DataRowBody, ErrorResponseBody, Message},
        frontend,
    },
};

use self::stream::Stream;
use crate::{
    database::{Answer, Database, Dialect, Row, Statement, Value},
    location::{Options, Server},
    trouble::{Kind, Trouble},
};

#[derive(Debug)]
pub(crate) struct Postgres {
    stream: Stream,
    name: String,
    patience: Duration,
    /// Whether each answer may take that long.
    is_renewed: bool,
}

impl Postgres {
    /// Connects to the first server that takes changes.
    pub(crate) fn connect(server: &Server, options: &Options) -> Result<Self, Trouble> {
        let deadline = Instant::now() + options.patience;
        let mut failures: Vec<Trouble> = Vec::new();
        for (index, (host, port)) in server.hosts.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let others = u32::try_from(server.hosts.len() - index).unwrap_or(u32::MAX);
            let share = Instant::now() + (left / others).max(Duration::from_millis(1));
            let connected = Stream::connect(host, *port, share)
                .map_err(|error| unreachable(&error))
                .and_then(|stream| login::log_in(stream, server, (host, *port)));
            match connected {
                Ok(mut stream) => {
                    stream.finish_by(deadline);
                    return Ok(Self {
                        stream,
                        name: server.to_string(),
                        patience: options.patience,
                        is_renewed: options.is_renewed,
                    });
                }
                Err(trouble) => failures.push(trouble.prefixed(format!("{host}:{port}"))),
            }
        }
        Err(all(failures).prefixed(format!("failed to connect to database {server}")))
    }

    fn exchange(
        &mut self,
        statements: &[Statement<'_>],
    ) -> io::Result<Result<Vec<Answer>, Trouble>> {
        let mut buffer = BytesMut::new();
        for statement in statements {
            frontend::parse("", &statement.sql, [], &mut buffer)?;
            bind(&statement.values, &mut buffer)?;
            frontend::execute("", 0, &mut buffer)?;
        }
        frontend::sync(&mut buffer);
        if self.is_renewed {
            self.stream.finish_by(Instant::now() + self.patience);
        }
        self.stream.send(&buffer)?;
        let mut answers = Vec::with_capacity(statements.len());
        let mut answer = Answer::default();
        let mut failure = None;
        loop {
            match self.stream.receive()? {
                Message::DataRow(body) => answer.rows.push(row(&body)?),
                Message::CommandComplete(body) => {
                    answer.changed = changed(&body)?;
                    answers.push(std::mem::take(&mut answer));
                }
                Message::EmptyQueryResponse => answers.push(std::mem::take(&mut answer)),
                Message::ErrorResponse(body) => failure = Some(trouble(&body)?),
                Message::ReadyForQuery(_) => break,
                // What is parsed and bound, and what the server has to say besides.
                _ => {}
            }
        }
        Ok(failure.map_or(Ok(answers), Err))
    }
}

impl Database for Postgres {
    fn run(&mut self, statements: &[Statement<'_>]) -> Result<Vec<Answer>, Trouble> {
        self.exchange(statements).map_err(|error| {
            unreachable(&error).prefixed(format!("lost the connection to database {}", self.name))
        })?
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            lock_rows: " FOR UPDATE",
            version: "SELECT version FROM ropewalk_schema",
            keyed: "",
            has_many_hosts: true,
        }
    }

    /// A server whose client is gone without a word must not keep others waiting.
    fn begin(&self) -> Vec<Statement<'static>> {
        let limit = Some(self.patience.as_millis().to_string());
        let limits = "SELECT set_config('lock_timeout', $1, true), \
                      set_config('idle_in_transaction_session_timeout', $2, true)";
        vec![Statement::plain("BEGIN"), Statement::new(limits, vec![limit.clone(), limit])]
    }

    fn lock_schema(&self) -> Vec<Statement<'static>> {
        let create = "CREATE TABLE IF NOT EXISTS ropewalk_schema (version INTEGER NOT NULL)";
        // Any number will do that nobody else uses: "rope" in ASCII.
        let lock = "SELECT pg_advisory_xact_lock(1919905893)";
        vec![Statement::plain(lock), Statement::plain(create)]
    }

    fn set_version(&self, version: u32) -> Vec<Statement<'static>> {
        let insert = format!("INSERT INTO ropewalk_schema VALUES ({version})");
        vec![Statement::plain("DELETE FROM ropewalk_schema"), Statement::plain(insert)]
    }
}

/// Of several failures the one that most is to be done about, with all in words.
fn all(failures: Vec<Trouble>) -> Trouble {
    let words: Vec<String> = failures.iter().map(ToString::to_string).collect();
    let rank = |trouble: &Trouble| match trouble.kind {
        Kind::ReadOnly => 2,
        Kind::Refused => 1,
        _ => 0,
    };
    let worst = failures.into_iter().max_by_key(rank);
    let worst = worst.unwrap_or_else(|| Trouble::new(Kind::Unreachable, ""));
    Trouble { message: words.join("; "), ..worst }
}

fn unreachable(error: &io::Error) -> Trouble {
    let reason = error.to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default().to_lowercase();
    Trouble::new(Kind::Unreachable, reason)
}

fn bind(values: &[Value], buffer: &mut BytesMut) -> io::Result<()> {
    let write = |value: &Value, buffer: &mut BytesMut| {
        Ok(match value {
            Some(text) => {
                buffer.extend_from_slice(text.as_bytes());
                IsNull::No
            }
            None => IsNull::Yes,
        })
    };
    frontend::bind("", "", [], values, write, [], buffer).map_err(|error| match error {
        frontend::BindError::Conversion(error) => io::Error::other(error),
        frontend::BindError::Serialization(error) => error,
    })
}

fn row(body: &DataRowBody) -> io::Result<Row> {
    let bytes = body.buffer();
    let text = |range: std::ops::Range<usize>| {
        bytes.get(range).map(|text| String::from_utf8_lossy(text).into_owned())
    };
    body.ranges().map(|range| Ok(range.and_then(text))).collect()
}

/// `INSERT 0 1`, `UPDATE 1`, `SELECT 5`: the last word counts.
fn changed(body: &CommandCompleteBody) -> io::Result<u64> {
    Ok(body.tag()?.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default())
}

/// What the server says, by its SQLSTATE.
fn trouble(body: &ErrorResponseBody) -> io::Result<Trouble> {
    let (mut state, mut message) = (String::new(), String::new());
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        match field.type_() {
            b'C' => state = String::from_utf8_lossy(field.value_bytes()).into_owned(),
            b'M' => message = String::from_utf8_lossy(field.value_bytes()).into_owned(),
            _ => {}
        }
    }
    let kind = match (state.get(..2).unwrap_or_default(), state.as_str()) {
        (_, "25006") => Kind::ReadOnly,
        (_, "42P01" | "3F000") => Kind::NoTables,
        (_, "40001" | "40P01" | "23505") => Kind::Conflict,
        (_, "55P03" | "57014") => Kind::Busy,
        (_, "42501" | "3D000") | ("28", _) => Kind::Refused,
        (_, "53300") | ("08" | "57", _) => Kind::Unreachable,
        (_, "53100" | "53200") => Kind::Full,
        _ => Kind::Other,
    };
    Ok(Trouble::new(kind, format!("{message} (SQLSTATE {state})")))
}
