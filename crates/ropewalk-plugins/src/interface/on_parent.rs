//! A link that stands on another one, its master: how the master is named and found, and what it
//! allows. It must not fail a DEL: by then the master may be gone.

use ropewalk_addr::IfName;
use ropewalk_cni::{CniError, CniResult, Fields};
use ropewalk_linux::Linux;
use ropewalk_netstate::{Place, resource::Parent};

use crate::{
    config,
    device::{Facts, Given, Master},
};

/// Which link to stand on.
#[derive(Debug)]
pub(crate) struct OnParent {
    /// Its name; `None` is the link of the default route.
    pub(crate) master: Option<IfName>,
    place: Place,
}

impl OnParent {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        let in_sandbox = fields.bool("linkInContainer").unwrap_or_default();
        let place = if in_sandbox { Place::Sandbox } else { Place::Host };
        Self { master: config::interface_name(fields, "master"), place }
    }

    pub(crate) fn facts(&self, kernel: &mut Linux, previous: Option<&CniResult>) -> Facts {
        Facts { master: self.find(kernel, previous), ..Facts::default() }
    }

    fn find(&self, kernel: &mut Linux, previous: Option<&CniResult>) -> Master {
        let name = match &self.master {
            Some(name) => Some(name.clone()),
            // The default route of today need not be the one of the ADD.
            None if previous.is_some() => return Master::Unasked,
            None => kernel.default_route_link(self.place).ok().flatten(),
        };
        let Some(name) = name else { return Master::Unknown };
        match kernel.link_state(self.place, &name).ok().flatten() {
            Some(state) => Master::There { name, mtu: state.mtu.unwrap_or(u32::MAX) },
            None => Master::Missing(name),
        }
    }

    /// The link to stand on; `None` if it does not matter which.
    pub(crate) fn parent(&self, given: &Given) -> Result<Option<Parent>, CniError> {
        match &given.facts.master {
            _ if given.deleting => Ok(None),
            Master::Unasked => Ok(None),
            Master::Unknown => Err(CniError::internal("no default route interface found")),
            Master::Missing(name) => {
                let which = format!("master {name:?} {}", self.place, name = &**name);
                Err(CniError::internal("Link not found").with_details(which))
            }
            Master::There { name, .. } => {
                Ok(Some(Parent { place: self.place, name: name.clone() }))
            }
        }
    }
}

/// An MTU that must not exceed the master's; 0 leaves it to the kernel.
pub(crate) fn limited_mtu(wanted: i64, given: &Given) -> Result<Option<u32>, CniError> {
    let limit = match given.facts.master {
        Master::There { mtu, .. } => mtu,
        Master::Unasked | Master::Unknown | Master::Missing(_) => u32::MAX,
    };
    match u32::try_from(wanted) {
        Ok(mtu) if mtu <= limit => Ok((mtu != 0).then_some(mtu)),
        _ if given.deleting => Ok(None),
        _ => Err(CniError::invalid_config(format!(
            "invalid MTU {wanted}, must be [0, master MTU({limit})]"
        ))),
    }
}
