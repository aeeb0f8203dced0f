//! What both databases can do: run statements one after the other.
//!
//! Values go in and come out as text; the columns have the types. So the statements are the same
//! for both, but for the few words in [`Dialect`].

use std::borrow::Cow;

use crate::trouble::Trouble;

/// A value of a column; `None` is NULL.
pub(crate) type Value = Option<String>;

/// A row of an answer.
pub(crate) type Row = Vec<Value>;

/// A statement with its values, which stand in it as `$1`, `$2`, …
#[derive(Clone, Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) sql: Cow<'a, str>,
    pub(crate) values: Vec<Value>,
}

impl<'a> Statement<'a> {
    pub(crate) fn new(sql: impl Into<Cow<'a, str>>, values: Vec<Value>) -> Self {
        Self { sql: sql.into(), values }
    }

    /// A statement without values.
    pub(crate) fn plain(sql: impl Into<Cow<'a, str>>) -> Self {
        Self::new(sql, Vec::new())
    }
}

/// A value that is there.
#[expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "it makes values of whatever can be shown, beside those that are not there"
)]
pub(crate) fn some(value: impl ToString) -> Value {
    Some(value.to_string())
}

/// What a statement answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    /// How many rows it changed.
    pub(crate) changed: u64,
}

/// What the two databases write differently.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    /// Behind a SELECT: nobody else may change the rows until the transaction ends.
    pub(crate) lock_rows: &'static str,
    /// Asks for the version of the tables.
    pub(crate) version: &'static str,
    /// Behind the columns of a table that is found by its primary key.
    pub(crate) keyed: &'static str,
    /// Whether it is for many hosts.
    pub(crate) has_many_hosts: bool,
}

/// A connection.
pub(crate) trait Database {
    /// Runs statements in their order, at once where that saves waiting. The first that fails ends
    /// it; those behind it are not run.
    fn run(&mut self, statements: &[Statement<'_>]) -> Result<Vec<Answer>, Trouble>;

    /// How this database is spoken to.
    fn dialect(&self) -> Dialect;

    /// Begins a transaction that is going to write, and that nobody waits for forever.
    fn begin(&self) -> Vec<Statement<'static>>;

    /// Behind the beginning of a transaction: waits until nobody else changes the tables' form, and
    /// makes room for their version.
    fn lock_schema(&self) -> Vec<Statement<'static>>;

    /// Writes down the version of the tables.
    fn set_version(&self, version: u32) -> Vec<Statement<'static>>;

    /// Runs one statement.
    fn one(&mut self, sql: &str, values: Vec<Value>) -> Result<Answer, Trouble> {
        let answers = self.run(&[Statement::new(sql, values)])?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }

    /// Ends a transaction that failed. A connection that is gone has ended it.
    fn give_up(&mut self) {
        let _ = self.one("ROLLBACK", Vec::new());
    }
}
