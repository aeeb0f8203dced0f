//! The name of a network interface, as the kernel accepts it (`dev_valid_name` in net/core/dev.c)
//! and keeps it: a name with `%` is a pattern to the kernel, which names `e%d` `e0` or refuses it,
//! and the names of the settings for `all` links and of their `default` are not for links.

use alloc::{borrow::ToOwned, string::String};
use core::{fmt, ops::Deref, str::FromStr};

/// An interface name: 1 to 15 bytes, not `.` or `..`, without `/`, `:`, `%` and white space,
/// not `all` or `default`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfName(String);

/// Why a text is not an interface name. The texts are the ones that CNI tools match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidIfName {
    /// The text is empty.
    Empty,
    /// The text has more than 15 bytes.
    TooLong,
    /// The text is `.` or `..`.
    Dots,
    /// The text contains `/`, `:` or white space.
    BadCharacter,
    /// The text contains `%`.
    Pattern,
    /// The text is `all` or `default`.
    Reserved,
}

impl fmt::Display for InvalidIfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "interface name is empty",
            Self::TooLong => "interface name is too long",
            Self::Dots => "interface name is . or ..",
            Self::BadCharacter => "interface name contains / or : or whitespace characters",
            Self::Pattern => "interface name contains %, which the kernel replaces",
            Self::Reserved => "interface name is all or default, which the kernel reserves",
        })
    }
}

impl core::error::Error for InvalidIfName {}

impl FromStr for IfName {
    type Err = InvalidIfName;

    fn from_str(text: &str) -> Result<Self, InvalidIfName> {
        if text.is_empty() {
            return Err(InvalidIfName::Empty);
        }
        if text.len() > 15 {
            return Err(InvalidIfName::TooLong);
        }
        if text == "." || text == ".." {
            return Err(InvalidIfName::Dots);
        }
        if text.chars().any(|c| c == '/' || c == ':' || c == '\0' || c.is_whitespace()) {
            return Err(InvalidIfName::BadCharacter);
        }
        if text.contains('%') {
            return Err(InvalidIfName::Pattern);
        }
        if text == "all" || text == "default" {
            return Err(InvalidIfName::Reserved);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Deref for IfName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_kernel_refuses_are_refused() {
        for (text, reason) in [
            ("", InvalidIfName::Empty),
            ("sixteen-bytes-xx", InvalidIfName::TooLong),
            (".", InvalidIfName::Dots),
            ("..", InvalidIfName::Dots),
            ("a/b", InvalidIfName::BadCharacter),
            ("a:b", InvalidIfName::BadCharacter),
            ("a b", InvalidIfName::BadCharacter),
            ("a\tb", InvalidIfName::BadCharacter),
            ("eth%d", InvalidIfName::Pattern),
            ("100%", InvalidIfName::Pattern),
            ("all", InvalidIfName::Reserved),
            ("default", InvalidIfName::Reserved),
        ] {
            assert_eq!(text.parse::<IfName>(), Err(reason), "{text:?}");
        }
        assert_eq!(&*"fifteen-bytes-x".parse::<IfName>().unwrap(), "fifteen-bytes-x");
    }
}
