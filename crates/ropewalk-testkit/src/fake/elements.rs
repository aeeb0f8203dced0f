//! Elements of nftables sets: each key is there once, and each has an owner.

use ropewalk_netstate::{
    KernelError, Place, Resource,
    resource::{NftElements, nft::SetRef},
};

use super::{EEXIST, FakeKernel, error};

impl FakeKernel {
    pub(super) fn add_elements(
        &mut self,
        place: Place,
        wanted: &NftElements,
    ) -> Result<(), KernelError> {
        let taken = self.elements_of(place, &wanted.set).any(|group| {
            wanted.elements.keys().any(|element| group.elements.contains_key(element))
        });
        if taken {
            return Err(error(EEXIST, "file exists"));
        }
        self.state.insert((place, Resource::from(wanted.clone()).key()), wanted.clone().into());
        Ok(())
    }

    pub(super) fn elements_of(
        &self,
        place: Place,
        set: &SetRef,
    ) -> impl Iterator<Item = &NftElements> {
        self.state.iter().filter_map(move |((at, _), resource)| match resource {
            Resource::NftElements(group) if *at == place && group.set == *set => Some(group),
            _ => None,
        })
    }

    pub(super) fn delete_elements(&mut self, place: Place, gone: &NftElements) {
        let key = (place, Resource::from(gone.clone()).key());
        if let Some(Resource::NftElements(group)) = self.state.get_mut(&key) {
            group.elements.retain(|element, _| !gone.elements.contains_key(element));
            if group.elements.is_empty() {
                self.state.remove(&key);
            }
        }
    }

    pub(super) fn elements(&self, place: Place, wanted: &NftElements) -> NftElements {
        let mut found = NftElements::new(wanted.set.clone(), wanted.tag.clone());
        for group in self.elements_of(place, &wanted.set) {
            for (key, data) in &group.elements {
                let asked = wanted.elements.is_empty() || wanted.elements.contains_key(key);
                if group.tag.same_owner(&wanted.tag) && asked {
                    found.elements.insert(key.clone(), data.clone());
                } else if wanted.elements.contains_key(key) {
                    found.taken.push((key.clone(), Some(group.tag.clone())));
                }
            }
        }
        found
    }
}
