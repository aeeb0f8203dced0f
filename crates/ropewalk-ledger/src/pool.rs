//! Pools of addresses and the choosing among addresses that nobody has had yet. Pure.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    net::IpAddr,
    ops::RangeInclusive,
};

use ropewalk_addr::{Family, Subnet};

use crate::address::{address, number};

/// Addresses of a subnet that are given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name within the space of addresses.
    pub name: String,
    /// What the addresses are a part of.
    pub subnet: Subnet,
    /// The first address that may be given.
    pub start: IpAddr,
    /// The last one.
    pub end: IpAddr,
    /// Never given.
    pub gateway: IpAddr,
    /// Addresses that are never given either, as numbers.
    pub excluded: Vec<RangeInclusive<u128>>,
    /// Addresses that are given to these names alone.
    pub reserved: BTreeMap<String, IpAddr>,
    /// How hosts share it; `None`: address by address.
    pub blocks: Option<Blocks>,
}

/// A pool whose hosts take whole blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The length of a block's prefix.
    pub prefix: u8,
    /// How many blocks one host may have.
    pub most: u32,
    /// Whether a host that can have no more blocks takes addresses of other hosts' blocks.
    pub borrow: bool,
}

impl Pool {
    fn family(&self) -> Family {
        self.subnet.family()
    }

    fn range(&self) -> RangeInclusive<u128> {
        number(self.start)..=number(self.end)
    }

    /// Whether the address lies in the pool's range.
    pub fn contains(&self, ip: IpAddr) -> bool {
        Family::of(ip) == self.family() && self.range().contains(&number(ip))
    }

    /// Whether the address is never given.
    pub fn excludes(&self, ip: IpAddr) -> bool {
        ip == self.gateway || self.excluded.iter().any(|excluded| excluded.contains(&number(ip)))
    }

    /// Whether the address may be given to whoever has this name.
    pub fn allows(&self, ip: IpAddr, name: Option<&str>) -> bool {
        let is_for =
            |(owner, reserved): (&String, &IpAddr)| *reserved != ip || Some(owner.as_str()) == name;
        self.contains(ip) && !self.excludes(ip) && self.reserved.iter().all(is_for)
    }

    /// The pool in words: whatever changes which addresses may be given, or in what blocks, changes
    /// them. Leases do not depend on it.
    pub(crate) fn shape(&self) -> String {
        let mut text = self.to_string();
        for excluded in &self.excluded {
            let [first, last] =
                [excluded.start(), excluded.end()].map(|end| address(*end, self.family()));
            // Writing to a String cannot fail.
            let _ = write!(text, " -{first}-{last}");
        }
        for ip in self.singles() {
            let _ = write!(text, " -{ip}");
        }
        if let Some(blocks) = self.blocks {
            let _ = write!(text, " /{}", blocks.prefix);
        }
        text
    }

    /// The first address from `next` to `last` that anybody may have.
    pub(crate) fn fresh(&self, next: IpAddr, last: IpAddr) -> Option<IpAddr> {
        let mut candidate = number(next).max(number(self.start));
        let last = number(last).min(number(self.end));
        while candidate <= last {
            match self.hole(candidate) {
                Some(hole) => candidate = hole.checked_add(1)?,
                None => return Some(address(candidate, self.family())),
            }
        }
        None
    }

    /// The end of what is not for anybody where this address lies.
    fn hole(&self, candidate: u128) -> Option<u128> {
        let excluded = self.excluded.iter().filter(|hole| hole.contains(&candidate));
        let singles = self.singles().map(number).filter(|single| *single == candidate);
        excluded.map(|hole| *hole.end()).chain(singles).max()
    }

    /// Single addresses that not everybody may have.
    fn singles(&self) -> impl Iterator<Item = IpAddr> {
        let gateway = Some(self.gateway).filter(|gateway| self.contains(*gateway));
        gateway.into_iter().chain(self.reserved.values().copied())
    }

    /// The ends of the block that an address lies in, if there are blocks.
    pub(crate) fn block_around(&self, ip: IpAddr) -> Option<(IpAddr, IpAddr)> {
        let bits = u32::from(self.family().bits() - self.blocks?.prefix);
        let within = 1_u128.checked_shl(bits)? - 1;
        let [first, last] = [number(ip) & !within, number(ip) | within];
        Some((address(first, self.family()), address(last, self.family())))
    }

    /// The first block at `next` or behind it with an address that anybody may have.
    pub(crate) fn block(&self, mut next: IpAddr) -> Option<(IpAddr, IpAddr)> {
        loop {
            let (first, last) = self.block_around(next)?;
            if self.fresh(first, last).is_some() {
                return Some((first, last));
            }
            next = behind(last, self.end)?;
        }
    }
}

/// The address behind this one; `None` behind `last`.
pub(crate) fn behind(ip: IpAddr, last: IpAddr) -> Option<IpAddr> {
    let next = number(ip).checked_add(1).filter(|next| *next <= number(last))?;
    Some(address(next, Family::of(ip)))
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn pool(subnet: &str, ends: [&str; 2], excluded: &[[&str; 2]]) -> Pool {
        let excluded = excluded.iter().map(|[first, last]| number(ip(first))..=number(ip(last)));
        Pool {
            name: "p".to_owned(),
            subnet: subnet.parse().unwrap(),
            start: ip(ends[0]),
            end: ip(ends[1]),
            gateway: ip("192.0.2.1"),
            excluded: excluded.collect(),
            reserved: BTreeMap::new(),
            blocks: None,
        }
    }

    fn all(pool: &Pool) -> Vec<String> {
        let mut next = Some(pool.start);
        let mut found = Vec::new();
        while let Some(ip) = next.and_then(|next| pool.fresh(next, pool.end)) {
            found.push(ip.to_string());
            next = behind(ip, pool.end);
        }
        found
    }

    #[test]
    fn every_address_comes_once_but_for_what_is_excluded_or_reserved() {
        let holes = [["10.0.0.1", "10.0.0.1"], ["10.0.0.3", "10.0.0.4"], ["10.0.0.4", "10.0.0.5"]];
        let mut pool = pool("10.0.0.0/28", ["10.0.0.1", "10.0.0.9"], &holes);
        pool.reserved.insert("web".to_owned(), ip("10.0.0.8"));
        pool.gateway = ip("10.0.0.7");
        assert_eq!(all(&pool), ["10.0.0.2", "10.0.0.6", "10.0.0.9"]);
        assert!(pool.allows(ip("10.0.0.8"), Some("web")) && !pool.allows(ip("10.0.0.8"), None));
        assert!(!pool.allows(ip("10.0.0.4"), Some("web")) && !pool.allows(ip("10.0.0.10"), None));
    }

    #[test]
    fn large_holes_are_passed_at_once_and_the_last_address_ends_it() {
        let holes = [["fd00::", "fd00::ffff:ffff:ffff:fffe"]];
        let pool = pool("fd00::/64", ["fd00::1", "fd00::ffff:ffff:ffff:ffff"], &holes);
        assert_eq!(all(&pool), ["fd00::ffff:ffff:ffff:ffff"]);
        let top = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let pool = super::Pool { start: ip(top), end: ip(top), ..pool };
        let pool = super::Pool { subnet: format!("{top}/128").parse().unwrap(), ..pool };
        assert_eq!(all(&pool), [top]);
    }

    #[test]
    fn blocks_are_aligned_and_full_ones_are_passed() {
        let blocks = Blocks { prefix: 30, most: 9, borrow: false };
        let mut pool = pool("10.0.0.0/28", ["10.0.0.1", "10.0.0.9"], &[["10.0.0.4", "10.0.0.7"]]);
        pool.blocks = Some(blocks);
        let block = |next| {
            let found = pool.block(ip(next));
            found.map(|(first, last)| format!("{first} {last}"))
        };
        assert_eq!(block("10.0.0.0").as_deref(), Some("10.0.0.0 10.0.0.3"));
        assert_eq!(block("10.0.0.4").as_deref(), Some("10.0.0.8 10.0.0.11"));
        assert_eq!(block("10.0.0.12"), None);
    }

    #[test]
    fn the_shape_tells_every_change_that_matters() {
        let one = pool("10.0.0.0/24", ["10.0.0.1", "10.0.0.9"], &[]);
        let two = pool("10.0.0.0/24", ["10.0.0.1", "10.0.0.9"], &[["10.0.0.4", "10.0.0.7"]]);
        let mut three = one.clone();
        three.reserved.insert("web".to_owned(), ip("10.0.0.5"));
        let blocks = Some(Blocks { prefix: 30, most: 9, borrow: false });
        let four = Pool { blocks, ..one.clone() };
        assert_eq!(four.shape(), "10.0.0.1-10.0.0.9 /30");
        assert_eq!(one.shape(), "10.0.0.1-10.0.0.9");
        assert_eq!(two.shape(), "10.0.0.1-10.0.0.9 -10.0.0.4-10.0.0.7");
        assert_eq!(three.shape(), "10.0.0.1-10.0.0.9 -10.0.0.5");
    }
}
