//! What can go wrong between a plugin and its database.

use std::fmt;

/// What kind of trouble it is: callers decide by it what to tell, and whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no connection, or it was lost.
    Unreachable,
    /// Somebody else is in the way for too long.
    Busy,
    /// The database takes no changes: a replica, or a file on a read-only file system.
    ReadOnly,
    /// There is no room for another row.
    Full,
    /// Two changes were in each other's way; the same again may work.
    Conflict,
    /// The database does not let us in, or not do this.
    Refused,
    /// The tables are of a newer program.
    Newer,
    /// There are no tables of ours.
    NoTables,
    /// The holder has an address of this group already.
    Duplicate,
    /// The address that was asked for cannot be had.
    Unavailable,
    /// There is no free address.
    Exhausted,
    /// Anything else that the database says.
    Other,
}

impl Kind {
    /// Whether the same again may work later, without anybody changing the configuration.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Unreachable | Self::Busy | Self::ReadOnly | Self::Full | Self::Conflict => true,
            Self::Refused
            | Self::Newer
            | Self::NoTables
            | Self::Duplicate
            | Self::Unavailable
            | Self::Exhausted
            | Self::Other => false,
        }
    }
}

/// Something went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind it is.
    pub kind: Kind,
    /// A sentence without a password in it.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: &'static str,
}

impl Trouble {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        let hint = match kind {
            Kind::ReadOnly => "name the primary, or all servers, in the database's URL",
            Kind::Full => "free space where the database is",
            Kind::Newer => "install the version of Ropewalk that the other hosts have",
            _ => "",
        };
        Self { kind, message: message.into(), hint }
    }

    pub(crate) fn with_hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    pub(crate) fn prefixed(self, prefix: impl fmt::Display) -> Self {
        Self { message: format!("{prefix}: {}", self.message), ..self }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Trouble {}
