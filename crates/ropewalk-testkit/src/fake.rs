//! A kernel of maps. It is strict where the real one is: an address needs its link, an element
//! needs its set, a verdict needs its chain, what exists cannot be created again.

use std::collections::{BTreeMap, BTreeSet};

use ropewalk_addr::{Family, IfName};
use ropewalk_netstate::{
    Kernel, KernelError, Observed, Owned, Partial, Place, Probe, Resource, Scope, Step, Tag,
    resource::{
        AddressGuard, AnyLink, Attribute, IptablesChain, Key, Parent, RouteAbsence,
        nft::{ElementData, Verdict},
        traffic::{Hook, Verdict as Redirection},
    },
};

mod elements;

const EEXIST: i32 = 17;
const ENOENT: i32 = 2;
const ENODEV: i32 = 19;
const EIO: i32 = 5;

/// Something that another process does between two steps.
pub type Interruption = Box<dyn FnOnce(&mut FakeKernel)>;

/// A fake kernel.
#[derive(Default)]
pub struct FakeKernel {
    state: BTreeMap<(Place, Key), Resource>,
    /// What lies in the other of two sandboxes, see [`FakeKernel::swap_sandboxes`].
    elsewhere: BTreeMap<Key, Resource>,
    /// Host veth pairs whose peer lies there.
    reaching_elsewhere: BTreeSet<Key>,
    sandbox_gone: bool,
    steps: usize,
    fail_at: Option<usize>,
    interruption: Option<(usize, Interruption)>,
}

impl std::fmt::Debug for FakeKernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.describe().iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FakeKernel {
    /// A kernel with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts something there, whatever it needs.
    pub fn put(&mut self, place: Place, resource: impl Into<Resource>) {
        let resource = resource.into();
        self.state.insert((place, resource.key()), resource);
    }

    /// Takes something away, with all that stands on it.
    pub fn take(&mut self, place: Place, key: &Key) {
        if let Some(resource) = self.state.get(&(place, key.clone())).cloned() {
            self.delete(place, &resource);
        }
    }

    /// Removes the sandbox: all that is in it, and pairs that reach into it.
    pub fn remove_sandbox(&mut self) {
        let reaches_in = |place: Place, resource: &Resource| {
            place == Place::Sandbox
                || matches!(resource, Resource::Veth(veth)
                    if veth.peer.as_ref().is_some_and(|peer| peer.place == Place::Sandbox))
        };
        let gone: Vec<_> = self
            .state
            .iter()
            .filter(|((place, _), resource)| reaches_in(*place, resource))
            .map(|((place, _), resource)| (*place, resource.clone()))
            .collect();
        for (place, resource) in gone {
            self.delete(place, &resource);
        }
        self.sandbox_gone = true;
    }

    /// Makes `Place::Sandbox` mean the other of two sandboxes.
    pub fn swap_sandboxes(&mut self) {
        let here = self.state.keys().filter(|(place, _)| *place == Place::Sandbox).cloned();
        let here: Vec<_> = here.collect();
        let mut elsewhere = BTreeMap::new();
        for key in here {
            if let Some(resource) = self.state.remove(&key) {
                elsewhere.insert(key.1, resource);
            }
        }
        let there = std::mem::replace(&mut self.elsewhere, elsewhere);
        let reaching = self.state.iter().filter_map(|((_, key), resource)| match resource {
            Resource::Veth(veth) => {
                let peer = veth.peer.as_ref()?;
                let reaches =
                    peer.place == Place::Sandbox && !self.reaching_elsewhere.contains(key);
                reaches.then(|| key.clone())
            }
            _ => None,
        });
        self.reaching_elsewhere = reaching.collect();
        self.state
            .extend(there.into_iter().map(|(key, resource)| ((Place::Sandbox, key), resource)));
    }

    /// Lets the `n`th step from now on fail, counted from 0; undoing steps are not counted.
    pub fn fail_at(&mut self, n: usize) {
        (self.steps, self.fail_at) = (0, Some(n));
    }

    /// Whether the failure asked for has happened.
    pub fn has_failed(&self) -> bool {
        self.fail_at.is_none()
    }

    /// Runs `interruption` before the `n`th step from now on.
    pub fn interrupt_at(&mut self, n: usize, interruption: Interruption) {
        (self.steps, self.interruption) = (0, Some((n, interruption)));
    }

    /// All that is there.
    pub fn state(&self) -> &BTreeMap<(Place, Key), Resource> {
        &self.state
    }

    /// All that is there, a line each, for people.
    pub fn describe(&self) -> Vec<String> {
        self.state.iter().map(|((place, _), resource)| format!("{resource} {place}")).collect()
    }

    fn link_exists(&self, place: Place, name: &IfName) -> bool {
        self.state.iter().any(|((at, _), resource)| match resource {
            Resource::Bridge(bridge) => *at == place && bridge.name == *name,
            Resource::AnyLink(link) => *at == place && link.name == *name,
            Resource::MovedDevice(device) => *at == place && device.name == *name,
            Resource::VirtualLink(link) => *at == place && link.name == *name,
            Resource::Veth(veth) => {
                (*at == place && veth.name == *name)
                    || self.far_end(resource) == Some((place, name.clone()))
            }
            _ => false,
        })
    }

    /// The far end of a veth pair, unless it lies in the other sandbox.
    fn far_end(&self, resource: &Resource) -> Option<(Place, IfName)> {
        let Resource::Veth(veth) = resource else { return None };
        let peer = veth.peer.as_ref()?;
        let elsewhere = self.reaching_elsewhere.contains(&resource.key());
        (!elsewhere).then(|| (peer.place, peer.name.clone()))
    }

    fn create(&mut self, place: Place, resource: &Resource) -> Result<(), KernelError> {
        self.needs(place, resource)?;
        let key = (place, resource.key());
        match resource {
            Resource::StaleFlows(_)
            | Resource::IdleBridge(_)
            | Resource::Await(_)
            | Resource::ConflictProbe(_)
            | Resource::Announcement(_)
            | Resource::AddressGuard(_) => return Ok(()),
            Resource::Veth(veth) => {
                let peer = veth.peer.as_ref();
                if self.link_exists(place, &veth.name)
                    || peer.is_some_and(|peer| self.link_exists(peer.place, &peer.name))
                {
                    return Err(error(EEXIST, "file exists"));
                }
            }
            Resource::VirtualLink(link) if self.link_exists(place, &link.name) => {
                return Err(error(EEXIST, "file exists"));
            }
            Resource::MovedDevice(device) => {
                let at_home = |name: &IfName| (Place::Host, Key::AnyLink(name.clone()));
                let home = device.original.as_ref().map(at_home);
                if home.and_then(|home| self.state.remove(&home)).is_none() {
                    return Err(error(ENODEV, "Link not found"));
                }
            }
            Resource::NftElements(wanted) => return self.add_elements(place, wanted),
            Resource::RouteAbsence(unwanted) => {
                self.state.remove(&(place, Resource::from(unwanted.0.clone()).key()));
            }
            // Setting is not creating; and what a racing ADD has made just now is there.
            _ => {}
        }
        self.state.insert(key, resource.clone());
        Ok(())
    }

    /// What a resource stands on must exist.
    fn needs(&self, place: Place, resource: &Resource) -> Result<(), KernelError> {
        let has = |key: Key| self.state.contains_key(&(place, key));
        let there = match resource {
            Resource::Bridge(_) | Resource::MovedDevice(_) => true,
            Resource::Veth(veth) => veth.bridge.as_ref().is_none_or(|b| self.link_exists(place, b)),
            Resource::VirtualLink(link) => {
                let exists = |parent: &Parent| self.link_exists(parent.place, &parent.name);
                link.parent.as_ref().is_none_or(exists)
            }
            Resource::Membership(membership) => {
                self.link_exists(place, &membership.link)
                    && self.link_exists(place, &membership.master)
            }
            Resource::NftSet(set) => has(Key::NftTable(set.set.table.clone())),
            Resource::NftChain(chain) => has(Key::NftTable(chain.table.clone())),
            Resource::NftElements(group) => {
                let targets = group.elements.values().filter_map(|data| match data {
                    ElementData::Verdict(Verdict::Goto(chain) | Verdict::Jump(chain)) => {
                        Some(chain)
                    }
                    _ => None,
                });
                let table = &group.set.table;
                let mut chains = targets.map(|name| Key::NftChain(table.clone(), name.clone()));
                has(Key::NftSet(group.set.clone())) && chains.all(has)
            }
            Resource::TrafficClass(class) => has(Key::Qdisc(class.link.clone(), Hook::Root)),
            Resource::TrafficFilter(filter) => {
                let target = match &filter.verdict {
                    Redirection::Redirect(link) => self.link_exists(place, link),
                    Redirection::Class(_) | Redirection::Other => true,
                };
                target && has(Key::Qdisc(filter.link.clone(), filter.hook))
            }
            Resource::IptablesRule(rule) => {
                let chain = Key::IptablesChain(rule.family, rule.table.clone(), rule.chain.clone());
                rule.chain.chars().all(|c| c.is_ascii_uppercase()) || has(chain)
            }
            other => match other.link() {
                Some(link) if !self.link_exists(place, link) => {
                    return Err(error(ENODEV, "Link not found"));
                }
                _ => true,
            },
        };
        if there { Ok(()) } else { Err(error(ENOENT, "no such file or directory")) }
    }

    fn delete(&mut self, place: Place, resource: &Resource) {
        let mut ends = Vec::new();
        if let Some(name) = resource.link().filter(|_| is_link(resource)) {
            ends.push((place, name.clone()));
            for ((at, _), other) in &self.state {
                if let Resource::Veth(veth) = other {
                    let near = (*at, veth.name.clone());
                    let far = self.far_end(other);
                    if ends.contains(&near) || far.as_ref().is_some_and(|far| ends.contains(far)) {
                        ends.push(near);
                        ends.extend(far);
                    }
                }
            }
        }
        if let Resource::NftElements(gone) = resource {
            return self.delete_elements(place, gone);
        }
        if let Resource::IdleBridge(idle) = resource {
            let is_port = |other: &Resource| match other {
                Resource::Veth(veth) => veth.bridge.as_ref() == Some(&idle.bridge),
                Resource::Membership(membership) => membership.master == idle.bridge,
                _ => false,
            };
            if !self.state.values().any(is_port) {
                self.take(place, &Key::Bridge(idle.bridge.clone()));
            }
            return;
        }
        match self.state.remove(&(place, resource.key())) {
            Some(Resource::RouteAbsence(RouteAbsence(missing))) => self.put(place, missing),
            Some(Resource::Membership(membership)) => {
                self.state.remove(&(place, Key::BridgePort(membership.link)));
            }
            Some(Resource::MovedDevice(device)) => {
                if let Some(name) = device.original {
                    self.put(Place::Host, AnyLink { name, mac: device.mac });
                }
            }
            _ => {}
        }
        self.state.retain(|(at, _), other| match other.link() {
            Some(link) => !ends.contains(&(*at, link.clone())),
            None => !ends.iter().any(|end| is_parameter_of(*at, other, end)),
        });
        self.state.retain(|(at, _), other| *at != place || !dies_with(other, resource));
    }

    /// The owner that the comment of a rule names which jumps from one chain to another.
    fn jump_owner(&self, from: &IptablesChain, to: &IptablesChain) -> Option<Owned> {
        let mut jumps = self.state.values().filter_map(|resource| match resource {
            Resource::IptablesRule(rule)
                if (rule.family, &rule.table, &rule.chain)
                    == (from.family, &from.table, &from.name)
                    && rule.specification.last() == Some(&to.name) =>
            {
                let comment = rule.specification.iter().position(|word| word == "--comment")?;
                rule.specification.get(comment + 1)
            }
            _ => None,
        });
        let tag = jumps.find_map(|comment| Tag::parse(comment))?;
        Some(Owned { tag, resource: to.clone().into() })
    }

    fn run(&mut self, step: &Step) -> Result<(), KernelError> {
        if step.place() == Place::Sandbox && self.sandbox_gone {
            let deletes = matches!(step, Step::Delete(..));
            return if deletes { Ok(()) } else { Err(error(ENOENT, "no such namespace")) };
        }
        match step {
            Step::Create(place, resource) => self.create(*place, resource),
            Step::Change { place, to, .. } => {
                self.needs(*place, to)?;
                self.state.insert((*place, to.key()), to.clone());
                Ok(())
            }
            Step::Delete(place, resource) => {
                self.delete(*place, resource);
                Ok(())
            }
        }
    }

    fn find(&self, place: Place, wanted: &Resource) -> Option<Resource> {
        match wanted {
            Resource::AddressGuard(guard) => Some(self.addresses(place, guard).into()),
            Resource::NftElements(wanted) => Some(self.elements(place, wanted).into()),
            Resource::AnyLink(link) => self
                .link_exists(place, &link.name)
                .then(|| Resource::AnyLink(AnyLink { name: link.name.clone(), mac: link.mac })),
            Resource::LinkAttribute(wanted) => self
                .state
                .get(&(place, Resource::from(wanted.clone()).key()))
                .filter(|found| {
                    !matches!(found, Resource::LinkAttribute(found)
                        if found.attribute == Attribute::Up(false))
                })
                .cloned(),
            Resource::RouteAbsence(unwanted) => {
                let is_there =
                    self.state.contains_key(&(place, Resource::from(unwanted.0.clone()).key()));
                (!is_there).then(|| wanted.clone())
            }
            other => self.state.get(&(place, other.key())).cloned(),
        }
    }

    fn addresses(&self, place: Place, guard: &AddressGuard) -> AddressGuard {
        let present = self.state.iter().filter_map(|((at, _), resource)| match resource {
            Resource::Address(address) if *at == place && address.link == guard.link => {
                Some(address.prefix)
            }
            _ => None,
        });
        let present = present.filter(|prefix| Family::of(prefix.ip()) == guard.family).collect();
        AddressGuard { present, ..guard.clone() }
    }
}

fn error(errno: i32, reason: &str) -> KernelError {
    KernelError { errno, reason: reason.to_owned() }
}

fn is_link(resource: &Resource) -> bool {
    matches!(
        resource,
        Resource::Bridge(_)
            | Resource::Veth(_)
            | Resource::MovedDevice(_)
            | Resource::AnyLink(_)
            | Resource::VirtualLink(_)
    )
}

/// Whether it is a sysctl of this link.
fn is_parameter_of(at: Place, resource: &Resource, (place, link): &(Place, IfName)) -> bool {
    let Resource::Sysctl(sysctl) = resource else { return false };
    at == *place && sysctl.path.split('/').any(|part| *part == **link)
}

/// Rules die with their iptables chain, and so do the rules that jump to it; classes and filters die
/// with their queueing discipline.
fn dies_with(resource: &Resource, gone: &Resource) -> bool {
    match (resource, gone) {
        (Resource::IptablesRule(rule), Resource::IptablesChain(chain)) => {
            let same_table = rule.family == chain.family && rule.table == chain.table;
            let jumps = rule.specification.last() == Some(&chain.name)
                && chain.referenced_from.contains(&rule.chain);
            same_table && (rule.chain == chain.name || jumps)
        }
        (Resource::TrafficClass(class), Resource::Qdisc(qdisc)) => {
            class.link == qdisc.link && qdisc.hook == Hook::Root
        }
        (Resource::TrafficFilter(filter), Resource::Qdisc(qdisc)) => {
            filter.link == qdisc.link && filter.hook == qdisc.hook
        }
        _ => false,
    }
}

impl Kernel for FakeKernel {
    fn observe(&mut self, probes: &[Probe<'_>]) -> Result<Observed, KernelError> {
        let mut observed = Observed::new();
        for probe in probes {
            if probe.place == Place::Sandbox && self.sandbox_gone {
                continue;
            }
            if let Some(found) = self.find(probe.place, probe.resource) {
                observed.insert(probe.place, probe.resource.key(), found);
            }
        }
        Ok(observed)
    }

    fn apply(&mut self, steps: &[Step]) -> Result<(), Partial> {
        for (index, step) in steps.iter().enumerate() {
            if self.interruption.as_ref().is_some_and(|(n, _)| *n == self.steps)
                && let Some((_, interruption)) = self.interruption.take()
            {
                interruption(self);
            }
            let failing = self.fail_at == Some(self.steps);
            self.steps += 1;
            let outcome = if failing {
                self.fail_at = None;
                Err(error(EIO, "input/output error"))
            } else {
                self.run(step)
            };
            if let Err(error) = outcome {
                return Err(Partial { done: (0..index).collect(), failed: index, error });
            }
        }
        Ok(())
    }

    fn owned(&mut self, scope: &Scope) -> Result<Vec<Owned>, KernelError> {
        let owned = self.state.iter().filter_map(|((place, _), resource)| {
            let tag = match (scope, resource) {
                (Scope::TaggedLinks, Resource::Veth(veth)) => veth.tag.clone()?,
                (Scope::Elements(set), Resource::NftElements(group)) if group.set == *set => {
                    group.tag.clone()
                }
                (Scope::IptablesChains(names), Resource::IptablesChain(chain))
                    if (names.family, &names.table) == (chain.family, &chain.table) =>
                {
                    Tag::of_chain_name(&chain.name, &names.prefix)?
                }
                (Scope::IptablesJumps(from), Resource::IptablesChain(chain)) => {
                    return self.jump_owner(from, chain);
                }
                _ => return None,
            };
            (*place == Place::Host).then(|| Owned { tag, resource: resource.clone() })
        });
        Ok(owned.collect())
    }
}
