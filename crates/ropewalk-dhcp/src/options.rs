//! The options of a message: bytes under numbers, and what those that a client uses mean.
//!
//! An option of the wrong length means nothing; it never makes the others unreadable.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::{net::Ipv4Addr, time::Duration};

use crate::{lease::StaticRoute, names, option};

const PAD: u8 = 0;
const END: u8 = 255;

/// The most that one option of a message can hold; longer ones are split (RFC 3396).
const LONGEST: usize = 255;

/// The options of a message, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<u8, Vec<u8>>);

impl Options {
    /// The bytes of an option.
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.0.get(&code).map(Vec::as_slice)
    }

    /// Sets an option.
    pub fn set(&mut self, code: u8, bytes: impl Into<Vec<u8>>) {
        self.0.insert(code, bytes.into());
    }

    /// Removes an option.
    pub fn remove(&mut self, code: u8) {
        self.0.remove(&code);
    }

    /// An address.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.array(code).map(Ipv4Addr::from)
    }

    /// A list of addresses; bytes that are left over are dropped.
    pub fn addresses(&self, code: u8) -> Vec<Ipv4Addr> {
        let (whole, _) = self.get(code).unwrap_or_default().as_chunks::<4>();
        whole.iter().map(|bytes| Ipv4Addr::from(*bytes)).collect()
    }

    /// A number of seconds.
    pub fn seconds(&self, code: u8) -> Option<Duration> {
        self.array(code).map(|bytes| Duration::from_secs(u32::from_be_bytes(bytes).into()))
    }

    /// A number of 16 bits.
    pub fn u16(&self, code: u8) -> Option<u16> {
        self.array(code).map(u16::from_be_bytes)
    }

    /// A text; some servers send the zero that ends it in their memory.
    pub fn text(&self, code: u8) -> Option<String> {
        let bytes = self.get(code)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8(bytes[..end].to_vec()).ok().filter(|text| !text.is_empty())
    }

    /// The length of the prefix that a mask leaves; `None` for a mask with holes.
    pub fn prefix_length(&self) -> Option<u8> {
        let mask = u32::from(self.address(option::SUBNET_MASK)?);
        let length = mask.leading_ones();
        (mask.count_ones() == length).then(|| u8::try_from(length).unwrap_or(32))
    }

    /// The routes of option 121, `None` if it is not there or damaged.
    pub fn classless_routes(&self) -> Option<Vec<StaticRoute>> {
        let mut rest = self.get(option::CLASSLESS_ROUTES)?;
        let mut routes = Vec::new();
        while let Some((length, behind)) = rest.split_first().filter(|(length, _)| **length <= 32) {
            let significant = usize::from(length.div_ceil(8));
            let (network, behind) = behind.split_at_checked(significant)?;
            let (next_hop, behind) = behind.split_first_chunk::<4>()?;
            let mut bytes = [0; 4];
            bytes[..significant].copy_from_slice(network);
            routes.push(StaticRoute {
                destination: bytes.into(),
                prefix_length: *length,
                router: (*next_hop).into(),
            });
            rest = behind;
        }
        (rest.is_empty() && !routes.is_empty()).then_some(routes)
    }

    /// The routes of option 33, to networks of the class that the address says.
    pub fn classful_routes(&self) -> Vec<StaticRoute> {
        let (pairs, _) = self.get(option::STATIC_ROUTES).unwrap_or_default().as_chunks::<8>();
        let route = |pair: &[u8; 8]| {
            let [a, b, c, d, router @ ..] = *pair;
            let prefix_length = match a {
                0..128 => 8,
                128..192 => 16,
                _ => 24,
            };
            // The default route does not belong here (RFC 2132).
            ([a, b, c, d] != [0; 4]).then(|| StaticRoute {
                destination: [a, b, c, d].into(),
                prefix_length,
                router: router.into(),
            })
        };
        pairs.iter().filter_map(route).collect()
    }

    /// The domains of option 119.
    pub fn search_domains(&self) -> Vec<String> {
        names::read(self.get(option::DOMAIN_SEARCH).unwrap_or_default())
    }

    fn array<const N: usize>(&self, code: u8) -> Option<[u8; N]> {
        self.get(code)?.try_into().ok()
    }

    /// Reads options behind those that are there; equal numbers are parts of one option. What
    /// follows the first that is cut off is lost.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) {
        while let Some((&code, rest)) = bytes.split_first() {
            bytes = rest;
            match code {
                PAD => {}
                END => return,
                _ => {
                    let Some((&length, rest)) = bytes.split_first() else { return };
                    let Some((value, rest)) = rest.split_at_checked(length.into()) else { return };
                    self.0.entry(code).or_default().extend_from_slice(value);
                    bytes = rest;
                }
            }
        }
    }

    /// Writes the options and their end. What a message is comes first: some servers insist.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        let first = self.0.get_key_value(&option::MESSAGE_TYPE);
        let others = self.0.iter().filter(|(code, _)| **code != option::MESSAGE_TYPE);
        for (code, value) in first.into_iter().chain(others) {
            if value.is_empty() {
                bytes.extend([*code, 0]);
            }
            for part in value.chunks(LONGEST) {
                bytes.extend([*code, u8::try_from(part.len()).unwrap_or(u8::MAX)]);
                bytes.extend_from_slice(part);
            }
        }
        bytes.push(END);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(code: u8, bytes: &[u8]) -> Options {
        let mut options = Options::default();
        options.set(code, bytes);
        options
    }

    #[test]
    fn long_options_are_split_and_joined() {
        let long: Vec<u8> = (0..600).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut bytes = Vec::new();
        options(224, &long).write(&mut bytes);
        assert_eq!(bytes.len(), 600 + 3 * 2 + 1);
        let mut read = Options::default();
        read.read(&bytes);
        assert_eq!(read.get(224), Some(long.as_slice()));
    }

    #[test]
    fn options_that_are_cut_off_end_the_list() {
        let mut read = Options::default();
        read.read(&[0, 0, 1, 4, 255, 255, 255, 0, 3, 4, 10]);
        assert_eq!(read.prefix_length(), Some(24));
        assert_eq!(read.get(3), None);
    }

    #[test]
    fn masks_have_no_holes() {
        for (mask, length) in
            [([255, 255, 255, 255], Some(32)), ([0; 4], Some(0)), ([255, 0, 255, 0], None)]
        {
            assert_eq!(options(option::SUBNET_MASK, &mask).prefix_length(), length);
        }
        assert_eq!(options(option::SUBNET_MASK, &[255, 255]).prefix_length(), None);
    }

    #[test]
    fn classless_routes_have_as_many_bytes_as_their_mask_needs() {
        let bytes = [24, 10, 1, 2, 10, 0, 0, 1, 0, 10, 0, 0, 2, 17, 10, 2, 128, 0, 0, 0, 0];
        let route = |destination: [u8; 4], prefix_length, router: [u8; 4]| StaticRoute {
            destination: destination.into(),
            prefix_length,
            router: router.into(),
        };
        assert_eq!(
            options(option::CLASSLESS_ROUTES, &bytes).classless_routes().unwrap(),
            [
                route([10, 1, 2, 0], 24, [10, 0, 0, 1]),
                route([0; 4], 0, [10, 0, 0, 2]),
                route([10, 2, 128, 0], 17, [0; 4]),
            ]
        );
        for damaged in [&bytes[..7], &[33, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[]] {
            assert_eq!(options(option::CLASSLESS_ROUTES, damaged).classless_routes(), None);
        }
    }

    #[test]
    fn classful_routes_follow_their_class() {
        let bytes = [
            10, 0, 0, 0, 10, 1, 1, 1, 172, 16, 0, 0, 10, 1, 1, 2, 192, 168, 7, 0, 10, 1, 1, 3, 0,
            0, 0, 0, 9, 9, 9, 9, 1,
        ];
        let routes = options(option::STATIC_ROUTES, &bytes).classful_routes();
        let lengths: Vec<u8> = routes.iter().map(|route| route.prefix_length).collect();
        assert_eq!(lengths, [8, 16, 24]);
    }

    #[test]
    fn texts_end_at_their_zero() {
        assert_eq!(options(15, b"example.org\0").text(15).as_deref(), Some("example.org"));
        assert_eq!(options(15, b"\0").text(15), None);
        assert_eq!(options(15, &[0xff]).text(15), None);
        assert_eq!(options(3, &[1; 9]).addresses(3).len(), 2);
    }
}
