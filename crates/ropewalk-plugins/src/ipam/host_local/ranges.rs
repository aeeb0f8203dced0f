//! Ranges of addresses and sets of them: which addresses there are, in which order. Pure.

use std::{fmt, net::IpAddr};

use ropewalk_addr::{Family, Subnet};

/// Addresses from `start` to `end` of a subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) subnet: Subnet,
    pub(crate) start: IpAddr,
    pub(crate) end: IpAddr,
    pub(crate) gateway: IpAddr,
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
        Ok(Range { subnet, start, end, gateway: self.gateway.unwrap_or(first) })
    }
}

impl Range {
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        self.subnet.contains(ip) && (number(self.start)..=number(self.end)).contains(&number(ip))
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

    /// Every address but the gateways, each once, beginning behind `last` and wrapping around.
    pub(crate) fn candidates(&self, last: Option<IpAddr>) -> Candidates<'_> {
        let after = last.and_then(|last| {
            let index = self.0.iter().position(|range| range.contains(last))?;
            Some((index, last))
        });
        let (index, ip) = match after {
            Some((index, last)) if last != self.0[index].end => (index, next(last)),
            Some((index, _)) => {
                let index = (index + 1) % self.0.len();
                (index, self.0[index].start)
            }
            None => (0, self.0[0].start),
        };
        Candidates { set: self, index, ip, first: (index, ip), started: false }
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

/// See [`RangeSet::candidates`].
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    set: &'a RangeSet,
    index: usize,
    ip: IpAddr,
    first: (usize, IpAddr),
    started: bool,
}

impl<'a> Iterator for Candidates<'a> {
    type Item = (IpAddr, &'a Range);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let here = (self.index, self.ip);
            if self.started && here == self.first {
                return None;
            }
            self.started = true;
            let range = &self.set.0[self.index];
            if self.ip == range.end {
                self.index = (self.index + 1) % self.set.0.len();
                self.ip = self.set.0[self.index].start;
            } else {
                self.ip = next(self.ip);
            }
            if here.1 != range.gateway {
                return Some((here.1, range));
            }
            // A set that is nothing but its gateway has no candidates.
            if (self.index, self.ip) == self.first {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(subnet: &str) -> Range {
        let raw =
            RawRange { subnet: subnet.parse().unwrap(), start: None, end: None, gateway: None };
        raw.resolve().unwrap()
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
}
