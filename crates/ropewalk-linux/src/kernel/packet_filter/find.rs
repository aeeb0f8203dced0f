//! What nftables holds.

use std::collections::BTreeMap;

use ropewalk_netstate::{
    KernelError, Owned, Place, Resource, Tag,
    resource::{
        NftChain, NftElements, NftTaggedRules,
        nft::{SetRef, TableRef},
    },
};
use rustix::io::Errno;

use crate::{
    error::is,
    kernel::{Linux, observe::absent_is_none},
    netlink::{Message, Reply},
    translate::nft::{self, chain, element, element::FoundElement, set, set::FoundSet, table},
};

pub(super) use chain::FoundRule as Rule;

/// Elements of an owner as the last observation saw them under keys that were known. Steps that
/// follow from it at once take it for the truth.
#[derive(Debug)]
pub(in crate::kernel) struct SeenElements {
    pub(super) place: Place,
    pub(super) elements: NftElements,
    /// Whether elements of the set can be told to expire.
    pub(super) can_expire: bool,
}

/// How often a set that never stops changing is looked at: each time it tells most of its elements.
const MOST_LOOKS: usize = 16;

/// Finds an object of nftables.
pub(in crate::kernel) fn find(
    linux: &mut Linux,
    place: Place,
    wanted: &Resource,
) -> Result<Option<Resource>, KernelError> {
    match wanted {
        Resource::NftTable(wanted) => {
            let exists = linux.filter_get(place, table::find(&wanted.table), |_| Some(()))?;
            Ok(exists.map(|()| Resource::NftTable(wanted.clone())))
        }
        Resource::NftSet(wanted) => {
            Ok(linux.set(place, &wanted.set)?.map(|found| Resource::NftSet(found.set)))
        }
        Resource::NftChain(wanted) => Ok(linux.chain(place, wanted)?.map(Resource::NftChain)),
        Resource::NftElements(wanted) => {
            Ok(linux.elements(place, wanted)?.map(Resource::NftElements))
        }
        Resource::NftTaggedRules(wanted) => {
            let rules = linux.tagged_rules(place, wanted)?;
            Ok((!rules.is_empty()).then(|| Resource::NftTaggedRules(wanted.clone())))
        }
        _ => Ok(None),
    }
}

/// Elements whose comment is an owner's mark, one resource for each owner.
pub(in crate::kernel) fn owned(
    linux: &mut Linux,
    place: Place,
    set: &SetRef,
) -> Result<Vec<Owned>, KernelError> {
    let mut groups: Vec<NftElements> = Vec::new();
    for FoundElement { key, data, tag } in linux.all_elements(place, set)? {
        let Some(tag) = tag else { continue };
        match groups.iter_mut().find(|group| group.tag.same_owner(&tag)) {
            Some(group) => {
                group.elements.insert(key, data);
            }
            None => groups.push(NftElements::new(set.clone(), tag).with(key, data)),
        }
    }
    let owned = |group: NftElements| Owned { tag: group.tag.clone(), resource: group.into() };
    Ok(groups.into_iter().map(owned).collect())
}

/// Whether a chain exists.
pub(in crate::kernel) fn has_chain(
    linux: &mut Linux,
    place: Place,
    table: &TableRef,
    chain: &str,
) -> Result<bool, KernelError> {
    Ok(linux.filter_get(place, chain::find(table, chain), |_| Some(()))?.is_some())
}

/// Asks ahead whether chains of these tables drop what no rule accepts.
pub(in crate::kernel) fn ask_for_policies(
    linux: &mut Linux,
    place: Place,
    tables: &[TableRef],
    chain: &str,
) {
    if linux.has_nftables != Some(false)
        && let Ok(socket) = linux.netfilter(place)
    {
        socket.ask_ahead(tables.iter().map(|table| chain::find(table, chain)).collect());
    }
}

/// Whether a base chain drops what no rule accepts; `None` if there is no such chain.
pub(in crate::kernel) fn drops_by_default(
    linux: &mut Linux,
    place: Place,
    table: &TableRef,
    chain: &str,
) -> Result<Option<bool>, KernelError> {
    linux.filter_get(place, chain::find(table, chain), chain::read_drops_by_default)
}

/// Whether the kernel has nftables. A question that failed for another reason is no sign of a lack:
/// whoever asks next is told what is wrong, instead of working with another packet filter than the
/// one that the next verb will find.
pub(in crate::kernel) fn is_usable(linux: &mut Linux, place: Place) -> bool {
    if let Some(answer) = linux.has_nftables {
        return answer;
    }
    let answer =
        linux.netfilter(place).and_then(|socket| socket.get(nft::generation(), |_| Some(())));
    linux.has_nftables = match &answer {
        Ok(_) => Some(true),
        Err(error) => tells_of_a_lack(error).then_some(false),
    };
    linux.has_nftables.unwrap_or(true)
}

/// As [`is_usable`]. What is asked to find out are the rules of a chain: the next observation need
/// not ask for them.
pub(in crate::kernel) fn is_usable_for(
    linux: &mut Linux,
    place: Place,
    table: &TableRef,
    chain: &str,
) -> bool {
    if linux.has_nftables.is_none()
        && let Ok(socket) = linux.netfilter(place)
    {
        socket.ask_ahead(vec![chain::list_rules(table, chain)]);
        // Whoever asks next hears why there was no answer.
        let _ = linux.rules(place, table, chain);
    }
    is_usable(linux, place)
}

impl Linux {
    fn filter_get<T>(
        &mut self,
        place: Place,
        question: Message,
        read: impl Fn(&Reply<'_>) -> Option<T>,
    ) -> Result<Option<T>, KernelError> {
        if self.has_nftables == Some(false) {
            return Ok(None);
        }
        let found = self.netfilter(place).and_then(|socket| socket.get(question, read));
        self.without_nftables_is_none(place, found)
    }

    /// A kernel without nftables holds nothing in it: DEL must not fail there. Once it has said so
    /// it is not asked any more, because it looks for a module at every question. One that answers
    /// has nftables.
    fn without_nftables_is_none<T>(
        &mut self,
        place: Place,
        found: Result<Option<T>, KernelError>,
    ) -> Result<Option<T>, KernelError> {
        match found {
            Err(error) if tells_of_a_lack(&error) => {
                is_usable(self, place);
                Ok(None)
            }
            other => {
                let found = absent_is_none(other)?;
                self.has_nftables = Some(true);
                Ok(found)
            }
        }
    }

    /// A set or map without its elements.
    pub(super) fn set(
        &mut self,
        place: Place,
        set: &SetRef,
    ) -> Result<Option<FoundSet>, KernelError> {
        self.filter_get(place, set::find(set), |reply| set::read(reply, set))
    }

    fn chain(&mut self, place: Place, wanted: &NftChain) -> Result<Option<NftChain>, KernelError> {
        if !has_chain(self, place, &wanted.table, &wanted.name)? {
            return Ok(None);
        }
        let mut found = NftChain::regular(wanted.table.clone(), &*wanted.name, Vec::new());
        found.found_digests = self.digests(place, wanted)?;
        if found.found_digests.len() < wanted.rules.len() {
            // The list may be older than the chain, which another first ADD makes at the same time.
            self.netfilter(place)?.forget_answers();
            found.found_digests = self.digests(place, wanted)?;
        }
        Ok(Some(found))
    }

    /// A rule without a comment is somebody else's, and a difference.
    fn digests(&mut self, place: Place, wanted: &NftChain) -> Result<Vec<String>, KernelError> {
        let rules = self.rules(place, &wanted.table, &wanted.name)?.into_iter();
        Ok(rules.map(|rule| rule.comment.unwrap_or_default()).collect())
    }

    fn rules(
        &mut self,
        place: Place,
        table: &TableRef,
        chain: &str,
    ) -> Result<Vec<Rule>, KernelError> {
        if self.has_nftables == Some(false) {
            return Ok(Vec::new());
        }
        let question = chain::list_rules(table, chain);
        let found =
            self.netfilter(place).and_then(|socket| socket.dump(&question, chain::read_rule));
        Ok(self.without_nftables_is_none(place, found.map(Some))?.unwrap_or_default())
    }

    /// Rules whose comment starts as wanted.
    pub(super) fn tagged_rules(
        &mut self,
        place: Place,
        wanted: &NftTaggedRules,
    ) -> Result<Vec<Rule>, KernelError> {
        let mut rules = self.rules(place, &wanted.table, &wanted.chain)?;
        rules.retain(|rule| {
            rule.comment.as_ref().is_some_and(|text| text.starts_with(&wanted.comment_prefix))
        });
        Ok(rules)
    }

    /// The elements of an owner: those with the wanted keys, or all if no keys are wanted.
    fn elements(
        &mut self,
        place: Place,
        wanted: &NftElements,
    ) -> Result<Option<NftElements>, KernelError> {
        let Some(set) = self.set(place, &wanted.set)? else { return Ok(None) };
        let candidates = if wanted.elements.is_empty() {
            let mut all = self.elements_of_set(place, &set)?;
            all.retain(|element| is_owned_by(element, &wanted.tag));
            all
        } else {
            self.elements_of_set_with_keys(place, &set, wanted)?
        };
        let mut found = NftElements::new(wanted.set.clone(), wanted.tag.clone());
        found.replaces = wanted.replaces;
        for element in candidates {
            if is_owned_by(&element, &wanted.tag) {
                found.elements.insert(element.key, element.data);
            } else {
                found.taken.push((element.key, element.tag));
            }
        }
        if found.elements.is_empty() && found.taken.is_empty() {
            return Ok(None);
        }
        if !wanted.elements.is_empty() {
            let seen = SeenElements { place, elements: found.clone(), can_expire: set.expires };
            self.seen_elements.push(seen);
        }
        Ok(Some(found))
    }

    /// The elements that exist under the wanted keys, whoever has them.
    pub(super) fn elements_with_keys(
        &mut self,
        place: Place,
        wanted: &NftElements,
    ) -> Result<Vec<FoundElement>, KernelError> {
        let Some(set) = self.set(place, &wanted.set)? else { return Ok(Vec::new()) };
        self.elements_of_set_with_keys(place, &set, wanted)
    }

    fn elements_of_set_with_keys(
        &mut self,
        place: Place,
        set: &FoundSet,
        wanted: &NftElements,
    ) -> Result<Vec<FoundElement>, KernelError> {
        let questions = wanted.elements.keys().map(|key| element::find(&wanted.set, key));
        let mut found = Vec::new();
        let verdicts = self.netfilter(place)?.exchange_reading(questions.collect(), |reply| {
            found.extend(element::read(reply, &set.set));
        })?;
        for verdict in verdicts {
            absent_is_none(verdict.map(Some))?;
        }
        Ok(found)
    }

    /// The elements in `there` that are still the owner's, or that nobody is known to own.
    pub(super) fn elements_of_owner(
        &mut self,
        place: Place,
        there: &NftElements,
    ) -> Result<Vec<FoundElement>, KernelError> {
        let mut found = self.elements_with_keys(place, there)?;
        found.retain(|element| element.tag.is_none() || is_owned_by(element, &there.tag));
        Ok(found)
    }

    fn all_elements(
        &mut self,
        place: Place,
        wanted: &SetRef,
    ) -> Result<Vec<FoundElement>, KernelError> {
        let Some(set) = self.set(place, wanted)? else { return Ok(Vec::new()) };
        self.elements_of_set(place, &set)
    }

    /// All elements of a set. For each part of a long answer the kernel walks the hash table anew,
    /// and skips as many elements as it has told. What it moved to a larger table or dropped since
    /// the last part makes it skip others, and it does not say so (seen with Linux 6.18). So it is
    /// asked until it tells nothing new.
    fn elements_of_set(
        &mut self,
        place: Place,
        set: &FoundSet,
    ) -> Result<Vec<FoundElement>, KernelError> {
        let list = element::list(&set.set.set);
        let read = |reply: &Reply<'_>| Some(element::read(reply, &set.set));
        let mut all = BTreeMap::new();
        for _ in 0..MOST_LOOKS {
            let parts = self.netfilter(place)?.dump(&list, read).map(Some);
            let parts = absent_is_none(parts)?.unwrap_or_default();
            let (known, is_one_walk) = (all.len(), parts.len() <= 1);
            all.extend(parts.into_iter().flatten().map(|element| (element.key.clone(), element)));
            if is_one_walk || all.len() == known {
                break;
            }
        }
        Ok(all.into_values().collect())
    }
}

fn is_owned_by(element: &FoundElement, tag: &Tag) -> bool {
    element.tag.as_ref().is_some_and(|owner| owner.same_owner(tag))
}

/// What kernels without nftables answer to its questions.
fn tells_of_a_lack(error: &KernelError) -> bool {
    [Errno::INVAL, Errno::OPNOTSUPP, Errno::PROTONOSUPPORT].iter().any(|&errno| is(error, errno))
}
