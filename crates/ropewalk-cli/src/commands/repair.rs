//! `ropewalk repair`: makes again what somebody else has removed of running attachments.

use clap::Args;
use ropewalk_runtime::Attachment;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::options::RuntimeOptions;
use crate::output::Output;

/// Make again what somebody has removed of a network's attachments: rules, ports, settings
///
/// Every attachment on record is checked. Chained plugins that miss something are deleted and added
/// again, as after "firewall-cmd --reload" or "nft flush ruleset". Interfaces are left alone.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Name of the network
    network: String,

    #[command(flatten)]
    runtime: RuntimeOptions,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let network = options.runtime.config.network(&options.network, output)?;
    let runtime = options.runtime.runtime();
    let mut answers: Vec<Value> = Vec::new();
    let mut failed = None;
    let records = options.runtime.cache.records(output)?;
    let of_network = records.into_iter().filter(|entry| entry.network_name == options.network);
    for attachment in of_network.map(Attachment::from) {
        let (id, ifname) = (&attachment.container_id, &attachment.ifname);
        match runtime.repair(&network.list, &attachment) {
            Ok(repaired) if repaired.is_empty() => {}
            Ok(repaired) => {
                output.progress(&format!("{ifname} of {id}: {}", repaired.join(", ")))?;
                answers.push(json!({ "containerID": id, "ifname": ifname, "plugins": repaired }));
            }
            Err(error) => {
                let action = format!("repair {ifname} of {id} on network {:?}", options.network);
                let failure = Failure::of_runtime(&action, &error);
                match failed {
                    None => failed = Some(failure),
                    // One is the reason for the exit code; the others are told all the same.
                    Some(_) => output.warn(&failure.message),
                }
            }
        }
    }
    match failed {
        Some(failure) => Err(failure),
        None => output.document(|| json!({ "network": options.network, "repaired": answers })),
    }
}
