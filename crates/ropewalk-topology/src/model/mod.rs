//! What a host's network consists of. Plain data: numbers are the kernel's, and nothing is judged.

mod filter;
mod layer3;
mod link;
mod namespace;

pub use filter::{
    Base, Chain, Comparison, Data, Element, Expression, Filter, FilterFamily, FlowTable, Object,
    ObjectState, Rule, Set, Table, Verdict,
};
pub use layer3::{
    Address, Connection, Destination, ForwardingEntry, Hop, Neighbour, NextHop, NextHopKind, Route,
    RoutingRule, Tuple,
};
pub use link::{
    BridgeVlan, Counters, Details, HardwareAddress, Link, Lower, Port, Qdisc, State, Switch,
    TrafficFilter,
};
pub use namespace::{
    Attachment, Container, Content, Gap, Identity, Namespace, Process, Runtime, Setting,
};

use alloc::vec::Vec;

/// Everything that was read of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Its network namespaces; the one from which it was looked at is the first.
    pub namespaces: Vec<Namespace>,
}

impl Host {
    /// The position of the namespace with this inode number.
    pub fn position(&self, inode: u64) -> Option<usize> {
        self.namespaces.iter().position(|namespace| namespace.identity.inode == inode)
    }
}
