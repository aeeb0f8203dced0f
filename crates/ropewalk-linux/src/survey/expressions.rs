//! The steps of nftables rules. A step of a kind, or with an attribute, that is not known here is
//! kept as it is.

use ropewalk_topology::model::{Comparison, Data, Expression, Verdict};

use super::{
    links::text,
    uapi::{
        NFTA_BITWISE_OP, NFTA_COUNTER_BYTES, NFTA_COUNTER_PACKETS, NFTA_CT_DIRECTION, NFTA_CT_SREG,
        NFTA_MASQ_FLAGS, NFTA_MATCH_INFO, NFTA_MATCH_NAME, NFTA_MATCH_REV, NFTA_META_SREG,
        NFTA_NAT_FLAGS, NFTA_NAT_REG_ADDR_MAX, NFTA_NAT_REG_PROTO_MAX, NFTA_RANGE_FROM_DATA,
        NFTA_RANGE_OP, NFTA_RANGE_SREG, NFTA_RANGE_TO_DATA, NFTA_REDIR_REG_PROTO_MAX,
        NFTA_REDIR_REG_PROTO_MIN, NFTA_REJECT_ICMP_CODE, NFTA_REJECT_TYPE,
    },
};
use crate::{
    netlink::{Attribute, Attributes},
    uapi::{
        NF_ACCEPT, NF_DROP, NFT_GOTO, NFT_JUMP, NFT_LOOKUP_F_INV, NFT_NAT_DNAT, NFT_RETURN,
        NFTA_BITWISE_DREG, NFTA_BITWISE_MASK, NFTA_BITWISE_SREG, NFTA_BITWISE_XOR, NFTA_CMP_DATA,
        NFTA_CMP_OP, NFTA_CMP_SREG, NFTA_CT_DREG, NFTA_CT_KEY, NFTA_DATA_VALUE, NFTA_DATA_VERDICT,
        NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_FIB_DREG, NFTA_FIB_FLAGS, NFTA_FIB_RESULT,
        NFTA_IMMEDIATE_DATA, NFTA_IMMEDIATE_DREG, NFTA_LOOKUP_DREG, NFTA_LOOKUP_FLAGS,
        NFTA_LOOKUP_SET, NFTA_LOOKUP_SREG, NFTA_META_DREG, NFTA_META_KEY, NFTA_NAT_FAMILY,
        NFTA_NAT_REG_ADDR_MIN, NFTA_NAT_REG_PROTO_MIN, NFTA_NAT_TYPE, NFTA_PAYLOAD_BASE,
        NFTA_PAYLOAD_DREG, NFTA_PAYLOAD_LEN, NFTA_PAYLOAD_OFFSET, NFTA_VERDICT_CHAIN,
        NFTA_VERDICT_CODE,
    },
};

/// `NFT_CONTINUE`: the next rule is asked.
const NFT_CONTINUE: i32 = -1;

/// The attributes of one step, or of what it refers to.
pub(super) struct Step<'a>(pub(super) Attributes<'a>);

impl Step<'_> {
    pub(super) fn number(&self, kind: u16) -> Option<u32> {
        self.0.first(kind)?.be32()
    }

    pub(super) fn long(&self, kind: u16) -> Option<u64> {
        self.0.first(kind)?.be64()
    }

    fn value(&self, kind: u16) -> Option<Vec<u8>> {
        Some(self.0.first(kind)?.inner(NFTA_DATA_VALUE)?.payload.to_vec())
    }

    fn numbers(&self, (first, last): (u16, u16)) -> (Option<u32>, Option<u32>) {
        (self.number(first), self.number(last))
    }
}

pub(super) fn read_expression(attribute: Attribute<'_>) -> Option<Expression> {
    let name = text(attribute.inner(NFTA_EXPR_NAME)?);
    let data = attribute.inner(NFTA_EXPR_DATA);
    let attributes = data.map_or(Attributes::behind(&[], 0), Attribute::nested);
    let known = read_known(&name, &Step(attributes.clone()));
    Some(known.unwrap_or_else(|| {
        let attributes = attributes.map(|one| (one.kind, one.payload.to_vec())).collect();
        Expression::Other { name, attributes }
    }))
}

fn read_known(name: &str, step: &Step<'_>) -> Option<Expression> {
    match name {
        "meta" => read_meta(step),
        "payload" => Some(Expression::Payload {
            into: step.number(NFTA_PAYLOAD_DREG)?,
            base: step.number(NFTA_PAYLOAD_BASE)?,
            offset: step.number(NFTA_PAYLOAD_OFFSET)?,
            length: step.number(NFTA_PAYLOAD_LEN)?,
        }),
        "cmp" => Some(Expression::Compare {
            register: step.number(NFTA_CMP_SREG)?,
            comparison: comparison(step.number(NFTA_CMP_OP)?)?,
            value: step.value(NFTA_CMP_DATA)?,
        }),
        "range" => Some(Expression::Range {
            register: step.number(NFTA_RANGE_SREG)?,
            is_inverted: step.number(NFTA_RANGE_OP)? == 1,
            first: step.value(NFTA_RANGE_FROM_DATA)?,
            last: step.value(NFTA_RANGE_TO_DATA)?,
        }),
        "bitwise" => {
            // Shifts have another number.
            if step.number(NFTA_BITWISE_OP).unwrap_or(0) != 0 {
                return None;
            }
            Some(Expression::Bitwise {
                from: step.number(NFTA_BITWISE_SREG)?,
                into: step.number(NFTA_BITWISE_DREG)?,
                mask: step.value(NFTA_BITWISE_MASK)?,
                xor: step.value(NFTA_BITWISE_XOR)?,
            })
        }
        "immediate" => Some(Expression::Immediate {
            into: step.number(NFTA_IMMEDIATE_DREG)?,
            data: read_data(step.0.first(NFTA_IMMEDIATE_DATA)?)?,
        }),
        "lookup" => Some(Expression::Lookup {
            set: text(step.0.first(NFTA_LOOKUP_SET)?),
            from: step.number(NFTA_LOOKUP_SREG)?,
            into: step.number(NFTA_LOOKUP_DREG),
            is_inverted: step.number(NFTA_LOOKUP_FLAGS).unwrap_or(0) & NFT_LOOKUP_F_INV != 0,
        }),
        "ct" => read_connection(step),
        "fib" => Some(Expression::Fib {
            result: step.number(NFTA_FIB_RESULT)?,
            flags: step.number(NFTA_FIB_FLAGS)?,
            into: step.number(NFTA_FIB_DREG)?,
        }),
        "counter" => Some(Expression::Counter {
            packets: step.long(NFTA_COUNTER_PACKETS)?,
            bytes: step.long(NFTA_COUNTER_BYTES)?,
        }),
        _ => read_action(name, step),
    }
}

fn read_meta(step: &Step<'_>) -> Option<Expression> {
    let key = step.number(NFTA_META_KEY)?;
    match (step.number(NFTA_META_DREG), step.number(NFTA_META_SREG)) {
        (Some(into), _) => Some(Expression::Meta { key, into }),
        (None, Some(from)) => Some(Expression::SetMeta { key, from }),
        (None, None) => None,
    }
}

fn read_connection(step: &Step<'_>) -> Option<Expression> {
    let key = step.number(NFTA_CT_KEY)?;
    let direction = step.0.first(NFTA_CT_DIRECTION).and_then(Attribute::u8);
    match (step.number(NFTA_CT_DREG), step.number(NFTA_CT_SREG)) {
        (Some(into), _) => Some(Expression::Connection { key, direction, into }),
        (None, Some(from)) => Some(Expression::SetConnection { key, direction, from }),
        (None, None) => None,
    }
}

/// Steps that do something with the packet, and those of iptables.
fn read_action(name: &str, step: &Step<'_>) -> Option<Expression> {
    let xtables = || {
        let name = text(step.0.first(NFTA_MATCH_NAME)?);
        let info = step.0.first(NFTA_MATCH_INFO).map(|info| info.payload.to_vec());
        Some((name, step.number(NFTA_MATCH_REV)?, info.unwrap_or_default()))
    };
    match name {
        "nat" => Some(Expression::Nat {
            of_source: step.number(NFTA_NAT_TYPE)? != NFT_NAT_DNAT,
            family: step.number(NFTA_NAT_FAMILY)?,
            addresses: step.numbers((NFTA_NAT_REG_ADDR_MIN, NFTA_NAT_REG_ADDR_MAX)),
            ports: step.numbers((NFTA_NAT_REG_PROTO_MIN, NFTA_NAT_REG_PROTO_MAX)),
            flags: step.number(NFTA_NAT_FLAGS).unwrap_or_default(),
        }),
        "masq" => {
            Some(Expression::Masquerade { flags: step.number(NFTA_MASQ_FLAGS).unwrap_or_default() })
        }
        "redir" => Some(Expression::Redirect {
            ports: step.numbers((NFTA_REDIR_REG_PROTO_MIN, NFTA_REDIR_REG_PROTO_MAX)),
        }),
        "reject" => Some(Expression::Reject {
            kind: step.number(NFTA_REJECT_TYPE)?,
            code: step.0.first(NFTA_REJECT_ICMP_CODE).and_then(Attribute::u8).unwrap_or_default(),
        }),
        "match" => {
            let (name, revision, info) = xtables()?;
            Some(Expression::Match { name, revision, info })
        }
        "target" => {
            let (name, revision, info) = xtables()?;
            Some(Expression::Target { name, revision, info })
        }
        _ => None,
    }
}

fn comparison(number: u32) -> Option<Comparison> {
    Some(match number {
        0 => Comparison::Equal,
        1 => Comparison::NotEqual,
        2 => Comparison::Less,
        3 => Comparison::AtMost,
        4 => Comparison::Greater,
        5 => Comparison::AtLeast,
        _ => return None,
    })
}

/// A value or a verdict.
pub(super) fn read_data(data: Attribute<'_>) -> Option<Data> {
    if let Some(value) = data.inner(NFTA_DATA_VALUE) {
        return Some(Data::Value(value.payload.to_vec()));
    }
    let verdict = data.inner(NFTA_DATA_VERDICT)?;
    let code = verdict.inner(NFTA_VERDICT_CODE)?.be32()?;
    let chain = || verdict.inner(NFTA_VERDICT_CHAIN).map(text).unwrap_or_default();
    Some(Data::Verdict(match code.cast_signed() {
        NFT_RETURN => Verdict::Return,
        NFT_CONTINUE => Verdict::Continue,
        NFT_JUMP => Verdict::Jump(chain()),
        NFT_GOTO => Verdict::Goto(chain()),
        _ if code == NF_ACCEPT => Verdict::Accept,
        _ if code == NF_DROP => Verdict::Drop,
        _ => Verdict::Other(code),
    }))
}
