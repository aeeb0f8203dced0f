//! Whose a lease is: what the plugin was called with, and what follows from it.

use std::path::{Path, PathBuf};

use ropewalk_addr::{Family, IfName, Mac};
use ropewalk_cni::{CniError, parse_json, request::network_name};
use ropewalk_dhcp::{Identity, Options, option, rpc::Arguments, v6};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    super::config::{Config, Identifier},
    flags::below,
    link::Seat,
};

/// The longest client identifier, without its first byte.
const LONGEST_IDENTIFIER: usize = 254;

/// The kind of client identifier that is none of the numbered hardware types.
const NO_HARDWARE: u8 = 0;
const ETHERNET: u8 = 1;

/// The name of an attachment: container, network and interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) container: String,
    pub(super) network: String,
    pub(super) interface: String,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.container, self.network, self.interface)
    }
}

/// What one lease is for: an attachment and a family of addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject {
    pub(super) name: Name,
    pub(super) family: Family,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, family } = self;
        match family {
            Family::V4 => write!(f, "{name}"),
            Family::V6 => write!(f, "{name} (IPv6)"),
        }
    }
}

/// An attachment with its configuration read.
#[derive(Clone, Debug)]
pub(super) struct Attachment {
    pub(super) name: Name,
    pub(super) arguments: Arguments,
    pub(super) config: Config,
    pub(super) interface: IfName,
    /// Where the namespace is found.
    pub(super) netns: PathBuf,
    /// Whether the interface plugin looks for other stations that have an address.
    pub(super) detects_duplicates: bool,
}

impl Attachment {
    pub(super) fn of(arguments: Arguments, host_prefix: &Path) -> Result<Self, CniError> {
        let raw = configuration(&arguments)?;
        let interface = arguments.interface.parse().map_err(|error| {
            CniError::internal(format!("error looking up {:?}: {error}", arguments.interface))
        })?;
        Ok(Self {
            name: name(&raw, &arguments)?,
            config: Config::read(&raw, &arguments.args)?,
            interface,
            netns: below(host_prefix, Path::new(&arguments.netns)),
            detects_duplicates: raw["enabledad"] == true,
            arguments,
        })
    }

    /// Who the client is, given the link it sits on.
    pub(super) fn identity(&self, seat: &Seat, always_broadcast: bool) -> Identity {
        let wanted = self.config.broadcast.unwrap_or(seat.shares_hardware_address);
        self.identity_of(seat.hardware, always_broadcast || wanted)
    }

    /// Who the client is, given its hardware address and whether answers are broadcast.
    pub(super) fn identity_of(&self, hardware: Mac, broadcast: bool) -> Identity {
        let mut options = Options::default();
        let identifier = match self.config.identifier {
            Identifier::Attachment => {
                let mut identifier = vec![NO_HARDWARE];
                let name = self.name.to_string();
                identifier.extend(name.bytes().take(LONGEST_IDENTIFIER));
                identifier
            }
            Identifier::Mac => [&[ETHERNET], hardware.0.as_slice()].concat(),
        };
        options.set(option::CLIENT_IDENTIFIER, identifier);
        for (code, value) in &self.config.provided {
            options.set(*code, value.clone());
        }
        Identity { hardware, broadcast, options, wanted: self.config.wanted.clone() }
    }

    /// Who the client is to servers of DHCPv6. An identifier of the attachment looks like a UUID
    /// (RFC 9562, version 8); containers that share a hardware address have different numbers.
    pub(super) fn identity_v6(&self, hardware: Mac) -> v6::Identity {
        let digest: [u8; 32] = Sha256::digest(self.name.to_string()).into();
        let [digest @ .., a, b, c, d] = digest;
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&digest[..16]);
        uuid[6] = uuid[6] & 0x0f | 0x80;
        uuid[8] = uuid[8] & 0x3f | 0x80;
        let identifier = match self.config.identifier {
            Identifier::Attachment => v6::duid_of_uuid(uuid),
            Identifier::Mac => v6::duid_of_hardware(hardware),
        };
        v6::Identity { identifier, number: u32::from_be_bytes([a, b, c, d]) }
    }
}

/// The network configuration out of the arguments of a call.
pub(super) fn configuration(arguments: &Arguments) -> Result<Value, CniError> {
    parse_json(&arguments.configuration).map_err(|error| error.prefixed("error parsing netconf"))
}

/// The name of the attachment that a call is about.
pub(super) fn name(raw: &Value, arguments: &Arguments) -> Result<Name, CniError> {
    Ok(Name {
        container: arguments.container.clone(),
        network: network_name(raw)?,
        interface: arguments.interface.clone(),
    })
}
