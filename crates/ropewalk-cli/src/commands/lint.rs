//! `ropewalk lint`: what is wrong or unknown in configuration files, and where.
//!
//! It must never run a plugin or look at this host: a file can be linted anywhere.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use ropewalk_cni::json::{decode, duplicate_keys};
use ropewalk_cni::{NetworkList, PluginConfig, Version, valid_network_name};
use ropewalk_plugins::{RemarkKind, suggestion};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Find errors and unknown keys in configuration files
///
/// Exit code 1 if there are errors. Unknown keys are no errors: CNI lets others add keys.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Files with a network (.conflist) or a single plugin (.conf, .json)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Error,
    UnknownKey,
    Note,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Error => "error",
            Kind::UnknownKey => "unknown key",
            Kind::Note => "note",
        }
    }

    fn json_name(self) -> &'static str {
        match self {
            Kind::Error => "error",
            Kind::UnknownKey => "unknownKey",
            Kind::Note => "note",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Remark {
    kind: Kind,
    path: String,
    message: String,
}

impl Remark {
    fn new(kind: Kind, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, path: path.into(), message: message.into() }
    }
}

pub(crate) fn run(options: &Options, output: Output) -> Result<Exit, Failure> {
    let mut files = Vec::new();
    for path in &options.files {
        let bytes = fs::read(path).map_err(|error| {
            Failure::failed(format!("failed to read {}: {error}", path.display()))
        })?;
        files.push((path.as_path(), remarks(path, &bytes)));
    }
    output.answer(|| as_text(&files), || as_json(&files))?;
    let is_error = |remark: &Remark| remark.kind == Kind::Error;
    let has_errors = files.iter().any(|(_, remarks)| remarks.iter().any(is_error));
    Ok(if has_errors { Exit::Failed } else { Exit::Ok })
}

fn as_text(files: &[(&Path, Vec<Remark>)]) -> String {
    let mut lines = Vec::new();
    for (path, remarks) in files {
        let path = path.display();
        if remarks.is_empty() {
            lines.push(format!("{path}: nothing to remark\n"));
        }
        for Remark { kind, path: place, message } in remarks {
            let kind = kind.name();
            lines.push(match place.as_str() {
                "" => format!("{path}: {kind}: {message}\n"),
                place => format!("{path}: {kind} at {place}: {message}\n"),
            });
        }
    }
    lines.concat()
}

fn as_json(files: &[(&Path, Vec<Remark>)]) -> Value {
    let remark = |Remark { kind, path, message }: &Remark| json!({ "kind": kind.json_name(), "path": path, "message": message });
    let file = |(path, remarks): &(&Path, Vec<Remark>)| {
        let remarks: Vec<Value> = remarks.iter().map(remark).collect();
        json!({ "file": path.display().to_string(), "remarks": remarks })
    };
    json!({ "files": files.iter().map(file).collect::<Vec<Value>>() })
}

fn remarks(path: &Path, bytes: &[u8]) -> Vec<Remark> {
    let value = match decode(bytes) {
        Ok(value @ Value::Object(_)) => value,
        Ok(_) => return vec![Remark::new(Kind::Error, "", "the file holds no JSON object")],
        Err(reason) => return vec![Remark::new(Kind::Error, "", format!("not JSON: {reason}"))],
    };
    let mut remarks = Vec::new();
    if duplicate_keys(&String::from_utf8_lossy(bytes), &[]) {
        let message = "a key of the outermost object is there twice; the last one counts";
        remarks.push(Remark::new(Kind::Note, "", message));
    }
    let is_list = path.extension().is_some_and(|extension| extension == "conflist");
    if is_list || value.get("plugins").is_some() {
        if !is_list {
            let message = "a list of plugins is only found in a file that ends in .conflist";
            remarks.push(Remark::new(Kind::Error, "plugins", message));
        }
        lint_list(&value, bytes, &mut remarks);
    } else {
        lint_identity(&value, &mut remarks);
        lint_plugin(&value, "", &mut remarks);
    }
    remarks
}

/// Every key of a list.
const LIST_KEYS: [&str; 8] = [
    "$schema",
    "name",
    "cniVersion",
    "cniVersions",
    "disableCheck",
    "disableGC",
    "loadOnlyInlinedPlugins",
    "plugins",
];

fn lint_list(value: &Value, bytes: &[u8], remarks: &mut Vec<Remark>) {
    lint_identity(value, remarks);
    let before = remarks.len();
    for (index, plugin) in value["plugins"].as_array().into_iter().flatten().enumerate() {
        lint_plugin(plugin, &format!("plugins[{index}]"), remarks);
    }
    let list = NetworkList::parse(bytes);
    // What is wrong with a plugin has been said already, and where.
    let has_plugin_errors = remarks[before..].iter().any(|remark| remark.kind == Kind::Error);
    match list {
        Err(error) if !(has_plugin_errors && error.msg.starts_with("failed to parse plugin")) => {
            remarks.push(Remark::new(Kind::Error, "", error.to_string()));
        }
        Ok(list) if list.plugins.is_empty() => {
            let message = format!("no plugins; they must come from a folder named {:?}", list.name);
            remarks.push(Remark::new(Kind::Note, "plugins", message));
        }
        Ok(_) | Err(_) => {}
    }
    // The runtime does not forgive another letter case here, as plugins do.
    let keys = value.as_object().into_iter().flatten().map(|(key, _)| key);
    for key in keys.filter(|key| !LIST_KEYS.contains(&key.as_str())) {
        let known = suggestion(key, LIST_KEYS.into_iter());
        let message = format!("lists do not have this key{known}");
        remarks.push(Remark::new(Kind::UnknownKey, key, message));
    }
}

/// The name and the version, which a whole file must have and a plugin in a list need not.
fn lint_identity(value: &Value, remarks: &mut Vec<Remark>) {
    match value.get("name") {
        None => remarks.push(Remark::new(Kind::Error, "name", "missing network name")),
        Some(Value::String(name)) if !valid_network_name(name) => {
            let message = format!("invalid characters found in network name {name:?}");
            remarks.push(Remark::new(Kind::Error, "name", message));
        }
        Some(_) => {}
    }
    match value.get("cniVersion").and_then(Value::as_str) {
        None if value.get("cniVersions").is_none() => {
            let message = "no version, which means 0.1.0; most plugins want 1.0.0";
            remarks.push(Remark::new(Kind::Note, "cniVersion", message));
        }
        Some(version) if Version::parse(version).is_none() => {
            let message = format!("there is no version {version:?} of the specification");
            remarks.push(Remark::new(Kind::Error, "cniVersion", message));
        }
        _ => {}
    }
}

fn lint_plugin(value: &Value, path: &str, remarks: &mut Vec<Remark>) {
    let plugin = match PluginConfig::from_value(value) {
        Ok(plugin) => plugin,
        Err(error) => {
            let message = error.msg.trim_start_matches("error parsing configuration: ");
            return remarks.push(Remark::new(Kind::Error, path, message));
        }
    };
    let Some(found) = ropewalk_plugins::lint(&plugin.plugin_type, value) else {
        let message =
            format!("plugin {:?} is not ours, its keys were not looked at", plugin.plugin_type);
        return remarks.push(Remark::new(Kind::Note, path, message));
    };
    for remark in found {
        let kind = match remark.kind {
            RemarkKind::Error => Kind::Error,
            RemarkKind::UnknownKey => Kind::UnknownKey,
        };
        let place = match (path, remark.path.as_str()) {
            ("", inner) => inner.to_owned(),
            (outer, "") => outer.to_owned(),
            (outer, inner) => format!("{outer}.{inner}"),
        };
        remarks.push(Remark::new(kind, place, remark.message));
    }
}

#[cfg(test)]
mod tests;
