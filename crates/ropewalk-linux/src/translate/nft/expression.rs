//! Rules in the kernel's terms: load into registers, compare, look up, act.

use std::net::IpAddr;

use ropewalk_addr::{Family, Subnet};
use ropewalk_netstate::resource::nft::{
    Connection, DataType, Datum, Field, NftFamily, Rule, Statement, Verdict,
};

use super::data;
use crate::{
    netlink::{Message, padded},
    uapi::{
        IPS_DST_NAT, NFT_CMP_EQ, NFT_CMP_NEQ, NFT_CT_STATE, NFT_CT_STATUS, NFT_FIB_RESULT_ADDRTYPE,
        NFT_LOOKUP_F_INV, NFT_META_IIFNAME, NFT_META_L4PROTO, NFT_META_NFPROTO, NFT_META_OIFNAME,
        NFT_META_PROTOCOL, NFT_NAT_DNAT, NFT_PAYLOAD_LL_HEADER, NFT_PAYLOAD_NETWORK_HEADER,
        NFT_PAYLOAD_TRANSPORT_HEADER, NFT_REG32_00, NFTA_BITWISE_DREG, NFTA_BITWISE_LEN,
        NFTA_BITWISE_MASK, NFTA_BITWISE_SREG, NFTA_BITWISE_XOR, NFTA_CMP_DATA, NFTA_CMP_OP,
        NFTA_CMP_SREG, NFTA_CT_DREG, NFTA_CT_KEY, NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_FIB_DREG,
        NFTA_FIB_F_DADDR, NFTA_FIB_FLAGS, NFTA_FIB_RESULT, NFTA_IMMEDIATE_DATA,
        NFTA_IMMEDIATE_DREG, NFTA_LIST_ELEM, NFTA_LOOKUP_DREG, NFTA_LOOKUP_FLAGS, NFTA_LOOKUP_SET,
        NFTA_LOOKUP_SREG, NFTA_META_DREG, NFTA_META_KEY, NFTA_NAT_FAMILY, NFTA_NAT_REG_ADDR_MIN,
        NFTA_NAT_REG_PROTO_MIN, NFTA_NAT_TYPE, NFTA_PAYLOAD_BASE, NFTA_PAYLOAD_DREG,
        NFTA_PAYLOAD_LEN, NFTA_PAYLOAD_OFFSET, RTN_LOCAL,
    },
};

/// The register that a verdict goes to.
const VERDICT_REGISTER: u32 = 0;
/// The first of the 4-byte data registers.
const FIRST: u32 = NFT_REG32_00;
/// Bits of `ct state`.
const CT_INVALID: u32 = 1;
const CT_ESTABLISHED_OR_RELATED: u32 = 2 | 4;

/// Appends the expressions of a rule to a list.
pub(super) fn put_all(list: &mut Message, family: NftFamily, rule: &Rule) {
    let mut rule_of = Encoder { list, family, checked: None };
    for statement in &rule.statements {
        rule_of.statement(statement);
    }
}

/// One rule under construction.
struct Encoder<'a> {
    list: &'a mut Message,
    family: NftFamily,
    /// The network protocol that the rule has checked already.
    checked: Option<Family>,
}

impl Encoder<'_> {
    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Equal(field, value) => self.compare(*field, NFT_CMP_EQ, value),
            Statement::NotEqual(field, value) => self.compare(*field, NFT_CMP_NEQ, value),
            Statement::Within(field, subnet) => self.compare_subnet(*field, NFT_CMP_EQ, *subnet),
            Statement::Outside(field, subnet) => self.compare_subnet(*field, NFT_CMP_NEQ, *subnet),
            Statement::InSet(fields, set) => {
                self.load_all(fields);
                self.look_up(set, None, 0);
            }
            Statement::NotInSet(fields, set) => {
                self.load_all(fields);
                self.look_up(set, None, NFT_LOOKUP_F_INV);
            }
            Statement::VerdictMap(fields, map) => {
                self.load_all(fields);
                self.look_up(map, Some(VERDICT_REGISTER), 0);
            }
            Statement::Connection(wanted) => self.connection(*wanted),
            Statement::DestinationIsLocal => self.destination_is_local(),
            Statement::TranslateDestination4(fields, map) => {
                self.translate(Family::V4, fields, map);
            }
            Statement::TranslateDestination6(fields, map) => {
                self.translate(Family::V6, fields, map);
            }
            Statement::Masquerade => self.put("masq", |_| {}),
            Statement::Verdict(verdict) => self.verdict(verdict),
        }
    }

    fn put(&mut self, name: &str, fill: impl FnOnce(&mut Message)) {
        self.list.nest(NFTA_LIST_ELEM, |element| {
            element.text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, fill);
        });
    }

    fn meta(&mut self, key: u32, register: u32) {
        self.put("meta", |meta| {
            meta.be32(NFTA_META_DREG, register).be32(NFTA_META_KEY, key);
        });
    }

    fn payload(&mut self, base: u32, offset: u32, length: u32, register: u32) {
        self.put("payload", |payload| {
            payload
                .be32(NFTA_PAYLOAD_DREG, register)
                .be32(NFTA_PAYLOAD_BASE, base)
                .be32(NFTA_PAYLOAD_OFFSET, offset)
                .be32(NFTA_PAYLOAD_LEN, length);
        });
    }

    fn compare_bytes(&mut self, operation: u32, bytes: &[u8]) {
        self.put("cmp", |cmp| {
            cmp.be32(NFTA_CMP_SREG, FIRST).be32(NFTA_CMP_OP, operation);
            data::put_value(cmp, NFTA_CMP_DATA, bytes);
        });
    }

    fn mask(&mut self, mask: &[u8]) {
        self.put("bitwise", |bitwise| {
            let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
            bitwise
                .be32(NFTA_BITWISE_SREG, FIRST)
                .be32(NFTA_BITWISE_DREG, FIRST)
                .be32(NFTA_BITWISE_LEN, length);
            data::put_value(bitwise, NFTA_BITWISE_MASK, mask);
            data::put_value(bitwise, NFTA_BITWISE_XOR, &vec![0; mask.len()]);
        });
    }

    /// Makes the rule match one network protocol only, before it reads a header of that protocol.
    /// The tables of one family need no check.
    fn check_protocol(&mut self, family: Family) {
        if self.checked == Some(family) {
            return;
        }
        self.checked = Some(family);
        match self.family {
            NftFamily::Ip | NftFamily::Ip6 => {}
            NftFamily::Inet => {
                self.meta(NFT_META_NFPROTO, FIRST);
                self.compare_bytes(NFT_CMP_EQ, &[protocol_number(family)]);
            }
            NftFamily::Bridge => {
                self.meta(NFT_META_PROTOCOL, FIRST);
                let ethertype: u16 = match family {
                    Family::V4 => 0x0800,
                    Family::V6 => 0x86dd,
                };
                self.compare_bytes(NFT_CMP_EQ, &ethertype.to_be_bytes());
            }
        }
    }

    fn load(&mut self, field: Field, register: u32) {
        match field {
            Field::Ip4Source => self.payload(NFT_PAYLOAD_NETWORK_HEADER, 12, 4, register),
            Field::Ip4Destination => self.payload(NFT_PAYLOAD_NETWORK_HEADER, 16, 4, register),
            Field::Ip6Source => self.payload(NFT_PAYLOAD_NETWORK_HEADER, 8, 16, register),
            Field::Ip6Destination => self.payload(NFT_PAYLOAD_NETWORK_HEADER, 24, 16, register),
            Field::EtherSource => self.payload(NFT_PAYLOAD_LL_HEADER, 6, 6, register),
            Field::DestinationPort => self.payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, register),
            Field::Protocol => self.meta(NFT_META_L4PROTO, register),
            Field::InterfaceIn => self.meta(NFT_META_IIFNAME, register),
            Field::InterfaceOut => self.meta(NFT_META_OIFNAME, register),
        }
    }

    /// Loads fields one behind the other into the registers.
    fn load_all(&mut self, fields: &[Field]) {
        for family in fields.iter().filter_map(|&field| protocol_of(field)) {
            self.check_protocol(family);
        }
        let mut register = FIRST;
        for &field in fields {
            self.load(field, register);
            register += registers_for(type_of(field));
        }
    }

    fn compare(&mut self, field: Field, operation: u32, value: &Datum) {
        self.load_all(&[field]);
        self.compare_bytes(operation, &data::bytes_of(value));
    }

    fn compare_subnet(&mut self, field: Field, operation: u32, subnet: Subnet) {
        self.load_all(&[field]);
        if subnet.length() < subnet.family().bits() {
            let mask = match subnet.family() {
                Family::V4 => leading_ones(4, subnet.length()),
                Family::V6 => leading_ones(16, subnet.length()),
            };
            self.mask(&mask);
        }
        let bytes = match subnet.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        self.compare_bytes(operation, &bytes);
    }

    fn look_up(&mut self, set: &str, into: Option<u32>, flags: u32) {
        self.put("lookup", |lookup| {
            lookup.text(NFTA_LOOKUP_SET, set).be32(NFTA_LOOKUP_SREG, FIRST);
            if let Some(register) = into {
                lookup.be32(NFTA_LOOKUP_DREG, register);
            }
            if flags != 0 {
                lookup.be32(NFTA_LOOKUP_FLAGS, flags);
            }
        });
    }

    fn connection(&mut self, wanted: Connection) {
        let (key, bits) = match wanted {
            Connection::EstablishedOrRelated => (NFT_CT_STATE, CT_ESTABLISHED_OR_RELATED),
            Connection::Invalid => (NFT_CT_STATE, CT_INVALID),
            Connection::DestinationTranslated => (NFT_CT_STATUS, IPS_DST_NAT),
        };
        self.put("ct", |ct| {
            ct.be32(NFTA_CT_DREG, FIRST).be32(NFTA_CT_KEY, key);
        });
        self.mask(&bits.to_ne_bytes());
        self.compare_bytes(NFT_CMP_NEQ, &[0; 4]);
    }

    fn destination_is_local(&mut self) {
        self.put("fib", |fib| {
            fib.be32(NFTA_FIB_DREG, FIRST)
                .be32(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE)
                .be32(NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
        });
        self.compare_bytes(NFT_CMP_EQ, &RTN_LOCAL.to_ne_bytes());
    }

    /// The map yields an address and a port, one behind the other. Packets of the other family
    /// pass unchanged: the kernel compares by itself.
    fn translate(&mut self, family: Family, fields: &[Field], map: &str) {
        self.load_all(fields);
        self.look_up(map, Some(FIRST), 0);
        let address = match family {
            Family::V4 => DataType::Ip4,
            Family::V6 => DataType::Ip6,
        };
        self.put("nat", |nat| {
            nat.be32(NFTA_NAT_TYPE, NFT_NAT_DNAT)
                .be32(NFTA_NAT_FAMILY, protocol_number(family).into())
                .be32(NFTA_NAT_REG_ADDR_MIN, FIRST)
                .be32(NFTA_NAT_REG_PROTO_MIN, FIRST + registers_for(address));
        });
    }

    fn verdict(&mut self, verdict: &Verdict) {
        self.put("immediate", |immediate| {
            immediate.be32(NFTA_IMMEDIATE_DREG, VERDICT_REGISTER);
            data::put_verdict(immediate, NFTA_IMMEDIATE_DATA, verdict);
        });
    }
}

fn protocol_number(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

/// The network protocol whose header a field lies in.
fn protocol_of(field: Field) -> Option<Family> {
    match field {
        Field::Ip4Source | Field::Ip4Destination => Some(Family::V4),
        Field::Ip6Source | Field::Ip6Destination => Some(Family::V6),
        Field::EtherSource
        | Field::Protocol
        | Field::DestinationPort
        | Field::InterfaceIn
        | Field::InterfaceOut => None,
    }
}

fn type_of(field: Field) -> DataType {
    match field {
        Field::Ip4Source | Field::Ip4Destination => DataType::Ip4,
        Field::Ip6Source | Field::Ip6Destination => DataType::Ip6,
        Field::EtherSource => DataType::Mac,
        Field::Protocol => DataType::Protocol,
        Field::DestinationPort => DataType::Port,
        Field::InterfaceIn | Field::InterfaceOut => DataType::Interface,
    }
}

fn registers_for(data_type: DataType) -> u32 {
    u32::try_from(padded(data::length_of(data_type)) / 4).unwrap_or_default()
}

/// A network mask of this many bytes.
fn leading_ones(bytes: usize, ones: u8) -> Vec<u8> {
    let mut mask = vec![0; bytes];
    for bit in 0..usize::from(ones).min(bytes * 8) {
        mask[bit / 8] |= 0x80 >> (bit % 8);
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_have_as_many_ones_as_wanted() {
        assert_eq!(leading_ones(4, 0), [0; 4]);
        assert_eq!(leading_ones(4, 20), [255, 255, 240, 0]);
        assert_eq!(leading_ones(16, 128), [255; 16]);
    }
}
