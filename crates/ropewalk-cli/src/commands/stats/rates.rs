//! What passes in a second, from two looks.

use std::time::Duration;

use ropewalk_topology::traffic::{Passed, Row, Traffic, Uplink};

/// What passes in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rate {
    pub(super) packets: f64,
    pub(super) bytes: f64,
    pub(super) dropped: f64,
    pub(super) errors: f64,
}

/// Rates of received and sent, beside what they are of.
pub(super) struct Rates {
    pub(super) seconds: f64,
    pub(super) rows: Vec<(Row, Rate, Rate)>,
    pub(super) uplinks: Vec<(Uplink, Rate, Rate)>,
    pub(super) now: Traffic,
}

pub(super) fn between(past: &Traffic, now: &Traffic, time: Duration) -> Rates {
    let seconds = time.as_secs_f64().max(0.001);
    let row = |row: &Row| {
        let then = past.rows.iter().find(|then| then.subject == row.subject);
        // What is new has passed in the meantime.
        let received = row.received.since(then.map(|then| then.received).unwrap_or_default());
        let sent = row.sent.since(then.map(|then| then.sent).unwrap_or_default());
        (row.clone(), rate(received, seconds), rate(sent, seconds))
    };
    let uplink = |uplink: &Uplink| {
        // A link that carried nobody before may have counted for years.
        let then = past.uplinks.iter().find(|then| then.name == uplink.name).unwrap_or(uplink);
        let received = rate(uplink.received.since(then.received), seconds);
        (uplink.clone(), received, rate(uplink.sent.since(then.sent), seconds))
    };
    Rates {
        seconds,
        rows: now.rows.iter().map(row).collect(),
        uplinks: now.uplinks.iter().map(uplink).collect(),
        now: now.clone(),
    }
}

fn rate(passed: Passed, seconds: f64) -> Rate {
    #[expect(clippy::cast_precision_loss, reason = "nobody sees the last bits of a rate")]
    let rate = |number: u64| number as f64 / seconds;
    Rate {
        packets: rate(passed.packets),
        bytes: rate(passed.bytes),
        dropped: rate(passed.dropped),
        errors: rate(passed.errors),
    }
}
