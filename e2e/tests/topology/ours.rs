//! What `ropewalk topology --json` says of a namespace, as sorted lines of words.

use ropewalk_e2e::Value;

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A text or number as a word.
pub(crate) fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(crate) fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

fn name(namespace: &Value, index: &Value) -> String {
    let links = list(namespace, "links").iter();
    let mut found = links.filter(|link| !index.is_null() && link["index"] == *index);
    found.next().map_or("-".into(), |link| word(&link["name"]))
}

/// The hardware address of a tunnel is the address of its own end, which `ip` writes as such.
fn dotted(mac: &str) -> String {
    let bytes = mac.split(':').map(|byte| u8::from_str_radix(byte, 16));
    match bytes.collect::<Result<Vec<u8>, _>>().as_deref() {
        Ok(&[a, b, c, d]) => format!("{a}.{b}.{c}.{d}"),
        _ => mac.to_owned(),
    }
}

pub(crate) fn links(namespace: &Value) -> Vec<String> {
    sorted(list(namespace, "links").iter().map(|link| {
        let words = ["index", "name", "mtu", "state", "mac", "kind", "alias", "queueLength"];
        let mut words: Vec<String> = words.iter().map(|key| word(&link[*key])).collect();
        words[4] = dotted(&words[4]);
        let master = name(namespace, &link["master"]);
        let number = word(&link["lower"]["namespace"]);
        let details = match link["kind"].as_str() {
            Some("vxlan") => {
                format!("{} {}", link["details"]["id"], word(&link["details"]["remote"]))
            }
            Some("vlan") => word(&link["details"]["id"]),
            _ => String::new(),
        };
        let port = &link["port"];
        let port = format!("{} {}", word(&port["hairpin"]), word(&port["isolated"]));
        let up = link["up"] == true;
        format!("{} master {master} netns {number} up {up} {details} port {port}", words.join(" "))
    }))
}

pub(crate) fn addresses(namespace: &Value) -> Vec<String> {
    sorted(list(namespace, "addresses").iter().map(|one| {
        let link = name(namespace, &one["link"]);
        let words = ["ip", "length", "peer", "scope"].map(|key| word(&one[key]));
        format!("{link} {}", words.join(" "))
    }))
}

pub(crate) fn routes(namespace: &Value) -> Vec<String> {
    sorted(list(namespace, "routes").iter().map(|route| {
        let hops = sorted(list(route, "hops").iter().map(|hop| {
            let link = name(namespace, &hop["link"]);
            format!("{} {link} {}", word(&hop["gateway"]), hop["weight"])
        }));
        let words = ["destination", "table", "priority", "kind", "protocol", "preferredSource"];
        let words = words.map(|key| word(&route[key]));
        let mtu = word(&route["metrics"]["2"]);
        format!("{} mtu {mtu} hops {}", words.join(" "), hops.join(", "))
    }))
}

pub(crate) fn rules(namespace: &Value) -> Vec<String> {
    sorted(list(namespace, "rules").iter().map(|rule| {
        let words = ["family", "priority", "table", "source", "destination", "input", "ipProtocol"];
        let words = words.map(|key| word(&rule[key]));
        let (value, mask) = (word(&rule["mark"]["value"]), word(&rule["mark"]["mask"]));
        let ports = word(&rule["destinationPorts"][0]);
        format!("{} mark {value}/{mask} port {ports}", words.join(" "))
    }))
}

pub(crate) fn neighbours(namespace: &Value) -> Vec<String> {
    // Addresses of groups come and go, and are nobody's.
    let is_group = |one: &&Value| one["ip"].as_str().is_some_and(|ip| ip.starts_with("ff"));
    sorted(list(namespace, "neighbours").iter().filter(|one| !is_group(one)).map(|one| {
        let link = name(namespace, &one["link"]);
        let is_proxy = one["flags"].as_u64().unwrap_or_default() & 8 != 0;
        let mac = if is_proxy { "-".into() } else { word(&one["mac"]) };
        format!("{link} {} {mac} proxy {is_proxy}", word(&one["ip"]))
    }))
}

pub(crate) fn forwarding(namespace: &Value) -> Vec<String> {
    sorted(list(namespace, "forwarding").iter().map(|one| {
        let (link, master) = (name(namespace, &one["link"]), name(namespace, &one["master"]));
        let words = ["mac", "vlan", "remote"].map(|key| word(&one[key]));
        let permanent = one["state"].as_u64().unwrap_or_default() & 128 != 0;
        format!("{link} {master} {} permanent {permanent}", words.join(" "))
    }))
}

pub(crate) fn qdiscs(namespace: &Value) -> Vec<String> {
    sorted(list(namespace, "qdiscs").iter().map(|one| {
        let number = |key: &str| one[key].as_u64().unwrap_or_default();
        let (handle, parent) = (number("handle") >> 16, number("parent"));
        let root = parent == 0xffff_ffff;
        format!("{} {} {handle:x}: root {root}", name(namespace, &one["link"]), word(&one["kind"]))
    }))
}

/// A queue or class as `tc` writes it.
fn handle(number: &Value) -> String {
    match number.as_u64().unwrap_or_default() {
        0xffff_ffff => "root".into(),
        0xffff_fff2 => "ingress".into(),
        0xffff_fff3 => "egress".into(),
        number => {
            let hex = |number: u64| match number {
                0 => String::new(),
                number => format!("{number:x}"),
            };
            format!("{}:{}", hex(number >> 16), hex(number & 0xffff))
        }
    }
}

pub(crate) fn classes(namespace: &Value) -> Vec<String> {
    sorted(list(namespace, "classes").iter().map(|one| {
        let (link, kind) = (name(namespace, &one["link"]), word(&one["kind"]));
        format!("{link} {kind} {} {}", handle(&one["handle"]), handle(&one["parent"]))
    }))
}

pub(crate) fn traffic_filters(namespace: &Value) -> Vec<String> {
    sorted(list(namespace, "trafficFilters").iter().map(|one| {
        let (link, parent) = (name(namespace, &one["link"]), handle(&one["parent"]));
        let protocol = match one["protocol"].as_u64() {
            Some(3) => "all".into(),
            Some(0x0800) => "ip".into(),
            Some(0x0806) => "arp".into(),
            Some(0x86dd) => "ipv6".into(),
            _ => word(&one["protocol"]),
        };
        let words = ["kind", "priority", "chain"].map(|key| word(&one[key])).join(" ");
        format!("{link} {parent} {protocol} {words}")
    }))
}

pub(crate) fn next_hops(namespace: &Value) -> Vec<String> {
    sorted(list(namespace, "nextHops").iter().map(|one| {
        let (hop, blackhole) = (&one["hop"], one["blackhole"] == true);
        let (link, gateway) = (name(namespace, &hop["link"]), word(&hop["gateway"]));
        let members = list(one, "group").iter().map(|member| {
            format!("{} {}", member["id"], member["weight"].as_u64().unwrap_or_default() + 1)
        });
        let group = members.collect::<Vec<_>>().join(", ");
        format!("{} via {gateway} dev {link} blackhole {blackhole} group {group}", one["id"])
    }))
}

/// An object of nftables with what it is.
fn object(object: &Value) -> String {
    let words = |kind: &str, keys: &[&str]| {
        let words: Vec<String> = keys.iter().map(|key| word(&object[kind][*key])).collect();
        words.join(" ")
    };
    let (kind, text) = if !object["counter"].is_null() {
        ("counter", words("counter", &["packets", "bytes"]))
    } else if !object["quota"].is_null() {
        ("quota", words("quota", &["bytes", "used", "inverted"]))
    } else if !object["limit"].is_null() {
        ("limit", words("limit", &["rate", "seconds", "of", "inverted"]))
    } else if !object["ctHelper"].is_null() {
        ("ct helper", words("ctHelper", &["name", "ipProtocol", "family"]))
    } else {
        let kind = match object["other"]["kind"].as_u64() {
            Some(7) => "ct timeout",
            Some(9) => "ct expectation",
            Some(10) => "synproxy",
            other => panic!("an object of kind {other:?}"),
        };
        (kind, String::new())
    };
    format!(
        "{kind} {} {} {} {text}",
        word(&object["name"]),
        object["handle"],
        word(&object["comment"])
    )
}

pub(crate) fn nftables(namespace: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for table in list(namespace, "tables") {
        let place = format!("{} {}", word(&table["family"]), word(&table["name"]));
        lines.push(format!("table {place} {}", table["handle"]));
        for chain in list(table, "chains") {
            let base = &chain["base"];
            let words = ["type", "priority", "policy"].map(|key| word(&base[key])).join(" ");
            let (name, handle) = (word(&chain["name"]), &chain["handle"]);
            lines.push(format!("chain {place} {name} {handle} {words}"));
            for (position, rule) in list(chain, "rules").iter().enumerate() {
                let (handle, comment) = (&rule["handle"], word(&rule["comment"]));
                lines.push(format!("rule {place} {name} {position} {handle} {comment}"));
            }
        }
        lines.extend(list(table, "objects").iter().map(|one| format!("{place} {}", object(one))));
        for flows in list(table, "flowTables") {
            let words = ["name", "handle", "hook", "priority"].map(|key| word(&flows[key]));
            let devices = sorted(list(flows, "devices").iter().map(word)).join(" ");
            lines.push(format!("{place} flow table {} {devices}", words.join(" ")));
        }
        for set in list(table, "sets") {
            let flags = set["flags"].as_u64().unwrap_or_default();
            // Sets without a name belong to the rule that uses them. Intervals end with an
            // element of their own.
            if flags & 1 != 0 {
                continue;
            }
            let is_end = |one: &&Value| one["flags"].as_u64().unwrap_or_default() & 1 != 0;
            let elements = list(set, "elements").iter().filter(|one| !is_end(one)).count();
            let kind = if flags & 8 != 0 { "map" } else { "set" };
            let (name, handle) = (word(&set["name"]), &set["handle"]);
            lines.push(format!("{kind} {place} {name} {handle} elements {elements}"));
        }
    }
    sorted(lines.into_iter())
}

/// Whether iptables tells a chain even if there is none.
pub(crate) fn is_given(chain: &str) -> bool {
    ["INPUT", "OUTPUT", "FORWARD", "PREROUTING", "POSTROUTING"].contains(&chain)
}

/// Chains of the tables that iptables has, with how many rules each has.
pub(crate) fn iptables(namespace: &Value) -> Vec<String> {
    let names = ["filter", "nat", "mangle", "raw", "security"];
    let tables = list(namespace, "tables").iter().filter(|table| {
        table["family"] == "ip" && names.contains(&table["name"].as_str().unwrap_or_default())
    });
    sorted(tables.flat_map(|table| {
        let name = word(&table["name"]);
        let told = list(table, "chains")
            .iter()
            .filter(|chain| !is_given(&word(&chain["name"])) || !list(chain, "rules").is_empty());
        told.map(move |chain| {
            format!("{name} {} {}", word(&chain["name"]), list(chain, "rules").len())
        })
    }))
}
