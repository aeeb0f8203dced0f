//! Port mappings in the layout of the reference plugin's iptables back end, on request and on
//! kernels without nf_tables.

use std::collections::{BTreeMap, BTreeSet};

use ropewalk_addr::{Family, Prefix};
use ropewalk_netstate::{
    Desired, Lifetime, Owner, Place, Scope,
    resource::{IptablesChain, iptables::Position},
};

use super::{Published, config::Config};
use crate::{device::Attachment, feature::iptables::Table, names};

const ENTRY: &str = "CNI-HOSTPORT-DNAT";
const SET_MARK: &str = "CNI-HOSTPORT-SETMARK";
const MASQUERADE: &str = "CNI-HOSTPORT-MASQ";

/// The multiport match takes 15 ports.
const PORTS_PER_RULE: usize = 15;

/// The chain with the mappings of a container on a network.
pub(crate) fn container_chain(family: Family, owner: &Owner) -> IptablesChain {
    IptablesChain {
        family,
        table: "nat".into(),
        name: names::port_chain(owner),
        referenced_from: vec![ENTRY.into()],
    }
}

/// Where chains of attachments can be found, theirs of the reference plugin among them.
pub(crate) fn scopes() -> Vec<Scope> {
    let entry = |family| IptablesChain {
        family,
        table: "nat".into(),
        name: ENTRY.into(),
        referenced_from: Vec::new(),
    };
    [Family::V4, Family::V6].map(|family| Scope::IptablesJumps(entry(family))).to_vec()
}

/// Declares the mappings. Without any, as DEL may be, only what is needed to find them.
pub(crate) fn declare(
    desired: &mut Desired,
    config: &Config,
    attachment: &Attachment,
    published: &[Published<'_>],
) {
    for family in [Family::V4, Family::V6] {
        let published: Vec<_> =
            published.iter().filter(|p| p.container.family() == family).collect();
        let table = Table { desired: &mut *desired, family, name: "nat" };
        let mut rules = Rules { table, config };
        if !published.is_empty() {
            rules.shared();
        }
        let chain = container_chain(family, &attachment.owner);
        rules.table.desired.push(Place::Host, Lifetime::Attachment, chain);
        if !published.is_empty() {
            rules.entries(&attachment.owner);
        }
        for mapping in &published {
            rules.mapping(&names::port_chain(&attachment.owner), mapping);
        }
    }
}

struct Rules<'a> {
    table: Table<'a>,
    config: &'a Config,
}

impl Rules<'_> {
    /// Chains and jumps that all containers share.
    fn shared(&mut self) {
        let (shared, last) = (Lifetime::Shared, Position::Last);
        if self.config.snat && self.config.external_mark_chain.is_none() {
            let mark = format!("{0:#x}/{0:#x}", 1_u32 << self.config.mark_bit);
            self.table.shared_chain(SET_MARK);
            let comment = ["-m", "comment", "--comment"];
            let tail = ["CNI portfwd masquerade mark", "-j", "MARK", "--set-xmark", &mark];
            self.table.rule(shared, SET_MARK, last, &[&comment[..], &tail].concat());
            self.table.shared_chain(MASQUERADE);
            self.table.rule(
                shared,
                MASQUERADE,
                last,
                &["-m", "mark", "--mark", &mark, "-j", "MASQUERADE"],
            );
            let tail = ["CNI portfwd requiring masquerade", "-j", MASQUERADE];
            let jump = [&comment[..], &tail].concat();
            self.table.rule(shared, "POSTROUTING", Position::First, &jump);
        }
        self.table.shared_chain(ENTRY);
        let jump = ["-m", "addrtype", "--dst-type", "LOCAL", "-j", ENTRY];
        self.table.rule(shared, "PREROUTING", last, &jump);
        self.table.rule(shared, "OUTPUT", last, &jump);
    }

    /// The rules that send the published ports to the container's chain, per protocol; those that
    /// are bound to an address of the other family are among them.
    fn entries(&mut self, owner: &Owner) {
        let mut ports: BTreeMap<&str, Vec<u16>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for mapping in &self.config.mappings {
            if seen.insert((mapping.protocol.name, mapping.host_port)) {
                ports.entry(mapping.protocol.name).or_default().push(mapping.host_port);
            }
        }
        let mut comment = format!("dnat {}", names::rule_comment(owner));
        comment.truncate(255);
        let target = names::port_chain(owner);
        for (protocol, ports) in ports {
            for ports in ports.chunks(PORTS_PER_RULE) {
                let list: Vec<String> = ports.iter().map(ToString::to_string).collect();
                let list = list.join(",");
                let mut words = vec!["-p", protocol, "-m", "comment", "--comment", &comment];
                words.extend(["-m", "multiport", "--destination-ports", &list]);
                let conditions = self.config.conditions(self.table.family).words.clone();
                words.extend(conditions.iter().map(String::as_str));
                words.extend(["-j", &target]);
                self.table.rule(Lifetime::Dependent, ENTRY, Position::Last, &words);
            }
        }
    }

    /// The rules of one mapping: mark what must be masqueraded, then translate.
    fn mapping(&mut self, chain: &str, published: &Published<'_>) {
        let Published { mapping, container } = published;
        let port = mapping.host_port.to_string();
        let host = mapping.bound_to().map(|ip| Prefix::host(ip).to_string());
        let destination = host.iter().flat_map(|host| ["-d", host.as_str()]);
        let destination: Vec<&str> = destination.collect();
        let port_match = ["-p", mapping.protocol.name, "--dport", &port];
        let (mut rule, last) = (destination.clone(), Position::Last);
        if self.config.snat {
            let mark = self.config.external_mark_chain.clone();
            let mark = mark.as_deref().unwrap_or(SET_MARK);
            for source in self.marked_sources(*container) {
                let from = ["-s", source.as_str()];
                let words = [&destination[..], &from, &port_match, &["-j", mark]].concat();
                self.table.rule(Lifetime::Dependent, chain, last, &words);
            }
        }
        let target = match container.family() {
            Family::V4 => format!("{}:{}", container.ip(), mapping.container_port),
            Family::V6 => format!("[{}]:{}", container.ip(), mapping.container_port),
        };
        rule.extend(port_match);
        rule.extend(["-j", "DNAT", "--to-destination", &target]);
        self.table.rule(Lifetime::Dependent, chain, last, &rule);
    }

    /// Sources that the container would answer past the host.
    fn marked_sources(&self, container: Prefix) -> Vec<String> {
        match (self.config.masquerade_all, self.table.family) {
            (true, Family::V4) => vec!["0.0.0.0/0".into()],
            (true, Family::V6) => vec!["::/0".into()],
            (false, Family::V4) => vec![container.subnet().to_string(), "127.0.0.1/32".into()],
            (false, Family::V6) => vec![container.subnet().to_string()],
        }
    }
}
