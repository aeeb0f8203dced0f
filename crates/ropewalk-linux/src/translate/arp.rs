//! ARP probes (RFC 826, RFC 5227), as Ethernet frames.

use std::net::Ipv4Addr;

use ropewalk_addr::Mac;

const ETHERTYPE: [u8; 2] = [0x08, 0x06];
/// Ethernet, IPv4, lengths of their addresses.
const START: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: [u8; 2] = [0, 1];
const NOBODY: [u8; 4] = [0; 4];

/// The length of a frame.
pub(crate) const LENGTH: usize = 42;

/// Asks everybody who has an address, on behalf of nobody.
pub(crate) fn probe(from: Mac, address: Ipv4Addr) -> [u8; LENGTH] {
    let mut frame = [0; LENGTH];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&from.0);
    frame[12..14].copy_from_slice(&ETHERTYPE);
    frame[14..20].copy_from_slice(&START);
    frame[20..22].copy_from_slice(&REQUEST);
    frame[22..28].copy_from_slice(&from.0);
    frame[38..].copy_from_slice(&address.octets());
    frame
}

/// Who claims an address in a frame: its owner, or somebody else who is probing for it.
pub(crate) fn claimant(frame: &[u8], own: Mac, address: Ipv4Addr) -> Option<Mac> {
    let frame: &[u8; LENGTH] = frame.first_chunk()?;
    if frame[12..14] != ETHERTYPE || frame[14..20] != START {
        return None;
    }
    let sender = Mac(*frame[22..].first_chunk()?);
    let (sender_ip, target_ip) = (&frame[28..32], &frame[38..42]);
    let owns = *sender_ip == address.octets();
    let probes = frame[20..22] == REQUEST && *sender_ip == NOBODY && *target_ip == address.octets();
    (sender != own && (owns || probes)).then_some(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_and_other_probers_claim_an_address() {
        let (own, other) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let address = Ipv4Addr::new(10, 1, 2, 7);
        let claimed = |frame: &[u8]| claimant(frame, own, address);
        assert_eq!(claimed(&probe(own, address)), None, "our own probe");
        assert_eq!(claimed(&probe(other, address)), Some(other));
        assert_eq!(claimed(&probe(other, Ipv4Addr::new(10, 1, 2, 8))), None);
        let mut answer = probe(other, Ipv4Addr::UNSPECIFIED);
        answer[21] = 2;
        answer[28..32].copy_from_slice(&address.octets());
        assert_eq!(claimed(&answer), Some(other));
        assert_eq!(claimed(&answer[..LENGTH - 1]), None, "cut off");
    }
}
