//! Queueing disciplines, traffic classes and traffic filters. Only kinds that every distribution's
//! kernel has are used: `tbf`, `htb`, `ingress`, `u32` and `mirred`.

use std::net::IpAddr;

use ropewalk_addr::{Family, Prefix, Subnet};
use ropewalk_netstate::resource::{
    Qdisc, TrafficClass, TrafficFilter,
    traffic::{Discipline, Hook, Rate, Selector, Verdict},
};

use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        ETH_P_ALL, ETH_P_IP, ETH_P_IPV6, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL, RTM_DELQDISC,
        RTM_DELTCLASS, RTM_DELTFILTER, RTM_GETQDISC, RTM_GETTCLASS, RTM_GETTFILTER, RTM_NEWQDISC,
        RTM_NEWTCLASS, RTM_NEWTFILTER, TC_ACT_STOLEN, TC_H_INGRESS, TC_H_ROOT,
        TC_LINKLAYER_ETHERNET, TC_U32_TERMINAL, TCA_ACT_KIND, TCA_ACT_OPTIONS, TCA_EGRESS_REDIR,
        TCA_HTB_CEIL64, TCA_HTB_DIRECT_QLEN, TCA_HTB_INIT, TCA_HTB_PARMS, TCA_HTB_RATE64, TCA_KIND,
        TCA_MIRRED_PARMS, TCA_OPTIONS, TCA_TBF_BURST, TCA_TBF_PARMS, TCA_TBF_RATE64, TCA_U32_ACT,
        TCA_U32_CLASSID, TCA_U32_SEL,
    },
};

/// Length of `struct tcmsg`.
const HEADER: usize = 20;
/// Our disciplines on what links send are `1:`, as the reference plugin's.
const ROOT_HANDLE: u32 = 0x1_0000;
/// The only handle that the kernel gives to an ingress hook.
const INGRESS_HANDLE: u32 = 0xffff_0000;
/// The kernel's unit of time for traffic, in nanoseconds (`PSCHED_SHIFT`).
const TICK_NS: u64 = 64;
/// What time in ticks may differ: the reference plugin rounds to microseconds, the kernel by its
/// way of dividing.
const TOLERANCE_TICKS: u32 = 32;
/// How many packets may wait that belong to no class, whatever the queue of the link.
const DIRECT_QUEUE: u32 = 1000;

/// `struct tcmsg`.
pub(super) fn header(message: &mut Message, index: u32, handle: u32, parent: u32, info: u32) {
    let numbers = [0, index, handle, parent, info].map(u32::to_ne_bytes);
    message.raw(&numbers.concat());
}

/// The number in the header at an offset.
pub(super) fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn handle_of(hook: Hook) -> u32 {
    match hook {
        Hook::Root => ROOT_HANDLE,
        Hook::Ingress => INGRESS_HANDLE,
    }
}

fn parent_of(hook: Hook) -> u32 {
    match hook {
        Hook::Root => TC_H_ROOT,
        Hook::Ingress => TC_H_INGRESS,
    }
}

/// Puts a discipline on a link; `None` for a kind that we do not make.
pub(crate) fn create_qdisc(qdisc: &Qdisc, index: u32) -> Option<Message> {
    let mut message = Message::acknowledged(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
    header(&mut message, index, handle_of(qdisc.hook), parent_of(qdisc.hook), 0);
    match &qdisc.discipline {
        Discipline::TokenBucket { rate, limit_bytes } => {
            message.text(TCA_KIND, "tbf");
            message.nest(TCA_OPTIONS, |options| token_bucket(options, *rate, *limit_bytes));
        }
        Discipline::Classes { default_class } => {
            message.text(TCA_KIND, "htb");
            // Version 3 of the interface; every class tells its quantum.
            let global = [3, 10, u32::from(*default_class), 0, 0].map(u32::to_ne_bytes);
            message.nest(TCA_OPTIONS, |options| {
                options.bytes(TCA_HTB_INIT, &global.concat());
                options.u32(TCA_HTB_DIRECT_QLEN, DIRECT_QUEUE);
            });
        }
        Discipline::Ingress => {
            message.text(TCA_KIND, "ingress");
        }
        Discipline::Other(_) => return None,
    }
    Some(message)
}

/// `struct tc_ratespec`: a rate beyond 32 bits is told by an attribute of its own.
fn rate_spec(rate: Rate, link_layer: u8) -> Vec<u8> {
    let narrow = u32::try_from(rate.bytes_per_second).unwrap_or(u32::MAX);
    [&[0, link_layer, 0, 0, 0, 0, 0, 0][..], &narrow.to_ne_bytes()].concat()
}

fn is_wide(rate: Rate) -> bool {
    u32::try_from(rate.bytes_per_second).is_err()
}

/// `struct tc_tbf_qopt`. The time of the burst is rounded as the reference plugin does, whose CHECK
/// is exact; where that would be coarse, the burst is told in bytes.
fn token_bucket(options: &mut Message, rate: Rate, limit_bytes: u32) {
    let micros = u64::from(rate.burst_bytes) * 1_000_000 / rate.bytes_per_second.max(1);
    let rounded = u32::try_from(micros * 1000 / TICK_NS).ok().filter(|_| micros >= 1000);
    let burst = rounded.unwrap_or_else(|| ticks_to_send(rate));
    let rest = [limit_bytes, burst, 0].map(u32::to_ne_bytes);
    let parameters = [&rate_spec(rate, 0)[..], &[0; 12], &rest.concat()].concat();
    options.bytes(TCA_TBF_PARMS, &parameters);
    if rounded.is_none() {
        options.u32(TCA_TBF_BURST, rate.burst_bytes);
    }
    if is_wide(rate) {
        options.u64(TCA_TBF_RATE64, rate.bytes_per_second);
    }
}

/// How long a burst takes at its rate.
fn ticks(rate: Rate) -> u64 {
    u64::from(rate.burst_bytes) * 1_000_000_000 / rate.bytes_per_second.max(1) / TICK_NS
}

fn ticks_to_send(rate: Rate) -> u32 {
    u32::try_from(ticks(rate)).unwrap_or(u32::MAX)
}

/// The burst that a time means: the wanted one if it can be meant.
fn burst_bytes(found_ticks: u32, bytes_per_second: u64, wanted: Option<Rate>) -> u32 {
    if let Some(wanted) = wanted.filter(|wanted| wanted.bytes_per_second == bytes_per_second) {
        let (exact, saturated) = (ticks(wanted), ticks_to_send(wanted));
        // The kernel cuts what it tells of a discipline to 32 bits.
        let cut = u32::try_from(exact % (1 << 32)).unwrap_or_default();
        let means = |expected: u32| {
            let difference = found_ticks.wrapping_sub(expected).cast_signed().unsigned_abs();
            difference <= TOLERANCE_TICKS
        };
        if means(cut) || means(saturated) {
            return wanted.burst_bytes;
        }
    }
    let bytes = u128::from(found_ticks) * u128::from(TICK_NS) * u128::from(bytes_per_second);
    u32::try_from(bytes / 1_000_000_000).unwrap_or(u32::MAX)
}

/// Takes a discipline away, with its classes and filters.
pub(crate) fn delete_qdisc(hook: Hook, index: u32) -> Message {
    let mut message = Message::acknowledged(RTM_DELQDISC, 0);
    header(&mut message, index, 0, parent_of(hook), 0);
    message
}

/// Asks for a discipline. Only a request that wants its echo is answered to whoever asks.
pub(crate) fn find_qdisc(hook: Hook, index: u32) -> Message {
    let mut message = Message::acknowledged(RTM_GETQDISC, NLM_F_ECHO);
    header(&mut message, index, 0, parent_of(hook), 0);
    message
}

/// Reads a discipline; those without a handle are the kernel's own choice.
pub(crate) fn read_qdisc(reply: &Reply<'_>, wanted: &Qdisc) -> Option<Qdisc> {
    if reply.kind != RTM_NEWQDISC || number_at(reply.payload, 8)? == 0 {
        return None;
    }
    let attributes = Attributes::behind(reply.payload, HEADER);
    let kind = attributes.first(TCA_KIND)?.text()?;
    let options = attributes.first(TCA_OPTIONS);
    let discipline = match kind {
        "tbf" => read_token_bucket(options?, &wanted.discipline)?,
        "htb" => {
            let default = number_at(options?.inner(TCA_HTB_INIT)?.payload, 8)?;
            Discipline::Classes { default_class: u16::try_from(default).ok()? }
        }
        "ingress" => Discipline::Ingress,
        other => Discipline::Other(other.into()),
    };
    Some(Qdisc { discipline, ..wanted.clone() })
}

fn read_token_bucket(options: Attribute<'_>, wanted: &Discipline) -> Option<Discipline> {
    let parameters = options.inner(TCA_TBF_PARMS)?.payload;
    let wide = options.inner(TCA_TBF_RATE64).and_then(Attribute::u64);
    let bytes_per_second = wide.unwrap_or(number_at(parameters, 8)?.into());
    let wanted = match wanted {
        Discipline::TokenBucket { rate, .. } => Some(*rate),
        Discipline::Classes { .. } | Discipline::Ingress | Discipline::Other(_) => None,
    };
    let burst_bytes = burst_bytes(number_at(parameters, 28)?, bytes_per_second, wanted);
    let limit_bytes = number_at(parameters, 24)?;
    Some(Discipline::TokenBucket { rate: Rate { bytes_per_second, burst_bytes }, limit_bytes })
}

/// Makes a class, or gives it another rate.
pub(crate) fn set_class(class: &TrafficClass, index: u32) -> Message {
    let rate = class.rate;
    let mut message = Message::acknowledged(RTM_NEWTCLASS, NLM_F_CREATE);
    header(&mut message, index, ROOT_HANDLE | u32::from(class.number), ROOT_HANDLE, 0);
    message.text(TCA_KIND, "htb");
    // `struct tc_htb_opt`. With a link layer told, the kernel wants no table of rates.
    let spec = rate_spec(rate, TC_LINKLAYER_ETHERNET);
    let burst = ticks_to_send(rate);
    // Nobody shares with this class, but the kernel warns of a quantum that looks wrong.
    let quantum = u32::try_from(rate.bytes_per_second / 10).unwrap_or(u32::MAX);
    let rest = [burst, burst, quantum.clamp(1_500, 200_000), 0, 0].map(u32::to_ne_bytes);
    message.nest(TCA_OPTIONS, |options| {
        options.bytes(TCA_HTB_PARMS, &[&spec[..], &spec, &rest.concat()].concat());
        if is_wide(rate) {
            options.u64(TCA_HTB_RATE64, rate.bytes_per_second);
            options.u64(TCA_HTB_CEIL64, rate.bytes_per_second);
        }
    });
    message
}

/// Takes a class away.
pub(crate) fn delete_class(number: u16, index: u32) -> Message {
    let mut message = Message::acknowledged(RTM_DELTCLASS, 0);
    header(&mut message, index, ROOT_HANDLE | u32::from(number), 0, 0);
    message
}

/// Asks for the classes of a link.
pub(crate) fn list_classes(index: u32) -> Message {
    let mut message = Message::dump(RTM_GETTCLASS);
    header(&mut message, index, 0, 0, 0);
    message
}

/// Reads the class that is wanted.
pub(crate) fn read_class(reply: &Reply<'_>, wanted: &TrafficClass) -> Option<TrafficClass> {
    let handle = number_at(reply.payload, 8)?;
    if reply.kind != RTM_NEWTCLASS || handle != ROOT_HANDLE | u32::from(wanted.number) {
        return None;
    }
    let attributes = Attributes::behind(reply.payload, HEADER);
    attributes.first(TCA_KIND)?.text().filter(|kind| *kind == "htb")?;
    let options = attributes.first(TCA_OPTIONS)?;
    let parameters = options.inner(TCA_HTB_PARMS)?.payload;
    let wide = options.inner(TCA_HTB_RATE64).and_then(Attribute::u64);
    let bytes_per_second = wide.unwrap_or(number_at(parameters, 8)?.into());
    let burst = number_at(parameters, 24)?;
    let burst_bytes = burst_bytes(burst, bytes_per_second, Some(wanted.rate));
    Some(TrafficClass { rate: Rate { bytes_per_second, burst_bytes }, ..wanted.clone() })
}

/// Priority and protocol, as a filter's header tells them.
pub(super) fn filter_info(priority: u16, protocol: u16) -> u32 {
    u32::from(priority) << 16 | u32::from(protocol.to_be())
}

/// Makes a filter that redirects to the link with the index `target`, or sorts into a class;
/// `None` for one that does something else.
pub(crate) fn create_filter(filter: &TrafficFilter, index: u32, target: u32) -> Option<Message> {
    let mut message = Message::acknowledged(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
    let (protocol, keys) = selector_keys(filter.selector);
    let info = filter_info(filter.priority, protocol);
    header(&mut message, index, 0, handle_of(filter.hook), info);
    message.text(TCA_KIND, "u32");
    let class = match filter.verdict {
        Verdict::Class(number) => Some(ROOT_HANDLE | u32::from(number)),
        Verdict::Redirect(_) => None,
        Verdict::Other => return None,
    };
    message.nest(TCA_OPTIONS, |options| {
        options.bytes(TCA_U32_SEL, &selector(&keys));
        match class {
            Some(class) => options.u32(TCA_U32_CLASSID, class),
            None => options.nest(TCA_U32_ACT, |actions| redirect(actions, target)),
        };
    });
    Some(message)
}

/// The first and only action.
fn redirect(actions: &mut Message, target: u32) {
    let parameters = [0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, target].map(u32::to_ne_bytes);
    actions.nest(1, |action| {
        action.text(TCA_ACT_KIND, "mirred").nest(TCA_ACT_OPTIONS, |options| {
            options.bytes(TCA_MIRRED_PARMS, &parameters.concat());
        });
    });
}

/// Four bytes of a packet, counted from its network header.
#[derive(Clone, Copy)]
struct MatchKey {
    mask: [u8; 4],
    value: [u8; 4],
    offset: u32,
}

/// Where the source address is in a packet; the destination is behind it.
fn address_offset(family: Family) -> u32 {
    match family {
        Family::V4 => 12,
        Family::V6 => 8,
    }
}

fn selector_keys(selector: Selector) -> (u16, Vec<MatchKey>) {
    let (subnet, is_source) = match selector {
        Selector::All => {
            let everything = MatchKey { mask: [0; 4], value: [0; 4], offset: 0 };
            return (ETH_P_ALL, vec![everything]);
        }
        Selector::From(subnet) => (subnet, true),
        Selector::To(subnet) => (subnet, false),
    };
    let family = subnet.family();
    let protocol = if family == Family::V4 { ETH_P_IP } else { ETH_P_IPV6 };
    let length = u32::from(family.bits() / 8);
    let start = address_offset(family) + if is_source { 0 } else { length };
    let octets = octets(subnet.ip());
    let masks = (0..octets.len()).map(|at| mask_byte(subnet.length(), at)).collect::<Vec<_>>();
    let words = octets.chunks_exact(4).zip(masks.chunks_exact(4)).zip((start..).step_by(4));
    let all = words.map(|((value, mask), offset)| MatchKey {
        mask: [mask[0], mask[1], mask[2], mask[3]],
        value: [value[0], value[1], value[2], value[3]],
        offset,
    });
    // The first key stays even if it matches everything: it tells which address is meant.
    let counted = all.enumerate().filter(|(at, key)| *at == 0 || key.mask != [0; 4]);
    (protocol, counted.map(|(_, key)| key).collect())
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The byte at a position in the mask of a prefix length.
fn mask_byte(length: u8, at: usize) -> u8 {
    let bits = usize::from(length).saturating_sub(at * 8).min(8);
    (0xff00_u16 >> bits & 0xff) as u8
}

/// `struct tc_u32_sel` with its keys.
fn selector(keys: &[MatchKey]) -> Vec<u8> {
    let count = u8::try_from(keys.len()).unwrap_or(u8::MAX);
    let mut bytes = vec![TC_U32_TERMINAL, 0, count, 0];
    bytes.extend([0; 12]);
    for key in keys {
        let offset = key.offset.to_ne_bytes();
        bytes.extend([key.mask, key.value, offset, [0; 4]].concat());
    }
    bytes
}

/// Takes all filters with a priority away.
pub(crate) fn delete_filter(hook: Hook, priority: u16, index: u32) -> Message {
    let mut message = Message::acknowledged(RTM_DELTFILTER, 0);
    header(&mut message, index, 0, handle_of(hook), filter_info(priority, 0));
    message
}

/// Asks for the filters at a hook.
pub(crate) fn list_filters(hook: Hook, index: u32) -> Message {
    let mut message = Message::dump(RTM_GETTFILTER);
    header(&mut message, index, 0, handle_of(hook), 0);
    message
}

/// Reads the filter that is wanted; `target` is the index of the link that it redirects to. The
/// kernel lists the tables of filters too, which select nothing.
pub(crate) fn read_filter(
    reply: &Reply<'_>,
    wanted: &TrafficFilter,
    target: Option<u32>,
) -> Option<TrafficFilter> {
    let info = number_at(reply.payload, 16)?;
    if reply.kind != RTM_NEWTFILTER || info >> 16 != u32::from(wanted.priority) {
        return None;
    }
    let attributes = Attributes::behind(reply.payload, HEADER);
    let options = attributes.first(TCA_OPTIONS)?;
    let protocol = u16::from_be((info & 0xffff) as u16);
    let selector = match options.inner(TCA_U32_SEL) {
        Some(selector) => read_selector(protocol, selector.payload)?,
        None => return None,
    };
    let verdict = match options.inner(TCA_U32_ACT) {
        Some(actions) => read_action(actions, wanted, target).unwrap_or(Verdict::Other),
        None => match options.inner(TCA_U32_CLASSID).and_then(Attribute::u32) {
            Some(class) => Verdict::Class((class & 0xffff) as u16),
            None => Verdict::Other,
        },
    };
    Some(TrafficFilter { selector, verdict, ..wanted.clone() })
}

/// The first action decides: it takes the packet away.
fn read_action(
    actions: Attribute<'_>,
    wanted: &TrafficFilter,
    target: Option<u32>,
) -> Option<Verdict> {
    let first = actions.nested().next()?;
    first.inner(TCA_ACT_KIND)?.text().filter(|kind| *kind == "mirred")?;
    let parameters = first.inner(TCA_ACT_OPTIONS)?.inner(TCA_MIRRED_PARMS)?.payload;
    let is_redirect = number_at(parameters, 20)? == TCA_EGRESS_REDIR;
    let is_it = is_redirect && number_at(parameters, 24) == target;
    is_it.then(|| wanted.verdict.clone())
}

fn read_selector(protocol: u16, bytes: &[u8]) -> Option<Selector> {
    let keys: Vec<MatchKey> = bytes.get(16..)?.chunks_exact(16).filter_map(read_key).collect();
    let first = keys.first()?;
    let family = match protocol {
        ETH_P_IP => Family::V4,
        ETH_P_IPV6 => Family::V6,
        _ => return keys.iter().all(|key| key.mask == [0; 4]).then_some(Selector::All),
    };
    let mut octets = vec![0; usize::from(family.bits() / 8)];
    let mut length = 0;
    let distance = u32::from(family.bits() / 8);
    let start = address_offset(family);
    let is_source = first.offset < start + distance;
    let start = if is_source { start } else { start + distance };
    for key in &keys {
        let at = usize::try_from(key.offset.checked_sub(start)?).ok()?;
        octets.get_mut(at..at + 4)?.copy_from_slice(&key.value);
        length += u32::from_ne_bytes(key.mask).count_ones();
    }
    let ip: IpAddr = match family {
        Family::V4 => <[u8; 4]>::try_from(octets).ok()?.into(),
        Family::V6 => <[u8; 16]>::try_from(octets).ok()?.into(),
    };
    let subnet: Subnet = Prefix::new(ip, u8::try_from(length).ok()?).ok()?.subnet();
    Some(if is_source { Selector::From(subnet) } else { Selector::To(subnet) })
}

fn read_key(bytes: &[u8]) -> Option<MatchKey> {
    let word = |at: usize| bytes.get(at..at + 4)?.first_chunk::<4>().copied();
    Some(MatchKey { mask: word(0)?, value: word(4)?, offset: number_at(bytes, 8)? })
}
