//! The plugin `dummy`: an interface that swallows what is sent, for addresses that shall exist in
//! the container without anybody on the link.

use ropewalk_cni::{CniError, CniResult, Command, Fields, Request};
use ropewalk_netstate::{
    Desired, Observed,
    resource::{VirtualKind, VirtualLink},
};

use super::single::Single;
use crate::{
    config,
    describe::{
        Class, Description, Key,
        common::{ACCEPT_RA, DNS, NEEDED_IPAM, WAIT_FOR_RA},
        flag,
    },
    device::{Attachment, Device, Given},
};

struct Dummy {
    interface: Single,
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    let dummy = config::read(request, config::NETCONF, |fields| read(fields, request.command))?;
    Ok(Box::new(dummy))
}

/// Reads everything, so that `lint` finds what is wrong without a request.
fn lint(fields: &Fields<'_>) {
    read(fields, Command::Add);
}

fn read(fields: &Fields<'_>, command: Command) -> Dummy {
    let interface = Single::read(fields);
    if interface.ipam.is_none() {
        let message = match command {
            Command::Add => "dummy interface requires an IPAM configuration",
            _ => config::NO_IPAM,
        };
        fields.report_at("ipam.type", message);
    }
    Dummy { interface }
}

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    ..Description::new(
        "dummy",
        Class::Interface,
        "gives a container addresses on a link that leads nowhere",
        lint,
    )
};

const KEYS: &[Key] = &[
    NEEDED_IPAM.refuses(&[("{}", "dummy interface requires an IPAM configuration")]),
    flag(
        "enabledad",
        "Duplicate address detection runs, which on a link without neighbours only takes time",
    ),
    ACCEPT_RA,
    WAIT_FOR_RA,
    DNS,
];

impl Device for Dummy {
    fn ipam(&self) -> Option<&str> {
        self.interface.ipam.as_deref()
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        let link = VirtualLink::new(attachment.ifname.clone(), VirtualKind::Dummy);
        Ok(self.interface.declare(link, attachment, given, given.layer3.as_ref()))
    }

    fn result(&self, attachment: &Attachment, given: &Given, observed: &Observed) -> CniResult {
        self.interface.result(attachment, given.layer3.as_ref(), observed)
    }
}
