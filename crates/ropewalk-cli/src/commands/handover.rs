//! `ropewalk handover`: puts the rules of attached containers into the form of the plugins that
//! will delete them.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use ropewalk_cni::{CacheEntry, CniError, Environment, NetworkList, args::format_args, json};
use ropewalk_netstate::Step;
use ropewalk_plugins::{Form, hand_over, preview_hand_over};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::options::CacheOptions;
use crate::output::Output;

/// Put the rules of attached containers into the form of the plugins that will delete them
///
/// Containers that Ropewalk's plugins attached have rules in nftables. Before the reference
/// plugins take their place again, `--to reference` makes the same rules in iptables, as the
/// reference plugins would have made them, and then removes those in nftables. `--to ropewalk` does
/// the opposite. Connections go on meanwhile. It may be run again at any time.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Whose form the rules shall have
    #[arg(long, value_name = "WHO")]
    to: Whose,

    /// Only this network [default: all that have attachments on record]
    network: Option<String>,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    cache: CacheOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Whose {
    Reference,
    Ropewalk,
}

/// What became of one plugin's rules for one attachment.
struct Part<'a> {
    entry: &'a CacheEntry,
    plugin: String,
    steps: Vec<Step>,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let records = options.cache.records(output)?;
    let is_wanted = |entry: &&CacheEntry| {
        options.network.as_ref().is_none_or(|network| *network == entry.network_name)
    };
    let mut parts = Vec::new();
    let mut failed = 0;
    for entry in records.iter().filter(is_wanted) {
        match attachment(options, entry) {
            Ok(done) => parts.extend(done),
            Err(error) => {
                failed += 1;
                output.warn(&format!("{}: {error}", name(entry)));
            }
        }
    }
    output.answer(|| text(options, &parts), || document(options, &parts))?;
    match failed {
        0 => Ok(()),
        _ => Err(Failure::failed(format!("failed to hand over {failed} attachments, see above"))),
    }
}

fn name(entry: &CacheEntry) -> String {
    format!("{} of {} on network {}", entry.if_name, entry.container_id, entry.network_name)
}

fn attachment<'a>(options: &Options, entry: &'a CacheEntry) -> Result<Vec<Part<'a>>, CniError> {
    let list = NetworkList::parse(&entry.config)?;
    let form = match options.to {
        Whose::Reference => Form::Reference,
        Whose::Ropewalk => Form::Ours,
    };
    // As for a DEL, since older runtimes do not record the namespace.
    let environment = Environment {
        command: "DEL".to_owned(),
        container_id: entry.container_id.clone(),
        netns: entry.netns.clone(),
        ifname: entry.if_name.clone(),
        args: format_args(&entry.cni_args),
        path: "/".to_owned(),
        ..Environment::default()
    };
    let act = if options.dry_run { preview_hand_over } else { hand_over };
    let mut parts = Vec::new();
    for plugin in &list.plugins {
        let stdin = list.plugin_stdin(plugin, entry.result.as_ref(), &entry.capability_args);
        let stdin = json::decode(stdin.as_bytes()).map_err(CniError::internal)?;
        let plugin = plugin.plugin_type.clone();
        if let Some(steps) = act(&plugin, form, &environment, &stdin)? {
            parts.push(Part { entry, plugin, steps });
        }
    }
    Ok(parts)
}

fn text(options: &Options, parts: &[Part<'_>]) -> String {
    let would = if options.dry_run { "would " } else { "" };
    let mut text = String::new();
    for part in parts.iter().filter(|part| !part.steps.is_empty()) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}, {}:", name(part.entry), part.plugin);
        for step in &part.steps {
            let _ = writeln!(text, "  {would}{step}");
        }
    }
    if text.is_empty() { "nothing to hand over\n".to_owned() } else { text }
}

fn document(options: &Options, parts: &[Part<'_>]) -> Value {
    let part = |part: &Part<'_>| {
        json!({
            "network": part.entry.network_name,
            "containerID": part.entry.container_id,
            "ifname": part.entry.if_name,
            "plugin": part.plugin,
            "steps": part.steps.iter().map(Step::to_string).collect::<Vec<_>>(),
        })
    };
    json!({ "dryRun": options.dry_run, "plugins": parts.iter().map(part).collect::<Vec<_>>() })
}
