//! Hosts whose iptables FORWARD policy is DROP, as Docker leaves it: what may pass has to be
//! accepted by iptables itself, since no other table can.

use std::net::IpAddr;

use ropewalk_addr::{Family, Prefix};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, IptablesNames, Lifetime, Owner, Place, Scope,
    resource::{IptablesChain, iptables::Position},
};

use crate::{
    chained::portmap::Published,
    device::{Attachment, Given},
    feature::iptables::Table,
};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Whether the policy drops, for IPv4 and IPv6. A host whose policy cannot be read has none.
pub(crate) fn policies(kernel: &mut Linux) -> [bool; 2] {
    kernel.forward_policies_are_drop(FAMILIES).map(|policy| policy.unwrap_or(false))
}

/// Where chains of attachments can be found. The policy may have changed since they were made.
pub(crate) fn scopes(purpose: Purpose) -> Vec<Scope> {
    let names = |family| IptablesNames {
        family,
        table: "filter".into(),
        prefix: purpose.prefix().into(),
        referenced_from: vec!["FORWARD".into()],
    };
    FAMILIES.map(|family| Scope::IptablesChains(names(family))).to_vec()
}

/// Where all of them can be found.
pub(crate) fn all_scopes() -> Vec<Scope> {
    [Purpose::PublishedPorts, Purpose::Container].into_iter().flat_map(scopes).collect()
}

/// What a chain of an attachment accepts; part of its name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    PublishedPorts,
    Container,
}

/// What names of chains begin with.
pub(crate) const PREFIXES: [&str; 2] =
    [Purpose::PublishedPorts.prefix(), Purpose::Container.prefix()];

impl Purpose {
    const fn prefix(self) -> &'static str {
        match self {
            Self::PublishedPorts => "RW-PM-",
            Self::Container => "RW-FW-",
        }
    }

    fn chain(self, family: Family, owner: &Owner) -> IptablesChain {
        IptablesChain {
            family,
            table: "filter".into(),
            name: owner.chain_name(self.prefix()),
            referenced_from: vec!["FORWARD".into()],
        }
    }
}

/// Accepts what was translated to a container's published ports, and the answers.
pub(crate) fn declare_published(
    desired: &mut Desired,
    attachment: &Attachment,
    given: &Given,
    published: &[Published<'_>],
) {
    let rules = |family| {
        let mut rules = Vec::new();
        for Published { mapping, container } in published {
            if container.family() != family {
                continue;
            }
            let ip = Prefix::host(container.ip()).to_string();
            let port = mapping.container_port.to_string();
            let translated = ["-d", &ip, "-p", mapping.protocol.name, "--dport", &port];
            rules.push(words(&translated, &["-m", "conntrack", "--ctstate", "DNAT"]));
            rules.push(words(&["-s", &ip], &ANSWERS));
        }
        rules
    };
    declare(desired, attachment, given, Purpose::PublishedPorts, rules);
}

/// Accepts what a container sends, and the answers.
pub(crate) fn declare_addresses(
    desired: &mut Desired,
    attachment: &Attachment,
    given: &Given,
    addresses: &[IpAddr],
) {
    let rules = |family| {
        let own = addresses.iter().filter(|ip| Family::of(**ip) == family);
        let both = own.flat_map(|ip| {
            let ip = Prefix::host(*ip).to_string();
            [words(&["-d", &ip], &ANSWERS), words(&["-s", &ip], &[])]
        });
        both.collect()
    };
    declare(desired, attachment, given, Purpose::Container, rules);
}

const ANSWERS: [&str; 4] = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"];

fn words(first: &[&str], second: &[&str]) -> Vec<String> {
    first.iter().chain(second).map(ToString::to_string).collect()
}

/// Declares a chain of the attachment with rules that accept, where the policy drops. At DEL it is
/// looked for whatever the policy is: it may have changed.
fn declare(
    desired: &mut Desired,
    attachment: &Attachment,
    given: &Given,
    purpose: Purpose,
    rules: impl Fn(Family) -> Vec<Vec<String>>,
) {
    for (family, drops) in FAMILIES.into_iter().zip(given.facts.forward_drop) {
        let chain = purpose.chain(family, &attachment.owner);
        let name = chain.name.clone();
        let rules = rules(family);
        if given.deleting || drops && !rules.is_empty() {
            desired.push(Place::Host, Lifetime::Attachment, chain);
        }
        if given.deleting || !drops || rules.is_empty() {
            continue;
        }
        let mut table = Table { desired: &mut *desired, family, name: "filter" };
        let mut rule = |chain: &str, position, mut specification: Vec<String>, target: &str| {
            specification.extend(["-j".to_owned(), target.to_owned()]);
            table.rule(Lifetime::Dependent, chain, position, &specification);
        };
        for specification in rules {
            rule(&name, Position::Last, specification, "ACCEPT");
        }
        let tag = attachment.owner.tag();
        let comment = words(&["-m", "comment", "--comment"], &[tag.text()]);
        rule("FORWARD", Position::First, comment, &name);
    }
}
