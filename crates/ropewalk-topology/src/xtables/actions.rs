//! Reads targets, from the structures in `linux/netfilter/xt_….h` and `nf_nat.h`.

use super::{Action, MarkMasks, Masked, Translation, info::Info};
use crate::model::FilterFamily;

/// `NF_NAT_RANGE_MAP_IPS`.
const ADDRESSES: u32 = 1;
/// `NF_NAT_RANGE_PROTO_SPECIFIED`.
const PORTS: u32 = 2;
/// `NF_NAT_RANGE_PROTO_OFFSET`.
const BASE: u32 = 32;

/// What senders are told, by the kernel's numbers.
const REASONS_V4: [Option<&str>; 9] = [
    Some("icmp-net-unreachable"),
    Some("icmp-host-unreachable"),
    Some("icmp-proto-unreachable"),
    Some("icmp-port-unreachable"),
    None,
    Some("icmp-net-prohibited"),
    Some("icmp-host-prohibited"),
    Some("tcp-reset"),
    Some("icmp-admin-prohibited"),
];
const REASONS_V6: [Option<&str>; 9] = [
    Some("icmp6-no-route"),
    Some("icmp6-adm-prohibited"),
    None,
    Some("icmp6-addr-unreachable"),
    Some("icmp6-port-unreachable"),
    None,
    Some("tcp-reset"),
    Some("icmp6-policy-fail"),
    Some("icmp6-reject-route"),
];

impl Action {
    /// What a target means; nothing if it is not known.
    pub fn read(family: FilterFamily, name: &str, revision: u32, bytes: &[u8]) -> Option<Self> {
        let info = Info { bytes, is_v6: family == FilterFamily::Ip6 };
        match (name, revision) {
            ("SNAT", 0..=2) => translation(info, revision).map(Self::TranslateSource),
            ("DNAT", 0..=2) => translation(info, revision).map(Self::TranslateDestination),
            ("MASQUERADE", 0) => translation(info, info.is_v6.into()).map(Self::Masquerade),
            ("REDIRECT", 0) => translation(info, info.is_v6.into()).map(Self::Redirect),
            ("NETMAP", 0) => translation(info, info.is_v6.into()).map(Self::MapNetwork),
            ("REJECT", 0) => {
                let reasons = if info.is_v6 { REASONS_V6 } else { REASONS_V4 };
                let number = usize::try_from(info.u32(0)?).ok()?;
                reasons.get(number).copied().flatten().map(Self::Reject)
            }
            ("MARK", 2) => Some(Self::Mark(masked(info)?)),
            ("CONNMARK", 1) => connection_mark(info, info.u8(12)?),
            // Bits may also be shifted.
            ("CONNMARK", 2) if info.u8(13)? == 0 => connection_mark(info, info.u8(14)?),
            ("LOG", 0) => {
                let (level, flags) = (info.u8(0)?, info.u8(1)?);
                Some(Self::Log { level, flags, prefix: info.text(2, 30)? })
            }
            ("NFLOG", 0) => Some(Self::Report { group: info.u16(4)?, prefix: info.text(12, 64)? }),
            ("TCPMSS", 0) => {
                Some(Self::SegmentSize(Some(info.u16(0)?).filter(|size| *size != u16::MAX)))
            }
            ("CT", 0..=2) if info.u16(0)? & 1 != 0 => Some(Self::Untrack),
            ("NOTRACK", 0) => Some(Self::Untrack),
            _ => None,
        }
    }
}

/// The oldest revision has an own structure for IPv4, and the newest a port to count from.
fn translation(info: Info<'_>, revision: u32) -> Option<Translation> {
    let (flags, addresses, ports) = match revision {
        0 => {
            let addresses = (info.ipv4(8)?, info.ipv4(12)?);
            (info.u32(4)?, addresses, (info.be16(16)?, info.be16(18)?))
        }
        _ => (info.u32(0)?, info.ips(4)?, (info.be16(36)?, info.be16(38)?)),
    };
    let base = if revision == 2 { info.be16(40) } else { None };
    Some(Translation {
        addresses: (flags & ADDRESSES != 0).then_some(addresses),
        ports: (flags & PORTS != 0).then_some(ports),
        base: base.filter(|_| flags & BASE != 0),
        flags,
    })
}

fn masked(info: Info<'_>) -> Option<Masked> {
    Some(Masked { value: info.u32(0)?, mask: info.u32(4)? })
}

fn connection_mark(info: Info<'_>, mode: u8) -> Option<Action> {
    let masks = MarkMasks { connection: info.u32(4)?, packet: info.u32(8)? };
    match mode {
        0 => Some(Action::ConnectionMark(masked(info)?)),
        1 => Some(Action::SaveMark(masks)),
        2 => Some(Action::RestoreMark(masks)),
        _ => None,
    }
}
