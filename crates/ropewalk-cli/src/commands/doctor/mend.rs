//! Mending what is safe to mend, through what makes and deletes it anyway.

use std::collections::BTreeSet;
use std::time::SystemTime;

use ropewalk_ledger::{Holder, Rest, Standing};
use ropewalk_linux::Linux;
use ropewalk_netstate::{Desired, Lifetime, Place, converge, resource::Sysctl};
use ropewalk_topology::doctor::{Finding, Mend, books::Lease};
use ropewalk_topology::shell::sysctl;
use serde_json::{Value, json};

use super::Places;
use crate::commands::ipam::books::Books;
use crate::failure::Failure;
use crate::http::Stop;
use crate::output::Output;

/// What can be mended of findings; each thing once.
pub(super) fn wanted(findings: &[Finding]) -> BTreeSet<Mend> {
    findings.iter().filter_map(|finding| finding.mend.clone()).collect()
}

/// Mends until the user has enough, and says before each what.
pub(super) fn all(
    mends: &BTreeSet<Mend>,
    places: &Places,
    stop: &Stop,
    output: Output,
) -> Result<Vec<String>, Failure> {
    let mut done = Vec::new();
    for mend in mends {
        if stop.is_told() {
            break;
        }
        let words = words(mend);
        output.progress(&format!("fix: {words}"))?;
        match one(mend, places) {
            Ok(()) => done.push(words),
            // One that fails does not keep the others from being tried.
            Err(failure) => output.warn(&format!("failed to {words}: {failure}")),
        }
    }
    if !mends.is_empty() {
        output.progress("")?;
    }
    Ok(done)
}

pub(super) fn document(done: &[String], left: &[Finding]) -> Value {
    json!({ "fixed": done, "findings": super::json(left) })
}

fn words(mend: &Mend) -> String {
    match mend {
        Mend::Forget { owner, .. } => format!("delete what is left of {owner}"),
        Mend::Release(lease) => {
            format!("release {} of {} in {}", lease.ip, lease.holder(), lease.space)
        }
        Mend::Set { name, value } => format!("set {} to {value}", sysctl(name)),
    }
}

fn one(mend: &Mend, places: &Places) -> Result<(), Failure> {
    match mend {
        Mend::Forget { attachment, .. } => ropewalk_plugins::forget(attachment)
            .map(|_| ())
            .map_err(|error| Failure::failed(error.to_string())),
        Mend::Release(lease) => release(lease, places),
        Mend::Set { name, value } => {
            let mut desired = Desired::new();
            desired.push(Place::Host, Lifetime::Shared, Sysctl::new(name.as_str(), value.as_str()));
            converge::add(&mut Linux::host_only(), &mut (), &desired)
                .map(drop)
                .map_err(|error| Failure::failed(error.to_string()))
        }
    }
}

/// Since the last look the runtime may have given the address to somebody else, whose it is then.
fn release(lease: &Lease, places: &Places) -> Result<(), Failure> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let rest = Rest { now: since.as_secs(), cooldown: 0, keep: 0 };
    let holder = Holder {
        network: lease.network.clone(),
        container: lease.container.clone(),
        interface: lease.interface.clone(),
    };
    let standing = Standing { holder, since: lease.since };
    let mut is_done = false;
    for source in places.sources() {
        is_done |= Books::open(&source)?.give_back(&lease.space, lease.ip, &standing, rest)?;
    }
    if is_done { Ok(()) } else { Err(Failure::failed("it is not the same lease any more")) }
}
