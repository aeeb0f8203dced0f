//! ARP probes (RFC 826, RFC 5227).

use std::net::Ipv4Addr;

use ropewalk_addr::Mac;

/// Ethernet, IPv4, lengths of their addresses.
const START: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: [u8; 2] = [0, 1];
const NOBODY: [u8; 4] = [0; 4];

/// The length of a packet.
pub(crate) const LENGTH: usize = 28;

/// Asks who has an address, on behalf of nobody.
pub(crate) fn probe(from: Mac, address: Ipv4Addr) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[..6].copy_from_slice(&START);
    packet[6..8].copy_from_slice(&REQUEST);
    packet[8..14].copy_from_slice(&from.0);
    packet[24..].copy_from_slice(&address.octets());
    packet
}

/// Who claims an address in a packet: its owner, or somebody else who is probing for it.
pub(crate) fn claimant(packet: &[u8], own: Mac, address: Ipv4Addr) -> Option<Mac> {
    let packet: &[u8; LENGTH] = packet.first_chunk()?;
    if packet[..6] != START {
        return None;
    }
    let sender = Mac(*packet[8..].first_chunk()?);
    let (sender_ip, target_ip) = (&packet[14..18], &packet[24..28]);
    let owns = *sender_ip == address.octets();
    let probes = packet[6..8] == REQUEST && *sender_ip == NOBODY && *target_ip == address.octets();
    (sender != own && (owns || probes)).then_some(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_and_other_probers_claim_an_address() {
        let (own, other) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let address = Ipv4Addr::new(10, 1, 2, 7);
        let claimed = |packet: &[u8]| claimant(packet, own, address);
        assert_eq!(claimed(&probe(own, address)), None, "our own probe");
        assert_eq!(claimed(&probe(other, address)), Some(other));
        assert_eq!(claimed(&probe(other, Ipv4Addr::new(10, 1, 2, 8))), None);
        let mut answer = probe(other, Ipv4Addr::UNSPECIFIED);
        answer[7] = 2;
        answer[14..18].copy_from_slice(&address.octets());
        assert_eq!(claimed(&answer), Some(other));
        assert_eq!(claimed(&answer[..27]), None, "cut off");
    }
}
