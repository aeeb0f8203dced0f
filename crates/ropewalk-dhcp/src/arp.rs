//! ARP (RFC 826), as far as a client needs it: which station has an address?

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use ropewalk_addr::Mac;

const ETHERTYPE: [u8; 2] = [0x08, 0x06];
/// Ethernet and IPv4, with the lengths of their addresses.
const KIND: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];
const QUESTION: [u8; 2] = [0, 1];
const ANSWER: [u8; 2] = [0, 2];

/// The frame that asks which station has an address.
pub fn question(hardware: Mac, address: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let parts: [&[u8]; 9] = [
        &[0xff; 6],
        &hardware.0,
        &ETHERTYPE,
        &KIND,
        &QUESTION,
        &hardware.0,
        &address.octets(),
        &[0; 6],
        &target.octets(),
    ];
    parts.concat()
}

/// The station that says in a frame that it has an address.
pub fn answer(frame: &[u8], target: Ipv4Addr) -> Option<Mac> {
    let is_answer = frame.get(12..14)? == ETHERTYPE
        && frame.get(14..20)? == KIND
        && frame.get(20..22)? == ANSWER
        && frame.get(28..32)? == target.octets();
    let station = frame.get(22..28)?.try_into().ok()?;
    is_answer.then_some(Mac(station))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_station_that_answers_is_found() {
        let [us, them] = [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 9])];
        let [ours, theirs] = [Ipv4Addr::new(10, 1, 0, 5), Ipv4Addr::new(10, 1, 0, 1)];
        let question = question(us, ours, theirs);
        assert_eq!(question.len(), 42);
        assert_eq!(answer(&question, ours), None);
        let mut reply = super::question(them, theirs, ours);
        reply[21] = 2;
        assert_eq!(answer(&reply, theirs), Some(them));
        assert_eq!(answer(&reply, ours), None);
        for length in 0..32 {
            assert_eq!(answer(&reply[..length], theirs), None);
        }
    }
}
