//! The plugin `tap`: an interface whose other end is a program, a virtual machine for one.

use ropewalk_addr::{IfName, Mac};
use ropewalk_cni::{CniError, CniResult, Fields, Request, parse_args};
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place,
    resource::{Membership, Tap as TapLink, VirtualKind, VirtualLink},
};

use super::single::{self, Single};
use crate::{
    config,
    describe::{
        Class, Description, Key, Kind,
        common::{self, DNS, IPAM, LINK_MAC},
        flag, key,
    },
    device::{Attachment, Device, Given},
};

struct Tap {
    link: TapLink,
    mac: Option<Mac>,
    mtu: Option<u32>,
    bridge: Option<IfName>,
    interface: Single,
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    let args = parse_args(&request.args, &["MAC"])?;
    let tap = config::read(request, config::NETCONF, |fields| read(fields, args.get("MAC")))?;
    Ok(Box::new(tap))
}

/// Reads everything, so that `lint` finds what is wrong without a request.
fn lint(fields: &Fields<'_>) {
    read(fields, None);
}

fn read(fields: &Fields<'_>, requested_mac: Option<&str>) -> Tap {
    Tap {
        link: link(fields),
        mac: single::mac(fields, requested_mac),
        mtu: config::mtu(fields),
        bridge: config::interface_name(fields, "bridge"),
        // Nobody is there before a program opens the other end.
        interface: Single::without_neighbours(fields),
    }
}

fn link(fields: &Fields<'_>) -> TapLink {
    let owner = fields.u32("owner");
    let group = fields.u32("group");
    let context = fields.text("selinuxContext");
    TapLink {
        multi_queue: fields.bool("multiQueue").unwrap_or_default(),
        // With these two alone the reference plugin takes another way, whose taps have the header.
        offload_header: owner.is_some() && group.is_some() && context.is_none(),
        owner,
        group,
        context,
    }
}

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    runtime: &[LINK_MAC],
    variables: &[Key { name: "MAC", ..LINK_MAC }],
    ..Description::new(
        "tap",
        Class::Interface,
        "gives a container an interface whose other end is a program",
        lint,
    )
};

const KEYS: &[Key] = &[
    flag("multiQueue", "A program may open several queues"),
    key("owner", Kind::U32, "The number of the user who may open the other end")
        .absent("who may administer the network")
        .example("107"),
    key("group", Kind::U32, "The number of the group whose members may open the other end")
        .absent("who may administer the network")
        .example("107"),
    key(
        "selinuxContext",
        Kind::Text,
        "The SELinux context of the interface. Without SELinux, or if the policy does not allow \
         it: `failed to create tap: SELinux context \"…\" cannot be set: …`",
    )
    .absent("the plugin's")
    .example("system_u:system_r:container_t:s0"),
    key(
        "bridge",
        Kind::InterfaceName,
        "A bridge in the container that gets the interface as a port. No such link: `failed to \
         get bridge br0: Link not found`",
    )
    .absent("none")
    .example("br0")
    .refuses(&[("a/b", "interface name contains / or : or whitespace characters")]),
    common::mtu("0 leaves it to the kernel"),
    LINK_MAC,
    DNS,
    IPAM,
];

impl Device for Tap {
    fn ipam(&self) -> Option<&str> {
        self.interface.ipam.as_deref()
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        let ifname = &attachment.ifname;
        let link = VirtualLink {
            mac: self.mac,
            mtu: self.mtu,
            ..VirtualLink::new(ifname.clone(), VirtualKind::Tap(self.link.clone()))
        };
        let layer3 = given.layer3.as_ref();
        let mut desired = self.interface.declare(link, attachment, given, layer3);
        if let Some(master) = self.bridge.clone() {
            let port = Membership { link: ifname.clone(), master };
            desired.push(Place::Sandbox, Lifetime::Dependent, port);
        }
        Ok(desired)
    }

    fn result(&self, attachment: &Attachment, given: &Given, observed: &Observed) -> CniResult {
        self.interface.result(attachment, given.layer3.as_ref(), observed)
    }
}
