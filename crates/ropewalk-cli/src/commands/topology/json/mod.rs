//! The model as JSON. Numbers that the kernel defines stay numbers; indexes of links are those of
//! their namespace, and namespaces are named by their inodes.

mod filter;

use ropewalk_topology::model::{
    Address, Connection, Content, Counters, Destination, Details, ForwardingEntry, Gap, Hop, Host,
    Link, Namespace, Neighbour, NextHop, NextHopKind, Port, Qdisc, Route, RoutingRule, Setting,
    TrafficFilter, Tuple,
};
use ropewalk_topology::{Graph, LinkAt, Relation};
use serde_json::{Map, Value, json};

use crate::commands::stats::switches;

pub(super) fn document(host: &Host) -> Value {
    let graph = Graph::of(host);
    let namespaces: Vec<Value> = host.namespaces.iter().map(|one| namespace(host, one)).collect();
    let place = |at: LinkAt| {
        let inode = graph.namespace(at).map(|namespace| namespace.identity.inode);
        json!({ "namespace": inode, "link": at.index })
    };
    let relation = |(from, kind, to): (LinkAt, Relation, LinkAt)| {
        let kind = match kind {
            Relation::Peer => "peer",
            Relation::Port => "port",
            Relation::Upper => "upper",
        };
        json!({ "kind": kind, "from": place(from), "to": place(to) })
    };
    let relations: Vec<Value> = graph.relations().into_iter().map(relation).collect();
    json!({ "namespaces": namespaces, "relations": relations })
}

fn namespace(host: &Host, one: &Namespace) -> Value {
    let container = one.container.as_ref().map(|container| {
        json!({
            "runtime": container.runtime.name(),
            "id": container.id,
            "name": container.name,
        })
    });
    let attachment = |attachment: &ropewalk_topology::model::Attachment| {
        json!({
            "network": attachment.network,
            "containerID": attachment.container,
            "ifname": attachment.interface,
        })
    };
    let numbers: Map<String, Value> = one
        .numbers
        .iter()
        .filter_map(|(number, at)| {
            let inode = host.namespaces.get(*at)?.identity.inode;
            Some((number.to_string(), json!(inode)))
        })
        .collect();
    let mut value = json!({
        "inode": one.identity.inode,
        "name": one.name(),
        "own": one.is_own,
        "paths": one.paths,
        "owner": one.owner.as_ref().map(|owner| json!({ "pid": owner.pid, "command": owner.command })),
        "processes": one.process_count,
        "container": container,
        "unit": one.unit,
        "attachments": one.attachments.iter().map(attachment).collect::<Vec<Value>>(),
        "numbers": numbers,
    });
    match &one.content {
        Ok(content) => fill(&mut value, content),
        Err(reason) => value["error"] = json!(reason),
    }
    value
}

fn list<T>(items: &[T], value: impl Fn(&T) -> Value) -> Value {
    items.iter().map(value).collect()
}

fn fill(value: &mut Value, content: &Content) {
    value["links"] = list(&content.links, link);
    value["addresses"] = list(&content.addresses, address);
    value["routes"] = list(&content.routes, route);
    value["rules"] = list(&content.rules, rule);
    value["neighbours"] = list(&content.neighbours, neighbour);
    value["forwarding"] = list(&content.forwarding, forwarding);
    value["nextHops"] = list(&content.next_hops, next_hop);
    value["qdiscs"] = list(&content.qdiscs, qdisc);
    value["classes"] = list(&content.classes, qdisc);
    value["trafficFilters"] = list(&content.traffic_filters, traffic_filter);
    value["tables"] = list(&content.filter.tables, filter::table);
    value["legacyTables"] = list(&content.filter.legacy, filter::table);
    let setting = |one: &Setting| (one.name.clone(), json!(one.value));
    value["settings"] = Value::Object(content.settings.iter().map(setting).collect());
    if let Some(connections) = &content.connections {
        value["connections"] = list(connections, connection);
    }
    let gap = |gap: &Gap| json!({ "what": gap.what, "reason": gap.reason });
    value["gaps"] = list(&content.gaps, gap);
}

fn link(link: &Link) -> Value {
    let lower = link.lower.map(|one| json!({ "index": one.index, "namespace": one.namespace }));
    let vlan =
        |vlan: &ropewalk_topology::model::BridgeVlan| json!({ "id": vlan.id, "flags": vlan.flags });
    json!({
        "index": link.index,
        "name": link.name,
        "otherNames": link.other_names,
        "alias": link.alias,
        "kind": link.kind,
        "hardwareType": link.hardware_type,
        "flags": link.flags,
        "up": link.is_up(),
        "state": link.state.name(),
        "mac": link.mac.as_ref().map(ToString::to_string),
        "mtu": link.mtu,
        "queueLength": link.queue_length,
        "master": link.master,
        "lower": lower,
        "details": details(&link.details),
        "port": link.port.map(port),
        "vlans": list(&link.vlans, vlan),
        "counters": counters(&link.counters),
        "ipv4Settings": link.ipv4_settings,
        "ipv6Settings": link.ipv6_settings,
        "xdp": link.xdp,
        "leavesChecksums": link.leaves_checksums,
        "switch": link.switch.as_ref().map(switches::value),
    })
}

fn details(details: &Details) -> Value {
    match details {
        Details::Plain => Value::Null,
        Details::Bridge { vlan_filtering, spanning_tree, ageing } => json!({
            "vlanFiltering": vlan_filtering,
            "spanningTree": spanning_tree,
            "ageing": ageing,
        }),
        Details::Vlan { id, protocol } => json!({ "id": id, "protocol": protocol }),
        Details::Vxlan { id, local, remote, port, learning } => json!({
            "id": id,
            "local": local,
            "remote": remote,
            "port": port,
            "learning": learning,
        }),
        Details::Macvlan { mode } => json!({ "mode": mode }),
        Details::Ipvlan { mode } => json!({ "mode": mode }),
        Details::Vrf { table } => json!({ "table": table }),
        Details::Tun { is_tap, owner } => json!({ "tap": is_tap, "owner": owner }),
        Details::Tunnel { local, remote } => json!({ "local": local, "remote": remote }),
    }
}

fn port(port: Port) -> Value {
    json!({
        "state": port.state,
        "hairpin": port.hairpin,
        "isolated": port.isolated,
        "learning": port.learning,
        "flood": port.flood,
    })
}

fn counters(counters: &Counters) -> Value {
    json!({
        "rxPackets": counters.rx_packets,
        "txPackets": counters.tx_packets,
        "rxBytes": counters.rx_bytes,
        "txBytes": counters.tx_bytes,
        "rxErrors": counters.rx_errors,
        "txErrors": counters.tx_errors,
        "rxDropped": counters.rx_dropped,
        "txDropped": counters.tx_dropped,
    })
}

fn address(address: &Address) -> Value {
    json!({
        "link": address.link,
        "ip": address.ip,
        "length": address.length,
        "peer": address.peer,
        "scope": address.scope,
        "flags": address.flags,
        "label": address.label,
        "validSeconds": address.valid_seconds,
    })
}

fn prefix(destination: &Destination) -> Value {
    json!(format!("{}/{}", destination.ip, destination.length))
}

fn hop(hop: &Hop) -> Value {
    json!({
        "link": hop.link,
        "gateway": hop.gateway,
        "weight": hop.weight,
        "flags": hop.flags,
        "encapsulation": hop.encapsulation.as_ref().map(|(kind, bytes)| {
            json!({ "kind": kind, "bytes": hex(bytes) })
        }),
    })
}

fn next_hop(next_hop: &NextHop) -> Value {
    let (kind, value) = match &next_hop.kind {
        NextHopKind::Hop(one) => ("hop", hop(one)),
        NextHopKind::Group(members) => {
            let member = |(id, weight): &(u32, u16)| json!({ "id": id, "weight": weight });
            ("group", list(members, member))
        }
        NextHopKind::Blackhole => ("blackhole", json!(true)),
    };
    json!({
        "id": next_hop.id,
        kind: value,
        "protocol": next_hop.protocol,
        "scope": next_hop.scope,
        "flags": next_hop.flags,
        "forFrames": next_hop.is_for_frames,
    })
}

fn route(route: &Route) -> Value {
    let metrics = route.metrics.iter().map(|(kind, value)| (kind.to_string(), json!(value)));
    json!({
        "destination": prefix(&route.destination),
        "source": route.source.as_ref().map(prefix),
        "table": route.table,
        "priority": route.priority,
        "kind": route.kind,
        "protocol": route.protocol,
        "scope": route.scope,
        "flags": route.flags,
        "tos": route.tos,
        "hops": list(&route.hops, hop),
        "preferredSource": route.preferred_source,
        "nextHop": route.next_hop,
        "metrics": metrics.collect::<Map<String, Value>>(),
    })
}

fn rule(rule: &RoutingRule) -> Value {
    json!({
        "family": if rule.is_v6 { 6 } else { 4 },
        "priority": rule.priority,
        "action": rule.action,
        "table": rule.table,
        "inverted": rule.is_inverted,
        "source": rule.source.as_ref().map(prefix),
        "destination": rule.destination.as_ref().map(prefix),
        "mark": rule.mark.map(|(mark, mask)| json!({ "value": mark, "mask": mask })),
        "input": rule.input,
        "output": rule.output,
        "tos": rule.tos,
        "ipProtocol": rule.ip_protocol,
        "sourcePorts": rule.source_ports,
        "destinationPorts": rule.destination_ports,
        "users": rule.users,
        "suppressedLength": rule.suppressed_length,
        "byDomain": rule.by_domain,
        "goto": rule.goto,
        "protocol": rule.protocol,
    })
}

fn neighbour(neighbour: &Neighbour) -> Value {
    json!({
        "link": neighbour.link,
        "ip": neighbour.ip,
        "mac": neighbour.mac.as_ref().map(ToString::to_string),
        "state": neighbour.state,
        "flags": neighbour.flags,
    })
}

fn forwarding(entry: &ForwardingEntry) -> Value {
    json!({
        "link": entry.link,
        "master": entry.master,
        "mac": entry.mac.to_string(),
        "vlan": entry.vlan,
        "state": entry.state,
        "flags": entry.flags,
        "remote": entry.remote,
        "remoteID": entry.remote_id,
        "remotePort": entry.remote_port,
    })
}

fn qdisc(qdisc: &Qdisc) -> Value {
    json!({
        "link": qdisc.link,
        "kind": qdisc.kind,
        "handle": qdisc.handle,
        "parent": qdisc.parent,
        "options": hex(&qdisc.options),
        "bytes": qdisc.bytes,
        "packets": qdisc.packets,
        "drops": qdisc.drops,
    })
}

fn traffic_filter(filter: &TrafficFilter) -> Value {
    json!({
        "link": filter.link,
        "parent": filter.parent,
        "kind": filter.kind,
        "protocol": filter.protocol,
        "priority": filter.priority,
        "handle": filter.handle,
        "chain": filter.chain,
        "options": hex(&filter.options),
    })
}

fn connection(connection: &Connection) -> Value {
    let tuple = |tuple: &Tuple| {
        json!({
            "source": tuple.source,
            "destination": tuple.destination,
            "sourcePort": tuple.source_port,
            "destinationPort": tuple.destination_port,
            "packets": tuple.packets,
            "bytes": tuple.bytes,
        })
    };
    json!({
        "protocol": connection.protocol,
        "original": tuple(&connection.original),
        "reply": tuple(&connection.reply),
        "mark": connection.mark,
        "status": connection.status,
        "zone": connection.zone,
        "timeout": connection.timeout,
    })
}

/// Bytes as text.
fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}
