//! What may stand at a key.

use serde_json::Value;

use super::Key;

/// The kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number from the first to the second.
    Integer(i64, u64),
    /// `true`, `false` or one of these words.
    BoolOr(&'static [&'static str]),
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words, in any letter case.
    WordInAnyCase(&'static [&'static str]),
    /// One of these words, or another that the plugin takes for none.
    KnownWord(&'static [&'static str]),
    /// The name of a network interface.
    InterfaceName,
    /// The name of a plugin that gives addresses.
    AddressPlugin,
    /// A hardware address.
    Mac,
    /// An IP address.
    Address,
    /// An IP address with the length of its prefix.
    Cidr,
    /// An IP address, with or without the length of a prefix.
    AddressOrCidr,
    /// A path on the host.
    Path,
    /// Any number of these.
    List(&'static Kind),
    /// An object with these keys.
    Object(&'static [Key]),
    /// An object whose keys are names, and all of whose values are texts; or, where the order
    /// counts, a list of such objects with one name each.
    Names,
    /// An object whose keys are names, and all of whose values are `true` or `false`.
    Switches,
}

impl Kind {
    /// A whole number of 32 bits.
    pub(crate) const U32: Self = Self::Integer(0, u32::MAX as u64);

    /// A whole number that other things limit.
    pub const NUMBER: Self = Self::Integer(i64::MIN, i64::MAX as u64);

    /// A port that can be published.
    pub(crate) const PORT: Self = Self::Integer(1, u16::MAX as u64);

    /// A value of this kind: text as it is, everything else as JSON. What cannot be read is null.
    pub fn value(self, text: &str) -> Value {
        match self {
            Self::Text
            | Self::Word(_)
            | Self::WordInAnyCase(_)
            | Self::KnownWord(_)
            | Self::InterfaceName
            | Self::AddressPlugin
            | Self::Mac
            | Self::Address
            | Self::Cidr
            | Self::AddressOrCidr
            | Self::Path => Value::String(text.to_owned()),
            Self::BoolOr(words) if words.contains(&text) => Value::String(text.to_owned()),
            Self::Bool
            | Self::BoolOr(_)
            | Self::Integer(..)
            | Self::List(_)
            | Self::Object(_)
            | Self::Names
            | Self::Switches => serde_json::from_str(text).unwrap_or_default(),
        }
    }

    /// The keys of the object that stands there, or of each of several.
    pub fn members(self) -> &'static [Key] {
        match self {
            Self::Object(keys) => keys,
            Self::List(element) => element.members(),
            _ => &[],
        }
    }
}
