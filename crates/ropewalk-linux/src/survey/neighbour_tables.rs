//! How many neighbours the kernel keeps at most. The sysctls are in the first namespace alone, but
//! the kernel tells everybody.

use ropewalk_topology::model::Setting;

use crate::{
    netlink::{Attribute, Attributes, Message, Socket},
    uapi::{AF_INET, AF_INET6},
};

use super::uapi::{NDTA_THRESH3, RTM_GETNEIGHTBL, RTM_NEWNEIGHTBL};

/// Length of `struct ndtmsg`.
const HEADER: usize = 4;

/// The limits as sysctls.
pub(super) fn limits(socket: &mut Socket) -> Vec<Setting> {
    let mut question = Message::dump(RTM_GETNEIGHTBL);
    question.raw(&[0; HEADER]);
    let answer = socket.dump(&question, |reply| {
        let family = u16::from(*reply.payload.first()?);
        let family = match family {
            AF_INET => "ipv4",
            AF_INET6 => "ipv6",
            _ => return None,
        };
        let attributes = Attributes::behind(reply.payload, HEADER);
        // Messages about links have no limits.
        let most = attributes.first(NDTA_THRESH3).and_then(Attribute::u32)?;
        let name = format!("{family}/neigh/default/gc_thresh3");
        (reply.kind == RTM_NEWNEIGHTBL).then(|| Setting { name, value: most.to_string() })
    });
    // Nobody can do without these limits but a kernel that has none.
    answer.unwrap_or_default()
}
