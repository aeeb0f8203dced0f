//! Statistics as JSON: totals since the links were made, and rates.

use ropewalk_topology::traffic::{Passed, Row, Traffic, Uplink};
use serde_json::{Value, json};

use super::rates::{Rate, Rates};
use super::switches;

pub(super) fn document(traffic: &Traffic) -> Value {
    json!({
        "interfaces": traffic.rows.iter().map(row).collect::<Vec<Value>>(),
        "uplinks": traffic.uplinks.iter().map(uplink).collect::<Vec<Value>>(),
        "tracked": tracked(traffic),
    })
}

pub(super) fn rates(rates: &Rates) -> Value {
    let with = |mut value: Value, received: Rate, sent: Rate| {
        value["receivedPerSecond"] = rate(received);
        value["sentPerSecond"] = rate(sent);
        value
    };
    let rows = rates.rows.iter().map(|(one, received, sent)| with(row(one), *received, *sent));
    let uplinks = rates.uplinks.iter();
    let uplinks = uplinks.map(|(one, received, sent)| with(uplink(one), *received, *sent));
    json!({
        "seconds": rates.seconds,
        "interfaces": rows.collect::<Vec<Value>>(),
        "uplinks": uplinks.collect::<Vec<Value>>(),
        "tracked": tracked(&rates.now),
    })
}

fn row(row: &Row) -> Value {
    let subject = &row.subject;
    json!({
        "network": subject.network,
        "container": subject.container,
        "interface": subject.interface,
        "namespace": subject.namespace,
        "pod": subject.pod,
        "owner": subject.owner,
        "received": passed(row.received),
        "sent": passed(row.sent),
        "connections": row.connections,
        "uplinks": row.uplinks,
    })
}

fn uplink(uplink: &Uplink) -> Value {
    json!({
        "name": uplink.name,
        "received": passed(uplink.received),
        "sent": passed(uplink.sent),
        "containers": uplink.containers,
        "switch": uplink.switch.as_ref().map(switches::value),
    })
}

fn tracked(traffic: &Traffic) -> Value {
    let one = |one: &ropewalk_topology::traffic::Tracked| json!({ "namespace": one.namespace, "count": one.count, "most": one.most });
    traffic.tracked.iter().map(one).collect()
}

fn passed(passed: Passed) -> Value {
    json!({
        "packets": passed.packets,
        "bytes": passed.bytes,
        "dropped": passed.dropped,
        "errors": passed.errors,
    })
}

fn rate(rate: Rate) -> Value {
    json!({
        "packets": rate.packets,
        "bytes": rate.bytes,
        "dropped": rate.dropped,
        "errors": rate.errors,
    })
}
