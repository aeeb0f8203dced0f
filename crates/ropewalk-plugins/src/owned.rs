//! What belongs to the attachments of a network, wherever plugins of ours may have put it.

use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Kernel, KernelError, Owner, Scope, Step, Tag,
    converge::{self, ConvergeError},
};

use crate::{
    chained::{firewall, portmap},
    feature::{forward_accept, masquerade, spoof_check},
};

/// Host links and packet filter elements that name an attachment of this network as their owner,
/// a line each. Mappings with conditions of their own are not looked for.
pub fn owned(network: &str) -> Result<Vec<String>, KernelError> {
    let mut kernel = Linux::host_only();
    let network = Owner::network_hash(network);
    let mut lines = Vec::new();
    for scope in &scopes() {
        let owned = kernel.owned(scope)?.into_iter().filter(|owned| owned.tag.network() == network);
        lines.extend(owned.map(|owned| format!("{} of {}", owned.resource, owned.tag)));
    }
    Ok(lines)
}

/// The owner that the name of a chain made with iptables tells, if it is one of ours.
pub fn owner_of_chain(name: &str) -> Option<Tag> {
    forward_accept::PREFIXES.iter().find_map(|prefix| Tag::of_chain_name(name, prefix))
}

/// Deletes what belongs to one attachment, named by the hash of its owner or the start of it.
pub fn forget(attachment: &str) -> Result<Vec<Step>, ConvergeError> {
    converge::forget(&mut Linux::host_only(), &scopes(), attachment)
}

fn scopes() -> Vec<Scope> {
    let mut scopes = vec![Scope::TaggedLinks];
    scopes.extend(masquerade::scopes());
    scopes.extend(spoof_check::scopes());
    scopes.extend(firewall::scopes());
    scopes.extend(portmap::scopes());
    scopes.extend(forward_accept::all_scopes());
    scopes
}
