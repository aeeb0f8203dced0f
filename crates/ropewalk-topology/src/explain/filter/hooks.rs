//! A hook: connection tracking, changes of addresses and the chains of all tables, each at its
//! priority.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::{
    super::{
        flows::{Flows, Tracking, translate},
        packet::Kind,
    },
    Answer, Fate, Hook, Layer, Scene, State, chains,
};
use crate::model::{Chain, Expression, FilterFamily, Table};

/// `NF_IP_PRI_CONNTRACK`.
const CONNTRACK: i32 = -200;
/// `NF_IP_PRI_NAT_DST`, `NF_IP_PRI_NAT_SRC`; chains of this kind run there, whatever priority they
/// have.
const NAT: [i32; 2] = [-100, 100];

/// The part of a hook that is asked: before or after the place where a bridge shows packets to the
/// rules of IP, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Place {
    Whole,
    Below(i32),
    From(i32),
}

impl Place {
    fn has(self, priority: i32) -> bool {
        match self {
            Self::Whole => true,
            Self::Below(end) => priority < end,
            Self::From(start) => priority >= start,
        }
    }
}

/// Something at a priority.
enum Part<'a> {
    Track,
    Translate(Vec<(&'a Table, &'a Chain)>),
    Ask(&'a Table, &'a Chain),
}

/// Does all that is at a hook.
pub(in super::super) fn run(
    scene: &Scene<'_>,
    place: Place,
    state: &mut State,
    flows: &mut Flows,
) -> Answer {
    let mut answer = Answer { fate: Fate::Goes, chains: 0, deeds: Vec::new(), is_rerouted: false };
    for (_, part) in parts(scene, place, state) {
        match part {
            Part::Track => {
                if state.packet.kind != Kind::Plain {
                    // The kernel does not track who looks for neighbours.
                    state.tracking = Tracking::Untracked;
                } else if state.tracking == Tracking::Not {
                    state.tracking = flows.track(scene.namespace, &state.packet);
                }
            }
            Part::Translate(chains) => {
                ask_all(scene, &chains, state, &mut answer);
                let of_source = matches!(scene.hook, Hook::Input | Hook::Postrouting);
                if answer.fate == Fate::Goes {
                    decide(&mut state.tracking, of_source);
                    translate(&mut state.packet, &state.tracking, of_source);
                }
            }
            Part::Ask(table, chain) => {
                let mark = state.packet.mark;
                ask_one(scene, (table, chain), state, &mut answer);
                let is_route = chain.base.as_ref().is_some_and(|base| base.kind == "route");
                answer.is_rerouted |= is_route && mark != state.packet.mark;
            }
        }
        flows.keep(&state.tracking);
        if answer.fate != Fate::Goes {
            return answer;
        }
    }
    if matches!(scene.hook, Hook::Input | Hook::Postrouting)
        && let Some(flow) = state.tracking.flow_mut()
    {
        flow.is_confirmed = true;
        flows.keep(&state.tracking);
    }
    answer
}

/// From here on a connection keeps its addresses.
fn decide(tracking: &mut Tracking, of_source: bool) {
    if let Some(flow) = tracking.flow_mut() {
        if of_source {
            flow.is_source_decided = true;
        } else {
            flow.is_destination_decided = true;
        }
    }
}

/// Asks chains that change addresses, as far as it is not decided yet.
fn ask_all(scene: &Scene<'_>, chains: &[(&Table, &Chain)], state: &mut State, answer: &mut Answer) {
    let of_source = matches!(scene.hook, Hook::Input | Hook::Postrouting);
    for one in chains {
        let is_open = state.tracking.flow().is_some_and(|flow| {
            let is_decided =
                if of_source { flow.is_source_decided } else { flow.is_destination_decided };
            !is_decided && !flow.is_answered
        });
        if !is_open || answer.fate != Fate::Goes {
            return;
        }
        ask_one(scene, *one, state, answer);
    }
}

fn ask_one(
    scene: &Scene<'_>,
    (table, chain): (&Table, &Chain),
    state: &mut State,
    answer: &mut Answer,
) {
    let leaf = chains::ask(scene, table, chain, state);
    answer.chains += 1;
    answer.deeds.extend(leaf.deeds);
    answer.fate = leaf.fate;
    if answer.fate == Fate::Goes {
        *state = leaf.state;
    }
}

/// What is at a hook, in the order in which it happens.
fn parts<'a>(scene: &Scene<'a>, place: Place, state: &State) -> Vec<(i32, Part<'a>)> {
    let mut parts = Vec::new();
    let mut changing = Vec::new();
    for (table, chain) in chains_at(scene, state) {
        let Some(base) = &chain.base else { continue };
        if base.kind == "nat" {
            changing.push((table, chain));
        } else if place.has(base.priority) {
            parts.push((base.priority, Part::Ask(table, chain)));
        }
    }
    if scene.layer == Layer::Bridge && scene.hook == Hook::Prerouting && tracks(scene) {
        parts.push((CONNTRACK, Part::Track));
        parts.retain(|(priority, _)| place.has(*priority));
    }
    if scene.layer == Layer::Ip {
        let starts = matches!(scene.hook, Hook::Prerouting | Hook::Output);
        if starts {
            parts.push((CONNTRACK, Part::Track));
        }
        if scene.hook != Hook::Forward {
            let at = NAT[usize::from(!starts)];
            parts.push((at, Part::Translate(changing)));
        }
    }
    // The order of what has the same priority is kept.
    parts.sort_by_key(|(priority, _)| *priority);
    parts
}

/// Whether bridges track connections: they do if one of their rules asks for one.
fn tracks(scene: &Scene<'_>) -> bool {
    let tables = scene.content.filter.tables.iter();
    let of_bridges = tables.filter(|table| table.family == FilterFamily::Bridge);
    let mut rules = of_bridges.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    rules
        .any(|rule| rule.expressions.iter().any(|one| matches!(one, Expression::Connection { .. })))
}

/// The base chains of a hook by priority; of those with the same the newest is asked first.
fn chains_at<'a>(scene: &Scene<'a>, state: &State) -> Vec<(&'a Table, &'a Chain)> {
    let family = scene.family(&state.packet);
    let number = |table: &Table| match (scene.hook, table.family) {
        (Hook::Prerouting, _) | (Hook::Ingress, FilterFamily::Netdev) => Some(0),
        (Hook::Input, _) | (Hook::Egress, FilterFamily::Netdev) => Some(1),
        (Hook::Forward, _) => Some(2),
        (Hook::Output, _) => Some(3),
        (Hook::Postrouting, _) => Some(4),
        (Hook::Ingress, FilterFamily::Inet) => Some(5),
        (Hook::Ingress | Hook::Egress, _) => None,
    };
    let is_asked = |table: &Table| {
        let is_of_family = table.family == family
            || table.family == FilterFamily::Inet
                && (scene.layer == Layer::Ip || scene.hook == Hook::Ingress);
        is_of_family && !table.is_dormant()
    };
    let link = if scene.hook == Hook::Egress { scene.output } else { scene.input };
    let is_of_link = |devices: &[alloc::string::String]| {
        scene.layer != Layer::Link || link.is_some_and(|link| devices.contains(&link.name))
    };
    let filter = &scene.content.filter;
    let tables = filter.tables.iter().chain(&filter.legacy).filter(|table| is_asked(table));
    let mut found: Vec<(&Table, &Chain)> = tables
        .flat_map(|table| table.chains.iter().map(move |chain| (table, chain)))
        .filter(|(table, chain)| {
            chain
                .base
                .as_ref()
                .is_some_and(|base| Some(base.hook) == number(table) && is_of_link(&base.devices))
        })
        .collect();
    let priority = |chain: &Chain| chain.base.as_ref().map_or(0, |base| base.priority);
    found.sort_by_key(|(table, chain)| {
        (priority(chain), Reverse(table.handle), Reverse(chain.handle))
    });
    found
}
