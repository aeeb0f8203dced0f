//! What is made at the link where traffic is shaped. It must not know whether that is the
//! container's link or the host's end of its pair.

use ropewalk_addr::{IfName, Subnet};
use ropewalk_netstate::{
    Desired, Lifetime, Place,
    resource::{
        Attribute, LinkAttribute, Qdisc, TrafficClass, TrafficFilter, VirtualLink,
        traffic::{Discipline, Hook, Rate, Selector, Verdict},
    },
};

use super::config::Peers;
use crate::layer3;

/// The class of what is slowed down, if something is not.
const SLOW: u16 = 0x30;
/// Passes the classes by.
const FREE: u16 = 0;
/// How many packets may wait in a class; an IFB has room for 32 by itself.
const WAITING_PACKETS: u32 = 1000;
/// How long a packet may wait at a full bucket: a fortieth of a second.
const WAITS_PER_SECOND: u64 = 40;

/// What is selected by a peer's subnet.
type By = fn(Subnet) -> Selector;

/// A link, and how much it may send and receive.
pub(super) struct Point {
    pub(super) place: Place,
    pub(super) link: IfName,
    pub(super) mtu: Option<u32>,
    pub(super) sent: Option<Rate>,
    pub(super) received: Option<Rate>,
    /// Through what is received is led.
    pub(super) shaper: VirtualLink,
}

impl Point {
    /// Of what the host sends, peers are the source; of what the container sends, the destination.
    pub(super) fn declare(&self, desired: &mut Desired, peers: &Peers) {
        let (sent_by, received_by): (By, By) = match self.place {
            Place::Host => (Selector::From, Selector::To),
            Place::Sandbox => (Selector::To, Selector::From),
        };
        if let Some(rate) = self.sent {
            let queue =
                Queue { place: self.place, link: &self.link, rate, lifetime: Lifetime::Attachment };
            queue.declare(desired, peers, sent_by);
        }
        if let Some(rate) = self.received {
            self.declare_detour(desired);
            let link = &self.shaper.name;
            let queue = Queue { place: self.place, link, rate, lifetime: Lifetime::Dependent };
            queue.declare(desired, peers, received_by);
        }
    }

    /// The shaper, and the way there. Its MTU and its queue may become others later.
    fn declare_detour(&self, desired: &mut Desired) {
        let Self { place, shaper, link, .. } = self;
        let name = &shaper.name;
        desired.push(*place, Lifetime::Attachment, shaper.clone());
        let attribute = |attribute| LinkAttribute { link: name.clone(), attribute };
        if let Some(mtu) = self.mtu {
            desired.push(*place, Lifetime::Initial, attribute(Attribute::Mtu(mtu)));
        }
        let length = Attribute::TxQueueLength(WAITING_PACKETS);
        desired.push(*place, Lifetime::Initial, attribute(length));
        desired.push(*place, Lifetime::Dependent, layer3::up(name));
        desired.push(*place, Lifetime::Attachment, Qdisc::ingress(link.clone()));
        let detour = TrafficFilter {
            link: link.clone(),
            hook: Hook::Ingress,
            priority: 1,
            selector: Selector::All,
            verdict: Verdict::Redirect(name.clone()),
        };
        desired.push(*place, Lifetime::Dependent, detour);
    }
}

/// What a link sends.
struct Queue<'a> {
    place: Place,
    link: &'a IfName,
    rate: Rate,
    lifetime: Lifetime,
}

impl Queue<'_> {
    fn declare(&self, desired: &mut Desired, peers: &Peers, by: By) {
        match peers {
            Peers::All => self.declare_bucket(desired),
            Peers::AllBut(subnets) => self.declare_classes(desired, SLOW, subnets, (FREE, by)),
            Peers::Only(subnets) => self.declare_classes(desired, FREE, subnets, (SLOW, by)),
        }
    }

    fn declare_bucket(&self, desired: &mut Desired) {
        let waiting = self.rate.bytes_per_second / WAITS_PER_SECOND;
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        let limit_bytes = self.rate.burst_bytes.saturating_add(waiting);
        let bucket = Discipline::TokenBucket { rate: self.rate, limit_bytes };
        desired.push(self.place, self.lifetime, Qdisc::root(self.link.clone(), bucket));
    }

    fn declare_classes(
        &self,
        desired: &mut Desired,
        default_class: u16,
        subnets: &[Subnet],
        (class, by): (u16, By),
    ) {
        let classes = Discipline::Classes { default_class };
        desired.push(self.place, self.lifetime, Qdisc::root(self.link.clone(), classes));
        let slow = TrafficClass { link: self.link.clone(), number: SLOW, rate: self.rate };
        desired.push(self.place, Lifetime::Dependent, slow);
        for (subnet, priority) in subnets.iter().zip(1..) {
            let filter = TrafficFilter {
                link: self.link.clone(),
                hook: Hook::Root,
                priority,
                selector: by(*subnet),
                verdict: Verdict::Class(class),
            };
            desired.push(self.place, Lifetime::Dependent, filter);
        }
    }
}
