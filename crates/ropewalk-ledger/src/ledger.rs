//! The ledger: a database with our tables in it, and what a plugin does with it.

use std::mem::ManuallyDrop;

use crate::{
    database::{Answer, Database, Statement, some},
    location::{Location, Options},
    postgres::Postgres,
    schema,
    sqlite::Sqlite,
    trouble::{Kind, Trouble},
};

/// A moment that never comes: the year 9999, in seconds since 1970.
pub(crate) const NEVER: u64 = 253_402_300_799;

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// The network's name.
    pub network: String,
    /// The container's id.
    pub container: String,
    /// The container's interface.
    pub interface: String,
}

/// What becomes of an address that is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Now, in seconds since 1970.
    pub now: u64,
    /// How many seconds it rests while there are others.
    pub cooldown: u64,
    /// How many seconds it is kept for the name that had it.
    pub keep: u64,
}

/// An open database.
pub struct Ledger {
    /// It is not closed: the process ends, and that closes everything at once.
    pub(crate) database: ManuallyDrop<Box<dyn Database>>,
    pub(crate) location: Location,
    pub(crate) options: Options,
}

impl Ledger {
    /// Opens or reaches a database. Tables are made when something is written.
    pub fn open(location: &Location, options: &Options) -> Result<Self, Trouble> {
        let database: Box<dyn Database> = match location {
            Location::File(path) => Box::new(Sqlite::open(path, options)?),
            Location::Server(server) => Box::new(Postgres::connect(server, options)?),
        };
        Ok(Self {
            database: ManuallyDrop::new(database),
            location: location.clone(),
            options: options.clone(),
        })
    }

    /// Begins a transaction in tables that are up to date, and reads.
    pub(crate) fn begin(&mut self, reads: &[Statement<'_>]) -> Result<Vec<Answer>, Trouble> {
        match self.try_begin(reads) {
            Ok((version, answers)) if version == schema::VERSION => return Ok(answers),
            Ok((version, _)) => {
                self.database.give_up();
                schema::refuse_newer(version)?;
            }
            Err(trouble) => {
                self.database.give_up();
                if trouble.kind != Kind::NoTables {
                    return Err(trouble);
                }
            }
        }
        schema::migrate(&mut **self.database)?;
        let begun = self.try_begin(reads).inspect_err(|_| self.database.give_up());
        begun.map(|(_, answers)| answers)
    }

    fn try_begin(&mut self, reads: &[Statement<'_>]) -> Result<(u32, Vec<Answer>), Trouble> {
        let mut statements = self.database.begin();
        statements.push(Statement::plain(self.database.dialect().version));
        let before = statements.len();
        statements.extend(reads.iter().cloned());
        let mut answers = self.database.run(&statements)?;
        let rest = answers.split_off(before);
        let version = answers.last().map_or(0, |answer| schema::version_of(&answer.rows));
        Ok((version, rest))
    }

    /// What the tables say, if there are any. They may be older than ours, not newer.
    pub(crate) fn read(&mut self, statement: Statement<'_>) -> Result<Answer, Trouble> {
        let version = Statement::plain(self.database.dialect().version);
        match self.database.run(&[version, statement]) {
            Ok(answers) => {
                let version = answers.first().map_or(0, |answer| schema::version_of(&answer.rows));
                schema::refuse_newer(version)?;
                Ok(answers.into_iter().nth(1).unwrap_or_default())
            }
            Err(trouble) if trouble.kind == Kind::NoTables => Ok(Answer::default()),
            Err(trouble) => Err(trouble),
        }
    }

    /// Changes tables, if there are any, in one transaction.
    pub(crate) fn change(&mut self, statements: &[Statement<'_>]) -> Result<Vec<Answer>, Trouble> {
        let mut all = self.database.begin();
        let before = all.len();
        all.extend(statements.iter().cloned());
        all.push(Statement::plain("COMMIT"));
        match self.database.run(&all) {
            Ok(mut answers) => {
                answers.pop();
                Ok(answers.split_off(before))
            }
            Err(trouble) => {
                self.database.give_up();
                match trouble.kind {
                    Kind::NoTables => Ok(vec![Answer::default(); statements.len()]),
                    _ => Err(trouble),
                }
            }
        }
    }

    /// The addresses that a holder has.
    pub fn held(&mut self, holder: &Holder) -> Result<Vec<String>, Trouble> {
        let answer = self.read(held(holder))?;
        Ok(answer.rows.into_iter().filter_map(|row| row.into_iter().nth(1)?).collect())
    }

    /// Gives back what a holder has; nothing is fine. The answer is how many addresses it were.
    pub fn release(&mut self, holder: &Holder, rest: Rest) -> Result<u64, Trouble> {
        let answers = self.change(&[release(holder, rest)])?;
        Ok(answers.first().map_or(0, |answer| answer.changed))
    }
}

/// What a holder has: group and address.
pub(crate) fn held(holder: &Holder) -> Statement<'static> {
    let sql = "SELECT slot, address FROM ropewalk_lease \
               WHERE network = $1 AND container = $2 AND interface = $3 AND free_at IS NULL";
    Statement::new(sql, of(holder))
}

pub(crate) fn release(holder: &Holder, rest: Rest) -> Statement<'static> {
    let sql = format!(
        "UPDATE ropewalk_lease SET free_at = {} \
         WHERE network = $1 AND container = $2 AND interface = $3 AND free_at IS NULL",
        rest.free_at()
    );
    Statement::new(sql, of(holder))
}

fn of(holder: &Holder) -> Vec<Option<String>> {
    vec![some(&holder.network), some(&holder.container), some(&holder.interface)]
}

impl Rest {
    /// When an address that is given back can be had by others, as an expression.
    pub(crate) fn free_at(self) -> String {
        let [cool, kept] = [self.cooldown, self.keep].map(|rest| self.now.saturating_add(rest));
        format!(
            "CASE WHEN is_reserved = 1 THEN {NEVER} WHEN kept_for IS NULL THEN {cool} ELSE {kept} \
             END"
        )
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("location", &self.location).finish_non_exhaustive()
    }
}
