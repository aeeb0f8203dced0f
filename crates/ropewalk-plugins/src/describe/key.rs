//! One key of a configuration: what may stand there, and what it means.

use serde_json::{Map, Value};

use super::Kind;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name, within the object it is in.
    pub name: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// What it means if the key is not there.
    pub absent: Absent,
    /// A value, as [`Kind::value`] reads it; empty where it follows from the kind.
    pub example: &'static str,
    /// What it is for: a sentence or two, in Markdown, without the last full stop.
    pub meaning: &'static str,
    /// Values that are refused, each with the sentence that says so.
    pub refused: &'static [(&'static str, &'static str)],
    /// Keys of the same object that exclude this one, each with the sentence that says so.
    pub not_with: &'static [(&'static str, &'static str)],
}

/// What a key means that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The configuration is refused.
    Refused,
    /// Nothing.
    Nothing,
    /// The same as this value.
    Value(&'static str),
    /// What these words say.
    Words(&'static str),
}

/// A key that may be left out.
pub(crate) const fn key(name: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key { name, kind, absent: Absent::Nothing, example: "", meaning, refused: &[], not_with: &[] }
}

/// A switch that is off unless somebody turns it on.
pub(crate) const fn flag(name: &'static str, meaning: &'static str) -> Key {
    key(name, Kind::Bool, meaning).default("false")
}

impl Key {
    /// Leaving it out is the same as this value.
    pub(crate) const fn default(self, value: &'static str) -> Self {
        Self { absent: Absent::Value(value), ..self }
    }

    /// Leaving it out means what no single value says.
    pub(crate) const fn absent(self, words: &'static str) -> Self {
        Self { absent: Absent::Words(words), ..self }
    }

    /// It must not be left out.
    pub(crate) const fn required(self) -> Self {
        Self { absent: Absent::Refused, ..self }
    }

    /// A value to show.
    pub(crate) const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// Values that are refused, and what is said then.
    pub(crate) const fn refuses(self, refused: &'static [(&'static str, &'static str)]) -> Self {
        Self { refused, ..self }
    }

    /// Keys that must not stand beside it, and what is said then.
    pub(crate) const fn not_with(self, not_with: &'static [(&'static str, &'static str)]) -> Self {
        Self { not_with, ..self }
    }

    /// The value to show. That of an object is made of those of its keys.
    pub fn example_value(&self) -> Value {
        match (self.example, self.kind) {
            ("", kind) => example(kind),
            (text, kind) => kind.value(text),
        }
    }
}

fn example(kind: Kind) -> Value {
    match kind {
        Kind::Bool | Kind::BoolOr(_) => Value::Bool(true),
        Kind::List(element) => Value::Array(vec![example(*element)]),
        Kind::Object(keys) => Value::Object(examples(keys)),
        _ => Value::Null,
    }
}

/// An object with the examples of all keys that go together.
fn examples(keys: &[Key]) -> Map<String, Value> {
    let mut object = Map::new();
    for key in keys {
        let is_excluded = key.not_with.iter().any(|(other, _)| object.contains_key(*other));
        if !is_excluded {
            object.insert(key.name.to_owned(), key.example_value());
        }
    }
    object
}
