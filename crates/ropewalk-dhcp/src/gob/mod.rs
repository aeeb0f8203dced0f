//! Go's gob encoding, as far as a remote call of the reference plugin needs it: structures of
//! texts, numbers, bytes, lists and other structures. The other kinds that a stream may describe
//! are refused.
//!
//! A stream is a sequence of messages; each describes a type or holds a value of one that was
//! described before.

mod decode;
mod encode;
mod number;
#[cfg(test)]
mod tests;

use alloc::{string::String, vec::Vec};
use core::fmt;

pub use decode::Decoder;
pub use encode::Encoder;

/// Numbers of the types that need no description.
const BOOL: i64 = 1;
const INT: i64 = 2;
const UINT: i64 = 3;
const FLOAT: i64 = 4;
const BYTES: i64 = 5;
const TEXT: i64 = 6;

/// The first number that a described type may have.
const FIRST_OWN: i64 = 64;

/// The type of a value that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A signed number.
    Int,
    /// A number.
    Uint,
    /// Bytes.
    Bytes,
    /// A text.
    Text,
    /// Many of one type.
    List(&'static Type),
    /// Named parts.
    Structure(&'static Structure),
}

/// A type of named parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Its name.
    pub name: &'static str,
    /// Names and types of its parts.
    pub fields: &'static [(&'static str, Type)],
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A signed number.
    Int(i64),
    /// A number.
    Uint(u64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A text.
    Text(String),
    /// Many.
    List(Vec<Value>),
    /// The parts that are not empty, by name.
    Structure(Vec<(String, Value)>),
}

impl Value {
    /// A part of a structure.
    pub fn field(&self, name: &str) -> Option<&Self> {
        let Self::Structure(fields) = self else { return None };
        fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The text of a part, empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        match self.field(name) {
            Some(Self::Text(text)) => text,
            _ => "",
        }
    }

    /// The bytes of a part, none if there is none.
    pub fn bytes(&self, name: &str) -> &[u8] {
        match self.field(name) {
            Some(Self::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    /// The signed number of a part.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.field(name) {
            Some(Self::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// The elements of a part, none if there is none.
    pub fn list(&self, name: &str) -> &[Self] {
        match self.field(name) {
            Some(Self::List(elements)) => elements,
            _ => &[],
        }
    }
}

/// Bytes are no gob, or of a kind that is not read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidGob(&'static str);

impl fmt::Display for InvalidGob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gob: {}", self.0)
    }
}

impl core::error::Error for InvalidGob {}
