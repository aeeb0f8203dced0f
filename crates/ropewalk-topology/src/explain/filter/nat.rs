//! Changes of addresses and ports: what a rule asks for, and what the connection becomes.

use alloc::{format, string::String};
use core::net::IpAddr;

use super::{
    super::{
        flows::{Side, Tracking},
        packet::{Port, known},
        sources,
        trace::Told,
    },
    Hook,
    chains::{Run, Said},
};
use crate::model::Expression;

/// `NF_NAT_RANGE_PROTO_RANDOM` and `…_FULLY`.
const RANDOM: u32 = 4 | 16;
/// `NF_NAT_RANGE_NETMAP`.
const NETMAP: u32 = 64;

/// What an address and a port become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    /// The first and the last address; none to leave it.
    pub(super) addresses: Option<(IpAddr, IpAddr)>,
    /// The first and the last port; none to leave it.
    pub(super) ports: Option<(u16, u16)>,
    /// `NF_NAT_RANGE_…`.
    pub(super) flags: u32,
}

/// The rule's own expressions.
pub(super) fn native(run: &mut Run<'_>, expression: &Expression) -> Said {
    match expression {
        // In a table for both versions of IP, it is for one.
        Expression::Nat { family, .. } if is_other(run, *family) => Said::Nothing,
        Expression::Nat { of_source, addresses, ports, flags, .. } => {
            let Some(range) = range(run, *addresses, *ports, *flags) else {
                return Said::Unclear("the address it changes to is not known".into());
            };
            change(run, *of_source, range)
        }
        Expression::Masquerade { flags } => {
            masquerade(run, Range { flags: *flags, ..Range::default() })
        }
        Expression::Redirect { ports } => match range(run, (None, None), *ports, 0) {
            Some(range) => redirect(run, range),
            None => Said::Unclear("the port it changes to is not known".into()),
        },
        _ => Said::Nothing,
    }
}

/// Whether a family (`NFPROTO_…`) is the other version of IP.
fn is_other(run: &Run<'_>, family: u32) -> bool {
    matches!((family, run.state.packet.is_v6()), (2, true) | (10, false))
}

/// What registers say; nothing if it is not known.
fn range(
    run: &Run<'_>,
    addresses: (Option<u32>, Option<u32>),
    ports: (Option<u32>, Option<u32>),
    flags: u32,
) -> Option<Range> {
    let length = if run.state.packet.is_v6() { 16 } else { 4 };
    let address = |register| {
        let value = known(&run.registers.read(register, length))?;
        ip_of(&value)
    };
    let port = |register| {
        let value = known(&run.registers.read(register, 2))?;
        Some(u16::from_be_bytes(value.try_into().ok()?))
    };
    let addresses = match addresses {
        (Some(first), last) => Some((address(first)?, address(last.unwrap_or(first))?)),
        (None, _) => None,
    };
    let ports = match ports {
        (Some(first), last) => Some((port(first)?, port(last.unwrap_or(first))?)),
        (None, _) => None,
    };
    Some(Range { addresses, ports, flags })
}

/// The address in four or sixteen bytes.
pub(super) fn ip_of(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => None,
    }
}

/// The source becomes the address of the link that the packet leaves through.
pub(super) fn masquerade(run: &mut Run<'_>, range: Range) -> Said {
    let scene = run.scene;
    let Some(link) = scene.output else { return Said::Nothing };
    let to = run.state.packet.destination;
    // Of IPv4 it is who the packet is handed to that counts, not who gets it in the end.
    let near = scene.next.filter(|next| to.is_ipv4() && next.is_ipv4()).unwrap_or(to);
    let address = sources::of_link(scene.content, link.index, near);
    match address {
        Some(ip) => {
            let range = Range { addresses: Some((ip, ip)), ..range };
            named(run, true, range, "masquerade")
        }
        None => {
            Said::Refused(Told::Nothing, format!("masquerade, but {} has no address", link.name))
        }
    }
}

/// The destination becomes this namespace.
pub(super) fn redirect(run: &mut Run<'_>, range: Range) -> Said {
    let (scene, is_v6) = (run.scene, run.state.packet.is_v6());
    let own = if scene.hook == Hook::Output {
        let loopback: IpAddr = if is_v6 {
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])
        } else {
            IpAddr::from([127, 0, 0, 1])
        };
        Some(loopback)
    } else {
        let addresses = scene.input.map(|link| scene.content.addresses_of(link.index));
        let mut addresses = addresses.into_iter().flatten();
        addresses.find(|one| one.ip.is_ipv6() == is_v6).map(|one| one.ip)
    };
    match own {
        Some(ip) => {
            let range = Range { addresses: Some((ip, ip)), ..range };
            named(run, false, range, "redirect")
        }
        None => Said::Refused(Told::Nothing, "redirect, but the link has no address".into()),
    }
}

/// Source or destination becomes another.
pub(super) fn change(run: &mut Run<'_>, of_source: bool, range: Range) -> Said {
    named(run, of_source, range, if of_source { "snat" } else { "dnat" })
}

fn named(run: &mut Run<'_>, of_source: bool, range: Range, name: &str) -> Said {
    let packet = &run.state.packet;
    let current: Side = if of_source {
        (packet.source, packet.source_port)
    } else {
        (packet.destination, packet.destination_port)
    };
    let address = match range.addresses {
        None => current.0,
        Some((first, last)) if range.flags & NETMAP == 0 && first == last => first,
        Some(_) => return Said::Unclear(format!("{name} chooses one of several addresses")),
    };
    let port = match range.ports {
        _ if !packet.has_ports() => current.1,
        None if range.flags & RANDOM != 0 => Port::Chosen,
        None => current.1,
        Some((first, last)) if first == last => Port::Number(first),
        Some((first, last)) => match current.1 {
            Port::Number(own) if (first..=last).contains(&own) => current.1,
            _ if of_source => Port::Chosen,
            _ => return Said::Unclear(format!("{name} chooses one of several ports")),
        },
    };
    let Tracking::Of { flow, .. } = &mut run.state.tracking else {
        // What is not tracked is not changed.
        return Said::Accepted(format!("{name}, which does nothing without connection tracking"));
    };
    if of_source {
        flow.reply.destination = (address, port);
        flow.is_source_decided = true;
        (run.state.packet.source, run.state.packet.source_port) = (address, port);
    } else {
        flow.reply.source = (address, port);
        flow.is_destination_decided = true;
        (run.state.packet.destination, run.state.packet.destination_port) = (address, port);
    }
    Said::Accepted(words(name, of_source, run.state.packet.has_ports(), (address, port)))
}

fn words(name: &str, of_source: bool, has_ports: bool, (address, port): Side) -> String {
    let to = if of_source && name != "snat" { "as" } else { "to" };
    match (has_ports, address) {
        (true, IpAddr::V4(ip)) => format!("{name} {to} {ip}:{port}"),
        (true, IpAddr::V6(ip)) => format!("{name} {to} [{ip}]:{port}"),
        (false, ip) => format!("{name} {to} {ip}"),
    }
}
