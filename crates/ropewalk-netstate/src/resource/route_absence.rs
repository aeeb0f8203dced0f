//! The absence of a route: making it takes the route away, taking it away puts the route back.

use alloc::vec::Vec;
use core::fmt;

use super::{Key, Mismatch, Route};

/// A route that shall not be there. It has all that is needed to put it back as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteAbsence(pub Route);

impl RouteAbsence {
    pub(crate) fn key(&self) -> Key {
        let Route { destination, table, priority, gateway, ref link, .. } = self.0;
        Key::RouteAbsence(destination, table, priority, gateway, link.clone())
    }

    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }
}

impl fmt::Display for RouteAbsence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "absence of {}", self.0)
    }
}
