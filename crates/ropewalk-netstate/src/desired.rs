//! What a plugin wants: items, each with a place, a lifetime and a resource.

use alloc::vec::Vec;
use core::fmt;

use crate::resource::{Key, Resource};

/// Which network namespace an item lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The namespace the plugin runs in.
    Host,
    /// The container's namespace, CNI's `CNI_NETNS`.
    Sandbox,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "on the host",
            Self::Sandbox => "in the sandbox",
        })
    }
}

/// Whose an item is, and so what each CNI verb does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifetime {
    /// Used by many attachments: ADD makes it or completes it, DEL leaves it.
    Shared,
    /// This attachment's own: ADD must create it anew, DEL deletes it.
    Attachment,
    /// Lies on something of this attachment and dies with it: ADD creates it, DEL does nothing.
    Dependent,
    /// Set once by ADD; later changes are the business of others, so CHECK does not look.
    Initial,
    /// Was there before: ADD remembers and changes it, DEL gives back what was remembered.
    Borrowed,
    /// What the reference plugins would have made for this attachment: only DEL looks for it.
    Predecessor,
}

/// One piece of desired state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where it lives.
    pub place: Place,
    /// Whose it is.
    pub lifetime: Lifetime,
    /// What it is.
    pub resource: Resource,
}

/// Desired state in the order in which it has to be made. No key occurs twice at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    items: Vec<Item>,
}

impl Desired {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an item; one with the same place and key that is there already wins, so that two
    /// equal routes from two sources are one route.
    pub fn push(&mut self, place: Place, lifetime: Lifetime, resource: impl Into<Resource>) {
        let resource = resource.into();
        let key = resource.key();
        if !self.items.iter().any(|i| i.place == place && i.resource.key() == key) {
            self.items.push(Item { place, lifetime, resource });
        }
    }

    /// Adds every item of `other` behind these.
    pub fn extend(&mut self, other: Self) {
        for item in other.items {
            self.push(item.place, item.lifetime, item.resource);
        }
    }

    /// The items whose place and key `other` does not have.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let is_new = |item: &&Item| {
            let key = item.resource.key();
            !other.items.iter().any(|i| i.place == item.place && i.resource.key() == key)
        };
        Self { items: self.items.iter().filter(is_new).cloned().collect() }
    }

    /// The items, in order of creation.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The places and keys, in order of creation.
    pub fn keys(&self) -> impl Iterator<Item = (Place, Key)> + '_ {
        self.items.iter().map(|item| (item.place, item.resource.key()))
    }
}
