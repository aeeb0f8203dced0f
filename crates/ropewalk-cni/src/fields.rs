//! A typed view of a JSON object, in the dialect CNI configurations are written in.
//!
//! Keys match in any letter case, `null` is the same as absent, unknown keys are legal.
//! Problems are collected instead of returned, so that a person learns about all of
//! them at once; views of inner objects report to the same list. It must never decide
//! what a field means.

use crate::error::CniError;
use crate::go_text::kind_name;
use crate::json::lookup;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldError {
    /// Where, for example `ipam.ranges[0][1].subnet`; empty for the whole document.
    pub path: String,
    /// What, in a sentence that tools may match on.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.says_where() {
            formatter.write_str(&self.message)
        } else {
            write!(formatter, "{}: {}", self.path, self.message)
        }
    }
}

impl FieldError {
    fn says_where(&self) -> bool {
        self.path.is_empty() || self.message.contains(&self.path)
    }
}

/// Turns collected problems into one error with code 7.
///
/// The message is the prefix and the first problem's sentence, because that is what
/// tools match on; the details say where it is and what else is wrong.
pub fn config_error(prefix: &str, errors: &[FieldError]) -> CniError {
    let message = errors.first().map_or("invalid configuration", |error| &error.message);
    let details = match errors {
        [single] if single.says_where() => String::new(),
        [single] => format!("at {}", single.path),
        several => several.iter().map(FieldError::to_string).collect::<Vec<_>>().join("; "),
    };
    let error = CniError::invalid_config(message).with_details(details);
    if prefix.is_empty() { error } else { error.prefixed(prefix) }
}

/// What all views of one document share.
#[derive(Debug, Default)]
struct Shared {
    errors: Vec<FieldError>,
    /// The objects that were viewed, by their paths.
    objects: BTreeMap<String, Viewed>,
}

/// What is known of one object.
#[derive(Debug, Default)]
struct Viewed {
    /// The keys it has.
    written: BTreeSet<String>,
    /// The keys somebody asked for.
    asked: BTreeSet<String>,
}

impl Viewed {
    fn unknown(&self) -> impl Iterator<Item = &String> {
        let is_asked =
            |key: &String| self.asked.iter().any(|asked| asked.eq_ignore_ascii_case(key));
        self.written.iter().filter(move |key| !is_asked(key))
    }
}

/// A view of one object of a configuration.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    path: String,
    shared: Rc<RefCell<Shared>>,
}

impl<'a> Fields<'a> {
    /// Views a document. The path is empty for a whole configuration.
    ///
    /// A value that is not an object is reported and then viewed as an empty one.
    pub fn new(value: &'a Value, path: impl Into<String>) -> Fields<'a> {
        Fields::attach(Rc::default(), path.into(), value)
    }

    /// Views another object, for example an element of an array, and reports to the same
    /// list. Path and value are as [`Fields::array`] gives them.
    #[must_use]
    pub fn child(&self, path: impl Into<String>, value: &'a Value) -> Fields<'a> {
        Fields::attach(Rc::clone(&self.shared), path.into(), value)
    }

    fn attach(shared: Rc<RefCell<Shared>>, path: String, value: &'a Value) -> Fields<'a> {
        let object = value.as_object();
        if let Some(object) = object {
            let mut shared = shared.borrow_mut();
            let viewed =
                || Viewed { written: object.keys().cloned().collect(), ..Viewed::default() };
            shared.objects.entry(path.clone()).or_insert_with(viewed);
        }
        let fields = Fields { object, path, shared };
        if object.is_none() && !value.is_null() {
            fields.report_wrong_kind(&fields.path, value, "object");
        }
        fields
    }

    /// Where this object is in the document.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the value of a key is in the document.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The keys of this object as they are written, without those that are `null`.
    pub fn keys(&self) -> Vec<&'a str> {
        let pairs = self.object.into_iter().flatten();
        pairs.filter(|(_, value)| !value.is_null()).map(|(key, _)| key.as_str()).collect()
    }

    /// A value as it is.
    pub fn value(&self, key: &str) -> Option<&'a Value> {
        self.allow(&[key]);
        lookup(self.object?, key)
    }

    /// A string.
    pub fn string(&self, key: &str) -> Option<String> {
        self.read_string(&self.path_of(key), self.value(key)?)
    }

    /// A string that says something: an empty one counts as none.
    pub fn text(&self, key: &str) -> Option<String> {
        self.string(key).filter(|text| !text.is_empty())
    }

    /// A string that is parsed further; the parser's error is reported as it is.
    pub fn parsed<T, E: fmt::Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.string(key)?;
        parse(&text).map_err(|error| self.report_at(key, error.to_string())).ok()
    }

    /// A boolean.
    pub fn bool(&self, key: &str) -> Option<bool> {
        let value = self.value(key)?;
        if value.as_bool().is_none() {
            self.report_wrong_kind(&self.path_of(key), value, "bool");
        }
        value.as_bool()
    }

    /// A whole number from 0 to 2³² - 1.
    pub fn u32(&self, key: &str) -> Option<u32> {
        self.integer(key, "uint32")
    }

    /// A whole number from 0 to 2⁶⁴ - 1.
    pub fn u64(&self, key: &str) -> Option<u64> {
        self.integer(key, "uint64")
    }

    /// A whole number from -2⁶³ to 2⁶³ - 1.
    pub fn i64(&self, key: &str) -> Option<i64> {
        self.integer(key, "int")
    }

    fn integer<T: TryFrom<i128>>(&self, key: &str, range: &str) -> Option<T> {
        let value = self.value(key)?;
        let Value::Number(number) = value else {
            self.report_wrong_kind(&self.path_of(key), value, "int");
            return None;
        };
        let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        let fitting = whole.and_then(|whole| T::try_from(whole).ok());
        if fitting.is_none() {
            let wanted = if whole.is_some() { range } else { "int" };
            let place = named(&self.path_of(key));
            let message = format!("json: cannot unmarshal number {number} into {place}{wanted}");
            self.report_at(key, message);
        }
        fitting
    }

    /// A view of an inner object.
    pub fn object(&self, key: &str) -> Option<Fields<'a>> {
        let value = self.value(key)?;
        if value.is_object() {
            return Some(self.child(self.path_of(key), value));
        }
        self.report_wrong_kind(&self.path_of(key), value, "object");
        None
    }

    /// The elements of an array, each with its path.
    pub fn array(&self, key: &str) -> Option<Vec<(String, &'a Value)>> {
        self.read_array(&self.path_of(key), self.value(key)?)
    }

    /// Views of the objects in an array. `null` is an empty object; any other element is
    /// reported and left out.
    pub fn objects(&self, key: &str) -> Option<Vec<Fields<'a>>> {
        let elements = self.array(key)?.into_iter().filter_map(|(path, value)| {
            let view = self.child(path, value);
            (value.is_null() || view.object.is_some()).then_some(view)
        });
        Some(elements.collect())
    }

    /// An array of strings; `null` in it is an empty string.
    pub fn strings(&self, key: &str) -> Option<Vec<String>> {
        let elements = self.array(key)?.into_iter();
        Some(elements.filter_map(|(path, value)| self.read_string(&path, value)).collect())
    }

    /// An object whose values are all strings, keys as they are written.
    pub fn string_map(&self, key: &str) -> Option<BTreeMap<String, String>> {
        let inner = self.object(key)?;
        let pairs = inner.object?.iter().filter_map(|(name, value)| {
            inner.allow(&[name]);
            Some((name.clone(), self.read_string(&inner.path_of(name), value)?))
        });
        Some(pairs.collect())
    }

    /// Reads the elements of a value that should be an array, each with its path.
    pub fn read_array(&self, path: &str, value: &'a Value) -> Option<Vec<(String, &'a Value)>> {
        let Some(elements) = value.as_array() else {
            self.report_wrong_kind(path, value, "array");
            return None;
        };
        let indexed = elements.iter().enumerate();
        Some(indexed.map(|(index, element)| (format!("{path}[{index}]"), element)).collect())
    }

    /// Reads a value that should be a string; `null` is an empty one.
    pub fn read_string(&self, path: &str, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Null => Some(String::new()),
            _ => {
                self.report_wrong_kind(path, value, "string");
                None
            }
        }
    }

    /// Reports a problem with this object.
    pub fn report(&self, message: impl Into<String>) {
        self.report_path(self.path.clone(), message);
    }

    /// Reports a problem with the value of a key.
    pub fn report_at(&self, key: &str, message: impl Into<String>) {
        self.report_path(self.path_of(key), message);
    }

    /// Reports a problem anywhere in the document.
    pub fn report_path(&self, path: impl Into<String>, message: impl Into<String>) {
        let error = FieldError { path: path.into(), message: message.into() };
        self.shared.borrow_mut().errors.push(error);
    }

    fn report_wrong_kind(&self, path: &str, value: &Value, wanted: &str) {
        let (kind, place) = (kind_name(value), named(path));
        self.report_path(path, format!("json: cannot unmarshal {kind} into {place}{wanted}"));
    }

    /// Marks keys as known without reading them.
    pub fn allow(&self, keys: &[&str]) {
        if let Some(viewed) = self.shared.borrow_mut().objects.get_mut(&self.path) {
            viewed.asked.extend(keys.iter().map(|key| (*key).to_owned()));
        }
    }

    /// Paths of the keys nobody asked for, in this object and in those viewed inside it.
    pub fn unknown_keys(&self) -> Vec<String> {
        self.paths(|viewed| viewed.unknown().collect())
    }

    /// Paths of the keys somebody asked for, whether they are there or not, in this object and in
    /// those viewed inside it.
    pub fn asked_keys(&self) -> Vec<String> {
        self.paths(|viewed| viewed.asked.iter().collect())
    }

    fn paths(&self, keys: impl Fn(&Viewed) -> Vec<&String>) -> Vec<String> {
        let shared = self.shared.borrow();
        let inside = shared.objects.iter().filter(|(path, _)| self.contains(path));
        let paths = inside.flat_map(|(path, viewed)| {
            let join = move |key: &String| {
                if path.is_empty() { key.clone() } else { format!("{path}.{key}") }
            };
            keys(viewed).into_iter().map(join)
        });
        paths.collect()
    }

    fn contains(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path.as_str());
        rest.is_some_and(|rest| {
            rest.is_empty() || self.path.is_empty() || rest.starts_with(['.', '['])
        })
    }

    /// Everything that was reported so far by this view and all views it shares with.
    ///
    /// # Errors
    ///
    /// The problems in the order they were found, when there are any.
    pub fn finish(&self) -> Result<(), Vec<FieldError>> {
        let errors = self.shared.borrow().errors.clone();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// How a wrong-kind message names the place, up to the wanted type.
fn named(path: &str) -> String {
    if path.is_empty() { "Go value of type ".to_owned() } else { format!("field {path} of type ") }
}

#[cfg(test)]
mod tests;
