//! Packets that are many segments in one (BIG TCP), `bigTCP`: what one container sends to another
//! over IPv4 goes through the host's stack in pieces of 190 KB instead of 64.
//!
//! It must never make the host cut such packets up again for a link that cannot take them.

use ropewalk_addr::IfName;
use ropewalk_cni::{CniError, CniResult, Fields};
use ropewalk_linux::{Linux, PacketLimit};
use ropewalk_netstate::{
    Desired, Lifetime, Place,
    resource::{Attribute, LinkAttribute},
};
use serde_json::Value;

use crate::{
    describe::{Key, Kind, key},
    device::{Attachment, Given},
    names,
};

/// What every link takes, in bytes.
const ORDINARY: u32 = 65_536;

/// Whether packets are to be big.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BigPackets {
    Off,
    /// As far as the host allows.
    Automatic,
    /// Or the ADD fails.
    Needed,
}

pub(crate) const BIG_TCP: Key = key(
    "bigTCP",
    Kind::BoolOr(&["auto"]),
    "Segments of TCP over IPv4 go from container to container in packets of up to 190000 bytes \
     instead of 65536, which needs Linux 6.3. `true` fails where the kernel, the link of the default route or \
     a port of the bridge cannot do it: `bigTCP: \"ens5\" takes packets of at most 65536 bytes \
     (tso_max_size), so that larger ones would be cut up by the processor; hint: \"auto\" keeps to \
     its limit`. `\"auto\"` does what is possible, and CHECK does not look at it",
)
.default("false")
.example("auto")
.refuses(&[("1", r#"bigTCP is 1, must be true, false or "auto""#)]);

impl BigPackets {
    /// Reads the key.
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        match fields.value("bigTCP") {
            None | Some(Value::Bool(false)) => Self::Off,
            Some(Value::Bool(true)) => Self::Needed,
            Some(Value::String(word)) if word == "auto" => Self::Automatic,
            Some(other) => {
                let message = format!("bigTCP is {other}, must be true, false or \"auto\"");
                fields.report_at("bigTCP", message);
                Self::Off
            }
        }
    }

    /// Finds out what limits them. At CHECK and DEL, which have a previous result, it does not
    /// matter any more.
    pub(crate) fn limit(
        self,
        kernel: &mut Linux,
        previous: Option<&CniResult>,
        bridge: Option<&IfName>,
        links: &[&IfName],
    ) -> PacketLimit {
        if self == Self::Off || previous.is_some() {
            return PacketLimit::Unasked;
        }
        // Who cannot tell will refuse the size itself.
        kernel.packet_limit(bridge, links).unwrap_or(PacketLimit::None)
    }

    /// Declares the sizes of both ends of an attachment's pair and of the bridge, behind the pair:
    /// a bridge without ports takes ordinary packets only.
    pub(crate) fn declare(
        self,
        desired: &mut Desired,
        attachment: &Attachment,
        given: &Given,
        bridge: Option<&IfName>,
    ) -> Result<(), CniError> {
        let Some(size) = self.size(given)? else { return Ok(()) };
        let of = |link: &IfName| {
            let attribute = Attribute::PacketSize(size);
            LinkAttribute { link: link.clone(), attribute }
        };
        let host = names::host_interface(&attachment.owner);
        desired.push(Place::Host, Lifetime::Dependent, of(&host));
        if let Some(bridge) = bridge {
            desired.push(Place::Host, Lifetime::Shared, of(bridge));
        }
        desired.push(Place::Sandbox, Lifetime::Dependent, of(&attachment.ifname));
        Ok(())
    }

    fn size(self, given: &Given) -> Result<Option<u32>, CniError> {
        let refusal = |reason: String| Err(CniError::invalid_config(format!("bigTCP: {reason}")));
        match (self, &given.facts.packet_limit) {
            (Self::Off, _) => Ok(None),
            _ if given.deleting => Ok(None),
            (_, PacketLimit::None) | (Self::Needed, PacketLimit::Unasked) => {
                Ok(Some(PacketLimit::ENOUGH))
            }
            (Self::Automatic, PacketLimit::Of { size, .. }) if *size > ORDINARY => Ok(Some(*size)),
            (Self::Automatic, _) => Ok(None),
            (Self::Needed, PacketLimit::Unsupported) => refusal(
                "the kernel has no packets of more than 64 KB for IPv4 (Linux 6.3 has); hint: \
                 \"auto\" does without"
                    .into(),
            ),
            (Self::Needed, PacketLimit::Of { link, size }) => refusal(format!(
                "\"{link}\" takes packets of at most {size} bytes (tso_max_size), so that larger \
                 ones would be cut up by the processor; hint: \"auto\" keeps to its limit"
            )),
        }
    }
}
