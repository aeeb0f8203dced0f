//! Ranges of addresses and sets of them: which addresses there are, in which order. Pure.

use std::{fmt, net::IpAddr, ops::RangeInclusive};

use ropewalk_addr::{Family, Subnet};
use ropewalk_cni::Cidr;

use crate::layer3;

/// Addresses from `start` to `end` of a subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// What the addresses are a part of.
    pub subnet: Subnet,
    /// The first address.
    pub start: IpAddr,
    /// The last one.
    pub end: IpAddr,
    /// Told to the attachment, and never given.
    pub gateway: IpAddr,
    /// Addresses that are never given, as numbers.
    pub excluded: Vec<RangeInclusive<u128>>,
}

/// Alternative ranges: an attachment gets one address from the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeSet(pub(crate) Vec<Range>);

/// A range as it is written.
#[derive(Clone, Debug)]
pub(crate) struct RawRange {
    pub(crate) subnet: ropewalk_addr::Prefix,
    pub(crate) start: Option<IpAddr>,
    pub(crate) end: Option<IpAddr>,
    pub(crate) gateway: Option<IpAddr>,
    /// Addresses, subnets and pairs `first-last`.
    pub(crate) exclude: Vec<String>,
}

/// An address as a number, so that both families count alike.
fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// The address that follows; the last of all is followed by itself.
fn next(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::V4(ip.to_bits().saturating_add(1).into()),
        IpAddr::V6(ip) => IpAddr::V6(ip.to_bits().saturating_add(1).into()),
    }
}

fn ip(number: u128, family: Family) -> IpAddr {
    match (family, u32::try_from(number)) {
        (Family::V4, Ok(bits)) => IpAddr::V4(bits.into()),
        _ => IpAddr::V6(number.into()),
    }
}

fn previous(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::V4(ip.to_bits().saturating_sub(1).into()),
        IpAddr::V6(ip) => IpAddr::V6(ip.to_bits().saturating_sub(1).into()),
    }
}

impl RawRange {
    /// Checks the range and fills in what is not said: start is the first address behind the
    /// network's, end the last one (before the broadcast address), the gateway is the first.
    pub(crate) fn resolve(&self) -> Result<Range, String> {
        let subnet = Subnet::new(self.subnet).map_err(|_| {
            format!(
                "Network has host bits set. For a subnet mask of length {} the network address is {}",
                self.subnet.length(),
                self.subnet.subnet().ip()
            )
        })?;
        if subnet.length() > subnet.family().bits() - 2 {
            return Err(format!("Network {subnet} too small to allocate from"));
        }
        let first = next(subnet.ip());
        let last = match subnet.family() {
            Family::V4 => previous(subnet.last()),
            Family::V6 => subnet.last(),
        };
        let (start, end) = (self.start.unwrap_or(first), self.end.unwrap_or(last));
        if !subnet.contains(start) || number(start) > number(end) && self.end.is_none() {
            return Err(format!("RangeStart {start} not in network {subnet}"));
        }
        if !subnet.contains(end) {
            return Err(format!("RangeEnd {end} not in network {subnet}"));
        }
        if number(start) > number(end) {
            return Err(format!("RangeStart {start} not in network {subnet}"));
        }
        let excluded = self.exclude.iter().map(|text| excluded(text, subnet));
        let excluded = excluded.collect::<Result<_, String>>()?;
        Ok(Range { subnet, start, end, gateway: self.gateway.unwrap_or(first), excluded })
    }
}

/// An address, a subnet or a pair `first-last`, all of it within the network: what lies elsewhere
/// is a misspelling.
fn excluded(text: &str, subnet: Subnet) -> Result<RangeInclusive<u128>, String> {
    let address = |text: &str| text.trim().parse::<IpAddr>().ok();
    let pair = match text.split_once('-') {
        Some((first, last)) => address(first).zip(address(last)),
        None => Cidr::parse_with_optional_prefix(text.trim()).ok().map(|cidr| {
            let excluded = layer3::subnet(cidr);
            (excluded.ip(), excluded.last())
        }),
    };
    let (first, last) = pair.ok_or_else(|| {
        format!("cannot exclude {text:?}: it is no address, subnet or pair first-last")
    })?;
    if !subnet.contains(first) || !subnet.contains(last) || number(first) > number(last) {
        return Err(format!("cannot exclude {text:?}: it is not in network {subnet}"));
    }
    Ok(number(first)..=number(last))
}

impl Range {
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        self.subnet.contains(ip) && (number(self.start)..=number(self.end)).contains(&number(ip))
    }

    pub(crate) fn excludes(&self, ip: IpAddr) -> bool {
        self.excluded.iter().any(|excluded| excluded.contains(&number(ip)))
    }

    /// What may be given: the range without its gateway and what is excluded, in pieces, ascending.
    fn pieces(&self) -> Vec<RangeInclusive<u128>> {
        let mut holes = self.excluded.clone();
        if self.contains(self.gateway) {
            holes.push(number(self.gateway)..=number(self.gateway));
        }
        holes.sort_by_key(|hole| *hole.start());
        let mut pieces = Vec::new();
        let mut start = Some(number(self.start));
        for hole in holes {
            let Some(first) = start else { break };
            if let Some(last) = hole.start().checked_sub(1).filter(|last| *last >= first) {
                pieces.push(first..=last.min(number(self.end)));
            }
            start = hole.end().checked_add(1).map(|behind| behind.max(first));
        }
        pieces.extend(start.map(|first| first..=number(self.end)));
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.subnet.family() == other.subnet.family()
            && number(self.start) <= number(other.end)
            && number(other.start) <= number(self.end)
    }
}

impl RangeSet {
    /// Checks the ranges against each other.
    pub(crate) fn new(ranges: Vec<Range>) -> Result<Self, String> {
        let Some(first) = ranges.first() else {
            return Err("empty range set".into());
        };
        if ranges.iter().any(|range| range.subnet.family() != first.subnet.family()) {
            return Err("mixed address families".into());
        }
        for (index, range) in ranges.iter().enumerate() {
            if let Some(other) = ranges[index + 1..].iter().find(|other| range.overlaps(other)) {
                return Err(format!("subnets {range} and {other} overlap"));
            }
        }
        Ok(Self(ranges))
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().any(|range| other.0.iter().any(|other| range.overlaps(other)))
    }

    /// The range an address lies in.
    pub(crate) fn range_of(&self, ip: IpAddr) -> Option<&Range> {
        self.0.iter().find(|range| range.contains(ip))
    }

    /// Every address but the gateways and what is excluded, each once, beginning behind `last` and
    /// wrapping around.
    pub(crate) fn candidates(
        &self,
        last: Option<IpAddr>,
    ) -> impl Iterator<Item = (IpAddr, &Range)> {
        let split = last.and_then(|last| {
            let index = self.0.iter().position(|range| range.contains(last))?;
            Some((index, number(last)))
        });
        let (mut behind, mut before) = (Vec::new(), Vec::new());
        for (index, range) in self.0.iter().enumerate() {
            for piece in range.pieces() {
                match split {
                    Some((split, _)) if index < split => before.push((piece, range)),
                    Some((split, last)) if index == split => {
                        before.push((*piece.start()..=last.min(*piece.end()), range));
                        let start = last.saturating_add(1).max(*piece.start());
                        behind.push((start..=*piece.end(), range));
                    }
                    _ => behind.push((piece, range)),
                }
            }
        }
        behind.extend(before);
        behind.into_iter().flat_map(|(piece, range)| {
            piece.map(move |number| (ip(number, range.subnet.family()), range))
        })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            write!(f, "{}{range}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluding(subnet: &str, exclude: &[&str]) -> Result<Range, String> {
        let exclude = exclude.iter().map(ToString::to_string).collect();
        let subnet = subnet.parse().unwrap();
        RawRange { subnet, start: None, end: None, gateway: None, exclude }.resolve()
    }

    fn range(subnet: &str) -> Range {
        excluding(subnet, &[]).unwrap()
    }

    fn addresses(set: &RangeSet, last: Option<&str>) -> Vec<String> {
        let last = last.map(|text| text.parse().unwrap());
        set.candidates(last).map(|(ip, _)| ip.to_string()).collect()
    }

    #[test]
    fn candidates_go_round_once_and_skip_the_gateway() {
        let set = RangeSet::new(vec![range("10.0.0.0/29")]).unwrap();
        let all = ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"];
        assert_eq!(addresses(&set, None), all);
        assert_eq!(
            addresses(&set, Some("10.0.0.4")),
            ["10.0.0.5", "10.0.0.6", "10.0.0.2", "10.0.0.3", "10.0.0.4"]
        );
        assert_eq!(addresses(&set, Some("10.0.0.6")), all);
        assert_eq!(addresses(&set, Some("192.168.0.1")), all);
    }

    #[test]
    fn candidates_cross_from_range_to_range() {
        let set = RangeSet::new(vec![range("10.0.0.0/30"), range("10.1.0.0/30")]).unwrap();
        assert_eq!(addresses(&set, None), ["10.0.0.2", "10.1.0.2"]);
        assert_eq!(addresses(&set, Some("10.0.0.2")), ["10.1.0.2", "10.0.0.2"]);
    }

    #[test]
    fn a_range_that_is_only_its_gateway_has_no_candidates() {
        let ip = "10.0.0.1".parse().unwrap();
        let lonely = Range { start: ip, end: ip, ..range("10.0.0.0/29") };
        assert_eq!(RangeSet(vec![lonely]).candidates(None).count(), 0);
    }

    #[test]
    fn the_last_address_of_ipv6_can_be_used_and_ends_the_walk() {
        let set = RangeSet::new(vec![range("fd00::/126")]).unwrap();
        assert_eq!(addresses(&set, None), ["fd00::2", "fd00::3"]);
        let top =
            RangeSet::new(vec![range("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124")]).unwrap();
        assert_eq!(top.candidates(None).count(), 14);
    }

    #[test]
    fn what_is_excluded_is_passed_over_at_once_however_much_it_is() {
        let exclude = ["10.0.0.0/30", "10.0.0.5", "10.0.0.6-10.0.0.7"];
        let set = RangeSet::new(vec![excluding("10.0.0.0/28", &exclude).unwrap()]).unwrap();
        let all: Vec<String> =
            [4, 8, 9, 10, 11, 12, 13, 14].map(|byte| format!("10.0.0.{byte}")).into();
        assert_eq!(addresses(&set, None), all);
        assert_eq!(addresses(&set, Some("10.0.0.5"))[0], "10.0.0.8");
        assert_eq!(addresses(&set, Some("10.0.0.14")), all);
        let nearly_all = ["fd00::/65", "fd00::8000:0:0:0-fd00::ffff:ffff:ffff:fffe"];
        let wide = RangeSet::new(vec![excluding("fd00::/64", &nearly_all).unwrap()]).unwrap();
        assert_eq!(addresses(&wide, None), ["fd00::ffff:ffff:ffff:ffff"]);
        let none = RangeSet::new(vec![excluding("fd00::/64", &["fd00::/64"]).unwrap()]).unwrap();
        assert_eq!(none.candidates(None).count(), 0);
        let top = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124";
        let top = RangeSet::new(vec![excluding(top, &[top]).unwrap()]).unwrap();
        assert_eq!(top.candidates(None).count(), 0);
    }

    #[test]
    fn what_cannot_be_excluded_is_said() {
        for (text, reason) in [
            ("zz", "it is no address"),
            ("10.0.0.1-", "it is no address"),
            ("10.0.0.9-10.0.0.1", "it is not in network 10.0.0.0/24"),
            ("10.0.1.0-10.0.1.9", "it is not in network 10.0.0.0/24"),
            ("10.0.0.0/16", "it is not in network 10.0.0.0/24"),
            ("fd00::1", "it is not in network 10.0.0.0/24"),
        ] {
            let error = excluding("10.0.0.0/24", &[text]).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
