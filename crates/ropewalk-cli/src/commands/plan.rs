//! `ropewalk plan`: what an ADD would do, item by item.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use ropewalk_cni::{Environment, NetworkList, PluginConfig, Version};
use ropewalk_netstate::{Lifetime, Planned, Step};
use ropewalk_plugins::{Preview, preview};
use ropewalk_runtime::Attachment;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::options::{AttachmentOptions, RuntimeOptions};
use crate::output::Output;

/// Show what attaching a namespace to a network would do, without doing it
///
/// Only Ropewalk's own plugins can tell. Addresses are those that would be given now.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Name of the network
    network: String,

    /// Path of the network namespace
    netns: PathBuf,

    #[command(flatten)]
    attachment: AttachmentOptions,

    #[command(flatten)]
    runtime: RuntimeOptions,
}

/// One plugin of the chain and what it would do; `None` if it is not ours.
struct Part {
    plugin: String,
    preview: Option<Preview>,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let attachment = options.attachment.attachment(Some(&options.netns))?;
    let network = options.runtime.config.network(&options.network, output)?;
    let path = options.runtime.runtime().paths.join(":");
    let parts = parts(&network.list, &attachment, &path)?;
    output.answer(|| text(&options.network, &parts), || document(&options.network, &parts))
}

fn parts(list: &NetworkList, attachment: &Attachment, path: &str) -> Result<Vec<Part>, Failure> {
    let version = Version::parse(&list.cni_version).unwrap_or(Version::NEWEST);
    let mut previous: Option<Value> = None;
    let mut parts = Vec::new();
    for plugin in &list.plugins {
        let preview = one(list, plugin, attachment, path, previous.as_ref())?;
        if let Some(preview) = &preview {
            previous = preview.result.to_value(version).ok();
        }
        parts.push(Part { plugin: plugin.plugin_type.clone(), preview });
    }
    Ok(parts)
}

fn one(
    list: &NetworkList,
    plugin: &PluginConfig,
    attachment: &Attachment,
    path: &str,
    previous: Option<&Value>,
) -> Result<Option<Preview>, Failure> {
    let stdin = list.plugin_stdin(plugin, previous, &attachment.capability_args);
    let environment = Environment {
        command: "ADD".to_owned(),
        container_id: attachment.container_id.clone(),
        netns: attachment.netns.clone(),
        ifname: attachment.ifname.clone(),
        args: ropewalk_cni::args::format_args(&attachment.args),
        path: path.to_owned(),
        ..Environment::default()
    };
    let name = &plugin.plugin_type;
    preview(name, environment, stdin.as_bytes())
        .map_err(|error| Failure::failed(format!("failed to plan plugin {name:?}: {error}")))
}

fn text(network: &str, parts: &[Part]) -> String {
    let mut text = format!("Attaching to network {network} would\n");
    for part in parts {
        let steps = part.preview.as_ref().map(|preview| preview.plan.steps.as_slice());
        // Writing to a String cannot fail.
        let _ = match steps {
            None => {
                writeln!(text, "\n{}: unknown, it is not one of Ropewalk's plugins", part.plugin)
            }
            Some([]) => writeln!(text, "\n{}: do nothing", part.plugin),
            Some(steps) => writeln!(text, "\n{}: {} steps", part.plugin, steps.len()),
        };
        for Planned { lifetime, step } in steps.unwrap_or_default() {
            let _ = writeln!(text, "  {:<10}  {step}", word(*lifetime));
        }
    }
    text.push_str(LEGEND);
    text
}

const LEGEND: &str = "
shared      used by all containers of the network, stays when this one goes
owned       belongs to this attachment, deleted with it
dependent   lies on something owned, goes with it
initial     set once, others may change it
borrowed    was there before, given back at the end
";

fn word(lifetime: Lifetime) -> &'static str {
    match lifetime {
        Lifetime::Shared => "shared",
        Lifetime::Attachment => "owned",
        Lifetime::Dependent => "dependent",
        Lifetime::Initial => "initial",
        Lifetime::Borrowed => "borrowed",
        Lifetime::Predecessor => "predecessor",
    }
}

fn document(network: &str, parts: &[Part]) -> Value {
    let step = |planned: &Planned| {
        let action = match planned.step {
            Step::Create(..) => "create",
            Step::Change { .. } => "change",
            Step::Delete(..) => "delete",
        };
        json!({
            "action": action,
            "lifetime": word(planned.lifetime),
            "place": format!("{:?}", planned.step.place()).to_lowercase(),
            "kind": planned.step.resource().kind(),
            "text": planned.step.to_string(),
        })
    };
    let part = |part: &Part| match &part.preview {
        Some(preview) => {
            let steps: Vec<Value> = preview.plan.steps.iter().map(step).collect();
            json!({ "plugin": part.plugin, "steps": steps })
        }
        None => json!({ "plugin": part.plugin, "steps": null }),
    };
    json!({ "network": network, "plugins": parts.iter().map(part).collect::<Vec<_>>() })
}
