//! The plugin `vlan`: a VLAN (IEEE 802.1Q) of a link of the host, as the container's interface.

use ropewalk_cni::{CniError, CniResult, Command, Fields, Request};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, Observed,
    resource::{VirtualKind, VirtualLink},
};

use super::{
    on_parent::{OnParent, limited_mtu},
    single::Single,
};
use crate::{
    config,
    describe::{
        Class, Description, Key, Kind,
        common::{self, ACCEPT_RA, DETECT_DUPLICATES, DNS, LIMITED_MTU, NEEDED_IPAM, WAIT_FOR_RA},
        key,
    },
    device::{Attachment, Device, Facts, Given},
};

struct Vlan {
    on: OnParent,
    id: u16,
    mtu: i64,
    interface: Single,
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    let vlan = config::read(request, config::NETCONF, |fields| read(fields, request.command))?;
    Ok(Box::new(vlan))
}

/// Reads everything, so that `lint` finds what is wrong without a request.
fn lint(fields: &Fields<'_>) {
    read(fields, Command::Add);
}

fn read(fields: &Fields<'_>, command: Command) -> Vlan {
    let vlan = Vlan {
        on: OnParent::read(fields),
        id: id(fields),
        mtu: fields.i64("mtu").unwrap_or_default(),
        interface: Single::read(fields),
    };
    if fields.string("master").is_none_or(|name| name.is_empty()) {
        let message = "\"master\" field is required. It specifies the host interface name to \
                       create the VLAN for";
        fields.report_at("master", message);
    }
    if vlan.interface.ipam.is_none() {
        let at_add = format!("failed to execute IPAM delegate: {}", config::NO_IPAM);
        let message = if command == Command::Add { &at_add } else { config::NO_IPAM };
        fields.report_at("ipam.type", message);
    }
    vlan
}

fn id(fields: &Fields<'_>) -> u16 {
    let id = fields.i64("vlanId").unwrap_or_default();
    match u16::try_from(id) {
        Ok(id) if id <= 4094 => id,
        _ => {
            // These are the words that tools may know; 4095 is not among the ids.
            let message = format!("invalid VLAN ID {id} (must be between 0 and 4095 inclusive)");
            fields.report_at("vlanId", message);
            0
        }
    }
}

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    ..Description::new(
        "vlan",
        Class::Interface,
        "gives a container a VLAN of a link of the host",
        lint,
    )
};

const KEYS: &[Key] = &[
    common::master(
        "The link to stand on. Without it: `\"master\" field is required. It specifies the host \
         interface name to create the VLAN for`. No such link: `Link not found`",
    )
    .required(),
    common::link_in_container("The master is in the container's namespace"),
    key(
        "vlanId",
        Kind::Integer(0, 4094),
        "The VLAN. One that the master has already, in whatever namespace: `failed to create vlan: \
         file exists`",
    )
    .default("0")
    .example("100")
    .refuses(&[("4095", "invalid VLAN ID 4095 (must be between 0 and 4095 inclusive)")]),
    LIMITED_MTU,
    DETECT_DUPLICATES,
    ACCEPT_RA,
    WAIT_FOR_RA,
    DNS,
    NEEDED_IPAM.refuses(&[("{}", "failed to execute IPAM delegate: no plugin name provided")]),
];

impl Device for Vlan {
    fn ipam(&self) -> Option<&str> {
        self.interface.ipam.as_deref()
    }

    fn facts(&self, kernel: &mut Linux, _: &Attachment, previous: Option<&CniResult>) -> Facts {
        self.on.facts(kernel, previous)
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        let link = VirtualLink {
            parent: self.on.parent(given)?,
            mtu: limited_mtu(self.mtu, given)?,
            ..VirtualLink::new(attachment.ifname.clone(), VirtualKind::Vlan { id: self.id })
        };
        Ok(self.interface.declare(link, attachment, given, given.layer3.as_ref()))
    }

    fn result(&self, attachment: &Attachment, given: &Given, observed: &Observed) -> CniResult {
        self.interface.result(attachment, given.layer3.as_ref(), observed)
    }
}
