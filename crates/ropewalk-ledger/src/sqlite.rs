//! SQLite in a file of this host.
//!
//! A plugin lives for a millisecond, so what counts is a cold start: one file, a rollback journal
//! and no more statements than needed. A journal written ahead would be read by every process.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, Error, ErrorCode, OpenFlags, types::ValueRef};

use crate::{
    database::{Answer, Database, Dialect, Row, Statement},
    location::Options,
    trouble::{Kind, Trouble},
};

/// How long to wait before looking again whether somebody else is done.
const PAUSE: Duration = Duration::from_micros(200);

#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: Connection,
    deadline: Instant,
    /// How long each statement may take, if that begins anew.
    renewed: Option<Duration>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self, Trouble> {
        let failed = |error: Error| {
            trouble(&error).prefixed(format!("failed to open database {}", path.display()))
        };
        let open = || Connection::open_with_flags(path, flags());
        let connection = match open() {
            Err(_) if !path.exists() => {
                make_directory(path)?;
                open()
            }
            opened => opened,
        }
        .map_err(failed)?;
        // SQLite's own way of waiting knows no deadline, and pauses for longer and longer.
        connection.busy_timeout(Duration::ZERO).map_err(failed)?;
        let deadline = Instant::now() + options.patience;
        let renewed = options.is_renewed.then_some(options.patience);
        let mut opened = Self { connection, deadline, renewed };
        let sync = if options.sync { "FULL" } else { "OFF" };
        let sync = Statement::plain(format!("PRAGMA synchronous = {sync}"));
        opened.run(&[sync]).map_err(|trouble| {
            trouble.prefixed(format!("failed to open database {}", path.display()))
        })?;
        Ok(opened)
    }

    /// Runs one statement; one that somebody is in the way of is run again until the deadline.
    fn patiently(&self, statement: &Statement<'_>) -> Result<Answer, Trouble> {
        let deadline = self.renewed.map_or(self.deadline, |patience| Instant::now() + patience);
        loop {
            match run(&self.connection, statement) {
                Err(error) if is_busy(&error) && Instant::now() < deadline => {
                    thread::sleep(PAUSE);
                }
                other => return other.map_err(|error| trouble(&error)),
            }
        }
    }
}

impl Database for Sqlite {
    fn run(&mut self, statements: &[Statement<'_>]) -> Result<Vec<Answer>, Trouble> {
        statements.iter().map(|statement| self.patiently(statement)).collect()
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            lock_rows: "",
            version: "PRAGMA user_version",
            keyed: " WITHOUT ROWID",
            has_many_hosts: false,
        }
    }

    fn begin(&self) -> Vec<Statement<'static>> {
        vec![Statement::plain("BEGIN IMMEDIATE")]
    }

    fn lock_schema(&self) -> Vec<Statement<'static>> {
        Vec::new()
    }

    fn set_version(&self, version: u32) -> Vec<Statement<'static>> {
        vec![Statement::plain(format!("PRAGMA user_version = {version}"))]
    }
}

/// One thread uses the connection.
fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn make_directory(path: &Path) -> Result<(), Trouble> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(|error| {
        Trouble::new(Kind::Other, format!("failed to make {}: {error}", directory.display()))
    })
}

fn run(connection: &Connection, statement: &Statement<'_>) -> Result<Answer, Error> {
    // `?1` counts, `$1` would be a name.
    let mut prepared = connection.prepare(&statement.sql.replace('$', "?"))?;
    for (index, value) in statement.values.iter().enumerate() {
        prepared.raw_bind_parameter(index + 1, value)?;
    }
    let columns = prepared.column_count();
    let mut found = prepared.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let column = |index| row.get_ref(index).map(text);
        rows.push((0..columns).map(column).collect::<Result<Row, Error>>()?);
    }
    drop(found);
    drop(prepared);
    Ok(Answer { rows, changed: connection.changes() })
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

fn is_busy(error: &Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn trouble(error: &Error) -> Trouble {
    let text = error.to_string();
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::Busy,
        Some(ErrorCode::ReadOnly) => Kind::ReadOnly,
        Some(ErrorCode::DiskFull) => Kind::Full,
        Some(ErrorCode::ConstraintViolation) => Kind::Conflict,
        _ if text.starts_with("no such table") => Kind::NoTables,
        _ => Kind::Other,
    };
    let trouble = Trouble::new(kind, text);
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly) => trouble.with_hint("let root write the file and its folder"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            trouble.with_hint("move the file away: a new one is made at the next ADD")
        }
        _ => trouble,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_the_way_is_waited_for_until_the_deadline_and_no_longer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let mut first = Sqlite::open(&path, &Options::default()).unwrap();
        first.one("CREATE TABLE made (it TEXT)", Vec::new()).unwrap();
        first.one("BEGIN IMMEDIATE", Vec::new()).unwrap();
        let options = Options { patience: Duration::from_millis(20), ..Options::default() };
        let begun = Instant::now();
        let mut second = Sqlite::open(&path, &options).unwrap();
        let trouble = second.one("BEGIN IMMEDIATE", Vec::new()).unwrap_err();
        assert_eq!(trouble.kind, Kind::Busy);
        // SQLite's own patience would be five seconds.
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
}
