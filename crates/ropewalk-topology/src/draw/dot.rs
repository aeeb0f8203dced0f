//! The network as a graph for Graphviz: a cluster for each namespace, a node for each link.

use alloc::{format, string::String};

use super::words::{self, put};
use crate::{Graph, LinkAt, Relation, model::Host};

/// Writes a host's network in the language of Graphviz.
pub fn dot(host: &Host) -> String {
    let graph = Graph::of(host);
    let mut text = String::from(
        "graph network {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=sans];\n",
    );
    for (position, namespace) in host.namespaces.iter().enumerate() {
        let label = quoted(&words::namespace(namespace));
        put(&mut text, format_args!("  subgraph cluster_{position} {{\n    label={label};\n"));
        if let Err(reason) = &namespace.content {
            let label = quoted(&format!("not read: {reason}"));
            put(
                &mut text,
                format_args!("    unread_{position} [label={label}, shape=plaintext];\n"),
            );
        }
        let content = namespace.content();
        for link in content.into_iter().flat_map(|content| &content.links) {
            let addresses = content.map(|content| words::addresses(content, link));
            let addresses = addresses.unwrap_or_default().join("\n");
            let label = format!("{}\n{}\n{addresses}", link.name, words::kind(link));
            let shape = if link.is("bridge") { ", shape=box3d" } else { "" };
            let style = if link.is_up() { "" } else { ", style=dashed" };
            let node = node(LinkAt { namespace: position, index: link.index });
            let label = quoted(label.trim_end());
            put(&mut text, format_args!("    {node} [label={label}{shape}{style}];\n"));
        }
        text.push_str("  }\n");
    }
    for (one, relation, other) in graph.relations() {
        let style = match relation {
            Relation::Peer => "",
            Relation::Port => " [style=bold]",
            Relation::Upper => " [style=dotted]",
        };
        put(&mut text, format_args!("  {} -- {}{style};\n", node(one), node(other)));
    }
    text.push_str("}\n");
    text
}

fn node(at: LinkAt) -> String {
    format!("n{}_{}", at.namespace, at.index)
}

/// A text in quotes; line feeds are written as Graphviz knows them.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{text}\"")
}
