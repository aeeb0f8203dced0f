//! One change to the kernel, and its opposite.

use core::fmt;

use crate::{desired::Place, resource::Resource};

/// One change to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make what is not there.
    Create(Place, Resource),
    /// Turn what is there into something else with the same key.
    Change {
        /// Where.
        place: Place,
        /// What is there now.
        from: Resource,
        /// What shall be there.
        to: Resource,
    },
    /// Take away what is there; a kernel treats "absent" as done.
    Delete(Place, Resource),
}

impl Step {
    /// The step that takes this one back.
    #[must_use]
    pub fn undo(&self) -> Self {
        match self.clone() {
            Self::Create(place, resource) => Self::Delete(place, resource),
            Self::Change { place, from, to } => Self::Change { place, from: to, to: from },
            Self::Delete(place, resource) => Self::Create(place, resource),
        }
    }

    /// Where the step acts.
    pub fn place(&self) -> Place {
        match self {
            Self::Create(place, _) | Self::Change { place, .. } | Self::Delete(place, _) => *place,
        }
    }

    /// What the step leaves behind or takes away.
    pub fn resource(&self) -> &Resource {
        match self {
            Self::Create(_, resource) | Self::Delete(_, resource) => resource,
            Self::Change { to, .. } => to,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self {
            Self::Create(_, resource) => resource.creation_verb(),
            Self::Change { .. } => "change",
            Self::Delete(..) => "delete",
        };
        write!(f, "{verb} {} {}", self.resource(), self.place())
    }
}
