//! Statistics for people: tables without columns that say nothing, numbers flush right.

use ropewalk_topology::draw::words::amount;
use ropewalk_topology::traffic::{Passed, Row, Traffic, Uplink};

use super::rates::{Rate, Rates};
use crate::table;

/// A column: its title, whether it is of numbers, and its cells.
type Column = (&'static str, bool, Vec<String>);

pub(super) fn report(traffic: &Traffic) -> String {
    let all = |passed: &Passed| [amount(passed.bytes), passed.packets.to_string()];
    let rows = traffic.rows.iter();
    let numbers = rows.map(|row| Numbers {
        received: all(&row.received),
        sent: all(&row.sent),
        dropped: (row.received.dropped + row.sent.dropped).to_string(),
        errors: (row.received.errors + row.sent.errors).to_string(),
    });
    let uplinks = traffic.uplinks.iter().map(|uplink| Numbers {
        received: all(&uplink.received),
        sent: all(&uplink.sent),
        dropped: (uplink.received.dropped + uplink.sent.dropped).to_string(),
        errors: (uplink.received.errors + uplink.sent.errors).to_string(),
    });
    whole(traffic, numbers.collect(), uplinks.collect())
}

pub(super) fn rates(rates: &Rates) -> String {
    let numbers = |received: &Rate, sent: &Rate| Numbers {
        received: [in_second(received.bytes, true), in_second(received.packets, false)],
        sent: [in_second(sent.bytes, true), in_second(sent.packets, false)],
        dropped: in_second(received.dropped + sent.dropped, false),
        errors: in_second(received.errors + sent.errors, false),
    };
    let rows = rates.rows.iter().map(|(_, received, sent)| numbers(received, sent)).collect();
    let uplinks = rates.uplinks.iter().map(|(_, received, sent)| numbers(received, sent)).collect();
    whole(&rates.now, rows, uplinks)
}

fn in_second(number: f64, is_bytes: bool) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small, not negative"
    )]
    let whole = number.round() as u64;
    if is_bytes { format!("{}/s", amount(whole)) } else { format!("{whole}/s") }
}

/// What passed, in words.
struct Numbers {
    received: [String; 2],
    sent: [String; 2],
    dropped: String,
    errors: String,
}

fn whole(traffic: &Traffic, rows: Vec<Numbers>, uplinks: Vec<Numbers>) -> String {
    if traffic.rows.is_empty() {
        return "no containers with interfaces\n".to_owned();
    }
    let text = |cell: fn(&Row) -> String| traffic.rows.iter().map(cell).collect::<Vec<String>>();
    let mut columns: Vec<Column> = vec![
        ("NAMESPACE", false, text(|row| row.subject.namespace.clone())),
        ("POD", false, text(|row| row.subject.pod.clone())),
        ("OWNER", false, text(|row| row.subject.owner.clone())),
        ("CONTAINER", false, text(|row| shortened(&row.subject.container))),
        ("INTERFACE", false, text(|row| row.subject.interface.clone())),
        ("NETWORK", false, text(|row| row.subject.network.clone())),
    ];
    columns.extend(of_numbers(rows));
    let connections =
        |row: &Row| row.connections.map(|count| count.to_string()).unwrap_or_default();
    columns.push(("CONNECTIONS", true, text(connections)));
    columns.push(("UPLINK", false, text(|row| row.uplinks.join(","))));
    let mut report = render(columns);
    if !traffic.uplinks.is_empty() {
        let text =
            |cell: fn(&Uplink) -> String| traffic.uplinks.iter().map(cell).collect::<Vec<String>>();
        let mut columns: Vec<Column> = vec![("UPLINK", false, text(|uplink| uplink.name.clone()))];
        columns.extend(of_numbers(uplinks));
        columns.push(("CARRIES", true, text(|uplink| uplink.containers.len().to_string())));
        let switch =
            |uplink: &Uplink| uplink.switch.as_ref().map(ToString::to_string).unwrap_or_default();
        columns.push(("SWITCH PORT", false, text(switch)));
        report = format!("{report}\n{}", render(columns));
    }
    for one in &traffic.tracked {
        let line = format!("\n{} of {} connections tracked\n", one.count, one.most);
        report.push_str(&line);
    }
    report
}

/// Ids of 64 digits are known by their first 12.
fn shortened(id: &str) -> String {
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { id[..12].to_owned() } else { id.to_owned() }
}

fn of_numbers(rows: Vec<Numbers>) -> Vec<Column> {
    let mut columns: [Column; 6] = ["RECEIVED", "PACKETS", "SENT", "PACKETS", "DROPPED", "ERRORS"]
        .map(|t| (t, true, Vec::new()));
    for Numbers {
        received: [bytes_in, packets_in],
        sent: [bytes_out, packets_out],
        dropped,
        errors,
    } in rows
    {
        let cells = [bytes_in, packets_in, bytes_out, packets_out, dropped, errors];
        for (column, cell) in columns.iter_mut().zip(cells) {
            column.2.push(cell);
        }
    }
    columns.into()
}

fn render(columns: Vec<Column>) -> String {
    let columns: Vec<Column> = columns
        .into_iter()
        .filter(|(_, _, cells)| cells.iter().any(|cell| !cell.is_empty()))
        .map(|(title, is_number, cells)| {
            let or_dash = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
            (title, is_number, cells.into_iter().map(or_dash).collect())
        })
        .collect();
    // What is added up by may have no name anywhere.
    let mut columns = columns;
    if let Some((_, true, cells)) = columns.first() {
        columns.insert(0, ("WHOSE", false, vec!["-".to_owned(); cells.len()]));
    }
    let flush = |(title, is_number, cells): &Column, text: &str| {
        let longest = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or_default();
        let width = longest.max(title.len());
        if *is_number { format!("{text:>width$}") } else { text.to_owned() }
    };
    let heading: Vec<String> = columns.iter().map(|column| flush(column, column.0)).collect();
    let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
    let count = columns.first().map_or(0, |(_, _, cells)| cells.len());
    let rows: Vec<Vec<String>> = (0..count)
        .map(|row| columns.iter().map(|column| flush(column, &column.2[row])).collect())
        .collect();
    table::render(&heading, &rows)
}
