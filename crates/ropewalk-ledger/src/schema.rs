//! The tables, and how older ones become today's.
//!
//! A migration that was released must never change: databases out there have had it.

use crate::{
    database::{Database, Statement},
    trouble::{Kind, Trouble},
};

/// Each brings the tables one version further. `{keyed}` is [`crate::database::Dialect::keyed`];
/// what begins with `{many hosts}` is for databases that have them.
const MIGRATIONS: &[&[&str]] = &[FIRST, SECOND];

/// The tables of this program.
pub(crate) const VERSION: u32 = 2;

const FIRST: &[&str] = &[
    // A run of addresses that are given for the first time one after the other: a whole pool, whose
    // block has no name, or the block of a host. From `next` on nobody has had any but those who
    // asked by address; NULL is behind the last. `shape` tells which addresses may be given.
    "CREATE TABLE ropewalk_pool (
        space TEXT NOT NULL,
        pool TEXT NOT NULL,
        block TEXT NOT NULL,
        first TEXT NOT NULL,
        last TEXT NOT NULL,
        next TEXT,
        host TEXT,
        shape TEXT NOT NULL,
        PRIMARY KEY (space, pool, block)
    ){keyed}",
    // An address that somebody has (`free_at` is NULL) or had (from `free_at` on others may have it,
    // in seconds since 1970), or that is kept for a name.
    "CREATE TABLE ropewalk_lease (
        address TEXT NOT NULL,
        space TEXT NOT NULL,
        pool TEXT NOT NULL,
        block TEXT NOT NULL,
        slot TEXT NOT NULL,
        network TEXT NOT NULL,
        container TEXT NOT NULL,
        interface TEXT NOT NULL,
        pod TEXT,
        namespace TEXT,
        host TEXT NOT NULL,
        since BIGINT NOT NULL,
        free_at BIGINT,
        kept_for TEXT,
        is_reserved INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (address, space)
    ){keyed}",
    "CREATE UNIQUE INDEX ropewalk_lease_holder
        ON ropewalk_lease (network, container, interface, slot) WHERE free_at IS NULL",
    "CREATE INDEX ropewalk_lease_free ON ropewalk_lease (space, pool, block, free_at)
        WHERE free_at IS NOT NULL AND kept_for IS NULL",
    "CREATE INDEX ropewalk_lease_kept ON ropewalk_lease (space, kept_for)
        WHERE kept_for IS NOT NULL",
];

/// GC and `ropewalk ipam` ask for what one host has. A file has the leases of one.
const SECOND: &[&str] =
    &["{many hosts}CREATE INDEX ropewalk_lease_host ON ropewalk_lease (host, network)
        WHERE free_at IS NULL"];

/// Makes the tables or brings them up to date; whoever comes second finds it done.
pub(crate) fn migrate(database: &mut dyn Database) -> Result<(), Trouble> {
    bring_to(database, VERSION).inspect_err(|_| database.give_up())
}

fn bring_to(database: &mut dyn Database, version: u32) -> Result<(), Trouble> {
    let mut statements = database.begin();
    statements.extend(database.lock_schema());
    database.run(&statements)?;
    let dialect = database.dialect();
    let found = database.one(dialect.version, Vec::new())?;
    let found = version_of(&found.rows);
    let missing = MIGRATIONS.iter().take(version as usize).skip(found as usize);
    let mut statements: Vec<Statement<'_>> = missing
        .flat_map(|migration| migration.iter())
        .filter_map(|text| match text.strip_prefix("{many hosts}") {
            Some(text) => Some(text).filter(|_| dialect.has_many_hosts),
            None => Some(text),
        })
        .map(|text| Statement::plain(text.replace("{keyed}", dialect.keyed)))
        .collect();
    if found < version {
        statements.extend(database.set_version(version));
    }
    statements.push(Statement::plain("COMMIT"));
    database.run(&statements).map(drop)
}

/// The version that a database answers; a fresh one has none.
pub(crate) fn version_of(rows: &[crate::database::Row]) -> u32 {
    let cell = rows.first().and_then(|row| row.first());
    cell.and_then(|cell| cell.as_deref()?.parse().ok()).unwrap_or_default()
}

/// Tables that a newer program has made are not ours to touch.
pub(crate) fn refuse_newer(found: u32) -> Result<(), Trouble> {
    if found <= VERSION {
        return Ok(());
    }
    let text = format!(
        "the database's tables have version {found}, this program knows versions up to {VERSION}"
    );
    Err(Trouble::new(Kind::Newer, text))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{location::Options, sqlite::Sqlite};

    fn version(database: &mut Sqlite) -> u32 {
        version_of(&database.one(database.dialect().version, Vec::new()).unwrap().rows)
    }

    fn tables(path: &Path) -> Vec<String> {
        let mut database = Sqlite::open(path, &Options::default()).unwrap();
        let sql = "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema";
        let rows = database.one(sql, Vec::new()).unwrap().rows;
        let mut tables: Vec<String> = rows.into_iter().flatten().flatten().collect();
        tables.sort();
        tables
    }

    #[test]
    fn every_older_version_becomes_what_a_fresh_database_is() {
        assert_eq!(MIGRATIONS.len(), VERSION as usize);
        let directory = tempfile::tempdir().unwrap();
        let fresh = directory.path().join("fresh.db");
        migrate(&mut Sqlite::open(&fresh, &Options::default()).unwrap()).unwrap();
        for old in 1..=VERSION {
            let path = directory.path().join(format!("{old}.db"));
            let mut database = Sqlite::open(&path, &Options::default()).unwrap();
            bring_to(&mut database, old).unwrap();
            assert_eq!(version(&mut database), old);
            migrate(&mut database).unwrap();
            assert_eq!(version(&mut database), VERSION);
            assert_eq!(tables(&path), tables(&fresh), "from version {old}");
        }
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let mut database = Sqlite::open(&path, &Options::default()).unwrap();
        database.one("CREATE TABLE ropewalk_lease (mine TEXT)", Vec::new()).unwrap();
        migrate(&mut database).unwrap_err();
        assert_eq!(version(&mut database), 0);
        assert_eq!(tables(&path), ["table ropewalk_lease CREATE TABLE ropewalk_lease (mine TEXT)"]);
    }
}
