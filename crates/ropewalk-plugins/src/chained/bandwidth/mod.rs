//! The plugin `bandwidth`: how fast the container receives and sends.
//!
//! What a link sends can wait in a queue; what it receives is led through another link, an IFB,
//! whose queue it can wait in. Both happen at the host's end of a veth pair, out of the container's
//! reach, and at the interface itself where there is no such end.

mod config;
mod keys;
mod point;

use ropewalk_cni::{CniError, CniResult, Interface, Request};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place, Resource, Scope,
    resource::{Qdisc, VirtualKind, VirtualLink, traffic::Discipline},
};

use self::{config::Config, point::Point};
use crate::{
    device::{Attachment, Device, Facts, Given, Passage},
    feature::fast_path,
    layer3, names,
};

pub(crate) use keys::DESCRIPTION;

struct Bandwidth {
    config: Config,
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    Ok(Box::new(Bandwidth { config: Config::read(request)? }))
}

impl Device for Bandwidth {
    fn is_chained(&self) -> bool {
        true
    }

    fn decoding(&self) -> &'static str {
        "could not parse prevResult"
    }

    fn facts(&self, kernel: &mut Linux, attachment: &Attachment, _: Option<&CniResult>) -> Facts {
        let mtu = |kernel: &mut Linux, place, link| {
            kernel.link_state(place, link).ok().flatten().map(|state| state.mtu)
        };
        let ifname = &attachment.ifname;
        let passage = match mtu(kernel, Place::Sandbox, ifname) {
            None => Passage::Unknown,
            Some(own) => match kernel.host_end(ifname) {
                Ok(Some(host)) => {
                    let mtu = mtu(kernel, Place::Host, &host).flatten();
                    Passage::HostEnd(host, mtu)
                }
                Ok(None) | Err(_) => Passage::Itself(own),
            },
        };
        let fast_path = match &passage {
            Passage::HostEnd(host, _) if !self.config.limits_nothing() => {
                fast_path::beside(kernel, host, "bandwidth")
            }
            _ => Ok(()),
        };
        Facts { passage, fast_path, ..Facts::default() }
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        if given.deleting {
            return Ok(declare_owned(attachment, given));
        }
        let Some(previous) = &given.previous else {
            return Err(CniError::internal("must be called as chained plugin"));
        };
        let mut desired = Desired::new();
        if !self.config.limits_nothing() {
            fast_path::refuse(given)?;
            self.point(attachment, given, previous)?.declare(&mut desired, &self.config.peers);
        }
        Ok(desired)
    }

    fn result(&self, attachment: &Attachment, given: &Given, observed: &Observed) -> CniResult {
        let mut result = given.previous.clone().unwrap_or_default();
        let point = self.point(attachment, given, &result).ok();
        let Some(point) = point.filter(|point| point.received.is_some()) else { return result };
        let found = observed.find(point.place, &Resource::from(point.shaper.clone()).key());
        let mac = match found {
            Some(Resource::VirtualLink(shaper)) => shaper.mac,
            _ => None,
        };
        let sandbox = match point.place {
            Place::Host => "",
            Place::Sandbox => &attachment.netns,
        };
        result.interfaces.push(layer3::interface(&point.shaper.name, mac, sandbox));
        result
    }

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::TaggedLinks]
    }
}

impl Bandwidth {
    /// Where the traffic is shaped. What the host sends into a pair, the container receives.
    fn point(
        &self,
        attachment: &Attachment,
        given: &Given,
        previous: &CniResult,
    ) -> Result<Point, CniError> {
        let Config { ingress, egress, .. } = self.config;
        let tag = Some(attachment.owner.tag());
        let name = names::own_shaper(&attachment.owner);
        let shaper = VirtualLink { tag, ..VirtualLink::new(name, VirtualKind::Ifb) };
        if previous.interfaces.is_empty() {
            return Err(CniError::internal("no interfaces provided"));
        }
        match given.facts.passage.clone() {
            Passage::Unknown => Err(CniError::internal(format!(
                "container interface {} has no veth peer: Link not found",
                attachment.ifname
            ))),
            Passage::HostEnd(link, mtu) => {
                let is_it = |i: &Interface| i.sandbox.is_empty() && i.name == *link;
                if !previous.interfaces.iter().any(is_it) {
                    let text = "no veth peer of container interface found in host ns";
                    return Err(CniError::internal(text));
                }
                let (sent, received) = (ingress, egress);
                Ok(Point { place: Place::Host, link, mtu, sent, received, shaper })
            }
            Passage::Itself(mtu) => {
                let (sent, received) = (egress, ingress);
                let link = attachment.ifname.clone();
                Ok(Point { place: Place::Sandbox, link, mtu, sent, received, shaper })
            }
        }
    }
}

/// What any ADD may have made. At the interface of a container that is gone there is nothing left.
fn declare_owned(attachment: &Attachment, given: &Given) -> Desired {
    let mut desired = Desired::new();
    let own = names::own_shaper(&attachment.owner);
    let points = match &given.facts.passage {
        Passage::Unknown => None,
        Passage::HostEnd(link, _) => Some((Place::Host, link)),
        Passage::Itself(_) => Some((Place::Sandbox, &attachment.ifname)),
    };
    if let Some((place, link)) = points {
        let root = Qdisc::root(link.clone(), Discipline::Classes { default_class: 0 });
        desired.push(place, Lifetime::Attachment, root);
        desired.push(place, Lifetime::Attachment, Qdisc::ingress(link.clone()));
    }
    for place in [Place::Host, Place::Sandbox] {
        let shaper = VirtualLink::new(own.clone(), VirtualKind::Ifb);
        desired.push(place, Lifetime::Attachment, shaper);
    }
    // The reference plugin names its link without the interface, so that only the result tells
    // whether it is this one's.
    let older = names::shaper(&attachment.owner);
    let is_it = |i: &&Interface| i.sandbox.is_empty() && i.name == *older;
    if given.previous.iter().flat_map(|previous| &previous.interfaces).any(|i| is_it(&i)) {
        let shaper = VirtualLink::new(older, VirtualKind::Ifb);
        desired.push(Place::Host, Lifetime::Predecessor, shaper);
    }
    desired
}
