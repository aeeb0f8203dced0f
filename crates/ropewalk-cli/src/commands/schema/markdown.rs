//! Descriptions as tables in Markdown, for the pages of the plugins.
//!
//! It must never write what differs from one machine to another: the pages are compared with it.

use ropewalk_plugins::describe::{Absent, Class, DESCRIPTIONS, Description, Key, Kind};
use serde_json::Value;

/// An example of an object that is longer is shortened: its keys have their own examples.
const LONGEST_OBJECT: usize = 40;

/// The table of all plugins.
pub(super) fn plugins() -> String {
    let mut all: Vec<&Description> = DESCRIPTIONS.iter().collect();
    all.sort_by_key(|description| (description.class, description.plugin));
    let row = |description: &&Description| {
        let (plugin, purpose) = (description.plugin, description.purpose);
        let class = match description.class {
            Class::Interface => "interface",
            Class::Addresses => "addresses",
            Class::Chained => "chained",
        };
        format!("| [{plugin}]({plugin}.md) | {class} | {purpose} |\n")
    };
    let rows: String = all.iter().map(row).collect();
    format!("| Plugin | Kind | What for |\n|---|---|---|\n{rows}")
}

/// Tables of all keys of a plugin.
pub(super) fn keys(description: &Description) -> String {
    let mut told = Told::default();
    for (place, keys) in description.objects() {
        let heading = match place {
            "" => String::new(),
            "runtimeConfig" => "In `runtimeConfig`, filled in by the runtime if `capabilities` \
                                has the same name"
                .to_owned(),
            place => format!("In `{place}`"),
        };
        told.outer(&heading, keys, json_cell);
    }
    if !description.variables.is_empty() {
        told.outer("In the variable `CNI_ARGS`", description.variables, variable_cell);
    }
    if told.parts.is_empty() {
        return "None of its own, no capability and no argument.\n".to_owned();
    }
    told.parts.join("\n")
}

/// What was told so far.
#[derive(Default)]
struct Told {
    parts: Vec<String>,
    keys: Vec<Key>,
    objects: Vec<&'static [Key]>,
}

impl Told {
    /// Tells keys that are directly in one of the objects; what was told already is named alone.
    fn outer(&mut self, heading: &str, keys: &'static [Key], cell: impl Fn(&Key) -> String) {
        let (again, new): (Vec<&Key>, Vec<&Key>) =
            keys.iter().partition(|key| self.keys.contains(key));
        if !new.is_empty() {
            let heading = match heading {
                "" => String::new(),
                heading => format!("{heading}:\n\n"),
            };
            self.parts.push(heading + &table(&new, cell));
        }
        if !again.is_empty() {
            let names: Vec<String> = again.iter().map(|key| format!("`{}`", key.name)).collect();
            self.parts.push(format!("{heading}, as above: {}.\n", names.join(", ")));
        }
        self.keys.extend(new);
        self.objects.push(keys);
        self.members(keys);
    }

    /// Tells the keys of objects that are values.
    fn members(&mut self, keys: &'static [Key]) {
        for key in keys {
            let inner = key.kind.members();
            if !has_table(key) || self.objects.contains(&inner) {
                continue;
            }
            let heading = match key.kind {
                Kind::List(_) => format!("Each object in `{}`:\n\n", key.name),
                _ => format!("In `{}`:\n\n", key.name),
            };
            self.parts.push(heading + &table(&inner.iter().collect::<Vec<_>>(), json_cell));
            self.objects.push(inner);
            self.members(inner);
        }
    }
}

/// Whether the keys of the object that stands there get a table. What `ipam` has beside its type is
/// told by the plugin of that type.
fn has_table(key: &Key) -> bool {
    !key.kind.members().is_empty() && key.name != "ipam"
}

fn table(keys: &[&Key], cell: impl Fn(&Key) -> String) -> String {
    let row = |key: &&Key| {
        let cells = [cell(key), kind(key.kind), absent(key), meaning(key)];
        format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
    };
    let rows: String = keys.iter().map(row).collect();
    format!("| Key, for example | Type | Default | Meaning, errors |\n|---|---|---|---|\n{rows}")
}

fn json_cell(key: &Key) -> String {
    let mut example = one_line(&key.example_value());
    if has_table(key) && example.len() > LONGEST_OBJECT {
        example = shortened(key.kind);
    }
    format!("`\"{}\": {example}`", key.name)
}

fn variable_cell(key: &Key) -> String {
    format!("`{}={}`", key.name, key.example)
}

fn shortened(kind: Kind) -> String {
    match kind {
        Kind::List(element) => format!("[{}]", shortened(*element)),
        _ => "{…}".to_owned(),
    }
}

/// JSON with a blank behind each comma and colon.
fn one_line(value: &Value) -> String {
    match value {
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(one_line).collect();
            format!("[{}]", elements.join(", "))
        }
        Value::Object(object) => {
            let pair = |(key, value): (&String, &Value)| format!("\"{key}\": {}", one_line(value));
            let pairs: Vec<String> = object.iter().map(pair).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        value => value.to_string(),
    }
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Bool => "bool".to_owned(),
        Kind::BoolOr(words) => format!("bool, {}", alternatives(words)),
        Kind::NUMBER => "number".to_owned(),
        Kind::Integer(least, most) => format!("{least} to {}", number(most)),
        Kind::Word(words) | Kind::WordInAnyCase(words) | Kind::KnownWord(words) => {
            alternatives(words)
        }
        Kind::List(element) => format!("list of {}", several(*element)),
        Kind::Object(_) => "object".to_owned(),
        Kind::Names => "object of strings, or list of such with one name each".to_owned(),
        Kind::Switches => "object of bools".to_owned(),
        Kind::Text => "string".to_owned(),
        Kind::InterfaceName => "interface name".to_owned(),
        Kind::AddressPlugin => "plugin".to_owned(),
        Kind::Mac => "MAC".to_owned(),
        Kind::Address => "address".to_owned(),
        Kind::Cidr => "CIDR".to_owned(),
        Kind::AddressOrCidr => "address or CIDR".to_owned(),
        Kind::Path => "path".to_owned(),
    }
}

fn alternatives(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

fn several(element: Kind) -> String {
    match element {
        Kind::List(inner) => format!("lists of {}", several(*inner)),
        Kind::Address => "addresses".to_owned(),
        Kind::AddressOrCidr => "addresses or CIDRs".to_owned(),
        other => format!("{}s", kind(other)),
    }
}

fn number(number: u64) -> String {
    match number {
        0xffff_ffff => "2³² − 1".to_owned(),
        u64::MAX => "2⁶⁴ − 1".to_owned(),
        other => other.to_string(),
    }
}

fn absent(key: &Key) -> String {
    match key.absent {
        Absent::Refused => "needed".to_owned(),
        Absent::Nothing => "–".to_owned(),
        Absent::Words(words) => words.to_owned(),
        Absent::Value(value) => match key.kind {
            Kind::Bool | Kind::BoolOr(_) | Kind::Integer(..) => value.to_owned(),
            _ => format!("`{value}`"),
        },
    }
}

/// What it is for, and what is said of values that do not do.
fn meaning(key: &Key) -> String {
    let refused = key.refused.iter().map(|(value, message)| {
        if message.contains(value) {
            format!("`{message}`")
        } else {
            format!("`{value}` (`{message}`)")
        }
    });
    let refused: Vec<String> = refused.collect();
    let mut sentences = vec![key.meaning.to_owned()];
    if !refused.is_empty() {
        sentences.push(format!("Refused: {}", refused.join(", ")));
    }
    let exclusions = key.not_with.iter();
    sentences.extend(exclusions.map(|(other, message)| format!("Not with `{other}`: `{message}`")));
    sentences.join(". ")
}
