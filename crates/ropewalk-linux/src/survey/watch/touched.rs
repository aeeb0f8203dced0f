//! What messages of the kernel say that has to be read again.
//!
//! It must never guess: a message of a type that is not known touches its whole namespace.

use std::collections::BTreeSet;

use crate::{
    netlink::Reply,
    uapi::{RTM_DELNEIGH, RTM_DELNSID, RTM_NEWNEIGH, RTM_NEWNSID},
};

/// What has to be read again; namespaces by their inodes.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Messages were lost.
    pub(super) everything: bool,
    /// Which namespaces there are.
    pub(super) places: bool,
    /// Namespaces with all that is in them.
    pub(super) whole: BTreeSet<u64>,
    /// Namespaces of which only neighbours have changed, which they do all the time.
    pub(super) neighbours: BTreeSet<u64>,
}

impl Touched {
    pub(super) fn is_nothing(&self) -> bool {
        !self.everything && !self.places && self.whole.is_empty() && self.neighbours.is_empty()
    }

    /// A message of rtnetlink from a namespace, which may not be known yet. A link whose other end
    /// is in another namespace gives that a number, which is told first.
    pub(super) fn route_message(&mut self, place: Option<u64>, reply: &Reply<'_>) {
        match (reply.kind, place) {
            (RTM_NEWNSID | RTM_DELNSID, _) | (_, None) => self.places = true,
            (RTM_NEWNEIGH | RTM_DELNEIGH, Some(place)) => {
                self.neighbours.insert(place);
            }
            (_, Some(place)) => {
                self.whole.insert(place);
            }
        }
    }

    /// A message of nftables.
    pub(super) fn filter_message(&mut self, place: Option<u64>) {
        match place {
            Some(place) => self.whole.extend([place]),
            None => self.places = true,
        }
    }
}
