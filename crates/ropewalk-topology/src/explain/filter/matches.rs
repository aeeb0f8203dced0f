//! Whether matches of iptables hold for a packet that nobody has sent.

use alloc::{string::String, vec::Vec};
use core::net::IpAddr;

use super::{
    super::{
        flows::Tracking,
        packet::{ICMPV6, Kind, Port, TCP, port_cells},
        routes,
    },
    Layer,
    chains::Run,
    sets::within,
};
use crate::{
    model::Link,
    xtables::{
        AddressType, Asked, BridgePort, Condition, Connection, End, Icmp, PortList, Ports,
        Transport,
    },
};

/// `XT_RPFILTER_…`.
const LOOSE: u8 = 1;
const VALID_MARK: u8 = 2;
const INVERTED: u8 = 8;

/// Whether a match holds; nothing if nobody can tell.
pub(super) fn evaluate(run: &Run<'_>, name: &str, revision: u32, info: &[u8]) -> Option<bool> {
    // Those of ebtables have the same names and other structures.
    if run.scene.layer == Layer::Bridge {
        return (name == "comment").then_some(true);
    }
    let family = run.scene.family(&run.state.packet);
    let packet = &run.state.packet;
    let condition = Condition::read(family, name, revision, info)?;
    if packet.kind == Kind::Any && !is_of_source(run, &condition) {
        return None;
    }
    match condition {
        Condition::Comment(_) => Some(true),
        Condition::Transport(transport) => ports_and_flags(run, &transport),
        Condition::Icmp(icmp) => Some(is_icmp(run, icmp)),
        Condition::PortList(list) => turned(in_list(run, &list.value), list.is_inverted),
        Condition::Connection(connection) => is_connection(run, &connection),
        Condition::Mark(mark) => {
            Some((packet.mark & mark.value.mask == mark.value.value) != mark.is_inverted)
        }
        Condition::ConnectionMark(mark) => {
            let Some(flow) = run.state.tracking.flow() else { return Some(false) };
            Some((flow.mark & mark.value.mask == mark.value.value) != mark.is_inverted)
        }
        Condition::AddressType(types) => is_type(run, types),
        Condition::BridgePort(port) => Some(is_port(run, &port)),
        // Packets to one host are type 0.
        Condition::PacketType(kind) => Some((kind.value == 0) != kind.is_inverted),
        Condition::Mac(mac) => {
            let frame = run.scene.frame.filter(|_| run.scene.input.is_some());
            let Some(frame) = frame else { return Some(false) };
            Some((frame.source.as_ref()?.0.as_slice() == mac.value) != mac.is_inverted)
        }
        Condition::Addresses { source, destination } => {
            let is = |asked: Option<Asked<(IpAddr, IpAddr)>>, own: IpAddr| {
                asked.is_none_or(|asked| {
                    let (first, last) = asked.value;
                    (first <= own && own <= last) != asked.is_inverted
                })
            };
            Some(is(source, packet.source) && is(destination, packet.destination))
        }
        Condition::ReversePath { flags } => has_way_back(run, flags),
        // Whose socket it is, and what passed before, is not known.
        Condition::Owner(_) if run.scene.input.is_some() => Some(false),
        Condition::Owner(_)
        | Condition::Set(_)
        | Condition::Limit { .. }
        | Condition::Chance(_)
        | Condition::Nth(_) => None,
    }
}

/// Whether it asks for nothing but links, the source, and the state of the connection.
fn is_of_source(run: &Run<'_>, condition: &Condition) -> bool {
    match condition {
        // What else is asked of a connection is not answered there.
        Condition::Comment(_) | Condition::Owner(_) | Condition::Connection(_) => true,
        // All ports of a bridge pass packets on; which one it is may matter.
        Condition::BridgePort(port) => {
            run.scene.ports.0.is_some() && port.input.is_none() && port.output.is_none()
        }
        Condition::Addresses { destination, .. } => destination.is_none(),
        Condition::AddressType(types) => types.destination.is_none() && !types.of_output,
        _ => false,
    }
}

fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn turned(answer: Option<bool>, is_inverted: bool) -> Option<bool> {
    answer.map(|answer| answer != is_inverted)
}

/// Whether something is as it is asked, where it is asked.
fn as_asked<T: Copy>(asked: Option<Asked<T>>, is: impl FnOnce(T) -> Option<bool>) -> Option<bool> {
    match asked {
        None => Some(true),
        Some(asked) => turned(is(asked.value), asked.is_inverted),
    }
}

/// Whether a port is in a range; nothing if nobody can tell.
fn port_within(port: Port, (first, last): Ports) -> Option<bool> {
    within(&port_cells(port), &first.to_be_bytes(), &last.to_be_bytes())
}

fn ports_and_flags(run: &Run<'_>, transport: &Transport) -> Option<bool> {
    let packet = &run.state.packet;
    if !packet.has_ports() {
        return Some(false);
    }
    let source = as_asked(transport.source, |range| port_within(packet.source_port, range));
    let destination =
        as_asked(transport.destination, |range| port_within(packet.destination_port, range));
    let set = if packet.is_answer { 0x12 } else { 0x02 };
    let is_tcp = packet.protocol == TCP;
    let flags = as_asked(transport.flags, |(mask, wanted)| Some(is_tcp && set & mask == wanted));
    // Which options a handshake has is the sender's business.
    let option = as_asked(transport.option, |_| None);
    both(both(source, destination), both(flags, option))
}

fn is_icmp(run: &Run<'_>, asked: Asked<Icmp>) -> bool {
    let packet = &run.state.packet;
    let Some((kind, code)) = packet.icmp() else { return false };
    let Icmp { is_v6, kind: wanted, codes } = asked.value;
    if is_v6 != (packet.protocol == ICMPV6) {
        return false;
    }
    let is_kind = wanted.is_none_or(|wanted| wanted == kind && (codes.0..=codes.1).contains(&code));
    is_kind != asked.is_inverted
}

fn in_list(run: &Run<'_>, list: &PortList) -> Option<bool> {
    let packet = &run.state.packet;
    if !packet.has_ports() {
        return Some(false);
    }
    let mut ports = Vec::new();
    if list.end != End::Destination {
        ports.push(packet.source_port);
    }
    if list.end != End::Source {
        ports.push(packet.destination_port);
    }
    let mut answer = Some(false);
    for port in ports {
        for range in &list.ports {
            match port_within(port, *range) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => answer = None,
            }
        }
    }
    answer
}

fn is_type(run: &Run<'_>, types: AddressType) -> Option<bool> {
    let (scene, packet) = (run.scene, &run.state.packet);
    let link: Option<&Link> = match (types.of_input, types.of_output) {
        (true, _) => scene.input,
        (_, true) => scene.output,
        _ => None,
    };
    let is = |ip: IpAddr, wanted: u16| {
        let kind = routes::kind_of(scene.content, ip, link.map(|link| link.index))?;
        Some(u32::from(wanted) & 1_u32.checked_shl(kind.into())? != 0)
    };
    both(
        as_asked(types.source, |wanted| is(packet.source, wanted)),
        as_asked(types.destination, |wanted| is(packet.destination, wanted)),
    )
}

/// Bits of the state, as the match has them.
fn states(run: &Run<'_>) -> u16 {
    match &run.state.tracking {
        Tracking::Untracked => 256,
        Tracking::Not | Tracking::Invalid => 1,
        Tracking::Of { flow, .. } => {
            let state = if flow.is_answered { 2 } else { 8 };
            let source = if flow.is_source_changed() { 64 } else { 0 };
            let destination = if flow.is_destination_changed() { 128 } else { 0 };
            state | source | destination
        }
    }
}

fn is_connection(run: &Run<'_>, asked: &Connection) -> Option<bool> {
    let state = as_asked(asked.states, |wanted| Some(wanted & states(run) != 0));
    let asks_more = Connection { states: None, ..asked.clone() } != Connection::default();
    if !asks_more || state == Some(false) {
        return state;
    }
    if run.state.packet.kind == Kind::Any {
        return None;
    }
    let Tracking::Of { flow, is_reply, .. } = &run.state.tracking else { return Some(false) };
    let sides = [
        flow.original.source,
        flow.original.destination,
        flow.reply.source,
        flow.reply.destination,
    ];
    let mut answer = state;
    for ((address, ports), own) in asked.addresses.iter().zip(&asked.ports).zip(sides) {
        let is_here = as_asked(*address, |(wanted, mask)| is_masked(own.0, wanted, mask));
        answer = both(answer, both(is_here, as_asked(*ports, |range| port_within(own.1, range))));
    }
    let protocol = as_asked(asked.protocol, |wanted| Some(wanted == flow.protocol.into()));
    let status = as_asked(asked.status, |wanted| Some(u32::from(wanted) & flow.status() != 0));
    let direction = asked.is_original.map_or(Some(true), |wanted| Some(wanted != *is_reply));
    let expires = as_asked(asked.expires, |_| None);
    both(both(answer, protocol), both(both(status, direction), expires))
}

fn is_masked(own: IpAddr, wanted: IpAddr, mask: IpAddr) -> Option<bool> {
    match (own, wanted, mask) {
        (IpAddr::V4(own), IpAddr::V4(wanted), IpAddr::V4(mask)) => {
            Some(own.to_bits() & mask.to_bits() == wanted.to_bits())
        }
        (IpAddr::V6(own), IpAddr::V6(wanted), IpAddr::V6(mask)) => {
            Some(own.to_bits() & mask.to_bits() == wanted.to_bits())
        }
        _ => None,
    }
}

fn is_port(run: &Run<'_>, asked: &BridgePort) -> bool {
    let (input, output) = run.scene.ports;
    let is_named = |asked: &Option<Asked<String>>, port: Option<&Link>| {
        asked.as_ref().is_none_or(|asked| {
            let name = port.map_or("", |port| &port.name);
            let is = match asked.value.strip_suffix('+') {
                Some(start) => name.starts_with(start),
                None => name == asked.value,
            };
            is != asked.is_inverted
        })
    };
    let must = |asked: Option<bool>, is: bool| asked.is_none_or(|wanted| wanted == is);
    must(asked.is_bridged, input.is_some() && output.is_some())
        && must(asked.has_input, input.is_some())
        && must(asked.has_output, output.is_some())
        && is_named(&asked.input, input)
        && is_named(&asked.output, output)
}

/// `rpfilter`, for what is asked without further words: with the mark if it says so, whatever the
/// sysctls say.
fn has_way_back(run: &Run<'_>, flags: u8) -> Option<bool> {
    let (scene, packet) = (run.scene, &run.state.packet);
    let link = scene.input?;
    if flags & !(LOOSE | VALID_MARK | INVERTED) != 0 || link.is_loopback() {
        return None;
    }
    let mark = if flags & VALID_MARK != 0 { packet.mark } else { 0 };
    let by = Some(link).filter(|_| flags & LOOSE == 0);
    let way = routes::way_back(scene.content, (packet.source, packet), mark, by).ok()?;
    Some(way.is_some() != (flags & INVERTED != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_are_not_known_stay_so() {
        assert_eq!(both(None, Some(false)), Some(false));
        assert_eq!(both(None, Some(true)), None);
        assert_eq!(port_within(Port::Chosen, (0, u16::MAX)), Some(true));
        assert_eq!(port_within(Port::Chosen, (1, 100)), Some(false));
        assert_eq!(port_within(Port::Chosen, (40000, 50000)), None);
    }
}
