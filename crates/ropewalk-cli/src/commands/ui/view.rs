//! The model as the page is told it. It decides nothing: what to show is the page's to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use ropewalk_topology::draw::words;
use ropewalk_topology::explain::rule_words;
use ropewalk_topology::model::{self, Content, Host, Namespace};
use ropewalk_topology::{Graph, LinkAt};

use super::api::{Chain, Change, Counted, Detail, End, Line, Link, Rate, Rates, Space, Table};
use crate::live::{LinkId, Rate as Speed};

/// Seconds since 1970, with milliseconds.
pub(super) fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1000.0).round() / 1000.0
}

pub(super) fn spaces(host: &Host) -> Vec<Space> {
    let graph = Graph::of(host);
    let namespaces = host.namespaces.iter().enumerate();
    namespaces.map(|(position, namespace)| space(&graph, position, namespace)).collect()
}

fn space(graph: &Graph<'_>, position: usize, namespace: &Namespace) -> Space {
    let container = namespace.container.as_ref();
    let networks: BTreeSet<&String> =
        namespace.attachments.iter().map(|attachment| &attachment.network).collect();
    let links = namespace.content().into_iter().flat_map(|content| {
        content.links.iter().map(move |link| {
            let at = LinkAt { namespace: position, index: link.index };
            self::link(graph, content, at, link)
        })
    });
    Space {
        id: namespace.identity.inode,
        name: namespace.name(),
        own: namespace.is_own,
        owner: namespace.owner.as_ref().map(ToString::to_string),
        runtime: container.map(|container| container.runtime.name().to_owned()),
        container: container.map(|container| container.id.chars().take(12).collect()),
        unit: namespace.unit.clone(),
        networks: networks.into_iter().cloned().collect(),
        paths: namespace.paths.clone(),
        error: namespace.content.as_ref().err().cloned(),
        links: links.collect(),
    }
}

fn link(graph: &Graph<'_>, content: &Content, at: LinkAt, link: &model::Link) -> Link {
    let end = |at: LinkAt| {
        let space = graph.namespace(at)?.identity.inode;
        Some(End { space, link: at.index })
    };
    let addresses = content.addresses_of(link.index);
    Link {
        index: link.index,
        name: link.name.clone(),
        kind: link.kind_name().to_owned(),
        what: words::kind(link),
        state: words::state(link).to_owned(),
        loopback: link.is_loopback(),
        mtu: link.mtu,
        mac: link.mac.as_ref().map(ToString::to_string),
        alias: link.alias.clone(),
        addresses: addresses.map(ToString::to_string).collect(),
        master: link.master,
        peer: graph.peer(at).and_then(end),
        lower: graph.lower(at).filter(|_| !link.is("veth")).and_then(end),
    }
}

pub(super) fn change(change: ropewalk_topology::Change) -> Change {
    Change {
        time: now(),
        space: change.namespace.inode,
        name: change.place,
        act: change.act.name(),
        kind: change.kind.name(),
        link: change.link,
        what: change.what,
    }
}

pub(super) fn rates(speeds: &BTreeMap<LinkId, Speed>) -> Rates {
    let links = speeds.iter().map(|(&(space, link), speed)| {
        let (rx, tx) = (speed.rx.round(), speed.tx.round());
        Rate { space, link, rx, tx }
    });
    Rates { time: now(), links: links.collect() }
}

/// What else is in a namespace.
pub(super) fn detail(host: &Host, inode: u64) -> Option<Detail> {
    let namespace = host.namespaces.get(host.position(inode)?)?;
    let content = namespace.content()?;
    let name = |index: u32| content.link(index).map_or("?", |link| link.name.as_str());
    let on = |link: u32, text: String| Line { link: Some(link), text };
    let neighbours = content.neighbours.iter().filter_map(|neighbour| {
        // Those of groups are computed (`NUD_NOARP`), not found out.
        let mac = neighbour.mac.as_ref().filter(|_| neighbour.state & 0x40 == 0)?;
        Some(on(neighbour.link, format!("{} at {mac} on {}", neighbour.ip, name(neighbour.link))))
    });
    let queues = content.qdiscs.iter().filter(|qdisc| qdisc.handle != 0);
    let gap = |gap: &model::Gap| format!("{}: {}", gap.what, gap.reason);
    let counted = |link: &model::Link| Counted {
        link: link.index,
        rx: link.counters.rx_bytes,
        tx: link.counters.tx_bytes,
        dropped: link.counters.rx_dropped + link.counters.tx_dropped,
        errors: link.counters.rx_errors + link.counters.tx_errors,
    };
    let legacy = content.filter.legacy.iter().map(|table| table_in("old iptables ", table));
    let tables = content.filter.tables.iter().map(|table| table_in("", table));
    Some(Detail {
        id: inode,
        routes: content.routes.iter().filter_map(|route| self::route(content, route)).collect(),
        rules: content.rules.iter().map(rule).collect(),
        neighbours: neighbours.collect(),
        queues: queues
            .map(|one| on(one.link, format!("{} on {}", one.kind, name(one.link))))
            .collect(),
        tables: tables.chain(legacy).collect(),
        gaps: content.gaps.iter().map(gap).collect(),
        counters: content.links.iter().map(counted).collect(),
    })
}

/// A route, if it says more than an address does.
fn route(content: &Content, route: &model::Route) -> Option<Line> {
    let kind = match route.kind {
        1 => "",
        6 => "blackhole ",
        7 => "unreachable ",
        8 => "prohibit ",
        9 => "throw ",
        _ => return None,
    };
    let link = route.hops.first().and_then(|hop| hop.link);
    if link.and_then(|index| content.link(index)).is_some_and(model::Link::is_loopback) {
        return None;
    }
    let table = if route.table == 254 { String::new() } else { format!(" table {}", route.table) };
    let metric =
        if route.priority == 0 { String::new() } else { format!(" metric {}", route.priority) };
    let text = format!("{kind}{}{table}{metric}", words::route(content, route));
    Some(Line { link, text })
}

fn rule(rule: &model::RoutingRule) -> Line {
    let mut text = format!("{}: ", rule.priority);
    let mut put = |word: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(text, "{word} {value} ");
        }
    };
    put("not", rule.is_inverted.then(String::new));
    put("from", Some(rule.source.map_or_else(|| "all".to_owned(), |source| source.to_string())));
    put("to", rule.destination.map(|destination| destination.to_string()));
    put("iif", rule.input.clone());
    put("oif", rule.output.clone());
    put("fwmark", rule.mark.map(|(mark, mask)| format!("{mark:#x}/{mask:#x}")));
    let table = match rule.table {
        _ if rule.by_domain => "of the link's domain".to_owned(),
        255 => "local".to_owned(),
        254 => "main".to_owned(),
        253 => "default".to_owned(),
        other => other.to_string(),
    };
    put("lookup", (rule.action == 1).then_some(table));
    let family = if rule.is_v6 { "IPv6" } else { "IPv4" };
    Line { link: None, text: format!("{family} {}", text.trim_end()) }
}

fn table_in(prefix: &str, table: &model::Table) -> Table {
    let chain = |chain: &model::Chain| Chain {
        name: chain.name.clone(),
        entered: chain.base.as_ref().map(|base| {
            let policy = if base.accepts { "accept" } else { "drop" };
            format!("{} hook {} priority {} policy {policy}", base.kind, base.hook, base.priority)
        }),
        rules: chain.rules.iter().map(|rule| rule_text(table, rule)).collect(),
    };
    let name = format!("{prefix}{} {}", table.family.name(), table.name);
    Table { name, chains: table.chains.iter().map(chain).collect() }
}

fn rule_text(table: &model::Table, rule: &model::Rule) -> String {
    let comment =
        rule.comment.as_ref().map(|comment| format!(" \"{comment}\"")).unwrap_or_default();
    format!("{}{comment}", rule_words(table, rule))
}
