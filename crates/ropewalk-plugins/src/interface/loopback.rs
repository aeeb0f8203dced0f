//! The plugin `loopback`: the sandbox's loopback interface is up.

use ropewalk_addr::{Family, IfName, Prefix};
use ropewalk_cni::{Cidr, CniError, CniResult, IpConfig, Request, prev_result};
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place,
    resource::{AddressGuard, Conflicting},
};

use crate::{
    describe::{Class, Description},
    device::{Attachment, Device, Given},
    layer3,
};

pub(crate) const DESCRIPTION: Description =
    Description::new("loopback", Class::Interface, "brings the container's `lo` up", |_| {});

const DECODING: &str = "failed to parse network config";

struct Loopback {
    previous: Option<CniResult>,
}

/// Reads the configuration; there is nothing to configure.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    // DEL must not fail for what a previous result looks like.
    let previous = match request.command {
        ropewalk_cni::Command::Add => {
            prev_result(&request.raw).map_err(|error| error.prefixed(DECODING))?
        }
        _ => None,
    };
    Ok(Box::new(Loopback { previous }))
}

fn lo() -> IfName {
    "lo".parse().expect("two letters are a name")
}

impl Device for Loopback {
    /// It works on what is there, and needs no result before it.
    fn is_chained(&self) -> bool {
        true
    }

    fn decoding(&self) -> &'static str {
        DECODING
    }

    fn declare(&self, _: &Attachment, _: &Given) -> Result<Desired, CniError> {
        let mut desired = Desired::new();
        for family in [Family::V4, Family::V6] {
            let guard = AddressGuard {
                link: lo(),
                family,
                keep: Vec::new(),
                conflicting: Conflicting::Any,
                replace: false,
                present: Vec::new(),
            };
            desired.push(Place::Sandbox, Lifetime::Dependent, guard);
        }
        desired.push(Place::Sandbox, Lifetime::Attachment, layer3::up(&lo()));
        Ok(desired)
    }

    fn result(&self, attachment: &Attachment, _: &Given, _: &Observed) -> CniResult {
        if let Some(previous) = &self.previous {
            return previous.clone();
        }
        let address = |text: &str| -> Option<IpConfig> {
            let prefix: Prefix = text.parse().ok()?;
            let address = Cidr { ip: prefix.ip(), prefix: prefix.length() };
            Some(IpConfig { interface: Some(0), address, gateway: None })
        };
        CniResult {
            interfaces: vec![layer3::interface(
                &lo(),
                Some(ropewalk_addr::Mac([0; 6])),
                &attachment.netns,
            )],
            ips: ["127.0.0.1/8", "::1/128"].into_iter().filter_map(address).collect(),
            ..CniResult::default()
        }
    }
}
