//! The configuration of `portmap`.

use std::{collections::BTreeSet, net::IpAddr};

use ropewalk_addr::Family;
use ropewalk_cni::{CniError, Fields, Request};
use ropewalk_netstate::resource::nft::Statement;

use super::nftables;
use crate::{config, device::Facts};

/// Which firewall does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// nftables, unless something in the configuration or the host asks for iptables.
    Automatic,
    Nftables,
    Iptables,
}

/// An IP protocol that has ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Protocol {
    pub(crate) name: &'static str,
    pub(crate) number: u8,
}

const PROTOCOLS: [Protocol; 5] = [
    Protocol { name: "tcp", number: 6 },
    Protocol { name: "udp", number: 17 },
    Protocol { name: "dccp", number: 33 },
    Protocol { name: "sctp", number: 132 },
    Protocol { name: "udplite", number: 136 },
];

/// One published port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mapping {
    pub(crate) host_port: u16,
    pub(crate) container_port: u16,
    pub(crate) protocol: Protocol,
    /// The host's address it is published on; `None` for all of both families, an unspecified
    /// address for all of its family.
    pub(crate) host_ip: Option<IpAddr>,
}

impl Mapping {
    /// The one address of the host it is published on, if it is one.
    pub(crate) fn bound_to(&self) -> Option<IpAddr> {
        self.host_ip.filter(|ip| !ip.is_unspecified())
    }
}

/// Extra conditions of one family, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    pub(crate) words: Vec<String>,
    /// The same, read as nftables statements; empty for iptables words.
    pub(crate) statements: Vec<Statement>,
}

/// The configuration, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) backend: Backend,
    pub(crate) snat: bool,
    pub(crate) masquerade_all: bool,
    pub(crate) mark_bit: u32,
    pub(crate) external_mark_chain: Option<String>,
    pub(crate) conditions: [Conditions; 2],
    pub(crate) mappings: Vec<Mapping>,
}

const DEFAULT_MARK_BIT: u32 = 13;

impl Config {
    pub(crate) fn read(request: &Request) -> Result<Self, CniError> {
        config::read(request, "", Self::from_fields)
    }

    fn from_fields(fields: &Fields<'_>) -> Self {
        let flag = |key, default| fields.bool(key).unwrap_or(default);
        let mark_bit = mark_bit(fields);
        let external_mark_chain = fields.text("externalSetMarkChain");
        if external_mark_chain.is_some() && mark_bit.is_some() {
            let message = "Cannot specify externalSetMarkChain and markMasqBit";
            fields.report_at("externalSetMarkChain", message);
        }
        let mut config = Self {
            backend: Backend::Automatic,
            snat: flag("snat", true),
            masquerade_all: flag("masqAll", false),
            mark_bit: mark_bit.unwrap_or(DEFAULT_MARK_BIT),
            external_mark_chain,
            conditions: [
                conditions(fields, "conditionsV4", Family::V4),
                conditions(fields, "conditionsV6", Family::V6),
            ],
            mappings: mappings(fields),
        };
        config.backend = config.choose_backend(fields);
        config
    }

    /// The words of a condition tell which firewall they are written for.
    fn choose_backend(&self, fields: &Fields<'_>) -> Backend {
        let mut for_nftables = Vec::new();
        let mut for_iptables = Vec::new();
        for (key, conditions) in ["conditionsV4", "conditionsV6"].iter().zip(&self.conditions) {
            match conditions.words.first() {
                Some(word) if is_iptables(word) => for_iptables.push(*key),
                Some(_) => for_nftables.push(*key),
                None => {}
            }
        }
        if self.external_mark_chain.is_some() {
            for_iptables.push("externalSetMarkChain");
        }
        let refuse = |backend: &str, other: &str, keys: &[&str]| {
            fields.report_at("backend", format!(
                "{backend} backend was requested but configuration contains {other}-specific options [{}]",
                keys.join(" ")
            ));
        };
        match fields.string("backend").as_deref() {
            Some("iptables") => {
                if !for_nftables.is_empty() {
                    refuse("iptables", "nftables", &for_nftables);
                }
                Backend::Iptables
            }
            Some("nftables") => {
                if !for_iptables.is_empty() {
                    refuse("nftables", "iptables", &for_iptables);
                }
                Backend::Nftables
            }
            None | Some("") if !for_iptables.is_empty() && !for_nftables.is_empty() => {
                refuse("iptables", "nftables", &for_nftables);
                Backend::Iptables
            }
            None | Some("") if !for_iptables.is_empty() => Backend::Iptables,
            None | Some("") if !for_nftables.is_empty() => Backend::Nftables,
            None | Some("") => Backend::Automatic,
            Some(other) => {
                fields.report_at("backend", format!("unrecognized backend {other:?}"));
                Backend::Automatic
            }
        }
    }

    /// Whether nftables does the work on this host.
    pub(crate) fn uses_nftables(&self, facts: &Facts) -> bool {
        match self.backend {
            Backend::Nftables => true,
            Backend::Iptables => false,
            Backend::Automatic => facts.nftables,
        }
    }

    /// The extra conditions of a family.
    pub(crate) fn conditions(&self, family: Family) -> &Conditions {
        &self.conditions[usize::from(family == Family::V6)]
    }
}

/// Reads everything, so that `lint` finds what is wrong without a request.
pub(crate) fn lint(fields: &Fields<'_>) {
    Config::from_fields(fields);
}

fn is_iptables(word: &str) -> bool {
    word.starts_with('-') || word.starts_with('!')
}

fn mark_bit(fields: &Fields<'_>) -> Option<u32> {
    let bit = fields.i64("markMasqBit")?;
    let valid = u32::try_from(bit).ok().filter(|bit| *bit <= 31);
    if valid.is_none() {
        fields.report_at("markMasqBit", "MasqMarkBit must be between 0 and 31");
    }
    valid
}

fn conditions(fields: &Fields<'_>, key: &str, family: Family) -> Conditions {
    let words = fields.strings(key).unwrap_or_default();
    if words.first().is_none_or(|word| is_iptables(word)) {
        return Conditions { words, statements: Vec::new() };
    }
    let statements = nftables::parse_conditions(&words, family).unwrap_or_else(|message| {
        fields.report_at(key, message);
        Vec::new()
    });
    Conditions { words, statements }
}

fn mappings(fields: &Fields<'_>) -> Vec<Mapping> {
    let Some(runtime) = fields.object("runtimeConfig") else {
        return Vec::new();
    };
    let entries = runtime.objects("portMappings").unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut mappings = entries.iter().flat_map(range).collect::<Vec<_>>();
    mappings.retain(|mapping| seen.insert(mapping.clone()));
    mappings
}

/// The mappings of an entry: as many ports that follow each other as its `range` says.
fn range(entry: &Fields<'_>) -> Vec<Mapping> {
    let count = entry.u32("range").unwrap_or(1).max(1);
    let Some(first) = mapping(entry) else {
        return Vec::new();
    };
    let highest = first.host_port.max(first.container_port);
    let Some(beyond) = u16::try_from(count - 1).ok().filter(|n| highest.checked_add(*n).is_some())
    else {
        let message = format!("Invalid port range: {count} ports from {highest} end above 65535");
        // None of the three numbers is wrong by itself.
        entry.report(message);
        return Vec::new();
    };
    let nth = |n| Mapping {
        host_port: first.host_port + n,
        container_port: first.container_port + n,
        ..first.clone()
    };
    (0..=beyond).map(nth).collect()
}

fn mapping(entry: &Fields<'_>) -> Option<Mapping> {
    let port = |key, name| {
        let is_there = entry.value(key).is_some();
        let number = entry.i64(key);
        let is_read = number.is_some() || !is_there;
        let number = number.unwrap_or_default();
        let port = u16::try_from(number).ok().filter(|port| *port > 0);
        if port.is_none() && is_read {
            entry.report_at(key, format!("Invalid {name} port number: {number}"));
        }
        port
    };
    let (host_port, container_port) =
        (port("hostPort", "host"), port("containerPort", "container"));
    let protocol = protocol(entry);
    let host_ip = host_ip(entry);
    Some(Mapping {
        host_port: host_port?,
        container_port: container_port?,
        protocol: protocol?,
        host_ip,
    })
}

/// The protocol in any case; absent is TCP, as every runtime means it.
fn protocol(entry: &Fields<'_>) -> Option<Protocol> {
    let name = entry.text("protocol").unwrap_or_else(|| "tcp".to_owned()).to_ascii_lowercase();
    let protocol = PROTOCOLS.iter().find(|protocol| protocol.name == name);
    if protocol.is_none() {
        let known: Vec<_> = PROTOCOLS.iter().map(|protocol| protocol.name).collect();
        let message = format!("unknown protocol {name:?}; known are {}", known.join(", "));
        entry.report_at("protocol", message);
    }
    protocol.cloned()
}

fn host_ip(entry: &Fields<'_>) -> Option<IpAddr> {
    let text = entry.text("hostIP")?;
    let ip = text.parse::<IpAddr>().ok();
    if ip.is_none() {
        entry.report_at("hostIP", format!("invalid host IP address {text:?}"));
    }
    ip
}
