//! An address with its prefix length, host part kept.
//!
//! This is the `address` of results: `10.1.2.3/16` stays `10.1.2.3/16`. It must never
//! decide anything about routing; that is what `ropewalk-addr` is for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// An IP address and the length of its network prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// The address with its host part.
    pub ip: IpAddr,
    /// The number of leading network bits, at most 32 or 128.
    pub prefix: u8,
}

impl Default for Cidr {
    /// All of IPv4: `0.0.0.0/0`.
    fn default() -> Cidr {
        Cidr { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0 }
    }
}

/// Text that is not an address with a prefix length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCidr(String);

impl fmt::Display for InvalidCidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "invalid CIDR address: {}", self.0)
    }
}

impl std::error::Error for InvalidCidr {}

impl Cidr {
    /// An address and prefix length, if the length fits the address.
    pub fn new(ip: IpAddr, prefix: u8) -> Option<Cidr> {
        (prefix <= full_prefix(ip)).then_some(Cidr { ip, prefix })
    }

    /// A single address: `/32` or `/128`.
    pub fn host(ip: IpAddr) -> Cidr {
        Cidr { ip, prefix: full_prefix(ip) }
    }

    /// Reads an address whose prefix length may be missing; then it is a single address.
    ///
    /// # Errors
    ///
    /// When the text is neither.
    pub fn parse_with_optional_prefix(text: &str) -> Result<Cidr, InvalidCidr> {
        match parse_ip(text) {
            Some(ip) => Ok(Cidr::host(ip)),
            None => text.parse(),
        }
    }
}

fn full_prefix(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Reads an address. IPv4 written as IPv6 is IPv4.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(text: &str) -> Result<Cidr, InvalidCidr> {
        parse(text).ok_or_else(|| InvalidCidr(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Cidr> {
    let (ip, prefix) = text.split_once('/')?;
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let written = Cidr::new(ip.parse().ok()?, prefix.parse().ok()?)?;
    match (written.ip, written.ip.to_canonical()) {
        (IpAddr::V6(_), ip @ IpAddr::V4(_)) => Cidr::new(ip, written.prefix.checked_sub(96)?),
        (ip, _) => Cidr::new(ip, written.prefix),
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.ip, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_part_is_kept() {
        for text in ["10.1.2.3/16", "0.0.0.0/0", "fd00::5/64", "::/0", "1.2.3.4/32"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_ipv4_address_written_as_ipv6_is_ipv4() {
        let cidr: Cidr = "::ffff:10.0.0.1/120".parse().unwrap();
        assert_eq!(cidr.to_string(), "10.0.0.1/24");
    }

    #[test]
    fn other_text_is_refused_by_name() {
        for text in ["", "x", "10.0.0.1", "10.0.0.1/33", "fd00::/129", "10.0.0.1/+8", "1.2.3/8"] {
            let error = text.parse::<Cidr>().unwrap_err();
            assert_eq!(error.to_string(), format!("invalid CIDR address: {text}"));
        }
    }

    #[test]
    fn a_bare_address_is_a_host_where_the_prefix_is_optional() {
        for (text, expected) in
            [("10.0.0.1", "10.0.0.1/32"), ("fd00::1", "fd00::1/128"), ("10.0.0.1/8", "10.0.0.1/8")]
        {
            let cidr = Cidr::parse_with_optional_prefix(text).unwrap();
            assert_eq!(cidr.to_string(), expected);
        }
        assert!(Cidr::parse_with_optional_prefix("zz").is_err());
    }
}
