//! Tables of the kernel that are nearly full.

use alloc::{format, vec::Vec};

use super::{checks::Fact, view::View};
use crate::{model::Neighbour, shell::sysctl};

/// Entries that may not be forgotten do not count (`NUD_PERMANENT`, `NUD_NOARP`), nor do those that
/// somebody else looks after (`NTF_EXT_LEARNED`) or that are not neighbours (`NTF_PROXY`).
const UNCOUNTED: u16 = 0x80 | 0x40;
const OF_OTHERS: u8 = 0x10 | 8;

fn is_near(count: u64, most: u64) -> bool {
    most > 0 && count >= most / 5 * 4
}

pub(super) fn connections(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (namespace, _, content) in view.contents() {
        let number = |name| content.setting(name).and_then(|text| text.parse::<u64>().ok());
        let count = number("netfilter/nf_conntrack_count");
        let Some((count, most)) = count.zip(number("netfilter/nf_conntrack_max")) else { continue };
        if is_near(count, most) {
            facts.push(Fact {
                namespace,
                object: format!("connections of {}", view.name(namespace)),
                evidence: format!("{count} of at most {most} connections are tracked"),
                command: format!("sysctl -w net.netfilter.nf_conntrack_max={}", most * 2),
                ..Fact::default()
            });
        }
    }
    facts
}

pub(super) fn neighbours(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (family, is_v6) in [("ipv4", false), ("ipv6", true)] {
        let name = format!("{family}/neigh/default/gc_thresh3");
        let most = view.contents().find_map(|(_, _, content)| content.setting(&name));
        let Some(most) = most.and_then(|text| text.parse::<u64>().ok()) else { continue };
        let counts = |one: &&Neighbour| {
            one.ip.is_ipv6() == is_v6 && one.state & UNCOUNTED == 0 && one.flags & OF_OTHERS == 0
        };
        let all = view
            .contents()
            .map(|(at, _, content)| (content.neighbours.iter().filter(counts).count() as u64, at));
        let all: Vec<(u64, usize)> = all.collect();
        let count = all.iter().map(|(count, _)| count).sum();
        if is_near(count, most) {
            let most_of = all.iter().max().map_or(0, |(_, at)| *at);
            facts.push(Fact {
                namespace: most_of,
                object: sysctl(&format!("net/{name}")),
                evidence: format!(
                    "there are {count} neighbours of at most {most}, most of them in {}",
                    view.name(most_of)
                ),
                command: format!("sysctl -w net.{family}.neigh.default.gc_thresh3={}", most * 4),
                ..Fact::default()
            });
        }
    }
    facts
}
