//! The plugin `vrf`: the container's interface belongs to a routing domain (VRF) of the sandbox,
//! which is made for its first member and goes with its last.

mod keys;

use ropewalk_addr::IfName;
use ropewalk_cni::{CniError, CniResult, Fields, Request, RouteConfig};
use ropewalk_linux::{DomainLink, Linux, Routing};
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place, Resource,
    resource::{Address, Attribute, LinkAttribute, Membership, Route, VirtualKind, VirtualLink},
};

use crate::{
    config,
    device::{Attachment, Device, Facts, Given},
    layer3,
};

pub(crate) use keys::DESCRIPTION;

struct Vrf {
    name: IfName,
    /// The table that is asked for.
    table: Option<u32>,
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    let vrf = config::read(request, config::NETCONF, Vrf::from_fields)?;
    let name = "configuration is expected to have a valid vrf name";
    Ok(Box::new(vrf.ok_or_else(|| CniError::invalid_config(name))?))
}

/// Reads everything, so that `lint` finds what is wrong without a request.
fn lint(fields: &Fields<'_>) {
    Vrf::from_fields(fields);
}

impl Vrf {
    fn from_fields(fields: &Fields<'_>) -> Option<Self> {
        let table = fields.u32("table").filter(|table| *table != 0);
        let name = fields.string("vrfname").unwrap_or_default();
        if name.is_empty() {
            fields.report_at("vrfname", "configuration is expected to have a valid vrf name");
        }
        let name = name.parse().map_err(|error| {
            let message = format!("configuration is expected to have a valid vrf name: {error}");
            fields.report_at("vrfname", message);
        });
        Some(Self { name: name.ok()?, table })
    }
}

impl Device for Vrf {
    fn is_chained(&self) -> bool {
        true
    }

    /// The sandbox is locked, so that two ADDs never take the same table and no DEL takes a domain
    /// away that another interface is about to enter.
    fn facts(&self, kernel: &mut Linux, attachment: &Attachment, _: Option<&CniResult>) -> Facts {
        let routing =
            kernel.lock_sandbox().and_then(|()| kernel.routing(Place::Sandbox, &attachment.ifname));
        let links = kernel.domain_links(Place::Sandbox);
        Facts {
            routing: routing.map_err(|error| error.to_string()),
            links: links.map_err(|error| error.to_string()),
            ..Facts::default()
        }
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        let sandbox = Sandbox::of(given, attachment, &self.name)?;
        if given.deleting {
            return Ok(self.declare_owned(attachment, &sandbox));
        }
        let Some(previous) = &given.previous else {
            return Err(CniError::internal("missing prevResult from earlier plugin"));
        };
        let table = self.table(&sandbox)?;
        if !sandbox.routing.has_link {
            let message = format!("could not get link by name {}", attachment.ifname);
            return Err(CniError::internal(message));
        }
        if let Some(master) = sandbox.other_master() {
            return Err(CniError::internal(format!(
                "interface {} has already a master set: {master}",
                attachment.ifname
            )));
        }
        let mut desired = Desired::new();
        self.declare_domain(&mut desired, &sandbox, table);
        let up = LinkAttribute { link: self.name.clone(), attribute: Attribute::Up(true) };
        desired.push(Place::Sandbox, Lifetime::Dependent, up);
        desired.push(Place::Sandbox, Lifetime::Attachment, self.membership(attachment));
        if sandbox.is_member() {
            declare_belongings(&mut desired, attachment, previous, table);
        }
        Ok(desired)
    }

    /// The previous result; a route that was moved tells the table that it is in now, where the
    /// CHECK of the plugin that made it looks.
    fn result(&self, attachment: &Attachment, given: &Given, _: &Observed) -> CniResult {
        let mut result = given.previous.clone().unwrap_or_default();
        let Ok(sandbox) = Sandbox::of(given, attachment, &self.name) else { return result };
        let Ok(table) = self.table(&sandbox) else { return result };
        let key = |route: &Route| Resource::from(route.clone()).key();
        let is_own = |route: &RouteConfig| {
            let made = layer3::route_of(route, &attachment.ifname, &result);
            let main = made.table == Route::MAIN_TABLE;
            main && sandbox.routing.routes.iter().any(|found| key(&found.route) == key(&made))
        };
        let moved: Vec<bool> = result.routes.iter().map(is_own).collect();
        for (route, _) in result.routes.iter_mut().zip(moved).filter(|(_, moved)| *moved) {
            route.table = Some(table);
        }
        result
    }
}

/// What the sandbox is like for an interface and a domain.
struct Sandbox<'a> {
    routing: &'a Routing,
    domain: Option<&'a DomainLink>,
    master: Option<&'a str>,
    others: bool,
    name: &'a str,
}

impl<'a> Sandbox<'a> {
    fn of(given: &'a Given, attachment: &Attachment, name: &'a IfName) -> Result<Self, CniError> {
        let unreadable = |error: &String| {
            CniError::internal(format!("failed to read the links of the sandbox: {error}"))
        };
        let links = given.facts.links.as_ref().map_err(unreadable)?;
        let own = links.iter().find(|link| link.name == *attachment.ifname);
        let is_other_member = |link: &DomainLink| {
            link.master.as_deref() == Some(&**name) && link.name != *attachment.ifname
        };
        Ok(Self {
            routing: given.facts.routing.as_ref().map_err(unreadable)?,
            domain: links.iter().find(|link| link.name == **name),
            master: own.and_then(|own| own.master.as_deref()),
            others: links.iter().any(is_other_member),
            name,
        })
    }

    fn is_member(&self) -> bool {
        self.master == Some(self.name)
    }

    /// A master that is not the domain.
    fn other_master(&self) -> Option<&str> {
        self.master.filter(|master| *master != self.name)
    }
}

impl Vrf {
    fn membership(&self, attachment: &Attachment) -> Membership {
        Membership { link: attachment.ifname.clone(), master: self.name.clone() }
    }

    /// The domain's table: its own, the one that is asked for, or the lowest that nobody uses.
    fn table(&self, sandbox: &Sandbox<'_>) -> Result<u32, CniError> {
        let Some(domain) = sandbox.domain else {
            let is_free = |table: &u32| {
                !Route::KERNEL_TABLES.contains(table)
                    && !sandbox.routing.used_tables.contains(table)
            };
            let lowest = || (1..=u32::MAX).find(is_free).unwrap_or(u32::MAX);
            return Ok(self.table.unwrap_or_else(lowest));
        };
        let name = &self.name;
        match (domain.table, self.table) {
            (None, _) => Err(CniError::internal(format!("Netlink {name} is not a VRF"))),
            (Some(found), Some(wanted)) if found != wanted => Err(CniError::internal(format!(
                "VRF {name} already exist with different routing table {found}"
            ))),
            (Some(found), _) => Ok(found),
        }
    }

    /// A domain that is there already is everybody's, so that a failing ADD leaves it.
    fn declare_domain(&self, desired: &mut Desired, sandbox: &Sandbox<'_>, table: u32) {
        let domain = VirtualLink::new(self.name.clone(), VirtualKind::Vrf { table });
        let is_there = sandbox.domain.is_some();
        let lifetime = if is_there { Lifetime::Shared } else { Lifetime::Attachment };
        desired.push(Place::Sandbox, lifetime, domain);
    }

    /// At DEL: the domain goes with its last member. What has another master or another kind is
    /// not ours.
    fn declare_owned(&self, attachment: &Attachment, sandbox: &Sandbox<'_>) -> Desired {
        let mut desired = Desired::new();
        let is_ours = sandbox.domain.is_none_or(|domain| domain.table.is_some());
        if is_ours && !sandbox.others {
            let table = sandbox.domain.and_then(|domain| domain.table).or(self.table).unwrap_or(0);
            let domain = VirtualLink::new(self.name.clone(), VirtualKind::Vrf { table });
            desired.push(Place::Sandbox, Lifetime::Attachment, domain);
        }
        if is_ours && sandbox.other_master().is_none() {
            let membership = self.membership(attachment);
            desired.push(Place::Sandbox, Lifetime::Attachment, membership);
        }
        desired
    }
}

/// What a member has: the addresses of the result, and the routes that were moved.
fn declare_belongings(
    desired: &mut Desired,
    attachment: &Attachment,
    previous: &CniResult,
    table: u32,
) {
    let name = &attachment.ifname;
    let own = layer3::of_interface(previous, name, &attachment.netns);
    for ip in &own.ips {
        let address = Address::new(name.clone(), layer3::prefix(ip.address));
        desired.push(Place::Sandbox, Lifetime::Dependent, address);
    }
    let moved = own.routes.iter().filter(|route| route.table == Some(table));
    for route in moved {
        let route = layer3::route_of(route, name, &own);
        desired.push(Place::Sandbox, Lifetime::Dependent, route);
    }
}
