//! What targets of iptables do with a packet that nobody has sent.

use alloc::format;

use super::{
    super::trace::Told,
    Layer,
    chains::{Run, Said},
    expressions::{set_connection_mark, set_mark, untrack},
    nat::{self, Range},
};
use crate::{
    model::Verdict,
    xtables::{Action, Translation},
};

/// Targets that look, count, write something down, or change what decides about nothing here.
const HARMLESS: [&str; 19] = [
    "LOG",
    "NFLOG",
    "ULOG",
    "TRACE",
    "AUDIT",
    "CHECKSUM",
    "TCPMSS",
    "TCPOPTSTRIP",
    "CLASSIFY",
    "DSCP",
    "TOS",
    "TTL",
    "HL",
    "ECN",
    "SECMARK",
    "CONNSECMARK",
    "IDLETIMER",
    "LED",
    "RATEEST",
];

/// What a target does.
pub(super) fn evaluate(run: &mut Run<'_>, name: &str, revision: u32, info: &[u8]) -> Said {
    let unclear = || Said::Unclear(format!("iptables' target {name} cannot be told beforehand"));
    if run.scene.layer == Layer::Bridge {
        return if matches!(name, "log" | "nflog" | "mark") { Said::Nothing } else { unclear() };
    }
    match name {
        "ACCEPT" => return Said::Verdict(Verdict::Accept),
        "DROP" => return Said::Verdict(Verdict::Drop),
        "RETURN" => return Said::Verdict(Verdict::Return),
        harmless if HARMLESS.contains(&harmless) => return Said::Nothing,
        _ => {}
    }
    let family = run.scene.family(&run.state.packet);
    match Action::read(family, name, revision, info) {
        Some(action) => act(run, &action).unwrap_or_else(unclear),
        None => unclear(),
    }
}

fn act(run: &mut Run<'_>, action: &Action) -> Option<Said> {
    let mark = run.state.packet.mark;
    let of_connection = run.state.tracking.flow().map(|flow| flow.mark);
    Some(match action {
        Action::TranslateSource(to) => nat::change(run, true, range(to)?),
        Action::TranslateDestination(to) => nat::change(run, false, range(to)?),
        Action::Masquerade(to) => nat::masquerade(run, range(to)?),
        Action::Redirect(to) => nat::redirect(run, range(to)?),
        Action::MapNetwork(_) => return None,
        Action::Reject(reason) => {
            let told = if *reason == "tcp-reset" { Told::Reset } else { Told::Error };
            Said::Refused(told, format!("reject with {reason}"))
        }
        Action::Mark(to) => set_mark(run, (mark & !to.mask) ^ to.value),
        Action::ConnectionMark(to) => match of_connection {
            Some(own) => set_connection_mark(run, (own & !to.mask) ^ to.value),
            None => Said::Nothing,
        },
        Action::SaveMark(masks) => match of_connection {
            Some(own) => {
                set_connection_mark(run, (own & !masks.connection) ^ (mark & masks.packet))
            }
            None => Said::Nothing,
        },
        Action::RestoreMark(masks) => match of_connection {
            Some(own) => set_mark(run, (mark & !masks.packet) ^ (own & masks.connection)),
            None => Said::Nothing,
        },
        Action::Log { .. } | Action::Report { .. } | Action::SegmentSize(_) => Said::Nothing,
        Action::Untrack => untrack(run),
    })
}

/// What addresses and ports become; nothing if that depends on more than is asked for here.
fn range(to: &Translation) -> Option<Range> {
    if to.base.is_some() {
        return None;
    }
    Some(Range { addresses: to.addresses, ports: to.ports, flags: to.flags })
}
