//! What has changed between two looks at a namespace, one line for each thing.
//!
//! What moves by itself is never a change: counters, ages, the states of neighbours.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    draw::words,
    model::{
        Base, Content, Data, Element, Expression, Identity, Link, Namespace, Neighbour, Port,
        Route, Rule, Table, Verdict,
    },
};

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// It is new.
    Added,
    /// It is not there any more.
    Removed,
    /// It is another one.
    Changed,
}

impl Act {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A network namespace.
    Namespace,
    /// A link.
    Link,
    /// An address of a link.
    Address,
    /// A route.
    Route,
    /// A routing rule.
    Rule,
    /// A neighbour, or where a bridge sends frames.
    Neighbour,
    /// A queue of a link.
    Queue,
    /// A table of nftables.
    Table,
    /// A sysctl.
    Setting,
}

impl Kind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Link => "link",
            Self::Address => "address",
            Self::Route => "route",
            Self::Rule => "rule",
            Self::Neighbour => "neighbour",
            Self::Queue => "queue",
            Self::Table => "table",
            Self::Setting => "setting",
        }
    }
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// In which namespace.
    pub namespace: Identity,
    /// What that is called.
    pub place: String,
    /// What became of it.
    pub act: Act,
    /// What it is.
    pub kind: Kind,
    /// The index of the link that it belongs to.
    pub link: Option<u32>,
    /// Which one, and how it differs from before.
    pub what: String,
}

/// What is compared of one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Fact {
    link: Option<u32>,
    /// Which one it is, for people.
    name: String,
    /// Its values, in an order that is always the same.
    values: Vec<(&'static str, String)>,
}

/// The name of a value that tells that something differs, and to nobody what.
const DIGEST: &str = "digest";

/// `NUD_NOARP`.
const NOARP: u16 = 0x40;

type Facts = BTreeMap<(Kind, String), Fact>;

/// Compares a namespace before and after; one that came or went is a change of its own.
pub fn changes(before: Option<&Namespace>, after: Option<&Namespace>) -> Vec<Change> {
    let Some(place) = after.or(before) else { return Vec::new() };
    let change = |act, kind, link, what| {
        let (namespace, place) = (place.identity, place.name());
        Change { namespace, place, act, kind, link, what }
    };
    if before.is_none() || after.is_none() {
        let act = if before.is_none() { Act::Added } else { Act::Removed };
        return Vec::from([change(act, Kind::Namespace, None, place.name())]);
    }
    let facts = |namespace: Option<&Namespace>| {
        namespace.and_then(Namespace::content).map(facts).unwrap_or_default()
    };
    let (old, new) = (facts(before), facts(after));
    let mut found = Vec::new();
    // Which settings are read depends on the links that there are.
    let is_kept = |kind: Kind| kind != Kind::Setting;
    for ((kind, key), fact) in old.iter().filter(|((kind, _), _)| is_kept(*kind)) {
        if !new.contains_key(&(*kind, key.clone())) {
            found.push(change(Act::Removed, *kind, fact.link, fact.name.clone()));
        }
    }
    for ((kind, key), fact) in &new {
        match old.get(&(*kind, key.clone())) {
            None if !is_kept(*kind) => {}
            None => found.push(change(Act::Added, *kind, fact.link, described(fact))),
            Some(past) if past.values != fact.values => {
                found.push(change(Act::Changed, *kind, fact.link, difference(past, fact)));
            }
            Some(_) => {}
        }
    }
    found
}

fn described(fact: &Fact) -> String {
    let is_told = |(name, value): &&(&'static str, String)| {
        !value.is_empty() && *name != DIGEST && *value != fact.name
    };
    let told = fact.values.iter().filter(is_told);
    let values: Vec<String> = told.map(|(name, value)| labelled(name, value)).collect();
    match values.as_slice() {
        [] => fact.name.clone(),
        values => format!("{}: {}", fact.name, values.join(", ")),
    }
}

fn labelled(name: &str, value: &str) -> String {
    if name.is_empty() { value.into() } else { format!("{name} {value}") }
}

fn difference(past: &Fact, fact: &Fact) -> String {
    let word = |value: &str| if value.is_empty() { "none".into() } else { value.to_string() };
    let both = past.values.iter().zip(&fact.values).filter(|(old, new)| old != new);
    let values: Vec<String> = both
        .filter(|((name, _), _)| *name != DIGEST)
        .map(|((name, old), (_, new))| labelled(name, &format!("{} → {}", word(old), word(new))))
        .collect();
    if values.is_empty() {
        return format!("{}: replaced", fact.name);
    }
    format!("{}: {}", fact.name, values.join(", "))
}

fn facts(content: &Content) -> Facts {
    let mut all = Facts::new();
    let named =
        |index: u32| content.link(index).map_or_else(|| index.to_string(), |l| l.name.clone());
    for link in &content.links {
        all.insert((Kind::Link, link.index.to_string()), link_fact(link, named));
    }
    for address in &content.addresses {
        let name = format!("{address} on {}", named(address.link));
        let values = Vec::from([("peer", optional(address.peer.as_ref()))]);
        all.insert((Kind::Address, name.clone()), Fact { link: Some(address.link), name, values });
    }
    for route in &content.routes {
        // What the kernel makes for addresses says nothing new.
        if route.kind == 2 || route.kind == 3 || route.protocol == 2 {
            continue;
        }
        let key = format!("{} {} {} {}", route.destination, route.table, route.priority, route.tos);
        all.insert((Kind::Route, key), route_fact(content, route));
    }
    for rule in &content.rules {
        let name =
            format!("{} priority {}", if rule.is_v6 { "IPv6" } else { "IPv4" }, rule.priority);
        let key = format!("{rule:?}");
        let values = Vec::from([("table", rule.table.to_string())]);
        all.insert((Kind::Rule, key), Fact { link: None, name, values });
    }
    // Those of groups are computed, not found out.
    let found = |neighbour: &&Neighbour| neighbour.mac.is_some() && neighbour.state & NOARP == 0;
    for neighbour in content.neighbours.iter().filter(found) {
        let name = format!("{} on {}", neighbour.ip, named(neighbour.link));
        let values = Vec::from([("at", optional(neighbour.mac.as_ref()))]);
        all.insert(
            (Kind::Neighbour, name.clone()),
            Fact { link: Some(neighbour.link), name, values },
        );
    }
    for hop in &content.next_hops {
        let name = words::next_hop(content, hop);
        all.insert((Kind::Route, name.clone()), Fact { link: None, name, values: Vec::new() });
    }
    for queue in content.qdiscs.iter().chain(&content.classes).filter(|queue| queue.handle != 0) {
        let number = queue.handle & 0xffff;
        let class = if number == 0 { String::new() } else { format!(" class {number:x}") };
        let name = format!("{}{class} on {}", queue.kind, named(queue.link));
        let key =
            format!("{} {:x} {:x} {:?}", queue.link, queue.handle, queue.parent, queue.options);
        all.insert((Kind::Queue, key), Fact { link: Some(queue.link), name, values: Vec::new() });
    }
    for filter in content.traffic_filters.iter().filter(|filter| filter.is_rule()) {
        let name = format!("filter {} on {}", filter.kind, named(filter.link));
        let key = format!("{filter:?}");
        all.insert((Kind::Queue, key), Fact { link: Some(filter.link), name, values: Vec::new() });
    }
    let legacy = content.filter.legacy.iter().map(|table| ("old iptables ", table));
    for (prefix, table) in content.filter.tables.iter().map(|table| ("", table)).chain(legacy) {
        let key = format!("{prefix}{} {}", table.family.name(), table.name);
        all.insert((Kind::Table, key.clone()), table_fact(key, table));
    }
    for setting in content.settings.iter().filter(|one| !one.name.ends_with("conntrack_count")) {
        let values = Vec::from([("", setting.value.clone())]);
        let fact = Fact { link: None, name: setting.name.clone(), values };
        all.insert((Kind::Setting, setting.name.clone()), fact);
    }
    all
}

fn optional<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn link_fact(link: &Link, named: impl Fn(u32) -> String) -> Fact {
    let vlans: Vec<String> = link.vlans.iter().map(|vlan| vlan.id.to_string()).collect();
    let values = Vec::from([
        ("name", link.name.clone()),
        ("", words::kind(link)),
        ("", words::state(link).into()),
        ("mtu", link.mtu.to_string()),
        ("mac", optional(link.mac.as_ref())),
        ("part of", link.master.map(named).unwrap_or_default()),
        ("alias", link.alias.clone().unwrap_or_default()),
        ("port", link.port.map(port).unwrap_or_default()),
        ("VLANs", vlans.join(" ")),
        ("xdp", optional(link.xdp.as_ref())),
    ]);
    Fact { link: Some(link.index), name: link.name.clone(), values }
}

/// What is not ordinary about a port.
fn port(port: Port) -> String {
    let states = ["disabled", "listening", "learning", "", "blocking"];
    let state = states.get(usize::from(port.state)).unwrap_or(&"?");
    let notes = [
        (port.hairpin, "hairpin"),
        (port.isolated, "isolated"),
        (!port.learning, "does not learn"),
        (!port.flood, "does not flood"),
    ];
    let notes = notes.into_iter().filter(|(is_so, _)| *is_so).map(|(_, note)| note);
    let words: Vec<&str> =
        Some(*state).into_iter().chain(notes).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn route_fact(content: &Content, route: &Route) -> Fact {
    let table = if route.table == 254 { String::new() } else { format!(" table {}", route.table) };
    let name = format!("{}{table}", route.destination);
    let way = words::route(content, route);
    let values = Vec::from([
        ("", way.strip_prefix(&route.destination.to_string()).unwrap_or(&way).trim().into()),
        ("source", optional(route.preferred_source.as_ref())),
        ("kind", if route.kind == 1 { String::new() } else { route.kind.to_string() }),
    ]);
    Fact { link: route.hops.first().and_then(|hop| hop.link), name, values }
}

/// Rules and elements are told by their number; whether one was replaced is seen from the rest.
fn table_fact(name: String, table: &Table) -> Fact {
    // Those of the old iptables have no number of their own.
    let is_step =
        |step: &&Expression| table.handle == 0 && !matches!(step, Expression::Counter { .. });
    let rule = |rule: &Rule| {
        let steps: Vec<&Expression> = rule.expressions.iter().filter(is_step).collect();
        format!("{} {:?} {steps:?}", rule.handle, rule.comment)
    };
    let chains = table.chains.iter().map(|chain| {
        let rules: Vec<String> = chain.rules.iter().map(rule).collect();
        let base = chain.base.clone().map(|base| Base { counted: None, ..base });
        format!("{} {base:?} {}", chain.name, rules.join(","))
    });
    let element = |element: &Element| {
        let target = match &element.data {
            Some(Data::Verdict(Verdict::Jump(chain) | Verdict::Goto(chain))) => chain.clone(),
            other => format!("{other:?}"),
        };
        format!("{:?} {:?} {target}", element.key, element.last)
    };
    let elements: Vec<String> =
        table.sets.iter().flat_map(|set| set.elements.iter().map(element)).collect();
    let values = Vec::from([
        ("chains", table.chains.len().to_string()),
        ("rules", table.rule_count().to_string()),
        ("sets", table.sets.len().to_string()),
        ("elements", elements.len().to_string()),
        ("", words::count(table.objects.len(), "object", "objects").unwrap_or_default()),
        (
            "",
            words::count(table.flow_tables.len(), "flow table", "flow tables").unwrap_or_default(),
        ),
        (DIGEST, digest(chains.chain(elements))),
    ]);
    Fact { link: None, name, values }
}

/// A short text that is another one for other content (FNV-1a).
fn digest(parts: impl Iterator<Item = String>) -> String {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{state:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Address, Chain, Counters},
        samples,
    };

    fn namespace(links: Vec<Link>, addresses: Vec<Address>) -> Namespace {
        let content = Content { links, addresses, ..Content::default() };
        samples::namespace(7, "/run/netns/c1", content)
    }

    fn link(name: &str) -> Link {
        samples::link(2, name, "")
    }

    fn told(before: Option<&Namespace>, after: Option<&Namespace>) -> Vec<String> {
        let line = |change: Change| {
            let (act, kind) = (change.act.name(), change.kind.name());
            format!("{}: {kind} {act}: {}", change.place, change.what)
        };
        changes(before, after).into_iter().map(line).collect()
    }

    #[test]
    fn namespaces_come_and_go_as_one_change() {
        let one = namespace(Vec::from([link("eth0")]), Vec::new());
        assert_eq!(told(None, Some(&one)), ["c1: namespace added: c1"]);
        assert_eq!(told(Some(&one), None), ["c1: namespace removed: c1"]);
        assert!(told(None, None).is_empty());
    }

    #[test]
    fn links_and_addresses_are_compared_and_counters_are_not() {
        let address = samples::address(2, "10.1.0.2/24");
        let before = namespace(Vec::from([link("eth0")]), Vec::new());
        let counters = Counters { rx_bytes: 5, ..Counters::default() };
        let counted = namespace(Vec::from([Link { counters, ..link("eth0") }]), Vec::new());
        assert!(told(Some(&before), Some(&counted)).is_empty());
        let after = namespace(
            Vec::from([Link { mtu: 1400, flags: 0, ..link("eth0") }]),
            Vec::from([address]),
        );
        assert_eq!(
            told(Some(&before), Some(&after)),
            [
                "c1: link changed: eth0: up → down, mtu 1500 → 1400",
                "c1: address added: 10.1.0.2/24 on eth0"
            ]
        );
        assert_eq!(
            told(Some(&after), Some(&before))[0],
            "c1: address removed: 10.1.0.2/24 on eth0"
        );
    }

    #[test]
    fn rules_of_the_old_iptables_are_compared_and_counters_are_not() {
        let table = |packets, length| {
            let rule = Rule {
                handle: 1,
                expressions: Vec::from([
                    Expression::Payload { base: 1, offset: 12, length, into: 1 },
                    Expression::Counter { packets, bytes: 0 },
                ]),
                comment: None,
            };
            let base = Base { counted: Some((packets, 0)), ..Base::default() };
            let chain = Chain { base: Some(base), rules: Vec::from([rule]), ..Chain::default() };
            let mut one = namespace(Vec::new(), Vec::new());
            let content = one.content.as_mut().unwrap();
            content.filter.legacy.push(Table { chains: Vec::from([chain]), ..Table::default() });
            one
        };
        assert!(told(Some(&table(1, 4)), Some(&table(2, 4))).is_empty());
        assert_eq!(told(Some(&table(1, 4)), Some(&table(1, 2))).len(), 1);
    }
}
