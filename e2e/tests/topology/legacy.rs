//! The old iptables as `iptables-save` writes them, from `ropewalk topology --json` and from itself.

use std::collections::BTreeMap;

use ropewalk_e2e::{Lab, Value};

use super::ours::{sorted, word};

pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What it says of a namespace.
pub(crate) fn ours(namespace: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for table in list(namespace, "legacyTables") {
        let place = format!("{} {}", word(&table["family"]), word(&table["name"]));
        for chain in list(table, "chains") {
            let name = word(&chain["name"]);
            let (policy, counted) = match &chain["base"] {
                Value::Null => ("-".to_owned(), "[0:0]".to_owned()),
                base => (word(&base["policy"]).to_uppercase(), count(&base["counted"])),
            };
            lines.push(format!("{place} :{name} {policy} {counted}"));
            for (position, rule) in list(chain, "rules").iter().enumerate() {
                assert_eq!(rule["handle"], position + 1);
                lines.push(format!("{place} {position} {}", rule_text(&name, rule)));
            }
        }
    }
    sorted(lines.into_iter())
}

fn count(counted: &Value) -> String {
    format!("[{}:{}]", counted["packets"], counted["bytes"])
}

/// What iptables-save says of it.
pub(crate) fn theirs(lab: &Lab, path: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (family, program) in [("ip", "iptables"), ("ip6", "ip6tables")] {
        // Asking where there is none would make modules come.
        let saved = lab.sh(&format!(
            "nsenter --net={path} sh -c 'if grep -q . /proc/thread-self/net/{family}_tables_names \
             2>/dev/null; then {program}-legacy-save -c; fi'"
        ));
        let (mut place, mut positions) = (String::new(), BTreeMap::new());
        for line in saved.lines() {
            if let Some(table) = line.strip_prefix('*') {
                place = format!("{family} {table}");
            } else if line.starts_with(':') {
                lines.push(format!("{place} {line}"));
            } else if line.starts_with('[') {
                let chain = line.split(' ').nth(2).unwrap_or_default().to_owned();
                let position: &mut usize = positions.entry((place.clone(), chain)).or_default();
                lines.push(format!("{place} {position} {line}"));
                *position += 1;
            }
        }
    }
    sorted(lines.into_iter())
}

/// A rule: what is asked of the header in the order in which iptables writes it, then the rest.
fn rule_text(chain: &str, rule: &Value) -> String {
    let (mut header, mut rest) = (BTreeMap::new(), Vec::new());
    let (mut counted, mut asked, mut mask) = (String::new(), 0, String::new());
    for step in list(rule, "expressions") {
        let (kind, step) = step.as_object().and_then(|one| one.iter().next()).expect("a step");
        match kind.as_str() {
            "meta" => (asked, mask) = (step["key"].as_u64().expect("a key"), String::new()),
            "payload" => {
                (asked, mask) = (100 + step["offset"].as_u64().expect("one"), String::new());
            }
            "bitwise" => mask = word(&step["mask"]),
            "cmp" => {
                let (order, text) = asked_for(asked, &word(&step["value"]), &mask);
                let is_not = step["is"] == "!=";
                let before = if is_not == (text == "-f") { "" } else { "! " };
                header.insert(order, format!("{before}{text}"));
            }
            "match" => rest.push(format!("-m {} {}", word(&step["name"]), word(&step["means"]))),
            "counter" => counted = count(step),
            "target" => rest.push(format!("-j {} {}", word(&step["name"]), word(&step["means"]))),
            "immediate" => rest.push(verdict_text(&step["data"]["verdict"])),
            other => panic!("a step of the old iptables is a {other}"),
        }
    }
    let words: Vec<String> = header.into_values().chain(rest).collect();
    let words: Vec<&str> = words.iter().map(|one| one.trim_end()).collect();
    format!("{counted} -A {chain} {}", words.join(" ")).trim_end().to_owned()
}

/// What a comparison asks for, with its place in a line.
fn asked_for(asked: u64, value: &str, mask: &str) -> (usize, String) {
    let bytes = unhex(value);
    match asked {
        6 => (2, format!("-i {}", link(&bytes))),
        7 => (3, format!("-o {}", link(&bytes))),
        16 => (4, format!("-p {}", protocol(bytes[0]))),
        106 => (5, "-f".into()),
        112 | 108 => (0, format!("-s {}", address(&bytes, mask))),
        116 | 124 => (1, format!("-d {}", address(&bytes, mask))),
        other => panic!("nothing is known of {other}"),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}

fn link(bytes: &[u8]) -> String {
    match bytes.split_last() {
        Some((0, name)) => String::from_utf8_lossy(name).into_owned(),
        _ => format!("{}+", String::from_utf8_lossy(bytes)),
    }
}

fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        47 => "gre".into(),
        58 => "ipv6-icmp".into(),
        other => other.to_string(),
    }
}

fn address(bytes: &[u8], mask: &str) -> String {
    let ip: std::net::IpAddr = match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).expect("four").into(),
        _ => <[u8; 16]>::try_from(bytes).expect("sixteen").into(),
    };
    let full = u32::try_from(8 * bytes.len()).expect("few");
    let length = unhex(mask).iter().map(|byte| byte.count_ones()).sum();
    format!("{ip}/{}", if mask.is_empty() { full } else { length })
}

fn verdict_text(verdict: &Value) -> String {
    match verdict {
        Value::String(word) => format!("-j {}", word.to_uppercase()),
        Value::Object(jump) if jump.contains_key("goto") => format!("-g {}", word(&jump["goto"])),
        other => format!("-j {}", word(&other["jump"])),
    }
}
