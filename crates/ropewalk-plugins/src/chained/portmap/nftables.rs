//! Port mappings as map elements: one lookup finds the container whatever the number of mappings.

use ropewalk_addr::{Family, IfName, Prefix, Subnet};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, Kernel, Lifetime, Place, Probe, Resource, Scope, Tag,
    resource::{
        NftChain, NftElements, NftSet, NftTable,
        nft::{
            BaseChain, ChainKind, Connection, DataType, Datum, ElementData, Field, Hook, MapsTo,
            Rule, SetRef, Statement, Verdict,
        },
    },
};

use super::{
    Published,
    config::{Conditions, Config},
};
use crate::{device::Attachment, feature::masquerade::table, names};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// How many networks of one container may publish the same port. Each further one has maps of its
/// own that are asked later, so that the port outlives the first network.
const LAYERS: usize = 4;

/// The names of everything that belongs to one pair of conditions and one layer: networks without
/// conditions share theirs, each other pair has its own, so that conditions never reach other
/// containers.
struct Names {
    suffix: String,
    layer: usize,
}

impl Names {
    fn of(config: &Config, layer: usize) -> Self {
        let words: Vec<String> =
            config.conditions.iter().map(|conditions| conditions.words.join(" ")).collect();
        let mut suffix = String::new();
        if !words.iter().all(String::is_empty) {
            suffix = format!("_{}", names::sha512_hex(&[&words.join("\n")], 8));
        }
        Self::with(suffix, layer)
    }

    fn with(suffix: String, layer: usize) -> Self {
        let suffix = if layer > 0 { format!("{suffix}_layer{layer}") } else { suffix };
        Self { suffix, layer }
    }

    /// Destinations are translated before all else; later layers come later.
    fn priority(&self) -> i32 {
        -100 + i32::try_from(self.layer).unwrap_or(0)
    }

    fn set(&self, name: &str, family: Family) -> SetRef {
        let digit = if family == Family::V4 { 4 } else { 6 };
        SetRef { table: table(), name: format!("{name}{digit}{}", self.suffix) }
    }

    /// Ports published on all addresses.
    fn ports(&self, family: Family) -> SetRef {
        self.set("ports", family)
    }

    /// Ports published on one address.
    fn bound_ports(&self, family: Family) -> SetRef {
        self.set("bound_ports", family)
    }

    fn chain(&self, name: &str) -> String {
        format!("{name}{}", self.suffix)
    }
}

/// Containers whose published ports are reached from their own subnet or from this host.
fn hairpin(family: Family) -> SetRef {
    Names::with(String::new(), 0).set("hairpin", family)
}

/// Where elements of attachments can be found.
pub(crate) fn scopes(config: &Config) -> Vec<Scope> {
    sets(|layer| Names::of(config, layer)).into_iter().map(Scope::Elements).collect()
}

/// The same for mappings without conditions.
pub(crate) fn default_scopes() -> Vec<Scope> {
    sets(|layer| Names::with(String::new(), layer)).into_iter().map(Scope::Elements).collect()
}

fn sets(names: impl Fn(usize) -> Names) -> Vec<SetRef> {
    let mut sets = FAMILIES.map(hairpin).to_vec();
    for names in (0..LAYERS).map(names) {
        sets.extend(
            FAMILIES
                .into_iter()
                .flat_map(|family| [names.ports(family), names.bound_ports(family)]),
        );
    }
    sets
}

/// The layer for an attachment: where its ports are, else the first in which no other attachment
/// of its container has them. A kernel that cannot be asked will say so when it is told.
pub(crate) fn layer(
    kernel: &mut Linux,
    config: &Config,
    attachment: &Attachment,
    published: &[Published<'_>],
) -> usize {
    let mut first_free = None;
    for layer in 0..LAYERS {
        let names = Names::of(config, layer);
        if layer > 0 && !has_maps(kernel, &names) {
            return first_free.unwrap_or(layer);
        }
        match occupation(kernel, &names, attachment, published) {
            Occupation::Own => return layer,
            Occupation::Free => first_free = first_free.or(Some(layer)),
            Occupation::OfSameContainer => {}
        }
    }
    first_free.unwrap_or(0)
}

/// Who has the ports of an attachment in a layer.
enum Occupation {
    Own,
    OfSameContainer,
    /// Nobody, or another container, which is a conflict.
    Free,
}

fn occupation(
    kernel: &mut Linux,
    names: &Names,
    attachment: &Attachment,
    published: &[Published<'_>],
) -> Occupation {
    let tag = attachment.owner.tag();
    let groups: Vec<Resource> = FAMILIES
        .into_iter()
        .flat_map(|family| port_elements(names, &tag, family, published))
        .map(Resource::from)
        .collect();
    let probe = |resource| Probe { place: Place::Host, resource };
    let observed = kernel.observe(&groups.iter().map(probe).collect::<Vec<_>>());
    let container = &attachment.owner.container;
    let mut occupation = Occupation::Free;
    for (_, found) in observed.unwrap_or_default().iter() {
        let Resource::NftElements(found) = found else { continue };
        if !found.elements.is_empty() {
            return Occupation::Own;
        }
        let owners = found.taken.iter().filter_map(|(_, tag)| tag.as_ref());
        if owners.into_iter().any(|tag| tag.is_of_container(container)) {
            occupation = Occupation::OfSameContainer;
        }
    }
    occupation
}

fn has_maps(kernel: &mut Linux, names: &Names) -> bool {
    let map = port_map(names, Family::V4).into();
    let probe = Probe { place: Place::Host, resource: &map };
    kernel.observe(&[probe]).is_ok_and(|observed| observed.iter().next().is_some())
}

/// The map of the ports that are published on all addresses.
fn port_map(names: &Names, family: Family) -> NftSet {
    NftSet {
        set: names.ports(family),
        key_type: vec![DataType::Protocol, DataType::Port],
        maps_to: MapsTo::Values(vec![address_type(family), DataType::Port]),
    }
}

fn address_type(family: Family) -> DataType {
    match family {
        Family::V4 => DataType::Ip4,
        Family::V6 => DataType::Ip6,
    }
}

/// Declares the mappings. Without any, as DEL may be, only what is needed to find them.
pub(crate) fn declare(
    desired: &mut Desired,
    config: &Config,
    layer: usize,
    attachment: &Attachment,
    published: &[Published<'_>],
) {
    let tag = attachment.owner.tag();
    if published.is_empty() {
        for set in sets(|layer| Names::of(config, layer)) {
            desired.push(Place::Host, Lifetime::Attachment, NftElements::new(set, tag.clone()));
        }
        return;
    }
    let names = Names::of(config, layer);
    declare_shared(desired, config, &names);
    for family in FAMILIES {
        for elements in port_elements(&names, &tag, family, published) {
            desired.push(Place::Host, Lifetime::Attachment, elements);
        }
        let container = published.iter().map(|published| published.container);
        let container = container.into_iter().find(|container| container.family() == family);
        if let Some(container) = container.filter(|_| config.snat) {
            declare_hairpin(desired, config, &tag, container);
        }
    }
}

/// The elements of the mappings of a family, in the maps that have some.
fn port_elements(
    names: &Names,
    tag: &Tag,
    family: Family,
    published: &[Published<'_>],
) -> Vec<NftElements> {
    let mut anywhere = NftElements::new(names.ports(family), tag.clone());
    let mut bound = NftElements::new(names.bound_ports(family), tag.clone());
    let of_family = published.iter().filter(|published| published.container.family() == family);
    for Published { mapping, container } in of_family {
        let target = vec![Datum::Ip(container.ip()), Datum::Port(mapping.container_port)];
        let port = [Datum::Protocol(mapping.protocol.number), Datum::Port(mapping.host_port)];
        match mapping.bound_to() {
            None => anywhere = anywhere.with(port.to_vec(), ElementData::Values(target)),
            Some(ip) => {
                let key = std::iter::once(Datum::Ip(ip)).chain(port).collect();
                bound = bound.with(key, ElementData::Values(target));
            }
        }
    }
    [anywhere, bound].into_iter().filter(|elements| !elements.elements.is_empty()).collect()
}

/// The table, the maps, and the chains that ask them.
fn declare_shared(desired: &mut Desired, config: &Config, names: &Names) {
    let mut shared = |resource: Resource| desired.push(Place::Host, Lifetime::Shared, resource);
    shared(NftTable { table: table() }.into());
    for family in FAMILIES {
        let ports = port_map(names, family);
        let bound = NftSet {
            set: names.bound_ports(family),
            key_type: [vec![address_type(family)], ports.key_type.clone()].concat(),
            maps_to: ports.maps_to.clone(),
        };
        let hairpin = NftSet {
            set: hairpin(family),
            key_type: vec![address_type(family)],
            maps_to: MapsTo::Verdict,
        };
        shared(ports.into());
        shared(bound.into());
        shared(hairpin.into());
    }
    let hostports = names.chain("hostports");
    shared(NftChain::regular(table(), hostports.clone(), translations(names)).into());
    for (name, hook) in [("publish", Hook::Prerouting), ("publish_local", Hook::Output)] {
        let base = BaseChain { kind: ChainKind::Nat, hook, priority: names.priority() };
        let rules = entries(config, &hostports);
        shared(NftChain::base(table(), &names.chain(name), base, rules).into());
    }
    // Before the masquerading of containers' own traffic, at 100.
    let base = BaseChain { kind: ChainKind::Nat, hook: Hook::Postrouting, priority: 99 };
    let ask = |field, family| {
        let translated = Statement::Connection(Connection::DestinationTranslated);
        Rule::new([translated, Statement::VerdictMap(vec![field], hairpin(family).name)])
    };
    let rules =
        vec![ask(Field::Ip4Destination, Family::V4), ask(Field::Ip6Destination, Family::V6)];
    shared(NftChain::base(table(), "hairpin", base, rules).into());
    declare_localnet_guard(&mut shared);
}

/// Ports bound to an address go before those on all addresses.
fn translations(names: &Names) -> Vec<Rule> {
    let port = [Field::Protocol, Field::DestinationPort];
    let bound = |address| std::iter::once(address).chain(port).collect();
    let (v4, v6) = (Family::V4, Family::V6);
    vec![
        Rule::new([Statement::TranslateDestination4(
            bound(Field::Ip4Destination),
            names.bound_ports(v4).name,
        )]),
        Rule::new([Statement::TranslateDestination4(port.to_vec(), names.ports(v4).name)]),
        Rule::new([Statement::TranslateDestination6(
            bound(Field::Ip6Destination),
            names.bound_ports(v6).name,
        )]),
        Rule::new([Statement::TranslateDestination6(port.to_vec(), names.ports(v6).name)]),
    ]
}

/// What is addressed to this host, and meets the conditions of its family, looks for a mapping.
fn entries(config: &Config, hostports: &str) -> Vec<Rule> {
    let jump = |conditions: &[Statement]| {
        let mut statements = conditions.to_vec();
        statements.push(Statement::DestinationIsLocal);
        statements.push(Statement::Verdict(Verdict::Jump(hostports.to_owned())));
        Rule::new(statements)
    };
    let [v4, v6] = &config.conditions;
    if v4.statements.is_empty() && v6.statements.is_empty() {
        return vec![jump(&[])];
    }
    let of_family = |conditions: &Conditions, all: Statement| {
        let mut statements = conditions.statements.clone();
        statements.push(all);
        jump(&statements)
    };
    let everything = |family| Subnet::default_route(family);
    vec![
        of_family(v4, Statement::Within(Field::Ip4Destination, everything(Family::V4))),
        of_family(v6, Statement::Within(Field::Ip6Destination, everything(Family::V6))),
    ]
}

/// Publishing on 127.0.0.1 needs `route_localnet`, which would let containers reach what listens
/// on this host's loopback; nothing that comes in from outside is meant for it.
fn declare_localnet_guard(shared: &mut impl FnMut(Resource)) {
    let base = BaseChain { kind: ChainKind::Filter, hook: Hook::Prerouting, priority: -300 };
    let Ok(lo) = "lo".parse::<IfName>() else { return };
    let Ok(localnet) = "127.0.0.0/8".parse::<Subnet>() else { return };
    let rule = Rule::new([
        Statement::NotEqual(Field::InterfaceIn, Datum::Interface(lo)),
        Statement::Within(Field::Ip4Destination, localnet),
        Statement::Verdict(Verdict::Drop),
    ]);
    shared(NftChain::base(table(), "localnet_guard", base, vec![rule]).into());
}

/// A container's subnet and this host reach the published port with an address that the container
/// answers through the host.
fn declare_hairpin(desired: &mut Desired, config: &Config, tag: &Tag, container: Prefix) {
    let family = container.family();
    let chain = hairpin_chain(config.masquerade_all, container.subnet());
    let name = chain.name.clone();
    desired.push(Place::Host, Lifetime::Shared, chain);
    let elements = NftElements::replacing(hairpin(family), tag.clone())
        .with(vec![Datum::Ip(container.ip())], ElementData::Verdict(Verdict::Goto(name)));
    desired.push(Place::Host, Lifetime::Attachment, elements);
}

fn hairpin_chain(masquerade_all: bool, subnet: Subnet) -> NftChain {
    if masquerade_all {
        let rules = vec![Rule::new([Statement::Masquerade])];
        return NftChain::regular(table(), "hairpin_all", rules);
    }
    let source = match subnet.family() {
        Family::V4 => Field::Ip4Source,
        Family::V6 => Field::Ip6Source,
    };
    let from = |subnet| Rule::new([Statement::Within(source, subnet), Statement::Masquerade]);
    let mut rules = vec![from(subnet)];
    if let (Family::V4, Ok(localnet)) = (subnet.family(), "127.0.0.0/8".parse()) {
        rules.push(from(localnet));
    }
    let name = format!("hairpin_{}_{}", subnet.ip().to_string().replace(':', "-"), subnet.length());
    NftChain::regular(table(), name, rules)
}

/// Reads the conditions that we can put into a rule: any number of
/// `ip|ip6 saddr|daddr [==|!=] SUBNET` and `iifname [==|!=] NAME`.
pub(crate) fn parse_conditions(words: &[String], family: Family) -> Result<Vec<Statement>, String> {
    let mut statements = Vec::new();
    let mut words = words.iter().map(|word| word.trim_matches('"')).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let field = match (word, family) {
            ("ip", Family::V4) | ("ip6", Family::V6) | ("meta", _) => {
                words.next().unwrap_or_default()
            }
            (other, _) => other,
        };
        let mut value = words.next().unwrap_or_default();
        let negated = value == "!=";
        if negated || value == "==" {
            value = words.next().unwrap_or_default();
        }
        statements.push(condition(field, negated, value, family)?);
    }
    Ok(statements)
}

fn condition(field: &str, negated: bool, value: &str, family: Family) -> Result<Statement, String> {
    let unknown = || {
        format!(
            "cannot use the condition {field:?} {value:?}: known are saddr, daddr and iifname; \
             hint: write it for iptables"
        )
    };
    if field == "iifname" {
        let name = Datum::Interface(value.parse().map_err(|_| unknown())?);
        let field = Field::InterfaceIn;
        return Ok(if negated {
            Statement::NotEqual(field, name)
        } else {
            Statement::Equal(field, name)
        });
    }
    let field = match (field, family) {
        ("saddr", Family::V4) => Field::Ip4Source,
        ("daddr", Family::V4) => Field::Ip4Destination,
        ("saddr", Family::V6) => Field::Ip6Source,
        ("daddr", Family::V6) => Field::Ip6Destination,
        _ => return Err(unknown()),
    };
    let host = || value.parse().map(Prefix::host).map_err(|_| unknown());
    let subnet = value.parse::<Prefix>().or_else(|_| host())?.subnet();
    if subnet.family() != family {
        return Err(unknown());
    }
    Ok(if negated { Statement::Outside(field, subnet) } else { Statement::Within(field, subnet) })
}
