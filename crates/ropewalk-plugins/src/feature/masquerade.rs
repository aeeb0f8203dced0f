//! Masquerading: what a container sends out of its subnet leaves with the host's address.
//!
//! With nftables, a map from container address to verdict sends packets to a chain that all
//! containers of a subnet share, so that a container costs one map element however many there are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ropewalk_addr::{Family, Prefix, Subnet};
use ropewalk_cni::{CniResult, Fields};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, Lifetime, Owner, Place, Scope,
    resource::{
        IptablesChain, NftChain, NftElements, NftSet, NftTable, NftTaggedRules,
        iptables::Position,
        nft::{
            BaseChain, ChainKind, DataType, Datum, ElementData, Field, Hook, MapsTo, NftFamily,
            Rule, SetRef, Statement, TableRef, Verdict,
        },
    },
};

use crate::{
    device::{Facts, Given},
    feature::iptables::Table,
    layer3, names,
};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Whether and how packets are masqueraded, `ipMasq` and `ipMasqBackend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Off,
    /// nftables, or iptables where the kernel has no nf_tables.
    Automatic,
    Nftables,
    Iptables,
}

impl Backend {
    /// Reads the two keys.
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        let on = fields.bool("ipMasq").unwrap_or_default();
        let backend = match fields.string("ipMasqBackend").as_deref() {
            None | Some("") => Self::Automatic,
            Some("nftables") => Self::Nftables,
            Some("iptables") => Self::Iptables,
            Some(other) => {
                let message = format!("unknown ipmasq backend {other:?}");
                fields.report_at("ipMasqBackend", message);
                Self::Off
            }
        };
        if on { backend } else { Self::Off }
    }

    fn is_nftables(self, facts: &Facts) -> bool {
        self == Self::Nftables || self == Self::Automatic && facts.nftables
    }
}

/// What has to be known of the host.
pub(crate) fn facts(backend: Backend, kernel: &mut Linux) -> Facts {
    let nftables = backend != Backend::Automatic || kernel.nft_usable_for(&asking_chain());
    Facts { nftables, ..Facts::default() }
}

/// The table of all our rules for IPv4 and IPv6.
pub(crate) fn table() -> TableRef {
    TableRef::new(NftFamily::Inet, "ropewalk")
}

fn set(family: Family) -> SetRef {
    let name = match family {
        Family::V4 => "masquerade4",
        Family::V6 => "masquerade6",
    };
    SetRef { table: table(), name: name.into() }
}

/// Where elements of attachments can be found.
pub(crate) fn scopes() -> Vec<Scope> {
    let mut scopes = FAMILIES.map(|family| Scope::Elements(set(family))).to_vec();
    // Chains of the iptables back end, those of the reference plugins among them.
    scopes.extend(FAMILIES.map(|family| {
        Scope::IptablesJumps(IptablesChain {
            family,
            table: "nat".into(),
            name: "POSTROUTING".into(),
            referenced_from: Vec::new(),
        })
    }));
    scopes
}

/// Declares the masquerading of an attachment. At DEL it is what any back end may have made,
/// because the configuration may have changed since the ADD.
pub(crate) fn declare(
    desired: &mut Desired,
    backend: Backend,
    owner: &Owner,
    layer3: Option<&CniResult>,
    given: &Given,
) {
    let ips: Vec<Prefix> =
        layer3.into_iter().flat_map(|l| &l.ips).map(|ip| layer3::prefix(ip.address)).collect();
    if given.deleting {
        for family in FAMILIES {
            // Who is known by addresses has no others; nobody's keys are all of the owner's.
            if !ips.is_empty() && !ips.iter().any(|ip| ip.family() == family) {
                continue;
            }
            desired.push(Place::Host, Lifetime::Attachment, elements(owner, family, &ips));
            let chain = iptables_chain(family, &chain_name(owner));
            desired.push(Place::Host, Lifetime::Attachment, chain);
        }
    } else if backend == Backend::Off {
        // Nothing to make.
    } else if backend.is_nftables(&given.facts) {
        declare_nftables(desired, owner, &ips);
    } else {
        declare_iptables(desired, owner, &ips);
    }
}

/// The elements of an attachment in the map of a family.
fn elements(owner: &Owner, family: Family, ips: &[Prefix]) -> NftElements {
    let mut elements = NftElements::replacing(set(family), owner.tag());
    for ip in ips.iter().filter(|ip| ip.family() == family) {
        let chain = Verdict::Goto(subnet_chain_name(ip.subnet()));
        elements = elements.with(vec![Datum::Ip(ip.ip())], ElementData::Verdict(chain));
    }
    elements
}

fn declare_nftables(desired: &mut Desired, owner: &Owner, ips: &[Prefix]) {
    declare_shared(desired);
    for ip in ips {
        desired.push(Place::Host, Lifetime::Shared, subnet_chain(ip.subnet()));
    }
    for family in FAMILIES {
        let elements = elements(owner, family, ips);
        if !elements.elements.is_empty() {
            desired.push(Place::Host, Lifetime::Attachment, elements);
        }
    }
}

/// The table, the two maps and the chain that asks them, see [`asking_chain`].
fn declare_shared(desired: &mut Desired) {
    let mut shared = |resource: ropewalk_netstate::Resource| {
        desired.push(Place::Host, Lifetime::Shared, resource);
    };
    shared(NftTable { table: table() }.into());
    for (family, address) in [(Family::V4, DataType::Ip4), (Family::V6, DataType::Ip6)] {
        let map = NftSet { set: set(family), key_type: vec![address], maps_to: MapsTo::Verdict };
        shared(map.into());
    }
    shared(asking_chain().into());
}

fn asking_chain() -> NftChain {
    let base = BaseChain { kind: ChainKind::Nat, hook: Hook::Postrouting, priority: 100 };
    let ask = |field, family| Rule::new([Statement::VerdictMap(vec![field], set(family).name)]);
    let rules = vec![ask(Field::Ip4Source, Family::V4), ask(Field::Ip6Source, Family::V6)];
    NftChain::base(table(), "masquerade", base, rules)
}

fn subnet_chain_name(subnet: Subnet) -> String {
    format!("masquerade_{}_{}", subnet.ip().to_string().replace(':', "-"), subnet.length())
}

/// The chain of a subnet: its own addresses and multicast are not masqueraded.
fn subnet_chain(subnet: Subnet) -> NftChain {
    let destination = match subnet.family() {
        Family::V4 => Field::Ip4Destination,
        Family::V6 => Field::Ip6Destination,
    };
    let spare = |subnet| {
        let back = Statement::Verdict(Verdict::Return);
        Rule::new([Statement::Within(destination, subnet), back])
    };
    let rules =
        vec![spare(subnet), spare(multicast(subnet.family())), Rule::new([Statement::Masquerade])];
    NftChain::regular(table(), subnet_chain_name(subnet), rules)
}

fn multicast(family: Family) -> Subnet {
    let (ip, length) = match family {
        Family::V4 => (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
        Family::V6 => (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
    };
    Prefix::new(ip, length).map(Prefix::subnet).expect("the length fits the family")
}

/// The chain of an attachment. The reference plugins' has no interface in its name, so that two
/// interfaces of a container would share it; only the first, `eth0`, has theirs.
fn chain_name(owner: &Owner) -> String {
    if owner.interface == "eth0" {
        return names::masquerade_chain(owner);
    }
    let key = [&*owner.network, &owner.container, &owner.interface];
    format!("CNI-{}", names::sha512_hex(&key, 24))
}

/// The layout of the reference plugins.
fn declare_iptables(desired: &mut Desired, owner: &Owner, ips: &[Prefix]) {
    let name = chain_name(owner);
    let comment = names::rule_comment(owner);
    for ip in ips {
        let family = ip.family();
        desired.push(Place::Host, Lifetime::Attachment, iptables_chain(family, &name));
        let mut table = Table { desired: &mut *desired, family, name: "nat" };
        let mut rule = |chain: &str, words: &[&str], target: &str| {
            let tail = ["-m", "comment", "--comment", &comment, "-j", target];
            table.rule(Lifetime::Dependent, chain, Position::Last, &[words, &tail].concat());
        };
        rule(&name, &["-d", &ip.subnet().to_string()], "ACCEPT");
        rule(&name, &["!", "-d", &multicast(family).to_string()], "MASQUERADE");
        rule("POSTROUTING", &["-s", &Prefix::host(ip.ip()).to_string()], &name);
    }
}

fn iptables_chain(family: Family, name: &str) -> IptablesChain {
    IptablesChain {
        family,
        table: "nat".into(),
        name: name.into(),
        referenced_from: vec!["POSTROUTING".into()],
    }
}

/// What the reference plugins would have made, with either back end.
pub(crate) fn declare_predecessors(desired: &mut Desired, owner: &Owner) {
    let name = names::masquerade_chain(owner);
    for family in FAMILIES {
        desired.push(Place::Host, Lifetime::Predecessor, iptables_chain(family, &name));
    }
    let rules = NftTaggedRules {
        table: TableRef::new(NftFamily::Inet, "cni_plugins_masquerade"),
        chain: "masq_checks".into(),
        comment_prefix: names::masquerade_comment(owner),
    };
    desired.push(Place::Host, Lifetime::Predecessor, rules);
}
