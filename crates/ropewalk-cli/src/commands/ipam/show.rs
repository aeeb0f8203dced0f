//! Showing books: tables for people, JSON for programs.

use std::net::IpAddr;
use std::ops::Range;

use clap::Args;
use ropewalk_ledger::{Filter, Lease, Run, State};
use serde_json::{Value, json};

use super::books::Books;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::table;

/// Which leases.
#[derive(Debug, Args)]
pub(super) struct Wanted {
    /// Only of this network
    #[arg(long, value_name = "NAME")]
    network: Option<String>,

    /// Only of this host
    #[arg(long, value_name = "NAME")]
    host: Option<String>,

    /// Only of this container
    #[arg(long, value_name = "ID")]
    container_id: Option<String>,

    /// Addresses that nobody has now, too
    #[arg(long)]
    all: bool,
}

pub(super) fn pools(books: &mut Books, output: Output) -> Result<(), Failure> {
    const HEADING: &[&str] = &["SPACE", "POOL", "BLOCK", "FIRST", "LAST", "HOST", "HELD", "KEPT"];
    let runs = books.runs()?;
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let row = |run: &Run| {
        let host = run.host.as_deref().unwrap_or_default();
        let (held, kept) = (run.held.to_string(), run.kept.to_string());
        let (first, last) = run.ends.clone();
        let (block, host) = (or_dash(&run.block), or_dash(host));
        vec![run.space.clone(), run.pool.clone(), block, first, last, host, held, kept]
    };
    let rows: Vec<_> = runs.iter().map(row).collect();
    let text = || match &rows[..] {
        [] => "no pools\n".to_owned(),
        rows => table::render(HEADING, rows),
    };
    let value = |run: &Run| {
        json!({
            "space": run.space, "pool": run.pool, "block": run.block, "first": run.ends.0,
            "last": run.ends.1, "host": run.host, "held": run.held, "kept": run.kept,
        })
    };
    output.answer(text, || runs.iter().map(value).collect())
}

pub(super) fn leases(books: &mut Books, wanted: &Wanted, output: Output) -> Result<(), Failure> {
    let filter = Filter {
        network: wanted.network.clone(),
        host: wanted.host.clone(),
        container: wanted.container_id.clone(),
        ip: None,
        is_held: !wanted.all,
    };
    print(&books.leases(&filter)?, "no leases\n", output)
}

pub(super) fn who(books: &mut Books, ip: IpAddr, output: Output) -> Result<(), Failure> {
    let leases = books.leases(&Filter { ip: Some(ip), ..Filter::default() })?;
    if leases.is_empty() {
        let text = format!("failed to find {ip}: nobody has it or had it");
        return Err(Failure::new(Exit::Failed, text));
    }
    print(&leases, "", output)
}

fn print(leases: &[Lease], none: &str, output: Output) -> Result<(), Failure> {
    const HEADING: &[&str] =
        &["ADDRESS", "SPACE", "NETWORK", "CONTAINER", "INTERFACE", "POD", "HOST", "SINCE", "STATE"];
    let row = |lease: &Lease| {
        let holder = &lease.holder;
        let cells = [
            lease.ip.to_string(),
            lease.space.clone(),
            holder.network.clone(),
            holder.container.clone(),
            holder.interface.clone(),
            pod(lease),
            lease.host.clone(),
            moment(lease.since),
            state(&lease.state),
        ];
        let or_dash = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
        cells.map(or_dash).to_vec()
    };
    let text = || match leases {
        [] => none.to_owned(),
        leases => table::render(HEADING, &leases.iter().map(row).collect::<Vec<_>>()),
    };
    output.answer(text, || leases.iter().map(value).collect())
}

/// Who has a lease, in one word.
pub(super) fn holder(lease: &Lease) -> String {
    let holder = &lease.holder;
    format!("{}/{}/{}", holder.network, holder.container, holder.interface)
}

/// A lease as JSON.
pub(super) fn value(lease: &Lease) -> Value {
    let holder = &lease.holder;
    let until = match &lease.state {
        State::Held | State::Reserved(_) => None,
        State::Free(until) | State::Kept(_, until) => Some(*until),
    };
    json!({
        "address": lease.ip.to_string(),
        "space": lease.space,
        "pool": lease.pool,
        "block": lease.block,
        "group": lease.group,
        "network": holder.network,
        "containerID": holder.container,
        "ifname": holder.interface,
        "pod": lease.pod,
        "namespace": lease.namespace,
        "host": lease.host,
        "since": moment(lease.since),
        "state": word(&lease.state),
        "name": lease.name,
        "reserved": lease.is_reserved,
        "until": until.map(moment),
    })
}

fn pod(lease: &Lease) -> String {
    match (&lease.namespace, &lease.pod) {
        (Some(namespace), Some(pod)) => format!("{namespace}/{pod}"),
        (_, pod) => pod.clone().unwrap_or_default(),
    }
}

fn word(state: &State) -> &'static str {
    match state {
        State::Held => "held",
        State::Free(_) => "free",
        State::Kept(..) => "kept",
        State::Reserved(_) => "reserved",
    }
}

/// What an address is now, for people.
pub(super) fn state(state: &State) -> String {
    match state {
        State::Held => "held".to_owned(),
        State::Free(from) => format!("free from {}", moment(*from)),
        State::Kept(name, until) => format!("kept for {name} until {}", moment(*until)),
        State::Reserved(Some(name)) => format!("reserved for {name}"),
        State::Reserved(None) => "reserved".to_owned(),
    }
}

/// A moment as RFC 3339 writes it. Days are counted from the first of March, so that leap days come
/// last in a year.
pub(super) fn moment(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86400 + 719_468, seconds % 86400);
    let era_day = days % 146_097;
    let year_of_era = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146_096) / 365;
    let day_of_year = era_day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, after) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year_of_era + days / 146_097 * 400 + after;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The seconds of such a moment; `None` if it is no moment that we have written.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let number = |range: Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    let seconds = days.checked_sub(719_468)? * 86400 + hour * 3600 + minute * 60 + second;
    Some(seconds).filter(|seconds| moment(*seconds) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_340_128, "2026-11-22T09:35:28Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(moment(seconds), expected);
            assert_eq!(super::seconds(expected), Some(seconds));
        }
        for wrong in ["", "2026-11-22", "2026-13-22T09:35:28Z", "2026-02-30T00:00:00Z"] {
            assert_eq!(super::seconds(wrong), None, "{wrong}");
        }
    }
}
