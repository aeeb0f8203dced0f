//! Descriptions as JSON Schema, draft 2020-12.
//!
//! A schema must never refuse what a plugin accepts, empty texts, `null` and other letter cases of
//! keys apart: nobody writes those on purpose.

use ropewalk_cni::ALL;
use ropewalk_plugins::describe::{Absent, Class, DESCRIPTIONS, Description, Key, Kind};
use serde_json::{Map, Value, json};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of one plugin's object, as in a list or in a file of its own.
pub(super) fn of_plugin(description: &Description) -> Value {
    let mut schema = plugin(description);
    schema["$schema"] = json!(DRAFT);
    if schema.get("allOf").is_some_and(|rules| rules.to_string().contains("$ref")) {
        schema["$defs"] = definitions(|other| other.class == Class::Addresses);
    }
    schema
}

/// The schema of a list of plugins.
pub(super) fn of_list() -> Value {
    let made = |other: &Description| other.class != Class::Addresses;
    let rules = DESCRIPTIONS.iter().filter(|other| made(other)).map(|other| {
        let is_it = json!({ "properties": { "type": { "const": other.plugin } } });
        json!({ "if": is_it, "then": reference(other) })
    });
    json!({
        "$schema": DRAFT,
        "title": "CNI network configuration list",
        "type": "object",
        "required": ["name", "plugins"],
        "properties": {
            "cniVersion": version(),
            "cniVersions": {
                "description": "Versions of the specification; the newest that is known counts",
                "type": "array",
                "items": { "type": "string" },
            },
            "name": name(),
            "disableCheck": {
                "description": "CHECK is answered without asking the plugins",
                "type": "boolean",
                "default": false,
            },
            "disableGC": {
                "description": "GC is answered without asking the plugins",
                "type": "boolean",
                "default": false,
            },
            "loadOnlyInlinedPlugins": {
                "description": "No more plugins are read from the folder of the network's name",
                "type": "boolean",
                "default": false,
            },
            "plugins": {
                "description": "The plugins, in the order in which they are added",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["type"],
                    "properties": { "type": {
                        "description": "The plugin, by the name of its program",
                        "anyOf": [{ "enum": names(made) }, { "type": "string" }],
                    }},
                    "allOf": rules.collect::<Vec<Value>>(),
                },
            },
        },
        "$defs": definitions(|_| true),
    })
}

fn version() -> Value {
    let versions: Vec<&str> = ALL.iter().map(|version| version.as_str()).collect();
    json!({ "description": "The version of the CNI specification", "enum": versions })
}

fn name() -> Value {
    json!({
        "description": "The name of the network",
        "type": "string",
        "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]*$",
    })
}

fn names(wanted: impl Fn(&Description) -> bool) -> Vec<&'static str> {
    let wanted = DESCRIPTIONS.iter().filter(|description| wanted(description));
    wanted.map(|description| description.plugin).collect()
}

fn definitions(wanted: impl Fn(&Description) -> bool) -> Value {
    let wanted = DESCRIPTIONS.iter().filter(|description| wanted(description));
    wanted.map(|found| (found.plugin.to_owned(), plugin(found))).collect::<Map<_, _>>().into()
}

fn reference(description: &Description) -> Value {
    json!({ "$ref": format!("#/$defs/{}", description.plugin) })
}

/// The schema of a plugin's object. Of one that gives addresses it is that of the object whose
/// `ipam` it is.
fn plugin(description: &Description) -> Value {
    let own = object(description.keys);
    let mut schema = match description.class {
        Class::Interface | Class::Chained => own,
        Class::Addresses => {
            let mut ipam = own;
            ipam["properties"]["type"] = json!({ "const": description.plugin });
            json!({ "type": "object", "required": ["ipam"], "properties": { "ipam": ipam } })
        }
    };
    let (title, purpose) = (description.plugin, description.purpose);
    schema["title"] = json!(title);
    schema["description"] = json!(format!("A plugin that {purpose}"));
    let properties = &mut schema["properties"];
    properties["cniVersion"] = version();
    properties["name"] = name();
    if description.class != Class::Addresses {
        properties["type"] = json!({ "const": description.plugin });
    }
    if !description.runtime.is_empty() {
        let capability = |key: &Key| {
            let text = format!("The runtime may fill in `runtimeConfig.{}`", key.name);
            (key.name.to_owned(), json!({ "description": text, "type": "boolean" }))
        };
        let known: Map<_, _> = description.runtime.iter().map(capability).collect();
        properties["capabilities"] = json!({ "type": "object", "properties": known });
        properties["runtimeConfig"] = object(description.runtime);
    }
    if !description.args.is_empty() {
        let cni = object(description.args);
        properties["args"] = json!({ "type": "object", "properties": { "cni": cni } });
    }
    if description.keys.iter().any(|key| key.name == "ipam") {
        let delegates = DESCRIPTIONS.iter().filter(|other| other.class == Class::Addresses);
        let rules = delegates.map(|other| {
            let of_type = json!({
                "required": ["type"],
                "properties": { "type": { "const": other.plugin } },
            });
            let is_it = json!({ "required": ["ipam"], "properties": { "ipam": of_type } });
            json!({ "if": is_it, "then": reference(other) })
        });
        add_rules(&mut schema, rules.collect());
    }
    schema
}

fn add_rules(schema: &mut Value, rules: Vec<Value>) {
    if rules.is_empty() {
        return;
    }
    match schema["allOf"].as_array_mut() {
        Some(existing) => existing.extend(rules),
        None => schema["allOf"] = rules.into(),
    }
}

/// The schema of an object with these keys.
fn object(keys: &[Key]) -> Value {
    let properties: Map<_, _> = keys.iter().map(|key| (key.name.to_owned(), of_key(key))).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    let required: Vec<&str> =
        keys.iter().filter(|key| key.absent == Absent::Refused).map(|key| key.name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    add_rules(&mut schema, exclusions(keys));
    schema
}

/// What must not stand together. A switch excludes others only if it is on.
fn exclusions(keys: &[Key]) -> Vec<Value> {
    let is_switch =
        |name: &str| keys.iter().any(|key| key.name == name && matches!(key.kind, Kind::Bool));
    let pairs = keys.iter().flat_map(|key| key.not_with.iter().map(|(other, _)| [key.name, other]));
    let rule = |pair: [&str; 2]| {
        let on = pair.iter().filter(|name| is_switch(name));
        let on: Map<_, _> = on.map(|name| ((*name).to_owned(), json!({ "const": true }))).collect();
        json!({ "not": { "required": pair, "properties": on } })
    };
    pairs.map(rule).collect()
}

fn of_key(key: &Key) -> Value {
    let mut schema = of_kind(key.kind);
    schema["description"] = json!(key.meaning);
    schema["examples"] = json!([key.example_value()]);
    if let Absent::Value(default) = key.absent {
        schema["default"] = key.kind.value(default);
    }
    schema
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::BoolOr(words) => {
            let words = words.iter().map(|word| json!(word));
            let values: Vec<Value> = [true.into(), false.into()].into_iter().chain(words).collect();
            json!({ "enum": values })
        }
        Kind::NUMBER => json!({ "type": "integer" }),
        Kind::Integer(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Text | Kind::Path => json!({ "type": "string" }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::WordInAnyCase(words) => {
            let pattern =
                format!("^({})$", words.iter().map(any_case).collect::<Vec<_>>().join("|"));
            json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": pattern }] })
        }
        Kind::KnownWord(words) => json!({ "anyOf": [{ "enum": words }, { "type": "string" }] }),
        Kind::AddressPlugin => {
            let known = names(|description| description.class == Class::Addresses);
            json!({ "anyOf": [{ "enum": known }, { "type": "string" }] })
        }
        Kind::InterfaceName => text("^[^/:\\s]{1,15}$"),
        Kind::Mac => text("^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$"),
        Kind::Address => text("^[0-9A-Fa-f:.]+$"),
        Kind::Cidr => text("^[0-9A-Fa-f:.]+/[0-9]{1,3}$"),
        Kind::AddressOrCidr => text("^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"),
        Kind::List(element) => json!({ "type": "array", "items": of_kind(*element) }),
        Kind::Object(keys) => object(keys),
        Kind::Names => {
            let names = json!({ "type": "object", "additionalProperties": { "type": "string" } });
            let mut one = names.clone();
            one["minProperties"] = 1.into();
            one["maxProperties"] = 1.into();
            json!({ "anyOf": [names, { "type": "array", "items": one }] })
        }
        Kind::Switches => {
            json!({ "type": "object", "additionalProperties": { "type": "boolean" } })
        }
    }
}

fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

/// A pattern for a word in any letter case.
fn any_case(word: &&str) -> String {
    let letter = |letter: char| match letter.to_ascii_uppercase() {
        upper if upper == letter => letter.to_string(),
        upper => format!("[{letter}{upper}]"),
    };
    word.chars().map(letter).collect()
}
