//! An explanation as JSON. Namespaces are named by their inodes, links by their indexes there.

use ropewalk_topology::LinkAt;
use ropewalk_topology::explain::{
    Asked, Bridged, Deed, End, Event, Journey, Packet, Port, Resolved, Routed, RuleAt, Stop, Told,
    Trace,
};
use ropewalk_topology::model::Host;
use serde_json::{Map, Value, json};

/// The whole explanation.
pub(crate) fn document(host: &Host, trace: &Trace) -> Value {
    json!({
        "outcome": trace.outcome.name(),
        "sent": packet(&trace.sent),
        "way": journey(host, &trace.way),
        "back": trace.back.as_ref().map(|back| journey(host, back)),
    })
}

fn packet(packet: &Packet) -> Value {
    let port = |port: Port| match port {
        _ if !packet.has_ports() => Value::Null,
        Port::Number(number) => json!(number),
        Port::Chosen => Value::Null,
    };
    json!({
        "source": packet.source,
        "destination": packet.destination,
        "protocol": packet.protocol_name(),
        "sourcePort": port(packet.source_port),
        "destinationPort": port(packet.destination_port),
        "mark": packet.mark,
    })
}

fn namespace(host: &Host, position: usize) -> Value {
    match host.namespaces.get(position) {
        Some(one) => json!({ "inode": one.identity.inode, "name": one.name() }),
        None => Value::Null,
    }
}

fn link(host: &Host, at: LinkAt) -> Value {
    let one = host.namespaces.get(at.namespace);
    let name = one.and_then(|one| one.link(at.index)).map(|link| link.name.clone());
    json!({
        "namespace": one.map(|one| one.identity.inode),
        "link": at.index,
        "name": name,
    })
}

fn journey(host: &Host, journey: &Journey) -> Value {
    let step = |step: &ropewalk_topology::explain::Step| {
        let (kind, mut value) = event(host, step.namespace, &step.event);
        value["kind"] = json!(kind);
        value["namespace"] = namespace(host, step.namespace);
        value
    };
    let largest = journey.largest.map(|(bytes, at)| json!({ "mtu": bytes, "at": link(host, at) }));
    json!({
        "steps": journey.steps.iter().map(step).collect::<Vec<Value>>(),
        "end": end(host, &journey.end),
        "last": packet(&journey.last),
        "largest": largest,
    })
}

fn event(host: &Host, position: usize, event: &Event) -> (&'static str, Value) {
    let at = |index: Option<u32>| match index {
        Some(index) => link(host, LinkAt { namespace: position, index }),
        None => Value::Null,
    };
    match event {
        Event::Entered { link } => ("enters", json!({ "link": at(Some(*link)) })),
        Event::Routed(one) => ("route", routed(one, &at(one.link))),
        Event::Asked(one) => ("rules", asked(host, one)),
        Event::Resolved(Resolved { link, address, mac, how }) => (
            "neighbour",
            json!({
                "link": at(Some(*link)),
                "address": address,
                "mac": mac.as_ref().map(ToString::to_string),
                "how": how,
            }),
        ),
        Event::Bridged(Bridged { bridge, from, to, why }) => (
            "bridge",
            json!({
                "bridge": at(Some(*bridge)),
                "from": at(*from),
                "to": at(*to),
                "why": why,
            }),
        ),
        Event::Crossed { from, to } => {
            ("crosses", json!({ "from": link(host, *from), "to": link(host, *to) }))
        }
        Event::Noted(text) => ("note", json!({ "text": text })),
    }
}

fn routed(routed: &Routed, link: &Value) -> Value {
    json!({
        "local": routed.is_local,
        "rule": routed.rule,
        "route": routed.route,
        "link": link,
        "gateway": routed.gateway,
        "source": routed.source.map(|(ip, why)| json!({ "ip": ip, "why": why })),
        "insteadOf": routed.instead_of,
    })
}

fn asked(host: &Host, asked: &Asked) -> Value {
    json!({
        "hook": asked.hook,
        "chains": asked.chains,
        "deeds": asked.deeds.iter().map(|one| deed(host, one)).collect::<Vec<Value>>(),
        "connection": asked.state,
        "becomes": asked.becomes.as_ref().map(packet),
    })
}

fn deed(host: &Host, deed: &Deed) -> Value {
    json!({ "action": deed.action, "rule": rule(host, &deed.rule) })
}

fn rule(host: &Host, rule: &RuleAt) -> Value {
    json!({
        "namespace": namespace(host, rule.namespace),
        "family": rule.family.name(),
        "table": rule.table,
        "chain": rule.chain,
        "handle": rule.handle,
        "position": rule.position,
        "text": rule.text,
        "comment": rule.comment,
        "through": rule.through,
        "iptables": rule.is_iptables,
        "legacy": rule.is_legacy,
    })
}

fn end(host: &Host, end: &End) -> Value {
    let mut value = match end {
        End::Delivered { at } => json!({ "at": link(host, *at) }),
        End::Left { at, to } => json!({ "at": link(host, *at), "to": to }),
        End::Stopped(stop) | End::Unknown(stop) => stopped(host, stop),
    };
    value["kind"] = json!(match end {
        End::Delivered { .. } => "delivered",
        End::Left { .. } => "left",
        End::Stopped(_) => "stopped",
        End::Unknown(_) => "unknown",
    });
    value
}

fn stopped(host: &Host, stop: &Stop) -> Value {
    let told = match stop.told {
        Told::Nothing => "nothing",
        Told::Error => "error",
        Told::Reset => "reset",
    };
    let mut value = Map::new();
    value.insert("namespace".into(), namespace(host, stop.namespace));
    value.insert("place".into(), json!(stop.place));
    value.insert("reason".into(), json!(stop.reason));
    value.insert("senderHears".into(), json!(told));
    value.insert("rule".into(), stop.rule.as_ref().map_or(Value::Null, |one| rule(host, one)));
    value.insert("shownBy".into(), json!(stop.shown_by));
    value.insert("changedBy".into(), json!(stop.changed_by));
    Value::Object(value)
}
