//! The plugin `ipvlan`: other addresses behind the MAC of a link of the host, as the container's
//! interface. Behind another plugin it can stand on that one's interface and take over its
//! addresses.

use ropewalk_cni::{CniError, CniResult, Command, Fields, Request, prev_result};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, Observed,
    resource::{IpvlanFlag, IpvlanMode, VirtualKind, VirtualLink},
};

use super::{on_parent::OnParent, single::Single};
use crate::{
    config,
    describe::{
        Absent, Class, Description, Key, Kind,
        common::{self, ACCEPT_RA, DETECT_DUPLICATES, DNS, IPAM, WAIT_FOR_RA},
        key,
    },
    device::{Attachment, Device, Facts, Given},
    layer3,
};

struct Ipvlan {
    on: OnParent,
    mode: IpvlanMode,
    flag: IpvlanFlag,
    mtu: Option<u32>,
    /// At ADD, what the plugins before this one made.
    chain: Option<CniResult>,
    interface: Single,
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    let fields = Fields::new(&request.raw, "");
    let mut ipvlan = read(&fields);
    // What a previous result looks like matters only where something is made of it.
    if request.command == Command::Add {
        let previous = prev_result(&request.raw);
        ipvlan.chain = previous.map_err(|error| error.prefixed(config::NETCONF))?;
        ipvlan.follow_chain(&fields);
    }
    config::finish(&fields, config::NETCONF)?;
    Ok(Box::new(ipvlan))
}

/// Reads everything, so that `lint` finds what is wrong without a request.
fn lint(fields: &Fields<'_>) {
    read(fields);
}

fn read(fields: &Fields<'_>) -> Ipvlan {
    Ipvlan {
        on: OnParent::read(fields),
        mode: mode(fields),
        flag: flag(fields),
        mtu: config::mtu(fields),
        chain: None,
        interface: Single::read(fields),
    }
}

fn mode(fields: &Fields<'_>) -> IpvlanMode {
    match fields.string("mode").as_deref() {
        None | Some("" | "l2") => IpvlanMode::L2,
        Some("l3") => IpvlanMode::L3,
        Some("l3s") => IpvlanMode::L3s,
        Some(other) => {
            fields.report_at("mode", format!("unknown ipvlan mode: {other:?}"));
            IpvlanMode::L2
        }
    }
}

fn flag(fields: &Fields<'_>) -> IpvlanFlag {
    match fields.string("flag").as_deref() {
        None | Some("" | "bridge") => IpvlanFlag::Bridge,
        Some("private") => IpvlanFlag::Private,
        Some("vepa") => IpvlanFlag::Vepa,
        Some(other) => {
            fields.report_at("flag", format!("unknown ipvlan flag: {other:?}"));
            IpvlanFlag::Bridge
        }
    }
}

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    ..Description::new(
        "ipvlan",
        Class::Interface,
        "gives a container addresses behind the MAC of a link of the host",
        lint,
    )
};

const KEYS: &[Key] = &[
    common::master(
        "The link to stand on. No such link: `Link not found`. None configured and no default \
         route: `no default route interface found`. Behind another plugin whose result has not \
         just one interface: `chained master failure. PrevResult lacks a single named interface`",
    )
    .absent(
        "behind another plugin, that one's interface; else the link of the default route, IPv4 \
         before IPv6",
    ),
    common::link_in_container(
        "The master, or the default route that tells it, is in the container's namespace",
    ),
    key(
        "mode",
        Kind::Word(&["l2", "l3", "l3s"]),
        "How the link is joined to the master: as a switch port; as a router, without broadcasts; \
         as a router whose packets pass the host's packet filter",
    )
    .default("l2")
    .example("l3")
    .refuses(&[("x", "unknown ipvlan mode: \"x\"")]),
    key(
        "flag",
        Kind::Word(&["bridge", "private", "vepa"]),
        "How the links of one master see each other: directly; not at all; through a switch at the \
         other end of the cable that sends frames back where they came from. The kernel has one \
         flag and one mode for all links of a master: the last ADD sets it",
    )
    .default("bridge")
    .example("private")
    .refuses(&[("x", "unknown ipvlan flag: \"x\"")]),
    common::mtu("May be larger than the master's. 0 leaves it to the kernel"),
    DETECT_DUPLICATES,
    ACCEPT_RA,
    WAIT_FOR_RA,
    DNS,
    Key { absent: Absent::Words("the addresses of the plugin before this one"), ..IPAM },
];

impl Ipvlan {
    /// The chain gives the master and the addresses that the configuration does not.
    fn follow_chain(&mut self, fields: &Fields<'_>) {
        if let (None, Some(chain)) = (&self.on.master, &self.chain) {
            let name = match &chain.interfaces[..] {
                [single] => single.name.parse().ok(),
                _ => None,
            };
            if name.is_none() {
                let message = "chained master failure. PrevResult lacks a single named interface";
                fields.report_at("master", message);
            }
            self.on.master = name;
        }
        let has_addresses = self.chain.as_ref().is_some_and(|chain| !chain.ips.is_empty());
        if self.interface.ipam.is_none() && !has_addresses {
            fields.report_at("ipam.type", config::NO_IPAM);
        }
    }

    /// The addresses: those of the address plugin, without one those of the chain.
    fn layer3(&self, attachment: &Attachment, given: &Given) -> Option<CniResult> {
        if self.interface.ipam.is_some() {
            return given.layer3.clone();
        }
        let recorded = || {
            let whole = given.previous.as_ref()?;
            Some(layer3::of_interface(whole, &attachment.ifname, &attachment.netns))
        };
        // The link is another one than the chain's, so that theirs are not what they stand on.
        let of_chain = |mut chain: CniResult| {
            chain.ips.iter_mut().for_each(|ip| ip.interface = None);
            chain
        };
        self.chain.clone().map(of_chain).or_else(recorded)
    }
}

impl Device for Ipvlan {
    fn ipam(&self) -> Option<&str> {
        self.interface.ipam.as_deref()
    }

    fn facts(&self, kernel: &mut Linux, _: &Attachment, previous: Option<&CniResult>) -> Facts {
        self.on.facts(kernel, previous)
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        let kind = VirtualKind::Ipvlan { mode: self.mode, flag: self.flag };
        let link = VirtualLink {
            parent: self.on.parent(given)?,
            mtu: self.mtu,
            ..VirtualLink::new(attachment.ifname.clone(), kind)
        };
        let layer3 = self.layer3(attachment, given);
        Ok(self.interface.declare(link, attachment, given, layer3.as_ref()))
    }

    fn result(&self, attachment: &Attachment, given: &Given, observed: &Observed) -> CniResult {
        let layer3 = self.layer3(attachment, given);
        self.interface.result(attachment, layer3.as_ref(), observed)
    }
}
