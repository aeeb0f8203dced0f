//! Hosts whose iptables FORWARD policy is DROP, as Docker leaves it: what may pass has to be
//! accepted by iptables itself, since no other table can.

use ropewalk_addr::{Family, Prefix};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, Lifetime, Owner, Place, Scope,
    resource::{IptablesChain, IptablesRule, iptables::Position},
};

use crate::{
    chained::portmap::Published,
    device::{Attachment, Given},
};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Whether the policy drops, for IPv4 and IPv6. A host whose policy cannot be read has none.
pub(crate) fn policies(kernel: &mut Linux) -> [bool; 2] {
    FAMILIES.map(|family| kernel.forward_policy_is_drop(family).unwrap_or(false))
}

/// Where chains of attachments can be found. The policy may have changed since they were made.
pub(crate) fn scopes() -> Vec<Scope> {
    let forward = |family| IptablesChain {
        family,
        table: "filter".into(),
        name: "FORWARD".into(),
        referenced_from: Vec::new(),
    };
    FAMILIES.map(|family| Scope::IptablesJumps(forward(family))).to_vec()
}

/// The chain that accepts the published ports of one attachment.
fn chain(family: Family, owner: &Owner) -> IptablesChain {
    IptablesChain {
        family,
        table: "filter".into(),
        name: format!("ROPEWALK-PM-{}", &owner.hash()[..16]),
        referenced_from: vec!["FORWARD".into()],
    }
}

/// Accepts what was translated to a container's published ports, and the answers.
pub(crate) fn declare_published(
    desired: &mut Desired,
    attachment: &Attachment,
    given: &Given,
    published: &[Published<'_>],
) {
    for (family, drops) in FAMILIES.into_iter().zip(given.facts.forward_drop) {
        let published: Vec<_> =
            published.iter().filter(|p| p.container.family() == family).collect();
        let chain = chain(family, &attachment.owner);
        let name = chain.name.clone();
        if drops || given.deleting {
            desired.push(Place::Host, Lifetime::Attachment, chain);
        }
        if !drops || published.is_empty() {
            continue;
        }
        let mut rule = |chain: &str, position, words: &[&str]| {
            let rule = IptablesRule {
                family,
                table: "filter".into(),
                chain: chain.into(),
                position,
                specification: words.iter().map(ToString::to_string).collect(),
            };
            desired.push(Place::Host, Lifetime::Dependent, rule);
        };
        for Published { mapping, container } in &published {
            let (ip, port) =
                (Prefix::host(container.ip()).to_string(), mapping.container_port.to_string());
            let port_match = ["-d", &ip, "-p", mapping.protocol.name, "--dport", &port];
            let translated = ["-m", "conntrack", "--ctstate", "DNAT", "-j", "ACCEPT"];
            rule(&name, Position::Last, &[&port_match[..], &translated].concat());
            let answers = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"];
            rule(&name, Position::Last, &[&["-s", ip.as_str()][..], &answers].concat());
        }
        let tag = attachment.owner.tag();
        let jump = ["-m", "comment", "--comment", tag.text(), "-j", &name];
        rule("FORWARD", Position::First, &jump);
    }
}
