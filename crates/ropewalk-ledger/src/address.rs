//! Addresses as numbers, so that both families count alike.

use std::net::{IpAddr, Ipv6Addr};

use ropewalk_addr::Family;

/// The address as a number.
pub(crate) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// The address of a number. One that is too large for IPv4 is none of that family.
pub(crate) fn address(number: u128, family: Family) -> IpAddr {
    match (family, u32::try_from(number)) {
        (Family::V4, Ok(bits)) => IpAddr::V4(bits.into()),
        _ => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}
