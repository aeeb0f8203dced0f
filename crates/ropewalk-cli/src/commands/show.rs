//! `ropewalk show`: what this host knows about its networks, attachments and leases.
//!
//! It only reads, so what it shows may have changed by the time it is shown.

use std::path::Path;

use clap::{Args, ValueEnum};
use ropewalk_cni::CacheEntry;
use ropewalk_runtime::{Broken, Network};
use serde_json::{Map, Value, json};

use crate::commands::leases;
use crate::failure::Failure;
use crate::options::ConfigOptions;
use crate::output::Output;
use crate::table;

/// Show the networks, attachments and leases of this host
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to show [default: everything]
    what: Option<What>,

    #[command(flatten)]
    config: ConfigOptions,

    #[command(flatten)]
    books: leases::Books,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Networks,
    Attachments,
    Leases,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Networks => "networks",
            What::Attachments => "attachments",
            What::Leases => "leases",
        }
    }
}

/// One kind of thing, as rows and as JSON.
struct Section {
    what: What,
    heading: &'static [&'static str],
    rows: Vec<Vec<String>>,
    values: Vec<Value>,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let wanted = match options.what {
        Some(what) => vec![what],
        None => vec![What::Networks, What::Attachments, What::Leases],
    };
    let mut sections = Vec::new();
    for what in wanted {
        sections.push(match what {
            What::Networks => networks(options)?,
            What::Attachments => attachments(options, output)?,
            What::Leases => leases(options)?,
        });
    }
    output.answer(|| as_text(&sections), || as_json(&sections))
}

fn as_text(sections: &[Section]) -> String {
    let tables: Vec<String> = sections
        .iter()
        .map(|section| match section.rows.as_slice() {
            [] => format!("no {}\n", section.what.name()),
            rows => table::render(section.heading, rows),
        })
        .collect();
    tables.join("\n")
}

fn as_json(sections: &[Section]) -> Value {
    let pairs =
        sections.iter().map(|section| (section.what.name().to_owned(), json!(section.values)));
    Value::Object(pairs.collect::<Map<String, Value>>())
}

fn networks(options: &Options) -> Result<Section, Failure> {
    let listing = options.config.directory().list().map_err(|error| Failure::of_find(&error))?;
    let mut section = Section {
        what: What::Networks,
        heading: &["NETWORK", "VERSION", "PLUGINS", "FILE", "STATE"],
        rows: Vec::new(),
        values: Vec::new(),
    };
    for network in &listing.networks {
        section.add_network(network, "ready");
    }
    for network in &listing.hidden {
        section.add_network(network, "hidden by an earlier file of the same name");
    }
    for broken in &listing.broken {
        section.add_broken(broken);
    }
    Ok(section)
}

impl Section {
    fn add_network(&mut self, network: &Network, state: &str) {
        let list = &network.list;
        let version = if list.cni_version.is_empty() { "0.1.0" } else { &list.cni_version };
        let plugins: Vec<&str> = list.plugins.iter().map(|plugin| &*plugin.plugin_type).collect();
        let file = network.path.display().to_string();
        self.rows.push(vec![
            list.name.clone(),
            version.to_owned(),
            plugins.join(","),
            file.clone(),
            state.to_owned(),
        ]);
        self.values.push(json!({
            "name": list.name,
            "cniVersion": version,
            "plugins": plugins,
            "file": file,
            "state": if state == "ready" { "ready" } else { "hidden" },
        }));
    }

    fn add_broken(&mut self, broken: &Broken) {
        let name = broken.name.clone().unwrap_or_default();
        let shown = if name.is_empty() { "-".to_owned() } else { name.clone() };
        let file = broken.path.display().to_string();
        let reason = broken.error.to_string();
        let (version, plugins) = ("-".to_owned(), "-".to_owned());
        let state = format!("broken: {reason}");
        self.rows.push(vec![shown, version, plugins, file.clone(), state]);
        self.values.push(json!({ "name": name, "file": file, "state": "broken", "error": reason }));
    }
}

fn attachments(options: &Options, output: Output) -> Result<Section, Failure> {
    let records = options.books.cache.records(output)?;
    let (rows, values) = records.iter().map(attachment).unzip();
    let heading = &["NETWORK", "CONTAINER", "INTERFACE", "ADDRESSES", "NETNS"];
    Ok(Section { what: What::Attachments, heading, rows, values })
}

fn attachment(entry: &CacheEntry) -> (Vec<String>, Value) {
    let result = entry.decoded_result().ok().flatten().unwrap_or_default();
    let addresses: Vec<String> = result.ips.iter().map(|ip| ip.address.to_string()).collect();
    let is_gone = !entry.netns.is_empty() && !Path::new(&entry.netns).exists();
    let shown = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let netns = if is_gone { format!("{} (gone)", entry.netns) } else { shown(&entry.netns) };
    let row = vec![
        entry.network_name.clone(),
        entry.container_id.clone(),
        entry.if_name.clone(),
        shown(&addresses.join(",")),
        netns,
    ];
    let value = json!({
        "network": entry.network_name,
        "containerID": entry.container_id,
        "ifname": entry.if_name,
        "addresses": addresses,
        "netns": entry.netns,
        "netnsExists": !is_gone && !entry.netns.is_empty(),
    });
    (row, value)
}

fn leases(options: &Options) -> Result<Section, Failure> {
    let booked = leases::booked(&options.books)?;
    let (rows, values) = booked.iter().map(|booked| (booked.row(), booked.value())).unzip();
    Ok(Section { what: What::Leases, heading: leases::HEADING, rows, values })
}
