//! The network as a tree for a terminal: bridges with their ports, each with the container at its
//! other end.

use alloc::{format, string::String, vec, vec::Vec};

use super::{
    outline::{Node, Outline, Section},
    words::{self, put},
};
use crate::{
    Graph, LinkAt,
    model::{Content, Host, Link, Namespace, Qdisc, Route, Table},
    terminal,
};

/// A cell that is wider makes no column wider.
const WIDEST: usize = 44;

/// How many names are told of things that are all alike.
const NAMED: usize = 12;

/// A line with those below it.
struct Line {
    cells: Vec<String>,
    below: Vec<Line>,
}

impl Line {
    fn text(text: String) -> Self {
        Self { cells: vec![text], below: Vec::new() }
    }
}

/// Draws a host's network.
pub fn tree(host: &Host) -> String {
    let graph = Graph::of(host);
    let outline = Outline::of(&graph);
    let mut text = String::new();
    for section in &outline.sections {
        let Some(namespace) = host.namespaces.get(section.namespace) else { continue };
        if !text.is_empty() {
            text.push('\n');
        }
        put(&mut text, format_args!("{}\n", terminal::line(&words::namespace(namespace))));
        draw(&section_lines(&graph, section, namespace), "", &mut text);
    }
    let names_of = |positions: &[usize]| -> Vec<String> {
        let namespaces = positions.iter().filter_map(|&at| host.namespaces.get(at));
        namespaces.map(Namespace::name).collect()
    };
    if let Some(count) = words::count(outline.idle.len(), "namespace", "namespaces") {
        let names = some(&names_of(&outline.idle));
        let names = terminal::line(&names);
        put(&mut text, format_args!("\n{count} with nothing but loopback: {names}\n"));
    }
    for &position in &outline.unreadable {
        let Some(namespace) = host.namespaces.get(position) else { continue };
        if let Err(reason) = &namespace.content {
            let words = format!("{}: not read: {reason}", words::namespace(namespace));
            put(&mut text, format_args!("\n{}\n", terminal::line(&words)));
        }
    }
    text
}

/// The first names, and how many more there are.
fn some(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Writes lines in aligned columns, each behind the branches that lead to it.
fn draw(lines: &[Line], before: &str, text: &mut String) {
    let width = |cell: &String| Some(cell.chars().count()).filter(|width| *width <= WIDEST);
    let columns = lines.iter().map(|line| line.cells.len()).max().unwrap_or(0);
    let widest = |column: usize| {
        // The last cell of a line needs no room behind it.
        let cells = lines.iter().filter(|line| line.cells.len() > column + 1);
        cells.filter_map(|line| width(&line.cells[column])).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    for (position, line) in lines.iter().enumerate() {
        let is_last = position + 1 == lines.len();
        let (branch, room) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let cells = line.cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let cells = cells.filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("  ");
        let cells = terminal::line(cells.trim_end());
        put(text, format_args!("{before}{branch}{cells}\n"));
        draw(&line.below, &format!("{before}{room}"), text);
    }
}

fn section_lines(graph: &Graph<'_>, section: &Section, namespace: &Namespace) -> Vec<Line> {
    let Some(content) = namespace.content() else { return Vec::new() };
    let mut lines: Vec<Line> =
        section.nodes.iter().filter_map(|node| line(graph, node, section.namespace)).collect();
    lines.extend(routes(content).map(Line::text));
    lines.extend(queues(content).map(Line::text));
    lines.extend(tables("nftables", &content.filter.tables).map(Line::text));
    lines.extend(tables("old iptables", &content.filter.legacy).map(Line::text));
    lines.extend(settings(content).map(Line::text));
    for gap in &content.gaps {
        lines.push(Line::text(format!("not read: {}: {}", gap.what, gap.reason)));
    }
    lines
}

fn line(graph: &Graph<'_>, node: &Node, home: usize) -> Option<Line> {
    let link = graph.link(node.at)?;
    let content = graph.namespace(node.at)?.content()?;
    let far = node.far.and_then(|far| Some((far, graph.link(far)?)));
    let name = match graph.namespace(node.at) {
        Some(namespace) if node.at.namespace != home => {
            format!("{} in {}", link.name, words::namespace(namespace))
        }
        _ => link.name.clone(),
    };
    let mut addresses = words::addresses(content, link);
    let far_content = far.and_then(|(far, _)| graph.namespace(far)?.content());
    if let (Some((_, far)), Some(content)) = (far, far_content) {
        addresses.extend(words::addresses(content, far));
    }
    let cells = vec![
        name,
        what(graph, node.at, (link, home), far),
        states(link, far.map(|(_, link)| link)),
        mtus(link, far.map(|(_, link)| link)),
        addresses.join(" "),
        words::traffic(link).unwrap_or_default(),
        link.switch.as_ref().map(|switch| format!("port {switch}")).unwrap_or_default(),
    ];
    let below = node.children.iter().filter_map(|child| line(graph, child, home)).collect();
    Some(Line { cells, below })
}

/// What a link is, or who is at its other end.
fn what(
    graph: &Graph<'_>,
    at: LinkAt,
    (link, home): (&Link, usize),
    far: Option<(LinkAt, &Link)>,
) -> String {
    if let Some((far_at, far)) = far {
        let whose = match graph.namespace(far_at) {
            Some(namespace) if far_at.namespace != at.namespace => {
                format!(" in {}", words::namespace(namespace))
            }
            _ => String::new(),
        };
        return format!("⇄ {}{whose}", far.name);
    }
    let kind = words::kind(link);
    let Some(lower) = link.lower.filter(|lower| lower.index != 0) else { return kind };
    match graph.lower(at) {
        // It is told somewhere else than below what it stands on.
        Some(below)
            if link.master.is_some()
                || (below.namespace != at.namespace && at.namespace == home) =>
        {
            let name = graph.link(below).map(|link| link.name.clone()).unwrap_or_default();
            match graph.namespace(below).filter(|_| below.namespace != at.namespace) {
                Some(namespace) => format!("{kind} over {name} in {}", namespace.name()),
                None => format!("{kind} over {name}"),
            }
        }
        Some(_) => kind,
        None => format!("{kind}, its other end ({}) is in an unknown namespace", lower.index),
    }
}

fn states(link: &Link, far: Option<&Link>) -> String {
    let state = words::state(link);
    match far.map(words::state) {
        Some(far) if far != state && far != "no carrier" && state != "no carrier" => {
            format!("{state}/{far}")
        }
        _ if far.is_some_and(|far| !far.is_up()) && link.is_up() => "up/down".into(),
        _ => state.into(),
    }
}

fn mtus(link: &Link, far: Option<&Link>) -> String {
    match far {
        Some(far) if far.mtu != link.mtu => format!("mtu {}/{}", link.mtu, far.mtu),
        _ => format!("mtu {}", link.mtu),
    }
}

/// The default routes, and how many others there are.
fn routes(content: &Content) -> Option<String> {
    // What the kernel makes for addresses says nothing new.
    let is_told = |route: &&Route| route.kind != 2 && route.kind != 3 && route.protocol != 2;
    let told: Vec<&Route> = content.routes.iter().filter(is_told).collect();
    let is_default = |route: &&&Route| {
        route.destination.is_default() && route.table == 254 && !route.hops.is_empty()
    };
    let defaults: Vec<String> =
        told.iter().filter(is_default).map(|route| words::route(content, route)).collect();
    let others = words::count(told.len() - defaults.len(), "other", "others");
    let standard = |priority: u32| [0, 32766, 32767].contains(&priority);
    let rules = content.rules.iter().filter(|rule| !standard(rule.priority)).count();
    let rules = words::count(rules, "routing rule", "routing rules");
    let hops = words::count(content.next_hops.len(), "next hop", "next hops");
    let parts: Vec<String> = defaults.into_iter().chain(others).chain(rules).chain(hops).collect();
    (!parts.is_empty()).then(|| format!("routes: {}", parts.join(", ")))
}

/// Queues that somebody chose, with their classes and filters.
fn queues(content: &Content) -> Option<String> {
    let is_chosen = |queue: &&Qdisc| {
        !["noqueue", "mq", "pfifo_fast", "fq", "fq_codel"].contains(&&*queue.kind)
            && queue.handle != 0
    };
    let text = |queue: &Qdisc| {
        let link = content.link(queue.link).map_or("?", |link| &*link.name);
        let is_its = |handle: u32| handle >> 16 == queue.handle >> 16;
        let classes = content.classes.iter();
        let classes = classes.filter(|one| one.link == queue.link && is_its(one.handle)).count();
        let filters = content
            .traffic_filters
            .iter()
            .filter(|one| one.link == queue.link && is_its(one.parent) && one.is_rule());
        let parts = [
            words::count(classes, "class", "classes"),
            words::count(filters.count(), "filter", "filters"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let name = format!("{} at {link}", queue.kind);
        if parts.is_empty() { name } else { format!("{name} ({})", parts.join(", ")) }
    };
    let texts: Vec<String> = content.qdiscs.iter().filter(is_chosen).map(text).collect();
    (!texts.is_empty()).then(|| format!("queues: {}", texts.join(", ")))
}

fn tables(what: &str, tables: &[Table]) -> Option<String> {
    let table = |table: &Table| {
        let rules = words::count(table.rule_count(), "rule", "rules");
        let elements = table.sets.iter().map(|set| set.elements.len()).sum();
        let elements = words::count(elements, "element", "elements");
        let objects = words::count(table.objects.len(), "object", "objects");
        let flows = words::count(table.flow_tables.len(), "flow table", "flow tables");
        let parts = [rules, elements, objects, flows];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let name = format!("{} {}", table.family.name(), table.name);
        if parts.is_empty() { name } else { format!("{name} ({})", parts.join(", ")) }
    };
    let tables: Vec<String> = tables.iter().map(table).collect();
    (!tables.is_empty()).then(|| format!("{what}: {}", tables.join(", ")))
}

fn settings(content: &Content) -> Option<String> {
    let is_on = |name: &str| content.setting(name) == Some("1");
    let families = [("ipv4/ip_forward", "IPv4"), ("ipv6/conf/all/forwarding", "IPv6")];
    let forwarded: Vec<&str> =
        families.iter().filter(|(name, _)| is_on(name)).map(|(_, family)| *family).collect();
    let connections = content.setting("netfilter/nf_conntrack_count");
    let connections = connections.and_then(|count| count.parse().ok());
    let connections = connections
        .and_then(|count| words::count(count, "tracked connection", "tracked connections"));
    let forwards = (!forwarded.is_empty()).then(|| format!("forwards {}", forwarded.join(" and ")));
    let parts: Vec<String> = forwards.into_iter().chain(connections).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
