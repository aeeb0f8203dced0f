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
        IptablesChain, IptablesRule, NftChain, NftElements, NftSet, NftTable, NftTaggedRules,
        iptables::Position,
        nft::{
            BaseChain, ChainKind, DataType, Datum, ElementData, Field, Hook, MapsTo, NftFamily,
            Rule, SetRef, Statement, TableRef, Verdict,
        },
    },
};

use crate::{device::Facts, layer3, names};

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
    let nftables = backend != Backend::Automatic || kernel.nft_usable();
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
    let families = [Family::V4, Family::V6];
    let mut scopes = families.map(|family| Scope::Elements(set(family))).to_vec();
    // Chains of the iptables back end, those of the reference plugins among them.
    scopes.extend(families.map(|family| {
        Scope::IptablesJumps(IptablesChain {
            family,
            table: "nat".into(),
            name: "POSTROUTING".into(),
            referenced_from: Vec::new(),
        })
    }));
    scopes
}

/// Declares the masquerading of an attachment. Without addresses, as DEL may be, only what is
/// needed to find it is declared.
pub(crate) fn declare(
    desired: &mut Desired,
    backend: Backend,
    owner: &Owner,
    layer3: Option<&CniResult>,
    facts: &Facts,
) {
    let ips: Vec<Prefix> =
        layer3.into_iter().flat_map(|l| &l.ips).map(|ip| layer3::prefix(ip.address)).collect();
    let families: Vec<Family> = match layer3 {
        Some(layer3) => layer3::families(layer3),
        None => vec![Family::V4, Family::V6],
    };
    if backend == Backend::Off {
        return;
    }
    if !backend.is_nftables(facts) {
        declare_iptables(desired, owner, &ips, &families);
        return;
    }
    declare_shared(desired);
    for family in families {
        let mut elements = NftElements::replacing(set(family), owner.tag());
        for ip in ips.iter().filter(|ip| ip.family() == family) {
            let chain = subnet_chain(desired, ip.subnet());
            elements =
                elements.with(vec![Datum::Ip(ip.ip())], ElementData::Verdict(Verdict::Goto(chain)));
        }
        desired.push(Place::Host, Lifetime::Attachment, elements);
    }
}

/// The table, the two maps and the chain that asks them.
fn declare_shared(desired: &mut Desired) {
    let mut shared = |resource: ropewalk_netstate::Resource| {
        desired.push(Place::Host, Lifetime::Shared, resource);
    };
    shared(NftTable { table: table() }.into());
    for (family, address) in [(Family::V4, DataType::Ip4), (Family::V6, DataType::Ip6)] {
        let map = NftSet { set: set(family), key_type: vec![address], maps_to: MapsTo::Verdict };
        shared(map.into());
    }
    let base = BaseChain { kind: ChainKind::Nat, hook: Hook::Postrouting, priority: 100 };
    let ask = |field, family| Rule::new([Statement::VerdictMap(vec![field], set(family).name)]);
    let rules = vec![ask(Field::Ip4Source, Family::V4), ask(Field::Ip6Source, Family::V6)];
    shared(NftChain::base(table(), "masquerade", base, rules).into());
}

/// Declares the chain of a subnet: its own addresses and multicast are not masqueraded. The name
/// is the answer.
fn subnet_chain(desired: &mut Desired, subnet: Subnet) -> String {
    let name =
        format!("masquerade_{}_{}", subnet.ip().to_string().replace(':', "-"), subnet.length());
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
    let chain = NftChain::regular(table(), name.clone(), rules);
    desired.push(Place::Host, Lifetime::Shared, chain);
    name
}

fn multicast(family: Family) -> Subnet {
    let (ip, length) = match family {
        Family::V4 => (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
        Family::V6 => (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
    };
    Prefix::new(ip, length).map(Prefix::subnet).expect("the length fits the family")
}

/// The layout of the reference plugins. Their chain has no interface in its name, so that two
/// interfaces of a container would share it; only the first, `eth0`, has theirs.
fn declare_iptables(desired: &mut Desired, owner: &Owner, ips: &[Prefix], families: &[Family]) {
    let name = if owner.interface == "eth0" {
        names::masquerade_chain(owner)
    } else {
        let key = [&*owner.network, &owner.container, &owner.interface];
        format!("CNI-{}", names::sha512_hex(&key, 24))
    };
    for &family in families {
        let chain = iptables_chain(family, &name);
        desired.push(Place::Host, Lifetime::Attachment, chain);
        let ips = ips.iter().filter(|ip| ip.family() == family);
        for ip in ips {
            let comment = names::rule_comment(owner);
            let mut rule = |chain: &str, words: &[&str], target: &str| {
                let tail = ["-m", "comment", "--comment", &comment, "-j", target];
                let words = words.iter().chain(&tail);
                let rule = IptablesRule {
                    family,
                    table: "nat".into(),
                    chain: chain.into(),
                    position: Position::Last,
                    specification: words.map(ToString::to_string).collect(),
                };
                desired.push(Place::Host, Lifetime::Dependent, rule);
            };
            let subnet = ip.subnet().to_string();
            rule(&name, &["-d", &subnet], "ACCEPT");
            rule(&name, &["!", "-d", &multicast(family).to_string()], "MASQUERADE");
            rule("POSTROUTING", &["-s", &Prefix::host(ip.ip()).to_string()], &name);
        }
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
    for family in [Family::V4, Family::V6] {
        desired.push(Place::Host, Lifetime::Predecessor, iptables_chain(family, &name));
    }
    let rules = NftTaggedRules {
        table: TableRef::new(NftFamily::Inet, "cni_plugins_masquerade"),
        chain: "masq_checks".into(),
        comment_prefix: names::masquerade_comment(owner),
    };
    desired.push(Place::Host, Lifetime::Predecessor, rules);
}
