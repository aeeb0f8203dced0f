//! What the programs of the distribution say of a namespace, as lines of the same words.

use ropewalk_e2e::{Lab, Value};

use super::ours::{is_given, sorted, word};

fn ask(lab: &Lab, path: &str, command: &str) -> Vec<Value> {
    let answer = lab.sh(&format!("nsenter --net={path} {command}"));
    if answer.is_empty() {
        return Vec::new();
    }
    match answer.parse() {
        // `ip -j` leaves empty objects where it filtered something out.
        Ok(Value::Array(all)) => all.into_iter().filter(|one| *one != empty()).collect(),
        other => panic!("{command}: {other:?}"),
    }
}

fn empty() -> Value {
    Value::Object(ropewalk_e2e::json!({}).as_object().cloned().unwrap_or_default())
}

fn has_flag(value: &Value, flag: &str) -> bool {
    value["flags"].as_array().is_some_and(|flags| flags.iter().any(|one| one == flag))
}

pub(crate) fn links(lab: &Lab, path: &str) -> Vec<String> {
    sorted(ask(lab, path, "ip -j -d link").iter().map(|link| {
        let info = &link["linkinfo"];
        let alias = word(&link["ifalias"]);
        let state = word(&link["operstate"]).to_lowercase();
        let words = [
            word(&link["ifindex"]),
            word(&link["ifname"]),
            word(&link["mtu"]),
            state,
            word(&link["address"]),
            word(&info["info_kind"]),
            alias,
            // A queue of no length is not told.
            link["txqlen"].as_u64().unwrap_or_default().to_string(),
        ];
        let data = &info["info_data"];
        let details = match info["info_kind"].as_str() {
            Some("vxlan") => format!("{} {}", data["id"], word(&data["remote"])),
            Some("vlan") => word(&data["id"]),
            _ => String::new(),
        };
        let port = &info["info_slave_data"];
        let port = format!("{} {}", word(&port["hairpin"]), word(&port["isolated"]));
        let (master, number) = (word(&link["master"]), word(&link["link_netnsid"]));
        let up = has_flag(link, "UP");
        format!("{} master {master} netns {number} up {up} {details} port {port}", words.join(" "))
    }))
}

pub(crate) fn addresses(lab: &Lab, path: &str) -> Vec<String> {
    let links = ask(lab, path, "ip -N -j address");
    sorted(links.iter().flat_map(|link| {
        let addresses = link["addr_info"].as_array().cloned().unwrap_or_default();
        let name = word(&link["ifname"]);
        addresses.into_iter().filter(|one| !one["local"].is_null()).map(move |one| {
            let words = ["local", "prefixlen", "address", "scope"].map(|key| word(&one[key]));
            format!("{name} {}", words.join(" "))
        })
    }))
}

fn prefix(value: &Value, is_v6: bool) -> String {
    match value.as_str() {
        None | Some("default") => if is_v6 { "::/0" } else { "0.0.0.0/0" }.into(),
        Some(text) if text.contains('/') => text.into(),
        Some(text) => format!("{text}/{}", if is_v6 { 128 } else { 32 }),
    }
}

/// The number of a type, which is left out for the ordinary one.
fn kind(number: &Value) -> String {
    if number.is_null() { "1".into() } else { word(number) }
}

pub(crate) fn routes(lab: &Lab, path: &str) -> Vec<String> {
    let of = |family: u8| {
        let all = ask(lab, path, &format!("ip -N -{family} -j -d route show table all"));
        all.into_iter().map(move |route| one_route(&route, family == 6))
    };
    sorted(of(4).chain(of(6)))
}

fn one_route(route: &Value, is_v6: bool) -> String {
    let hop = |hop: &Value| {
        let weight = hop["weight"].as_u64().map_or(0, |weight| weight - 1);
        format!("{} {} {weight}", word(&hop["gateway"]), word(&hop["dev"]))
    };
    let hops = match route["nexthops"].as_array() {
        Some(hops) => sorted(hops.iter().map(hop)),
        None if route["dev"].is_null() => Vec::new(),
        None => vec![hop(route)],
    };
    let table = if route["table"].is_null() { "254".into() } else { word(&route["table"]) };
    let priority = route["metric"].as_u64().unwrap_or_default();
    let words = [
        prefix(&route["dst"], is_v6),
        table,
        priority.to_string(),
        kind(&route["type"]),
        word(&route["protocol"]),
        word(&route["prefsrc"]),
    ];
    let mtu = word(&route["metrics"][0]["mtu"]);
    format!("{} mtu {mtu} hops {}", words.join(" "), hops.join(", "))
}

fn number(value: &Value) -> String {
    let text = word(value);
    let hex = text.strip_prefix("0x").map(|digits| u32::from_str_radix(digits, 16));
    hex.map_or(text.clone(), |number| number.map_or(text, |number| number.to_string()))
}

pub(crate) fn rules(lab: &Lab, path: &str) -> Vec<String> {
    let of = |family: u8| {
        let all = ask(lab, path, &format!("ip -N -{family} -j -d rule"));
        all.into_iter().map(move |rule| {
            let with_length = |address: &str, length: &str| match rule[address].as_str() {
                None | Some("all") => "-".into(),
                Some(ip) => {
                    let full = if family == 6 { 128 } else { 32 };
                    format!("{ip}/{}", rule[length].as_u64().unwrap_or(full))
                }
            };
            let words = [
                family.to_string(),
                word(&rule["priority"]),
                // A rule for routing domains has no table.
                word(&rule["table"]).replace('-', "0"),
                with_length("src", "srclen"),
                with_length("dst", "dstlen"),
                word(&rule["iif"]),
                word(&rule["ipproto"]).replace("ipproto-", ""),
            ];
            let (value, mask) = (number(&rule["fwmark"]), number(&rule["fwmask"]));
            let port = word(&rule["dport_start"]);
            format!("{} mark {value}/{mask} port {port}", words.join(" "))
        })
    };
    sorted(of(4).chain(of(6)))
}

pub(crate) fn neighbours(lab: &Lab, path: &str) -> Vec<String> {
    let of = |command: &str, is_proxy: bool| {
        let mut all = ask(lab, path, command);
        all.retain(|one| !word(&one["dst"]).starts_with("ff"));
        all.into_iter().map(move |one| {
            let mac = if is_proxy { "-".into() } else { word(&one["lladdr"]) };
            format!("{} {} {mac} proxy {is_proxy}", word(&one["dev"]), word(&one["dst"]))
        })
    };
    let known = of("ip -j neighbour show nud all", false);
    sorted(known.chain(of("ip -j neighbour show proxy", true)))
}

pub(crate) fn forwarding(lab: &Lab, path: &str) -> Vec<String> {
    sorted(ask(lab, path, "bridge -j fdb show").iter().map(|one| {
        let words = [word(&one["mac"]), word(&one["vlan"]), word(&one["dst"])].join(" ");
        let (link, master) = (word(&one["ifname"]), word(&one["master"]));
        let permanent = one["state"] == "permanent";
        format!("{link} {master} {words} permanent {permanent}")
    }))
}

pub(crate) fn qdiscs(lab: &Lab, path: &str) -> Vec<String> {
    sorted(ask(lab, path, "tc -j qdisc show").iter().map(|one| {
        let root = one["root"] == true;
        let words = ["dev", "kind", "handle"].map(|key| word(&one[key]));
        format!("{} root {root}", words.join(" "))
    }))
}

/// The queues that somebody chose, with the names of their links.
fn chosen_queues(lab: &Lab, path: &str) -> Vec<(String, String, String)> {
    let all = ask(lab, path, "tc -j qdisc show");
    let chosen = all.iter().filter(|one| one["handle"] != "0:");
    chosen.map(|one| (word(&one["dev"]), word(&one["kind"]), word(&one["handle"]))).collect()
}

/// `tc` writes classes as text only.
pub(crate) fn classes(lab: &Lab, path: &str) -> Vec<String> {
    let mut links: Vec<String> =
        chosen_queues(lab, path).into_iter().map(|(link, _, _)| link).collect();
    links.sort();
    links.dedup();
    sorted(links.into_iter().flat_map(|link| {
        let text = lab.sh(&format!("nsenter --net={path} tc class show dev {link}"));
        let line = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let &["class", kind, handle, root_or_parent, ref rest @ ..] = &words[..] else {
                panic!("{line}")
            };
            let parent = if root_or_parent == "root" { "root" } else { rest[0] };
            format!("{link} {kind} {handle} {parent}")
        };
        text.lines().map(line).collect::<Vec<_>>()
    }))
}

pub(crate) fn traffic_filters(lab: &Lab, path: &str) -> Vec<String> {
    let mut places = Vec::new();
    for (link, kind, handle) in chosen_queues(lab, path) {
        if kind == "clsact" {
            places.extend([(link.clone(), "ingress".into()), (link, "egress".into())]);
        } else {
            places.push((link, handle));
        }
    }
    let of_classes = classes(lab, path).into_iter().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        (words[0].to_owned(), words[2].to_owned())
    });
    places.extend(of_classes);
    sorted(places.into_iter().flat_map(|(link, parent)| {
        let place = match &*parent {
            "ingress" | "egress" => parent.clone(),
            handle => format!("parent {handle}"),
        };
        let all = ask(lab, path, &format!("tc -j filter show dev {link} {place}"));
        all.into_iter().map(move |one| {
            let words = ["protocol", "kind", "pref", "chain"].map(|key| word(&one[key]));
            format!("{link} {parent} {}", words.join(" "))
        })
    }))
}

pub(crate) fn next_hops(lab: &Lab, path: &str) -> Vec<String> {
    sorted(ask(lab, path, "ip -j nexthop").iter().map(|one| {
        let (gateway, link) = (word(&one["gateway"]), word(&one["dev"]));
        let blackhole = one.as_object().is_some_and(|keys| keys.contains_key("blackhole"));
        let members = one["group"].as_array().into_iter().flatten();
        let members = members
            .map(|member| format!("{} {}", member["id"], member["weight"].as_u64().unwrap_or(1)));
        let group = members.collect::<Vec<_>>().join(", ");
        format!("{} via {gateway} dev {link} blackhole {blackhole} group {group}", one["id"])
    }))
}

/// An object of nftables with what it is.
fn object_text(kind: &str, one: &Value) -> String {
    let text = match kind {
        "counter" => format!("{} {}", one["packets"], one["bytes"]),
        "quota" => format!("{} {} {}", one["bytes"], one["used"], one["inv"]),
        "limit" => {
            let unit: u64 = match one["rate_unit"].as_str() {
                None | Some("packets" | "bytes") => 1,
                Some("kbytes") => 1 << 10,
                Some("mbytes") => 1 << 20,
                Some(other) => panic!("{other}"),
            };
            let of_bytes = one["rate_unit"].as_str().is_some_and(|unit| unit != "packets");
            let seconds = match one["per"].as_str() {
                Some("second") => 1,
                Some("minute") => 60,
                other => panic!("{other:?}"),
            };
            let rate = one["rate"].as_u64().unwrap_or_default() * unit;
            let of = if of_bytes { "bytes" } else { "packets" };
            format!("{rate} {seconds} {of} {}", one["inv"] == true)
        }
        "ct helper" => {
            let protocol = if one["protocol"] == "tcp" { 6 } else { 17 };
            let family = if one["l3proto"] == "inet" { 1 } else { 2 };
            format!("{} {protocol} {family}", word(&one["type"]))
        }
        _ => String::new(),
    };
    format!("{kind} {} {} {} {text}", word(&one["name"]), one["handle"], word(&one["comment"]))
}

pub(crate) fn nftables(lab: &Lab, path: &str) -> Vec<String> {
    let answer: Value =
        lab.sh(&format!("nsenter --net={path} nft -j list ruleset")).parse().expect("JSON");
    let mut lines = Vec::new();
    let mut positions = std::collections::BTreeMap::new();
    for object in answer["nftables"].as_array().into_iter().flatten() {
        let Some((kind, one)) = object.as_object().and_then(|object| object.iter().next()) else {
            continue;
        };
        let (family, table) = (word(&one["family"]), word(&one["table"]));
        let (name, handle) = (word(&one["name"]), &one["handle"]);
        lines.push(match kind.as_str() {
            "metainfo" => continue,
            "table" => format!("table {family} {name} {handle}"),
            "chain" => {
                let words = ["type", "prio", "policy"].map(|key| word(&one[key])).join(" ");
                format!("chain {family} {table} {name} {handle} {words}")
            }
            "rule" => {
                let chain = word(&one["chain"]);
                let key = (family.clone(), table.clone(), chain.clone());
                let position = positions.entry(key).and_modify(|at| *at += 1).or_insert(0);
                let comment = word(&one["comment"]);
                format!("rule {family} {table} {chain} {position} {handle} {comment}")
            }
            "set" | "map" => {
                let elements = one["elem"].as_array().map_or(0, Vec::len);
                format!("{kind} {family} {table} {name} {handle} elements {elements}")
            }
            "flowtable" => {
                let hook = if one["hook"] == "ingress" { "0" } else { "?" };
                let devices = match &one["dev"] {
                    Value::Array(all) => sorted(all.iter().map(word)).join(" "),
                    one => word(one),
                };
                format!(
                    "{family} {table} flow table {name} {handle} {hook} {} {devices}",
                    one["prio"]
                )
            }
            "counter" | "quota" | "limit" | "ct helper" | "ct timeout" | "ct expectation"
            | "synproxy" => format!("{family} {table} {}", object_text(kind, one)),
            other => panic!("nft listed a {other}"),
        });
    }
    sorted(lines.into_iter())
}

/// From `iptables-save`, which leaves out nothing but what it cannot read.
pub(crate) fn iptables(lab: &Lab, path: &str) -> Vec<String> {
    let saved = lab.sh(&format!("nsenter --net={path} iptables-nft-save"));
    let mut table = String::new();
    let mut chains = std::collections::BTreeMap::new();
    for line in saved.lines() {
        let mut words = line.split(' ');
        match words.next() {
            Some("-A") => {
                let chain = words.next().unwrap_or_default().to_owned();
                *chains.entry((table.clone(), chain)).or_insert(0) += 1;
            }
            Some(start) if start.starts_with('*') => table = start[1..].into(),
            Some(start) if start.starts_with(':') => {
                chains.entry((table.clone(), start[1..].into())).or_insert(0);
            }
            _ => {}
        }
    }
    let told = chains.into_iter().filter(|((_, chain), count)| *count > 0 || !is_given(chain));
    sorted(told.map(|((table, chain), count)| format!("{table} {chain} {count}")))
}
