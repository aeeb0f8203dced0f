//! The plugin `macvlan`: another MAC on a link of the host, as the container's interface.

use ropewalk_addr::Mac;
use ropewalk_cni::{CniError, CniResult, Fields, Request, parse_args};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, Observed,
    resource::{MacvlanMode, VirtualKind, VirtualLink},
};

use super::{
    on_parent::{OnParent, limited_mtu},
    single::{self, Single},
};
use crate::{
    config,
    describe::{
        Class, Description, Key, Kind,
        common::{
            self, ACCEPT_RA, DETECT_DUPLICATES, DNS, IPAM, LIMITED_MTU, LINK_MAC, WAIT_FOR_RA,
        },
        key,
    },
    device::{Attachment, Device, Facts, Given},
};

struct Macvlan {
    on: OnParent,
    mode: MacvlanMode,
    broadcast_queue: Option<u32>,
    mac: Option<Mac>,
    mtu: i64,
    interface: Single,
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    let args = parse_args(&request.args, &["MAC"])?;
    let macvlan = config::read(request, config::NETCONF, |fields| read(fields, args.get("MAC")))?;
    Ok(Box::new(macvlan))
}

/// Reads everything, so that `lint` finds what is wrong without a request.
fn lint(fields: &Fields<'_>) {
    read(fields, None);
}

fn read(fields: &Fields<'_>, requested_mac: Option<&str>) -> Macvlan {
    Macvlan {
        on: OnParent::read(fields),
        mode: mode(fields),
        broadcast_queue: fields.u32("bcqueuelen").filter(|packets| *packets != 0),
        mac: single::mac(fields, requested_mac),
        mtu: fields.i64("mtu").unwrap_or_default(),
        interface: Single::read(fields),
    }
}

fn mode(fields: &Fields<'_>) -> MacvlanMode {
    match fields.string("mode").as_deref() {
        None | Some("" | "bridge") => MacvlanMode::Bridge,
        Some("private") => MacvlanMode::Private,
        Some("vepa") => MacvlanMode::Vepa,
        Some("passthru") => MacvlanMode::Passthru,
        Some(other) => {
            fields.report_at("mode", format!("unknown macvlan mode: {other:?}"));
            MacvlanMode::Bridge
        }
    }
}

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    runtime: &[LINK_MAC],
    variables: &[Key { name: "MAC", ..LINK_MAC }],
    ..Description::new(
        "macvlan",
        Class::Interface,
        "gives a container a MAC of its own on a link of the host",
        lint,
    )
};

const KEYS: &[Key] = &[
    common::master(
        "The link to stand on. No such link: `Link not found`. None configured and no default \
         route: `no default route interface found`",
    )
    .absent("the link of the default route, IPv4 before IPv6"),
    common::link_in_container(
        "The master, or the default route that tells it, is in the container's namespace",
    ),
    key(
        "mode",
        Kind::Word(&["bridge", "private", "vepa", "passthru"]),
        "How the links of one master see each other: directly; not at all; through a switch at the \
         other end of the cable that sends frames back where they came from; there is only one, \
         which has the master to itself",
    )
    .default("bridge")
    .example("private")
    .refuses(&[("foo", "unknown macvlan mode: \"foo\"")]),
    LIMITED_MTU,
    LINK_MAC,
    key(
        "bcqueuelen",
        Kind::U32,
        "How many broadcasts the master's queue holds. The kernel takes the longest that any link \
         of the master asks for; 0 leaves its own 1000",
    )
    .default("0")
    .example("2000"),
    DETECT_DUPLICATES,
    ACCEPT_RA,
    WAIT_FOR_RA,
    DNS,
    IPAM,
];

impl Device for Macvlan {
    fn ipam(&self) -> Option<&str> {
        self.interface.ipam.as_deref()
    }

    fn facts(&self, kernel: &mut Linux, _: &Attachment, previous: Option<&CniResult>) -> Facts {
        self.on.facts(kernel, previous)
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        let (mode, broadcast_queue) = (self.mode, self.broadcast_queue);
        let kind = VirtualKind::Macvlan { mode, broadcast_queue };
        let link = VirtualLink {
            parent: self.on.parent(given)?,
            mac: self.mac,
            mtu: limited_mtu(self.mtu, given)?,
            ..VirtualLink::new(attachment.ifname.clone(), kind)
        };
        Ok(self.interface.declare(link, attachment, given, given.layer3.as_ref()))
    }

    fn result(&self, attachment: &Attachment, given: &Given, observed: &Observed) -> CniResult {
        self.interface.result(attachment, given.layer3.as_ref(), observed)
    }
}
