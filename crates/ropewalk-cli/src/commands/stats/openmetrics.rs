//! Statistics as OpenMetrics 1.0 text.
//!
//! It must never write a family twice or in two pieces, nor a label that its reader cannot read.

use std::fmt::Write as _;

use ropewalk_topology::traffic::{Passed, Row, Traffic, Uplink};

/// The type of the text for HTTP.
pub(super) const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Something that is counted: the word in names, the words for people, and where it is.
type Counted<Of, Number> = (&'static str, &'static str, fn(&Of) -> Number);

/// What is counted of what passed.
const KINDS: [Counted<Passed, u64>; 4] = [
    ("bytes", "Bytes that", |passed| passed.bytes),
    ("packets", "Packets that", |passed| passed.packets),
    ("dropped_packets", "Dropped packets of what", |passed| passed.dropped),
    ("erroneous_packets", "Damaged packets of what", |passed| passed.errors),
];

/// The directions.
const OF_CONTAINERS: [Counted<Row, Passed>; 2] = [
    ("received", "containers received.", |row| row.received),
    ("sent", "containers sent.", |row| row.sent),
];

const OF_UPLINKS: [Counted<Uplink, Passed>; 2] = [
    ("received", "the host received through a link that carries containers.", |one| one.received),
    ("sent", "the host sent through a link that carries containers.", |one| one.sent),
];

pub(super) fn text(traffic: &Traffic) -> String {
    let mut text = String::new();
    for (direction, of, passed) in OF_CONTAINERS {
        for (kind, what, number) in KINDS {
            let family = format!("ropewalk_container_{direction}_{kind}");
            head(&mut text, &family, Kind::Counter, &format!("{what} {of}"));
            for row in &traffic.rows {
                sample(&mut text, &format!("{family}_total"), &labels(row), number(&passed(row)));
            }
        }
    }
    if traffic.rows.iter().any(|row| row.connections.is_some()) {
        let family = "ropewalk_container_tracked_connections";
        head(&mut text, family, Kind::Gauge, "Tracked connections of containers.");
        for (row, count) in traffic.rows.iter().filter_map(|row| Some((row, row.connections?))) {
            sample(&mut text, family, &labels(row), count);
        }
    }
    for (direction, of, passed) in OF_UPLINKS {
        for (kind, what, number) in KINDS {
            let family = format!("ropewalk_uplink_{direction}_{kind}");
            head(&mut text, &family, Kind::Counter, &format!("{what} {of}"));
            for uplink in &traffic.uplinks {
                let labels = of_uplink(uplink);
                sample(&mut text, &format!("{family}_total"), &labels, number(&passed(uplink)));
            }
        }
    }
    for (family, help, number) in [
        ("ropewalk_tracked_connections", "Connections that the host tracks.", 0),
        ("ropewalk_trackable_connections", "How many connections the host may track.", 1),
    ] {
        head(&mut text, family, Kind::Gauge, help);
        for one in &traffic.tracked {
            sample(&mut text, family, &[], [one.count, one.most][number]);
        }
    }
    text.push_str("# EOF\n");
    text
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

fn head(text: &mut String, family: &str, kind: Kind, help: &str) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    // A unit is the end of the family's name.
    let unit = family.rsplit('_').next().unwrap_or_default();
    // Writing to a String cannot fail.
    let _ =
        writeln!(text, "# TYPE {family} {kind}\n# UNIT {family} {unit}\n# HELP {family} {help}");
}

fn sample(text: &mut String, name: &str, labels: &[(&str, &str)], value: u64) {
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    let labels =
        if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{name}{labels} {value}");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn labels(row: &Row) -> [(&str, &str); 6] {
    let subject = &row.subject;
    [
        ("network", &subject.network),
        ("container", &subject.container),
        ("interface", &subject.interface),
        ("namespace", &subject.namespace),
        ("pod", &subject.pod),
        ("owner", &subject.owner),
    ]
}

fn of_uplink(uplink: &Uplink) -> [(&str, &str); 3] {
    let switch = uplink.switch.as_ref();
    let name = switch.map_or("", |one| one.name.as_ref().unwrap_or(&one.chassis));
    [("uplink", &uplink.name), ("switch", name), ("port", switch.map_or("", |one| &one.port))]
}

#[cfg(test)]
mod tests {
    use ropewalk_topology::traffic::Subject;

    use super::*;

    #[test]
    fn labels_are_escaped_and_families_stay_together() {
        let row = |container: &str| Row {
            subject: Subject { container: container.to_owned(), ..Subject::default() },
            received: Passed { bytes: 7, ..Passed::default() },
            sent: Passed::default(),
            connections: Some(3),
            uplinks: Vec::new(),
        };
        let rows = vec![row("a\"\\\nb"), row("c")];
        let text = text(&Traffic { rows, ..Traffic::default() });
        assert!(text.contains(r#"container="a\"\\\nb""#), "{text}");
        assert!(text.ends_with("\n# EOF\n"));
        let families: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let mut known = families.clone();
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len(), families.len());
        assert!(text.contains("ropewalk_container_received_bytes_total{network=\"\","), "{text}");
    }
}
