//! Addresses with a prefix length: `Prefix` keeps the host part, `Subnet` has none.

use core::{fmt, net::IpAddr, ops::Deref, str::FromStr};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Number of bits in an address of this family.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// An address and its prefix length, host part kept: `10.1.2.3/24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    ip: IpAddr,
    length: u8,
}

/// A prefix without host bits: `10.1.2.0/24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet(Prefix);

/// Why a text or a pair is not a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidPrefix {
    /// Not of the form `ADDRESS/LENGTH`.
    NotCidr,
    /// The length is larger than the address has bits.
    TooLong,
    /// Bits behind the prefix length are set.
    HostBits,
}

impl fmt::Display for InvalidPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotCidr => "invalid CIDR address",
            Self::TooLong => "prefix length exceeds the address",
            Self::HostBits => "host bits are set",
        })
    }
}

impl core::error::Error for InvalidPrefix {}

impl Prefix {
    /// An address with a prefix length of at most 32 or 128.
    pub fn new(ip: IpAddr, length: u8) -> Result<Self, InvalidPrefix> {
        if length > Family::of(ip).bits() {
            Err(InvalidPrefix::TooLong)
        } else {
            Ok(Self { ip, length })
        }
    }

    /// The prefix that holds this address alone (`/32` or `/128`).
    pub fn host(ip: IpAddr) -> Self {
        Self { ip, length: Family::of(ip).bits() }
    }

    /// The address.
    pub fn ip(self) -> IpAddr {
        self.ip
    }

    /// The prefix length in bits.
    pub fn length(self) -> u8 {
        self.length
    }

    /// The address family.
    pub fn family(self) -> Family {
        Family::of(self.ip)
    }

    /// The subnet this address lies in.
    pub fn subnet(self) -> Subnet {
        let ip = match self.ip {
            IpAddr::V4(ip) => IpAddr::V4((ip.to_bits() & mask32(self.length)).into()),
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & mask128(self.length)).into()),
        };
        Subnet(Self { ip, length: self.length })
    }

    /// The address `n` above this one, if the family has it.
    pub fn offset(self, n: u32) -> Option<IpAddr> {
        match self.ip {
            IpAddr::V4(ip) => ip.to_bits().checked_add(n).map(|bits| IpAddr::V4(bits.into())),
            IpAddr::V6(ip) => {
                ip.to_bits().checked_add(n.into()).map(|bits| IpAddr::V6(bits.into()))
            }
        }
    }
}

fn mask32(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

fn mask128(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

impl Subnet {
    /// A prefix without host bits, or an error where it has some.
    pub fn new(prefix: Prefix) -> Result<Self, InvalidPrefix> {
        if prefix.subnet().0 == prefix { Ok(Self(prefix)) } else { Err(InvalidPrefix::HostBits) }
    }

    /// `0.0.0.0/0` or `::/0`.
    pub fn default_route(family: Family) -> Self {
        let ip = match family {
            Family::V4 => IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED),
        };
        Self(Prefix { ip, length: 0 })
    }

    /// Whether this is the default route's destination.
    pub fn is_default(self) -> bool {
        self.length == 0
    }

    /// Whether the address lies in this subnet.
    pub fn contains(self, ip: IpAddr) -> bool {
        Family::of(ip) == self.family() && Prefix { ip, length: self.length }.subnet() == self
    }

    /// Whether the two subnets share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.ip) || other.contains(self.ip)
    }

    /// The last address: the broadcast address of an IPv4 subnet.
    pub fn last(self) -> IpAddr {
        match self.ip {
            IpAddr::V4(ip) => IpAddr::V4((ip.to_bits() | !mask32(self.length)).into()),
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() | !mask128(self.length)).into()),
        }
    }
}

impl Deref for Subnet {
    type Target = Prefix;

    fn deref(&self) -> &Prefix {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let (ip, length) = text.split_once('/').ok_or(InvalidPrefix::NotCidr)?;
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidPrefix::NotCidr);
        }
        let ip = ip.parse().map_err(|_| InvalidPrefix::NotCidr)?;
        Self::new(ip, length.parse().map_err(|_| InvalidPrefix::TooLong)?)
    }
}

impl FromStr for Subnet {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        Self::new(text.parse()?)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_keeps_its_host_part_and_a_subnet_has_none() {
        assert_eq!(prefix("10.1.2.3/24").to_string(), "10.1.2.3/24");
        assert_eq!(prefix("10.1.2.3/24").subnet().to_string(), "10.1.2.0/24");
        assert_eq!(prefix("fd00::1:2/112").subnet().to_string(), "fd00::1:0/112");
        assert_eq!("10.1.2.3/24".parse::<Subnet>(), Err(InvalidPrefix::HostBits));
    }

    #[test]
    fn the_ends_of_the_length_range_work() {
        assert_eq!(prefix("10.1.2.3/0").subnet(), Subnet::default_route(Family::V4));
        assert_eq!(prefix("fd00::1/128").subnet().last(), prefix("fd00::1/128").ip());
        assert_eq!("10.0.0.0/33".parse::<Prefix>(), Err(InvalidPrefix::TooLong));
        assert_eq!("10.0.0.0/+8".parse::<Prefix>(), Err(InvalidPrefix::NotCidr));
    }

    #[test]
    fn containment_and_overlap_respect_families() {
        let subnet: Subnet = "10.1.0.0/16".parse().unwrap();
        assert!(subnet.contains("10.1.255.255".parse().unwrap()));
        assert!(!subnet.contains("10.2.0.0".parse().unwrap()));
        assert!(!subnet.contains("::".parse().unwrap()));
        assert!(subnet.overlaps("10.0.0.0/8".parse().unwrap()));
        assert!(!subnet.overlaps("10.2.0.0/16".parse().unwrap()));
        assert_eq!(subnet.last().to_string(), "10.1.255.255");
    }
}
