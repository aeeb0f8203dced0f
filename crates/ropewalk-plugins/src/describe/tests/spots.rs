//! Configurations made of examples, and every key in them: what the tests of the table try.

use serde_json::{Map, Value, json};

use super::super::{Absent, Class, DESCRIPTIONS, Description, Key, Kind};
use crate::lint::{self, RemarkKind};

/// An object of a configuration, with its place and its keys.
pub(super) type Place = (&'static str, &'static [Key]);

/// Every key that is directly in one of the objects of a description.
pub(super) fn outer_keys(description: &'static Description) -> Vec<(Place, &'static Key)> {
    let keys = |place: Place| place.1.iter().map(move |key| (place, key));
    description.objects().into_iter().flat_map(keys).collect()
}

fn excludes(one: &Key, other: &Key) -> bool {
    one.not_with.iter().any(|(name, _)| *name == other.name)
}

/// The examples of as many keys of an object as go together with the first.
fn fill(first: Option<&Key>, keys: &[Key]) -> Map<String, Value> {
    let mut taken: Vec<&Key> = Vec::new();
    for key in first.into_iter().chain(keys) {
        if !taken.iter().any(|other| excludes(key, other) || excludes(other, key)) {
            taken.push(key);
        }
    }
    taken.iter().map(|key| (key.name.to_owned(), key.example_value())).collect()
}

/// Puts an object where it belongs.
fn put(configuration: &mut Value, place: &str, object: Map<String, Value>) {
    match place {
        "" => configuration.as_object_mut().expect("an object").extend(object),
        "args.cni" => configuration["args"] = json!({ "cni": object }),
        "ipam" => configuration["ipam"].as_object_mut().expect("an object").extend(object),
        _ => configuration[place] = object.into(),
    }
}

pub(super) fn empty(description: &Description) -> Value {
    let plugin = description.plugin;
    let mut configuration = json!({ "cniVersion": "1.0.0", "name": "lan", "type": plugin });
    if description.class == Class::Addresses {
        configuration["ipam"] = json!({ "type": plugin });
    }
    configuration
}

/// A configuration with one key, and with as many others as go together with it.
pub(super) fn full(description: &Description, (place, _): Place, key: &Key) -> Value {
    let mut configuration = empty(description);
    for (other, keys) in description.objects() {
        put(&mut configuration, other, fill(Some(key).filter(|_| other == place), keys));
    }
    configuration
}

/// A configuration with some keys of one object, and no others than those that are needed.
pub(super) fn sparse(description: &Description, (place, keys): Place, wanted: &[&Key]) -> Value {
    let mut configuration = empty(description);
    let needed = keys.iter().filter(|key| key.absent == Absent::Refused);
    let keys = needed.chain(wanted.iter().copied());
    let object = keys.map(|key| (key.name.to_owned(), key.example_value())).collect();
    put(&mut configuration, place, object);
    configuration
}

/// What the plugin says of a configuration, as path and message.
pub(super) fn errors(description: &Description, configuration: &Value) -> Vec<(String, String)> {
    let remarks = lint::lint(description.plugin, configuration).expect("a plugin of ours");
    let errors = remarks.into_iter().filter(|remark| remark.kind == RemarkKind::Error);
    errors.map(|remark| (remark.path, remark.message)).collect()
}

/// One key of a description, however deep.
pub(super) struct Spot {
    pub(super) description: &'static Description,
    pub(super) place: Place,
    /// The key of the object that it is in or that it is.
    pub(super) outer: &'static Key,
    pub(super) key: &'static Key,
    /// Its path, as in `ipam.ranges[][].subnet`.
    pub(super) path: String,
    /// Where the object is that it is in, as a JSON pointer.
    pub(super) pointer: String,
    /// The keys of that object.
    pub(super) beside: &'static [Key],
}

/// Every key of every description.
pub(super) fn spots() -> Vec<Spot> {
    let mut spots = Vec::new();
    for description in DESCRIPTIONS {
        for (place, key) in outer_keys(description) {
            let prefix = if place.0.is_empty() { String::new() } else { format!("{}.", place.0) };
            let pointer = format!("/{}", prefix.replace('.', "/"));
            let spot = Spot {
                description,
                place,
                outer: key,
                key,
                path: format!("{prefix}{}", key.name),
                pointer: pointer.trim_end_matches('/').to_owned(),
                beside: place.1,
            };
            collect(spot, &mut spots);
        }
    }
    spots
}

fn collect(spot: Spot, spots: &mut Vec<Spot>) {
    let (mut path, mut pointer) =
        (spot.path.clone(), format!("{}/{}", spot.pointer, spot.key.name));
    let mut kind = spot.key.kind;
    while let Kind::List(element) = kind {
        path.push_str("[]");
        pointer.push_str("/0");
        kind = *element;
    }
    let beside = kind.members();
    let Spot { description, place, outer, .. } = spot;
    spots.push(spot);
    for key in beside {
        let (path, pointer) = (format!("{path}.{}", key.name), pointer.clone());
        collect(Spot { description, place, outer, key, path, pointer, beside }, spots);
    }
}

impl Spot {
    /// A configuration with another value here.
    pub(super) fn with(&self, mut configuration: Value, value: Value) -> Value {
        let object = configuration.pointer_mut(&self.pointer);
        let object = object.unwrap_or_else(|| panic!("{self}: no example has {}", self.pointer));
        if self.key.name != self.outer.name {
            // The examples of one object go together, an example of the outer one may be its own.
            *object = fill(Some(self.key), self.beside).into();
        }
        object[self.key.name] = value;
        configuration
    }

    /// What is said of a value here: among other keys, and alone.
    pub(super) fn complaints(&self, value: &Value) -> [Vec<(String, String)>; 2] {
        let among = full(self.description, self.place, self.outer);
        let alone = sparse(self.description, self.place, &[self.outer]);
        let of = |configuration| errors(self.description, &self.with(configuration, value.clone()));
        [of(among), of(alone)]
    }
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.description.plugin, self.path)
    }
}
