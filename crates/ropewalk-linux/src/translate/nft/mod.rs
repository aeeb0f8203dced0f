//! nftables: messages of the subsystem, one file per kind of object.

pub(crate) mod chain;
pub(crate) mod data;
pub(crate) mod element;
mod expression;
pub(crate) mod set;
pub(crate) mod table;

use ropewalk_netstate::resource::nft::NftFamily;

use crate::{
    netlink::{Attribute, Message, Reply},
    uapi::{
        NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN,
        NLM_F_REQUEST,
    },
};

/// Length of `struct nfgenmsg`.
const HEADER: usize = 4;

fn family_number(family: NftFamily) -> u8 {
    match family {
        NftFamily::Inet => 1,
        NftFamily::Ip => 2,
        NftFamily::Bridge => 7,
        NftFamily::Ip6 => 10,
    }
}

fn kind_of(message: u16) -> u16 {
    (NFNL_SUBSYS_NFTABLES << 8) | message
}

/// Whether a reply is this message of nftables.
fn is(reply: &Reply<'_>, message: u16) -> bool {
    reply.kind == kind_of(message)
}

/// A message of a transaction; the kernel confirms the whole, not each.
fn change(message: u16, flags: u16, family: NftFamily) -> Message {
    with_family(Message::with_flags(kind_of(message), NLM_F_REQUEST | flags), family)
}

fn get(message: u16, family: NftFamily) -> Message {
    with_family(Message::get(kind_of(message)), family)
}

fn dump(message: u16, family: NftFamily) -> Message {
    with_family(Message::dump(kind_of(message)), family)
}

fn with_family(mut message: Message, family: NftFamily) -> Message {
    message.raw(&[family_number(family), 0, 0, 0]);
    message
}

/// Puts changes between the messages that begin and end a transaction, and has the last of them
/// confirmed: kernels before 6.10 do not confirm the end itself.
pub(crate) fn transaction(changes: Vec<Message>) -> Vec<Message> {
    let bracket = |kind| {
        let mut message = Message::with_flags(kind, NLM_F_REQUEST);
        let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
        message.raw(&[0, 0, high, low]);
        message
    };
    let mut messages = vec![bracket(NFNL_MSG_BATCH_BEGIN)];
    messages.extend(changes);
    if let Some(last) = messages.last_mut() {
        last.want_acknowledgement();
    }
    messages.push(bracket(NFNL_MSG_BATCH_END));
    messages
}

/// Asks for the number of the current rule set: the smallest question that only a kernel with
/// nftables answers.
pub(crate) fn generation() -> Message {
    with_family(Message::get(kind_of(NFT_MSG_GETGEN)), NftFamily::Inet)
}

/// A comment as `nft` keeps it in user data: type 0, length, text with its final NUL.
fn comment(text: &str) -> Vec<u8> {
    // 254 bytes and the NUL are the most that the length can say.
    let mut end = text.len().min(254);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text.as_bytes()[..end];
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    [&[0, length][..], text, &[0]].concat()
}

/// The comment in user data; other entries are skipped.
pub(crate) fn read_comment(user_data: Attribute<'_>) -> Option<String> {
    let mut rest = user_data.payload;
    while let [kind, length, tail @ ..] = rest {
        let value = tail.get(..usize::from(*length))?;
        if *kind == 0 {
            return Attribute { kind: 0, payload: value }.text().map(Into::into);
        }
        rest = tail.get(usize::from(*length)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &[u8]) -> Option<String> {
        read_comment(Attribute { kind: 0, payload })
    }

    #[test]
    fn a_comment_survives_the_way_through_user_data() {
        assert_eq!(comment("hi"), [0, 3, b'h', b'i', 0]);
        assert_eq!(read(&comment("hi")).as_deref(), Some("hi"));
        assert_eq!(read(&[7, 1, 9, 0, 2, b'x', 0]).as_deref(), Some("x"));
        assert_eq!(read(&comment(&"ä".repeat(200))).unwrap().len(), 254);
    }

    #[test]
    fn broken_user_data_holds_no_comment() {
        for bytes in [&[][..], &[0], &[0, 5, b'x'], &[1, 0], &[1, 9, 0]] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }
}
