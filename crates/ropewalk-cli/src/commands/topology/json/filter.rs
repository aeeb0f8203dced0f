//! nftables as JSON: expressions by their names in the kernel, with registers and bytes.

use ropewalk_topology::{
    model::{
        Base, Chain, Comparison, Data, Element, Expression, FilterFamily, FlowTable, Object,
        ObjectState, Rule, Set, Table, Verdict,
    },
    xtables::{Action, Condition},
};
use serde_json::{Value, json};

use super::{hex, list};

pub(super) fn table(table: &Table) -> Value {
    json!({
        "family": table.family.name(),
        "name": table.name,
        "handle": table.handle,
        "flags": table.flags,
        "chains": list(&table.chains, |one| chain(table.family, one)),
        "sets": list(&table.sets, set),
        "objects": list(&table.objects, object),
        "flowTables": list(&table.flow_tables, flow_table),
    })
}

fn chain(family: FilterFamily, chain: &Chain) -> Value {
    json!({
        "name": chain.name,
        "handle": chain.handle,
        "base": chain.base.as_ref().map(base),
        "rules": list(&chain.rules, |one| rule(family, one)),
    })
}

fn base(base: &Base) -> Value {
    json!({
        "type": base.kind,
        "hook": base.hook,
        "priority": base.priority,
        "policy": if base.accepts { "accept" } else { "drop" },
        "devices": base.devices,
        "counted": base.counted.map(|(packets, bytes)| json!({ "packets": packets, "bytes": bytes })),
    })
}

fn rule(family: FilterFamily, rule: &Rule) -> Value {
    json!({
        "handle": rule.handle,
        "comment": rule.comment,
        "expressions": list(&rule.expressions, |one| expression(family, one)),
    })
}

fn set(set: &Set) -> Value {
    json!({
        "name": set.name,
        "handle": set.handle,
        "flags": set.flags,
        "keyType": set.key_type,
        "keyLength": set.key_length,
        "dataType": set.data_type,
        "timeout": set.timeout,
        "elements": list(&set.elements, element),
    })
}

fn element(element: &Element) -> Value {
    json!({
        "key": hex(&element.key),
        "last": element.last.as_deref().map(hex),
        "data": element.data.as_ref().map(data),
        "flags": element.flags,
        "expires": element.expires,
        "comment": element.comment,
    })
}

fn object(object: &Object) -> Value {
    let (kind, value) = match &object.state {
        ObjectState::Counter { packets, bytes } => {
            ("counter", json!({ "packets": packets, "bytes": bytes }))
        }
        ObjectState::Quota { bytes, used, is_inverted } => {
            ("quota", json!({ "bytes": bytes, "used": used, "inverted": is_inverted }))
        }
        ObjectState::Limit { rate, seconds, burst, of_bytes, is_inverted } => (
            "limit",
            json!({ "rate": rate, "seconds": seconds, "burst": burst,
                "of": if *of_bytes { "bytes" } else { "packets" }, "inverted": is_inverted }),
        ),
        ObjectState::Helper { name, family, protocol } => {
            ("ctHelper", json!({ "name": name, "family": family, "ipProtocol": protocol }))
        }
        ObjectState::Other { kind, attributes } => {
            ("other", json!({ "kind": kind, "attributes": attributes_by_number(attributes) }))
        }
    };
    json!({
        "name": object.name,
        "handle": object.handle,
        "comment": object.comment,
        kind: value,
    })
}

fn flow_table(table: &FlowTable) -> Value {
    json!({
        "name": table.name,
        "handle": table.handle,
        "flags": table.flags,
        "hook": table.hook,
        "priority": table.priority,
        "devices": table.devices,
    })
}

fn attributes_by_number(attributes: &[(u16, Vec<u8>)]) -> Value {
    let pairs = attributes.iter().map(|(kind, bytes)| (kind.to_string(), json!(hex(bytes))));
    Value::Object(pairs.collect())
}

fn data(data: &Data) -> Value {
    match data {
        Data::Value(bytes) => json!({ "value": hex(bytes) }),
        Data::Verdict(verdict) => json!({ "verdict": verdict_word(verdict) }),
    }
}

fn verdict_word(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Accept => json!("accept"),
        Verdict::Drop => json!("drop"),
        Verdict::Return => json!("return"),
        Verdict::Continue => json!("continue"),
        Verdict::Jump(chain) => json!({ "jump": chain }),
        Verdict::Goto(chain) => json!({ "goto": chain }),
        Verdict::Other(code) => json!(code),
    }
}

fn comparison_word(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "==",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::AtMost => "<=",
        Comparison::Greater => ">",
        Comparison::AtLeast => ">=",
    }
}

fn expression(family: FilterFamily, expression: &Expression) -> Value {
    let (name, value) = match expression {
        Expression::Meta { key, into } => ("meta", json!({ "key": key, "into": into })),
        Expression::SetMeta { key, from } => ("meta", json!({ "key": key, "from": from })),
        Expression::Payload { base, offset, length, into } => {
            ("payload", json!({ "base": base, "offset": offset, "length": length, "into": into }))
        }
        Expression::Compare { register, comparison, value } => (
            "cmp",
            json!({ "register": register, "is": comparison_word(*comparison), "value": hex(value) }),
        ),
        Expression::Range { register, is_inverted, first, last } => (
            "range",
            json!({ "register": register, "inverted": is_inverted, "first": hex(first),
                "last": hex(last) }),
        ),
        Expression::Bitwise { from, into, mask, xor } => {
            ("bitwise", json!({ "from": from, "into": into, "mask": hex(mask), "xor": hex(xor) }))
        }
        Expression::Immediate { into, data: one } => {
            ("immediate", json!({ "into": into, "data": data(one) }))
        }
        Expression::Lookup { set, from, into, is_inverted } => {
            ("lookup", json!({ "set": set, "from": from, "into": into, "inverted": is_inverted }))
        }
        Expression::Connection { key, direction, into } => {
            ("ct", json!({ "key": key, "direction": direction, "into": into }))
        }
        Expression::SetConnection { key, direction, from } => {
            ("ct", json!({ "key": key, "direction": direction, "from": from }))
        }
        Expression::Fib { result, flags, into } => {
            ("fib", json!({ "result": result, "flags": flags, "into": into }))
        }
        other => return action(family, other),
    };
    json!({ name: value })
}

/// Steps that do something with the packet, those of iptables, and unknown ones.
fn action(family: FilterFamily, expression: &Expression) -> Value {
    match expression {
        Expression::Nat { of_source, family, addresses, ports, flags } => json!({ "nat": {
            "type": if *of_source { "snat" } else { "dnat" },
            "family": family,
            "addresses": addresses,
            "ports": ports,
            "flags": flags,
        } }),
        Expression::Masquerade { flags } => json!({ "masq": { "flags": flags } }),
        Expression::Redirect { ports } => json!({ "redir": { "ports": ports } }),
        Expression::Reject { kind, code } => json!({ "reject": { "type": kind, "code": code } }),
        Expression::Counter { packets, bytes } => {
            json!({ "counter": { "packets": packets, "bytes": bytes } })
        }
        Expression::Match { name, revision, info } => {
            let means = Condition::read(family, name, *revision, info);
            json!({ "match": extension(name, *revision, info, means) })
        }
        Expression::Target { name, revision, info } => {
            let means = Action::read(family, name, *revision, info);
            json!({ "target": extension(name, *revision, info, means) })
        }
        Expression::Other { name, attributes } => {
            json!({ name: attributes_by_number(attributes) })
        }
        Expression::Meta { .. }
        | Expression::SetMeta { .. }
        | Expression::Payload { .. }
        | Expression::Compare { .. }
        | Expression::Range { .. }
        | Expression::Bitwise { .. }
        | Expression::Immediate { .. }
        | Expression::Lookup { .. }
        | Expression::Connection { .. }
        | Expression::SetConnection { .. }
        | Expression::Fib { .. } => Value::Null,
    }
}

/// A match or target of iptables, in its own words where they are known.
fn extension(name: &str, revision: u32, info: &[u8], means: Option<impl ToString>) -> Value {
    let means = means.map(|means| means.to_string());
    json!({ "name": name, "revision": revision, "info": hex(info), "means": means })
}
