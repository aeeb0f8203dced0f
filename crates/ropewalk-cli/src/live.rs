//! The network of this host as it changes: for those who show it.
//!
//! It must never read more than what changed; what passes links is read when somebody asks.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use ropewalk_linux::survey::Watch;
use ropewalk_topology::Change;
use ropewalk_topology::model::{Counters, Host};

use crate::commands::topology::names;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::options::CacheOptions;
use crate::output::Output;

/// A link: the inode of its namespace, and its index there.
pub(crate) type LinkId = (u64, u32);

/// What passes a link in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rate {
    /// Bytes in.
    pub(crate) rx: f64,
    /// Bytes out.
    pub(crate) tx: f64,
}

/// A host that is watched.
#[derive(Debug)]
pub(crate) struct Live<'a> {
    watch: Watch,
    cache: &'a CacheOptions,
    output: Output,
    counted: Option<(Instant, BTreeMap<LinkId, Counters>)>,
    rates: BTreeMap<LinkId, Rate>,
}

impl<'a> Live<'a> {
    pub(crate) fn start(cache: &'a CacheOptions, output: Output) -> Result<Self, Failure> {
        if !rustix::process::geteuid().is_root() {
            let reason = "failed to watch the network: other namespaces are heard by root alone";
            let failure = Failure::new(Exit::NotPermitted, reason);
            return Err(failure.with_hint("run this command as root"));
        }
        let failed = |error| Failure::failed(format!("failed to watch the network: {error}"));
        let watch = Watch::start().map_err(failed)?;
        let mut live = Self { watch, cache, output, counted: None, rates: BTreeMap::new() };
        live.name();
        Ok(live)
    }

    pub(crate) fn host(&self) -> &Host {
        self.watch.host()
    }

    /// What passes links that are not idle.
    pub(crate) fn rates(&self) -> &BTreeMap<LinkId, Rate> {
        &self.rates
    }

    /// Waits for changes, until there is something to read from others or the time is over.
    pub(crate) fn wait(
        &mut self,
        others: &[BorrowedFd<'_>],
        time: Duration,
    ) -> Result<Option<Vec<Change>>, Failure> {
        let failed = |error| Failure::failed(format!("failed to watch the network: {error}"));
        let Some(changes) = self.watch.wait(others, Some(time)).map_err(failed)? else {
            return Ok(None);
        };
        Ok(Some(self.named(changes)))
    }

    /// Looks for what no event tells.
    pub(crate) fn look_around(&mut self) -> Vec<Change> {
        let changes = self.watch.look_around();
        self.named(changes)
    }

    fn name(&mut self) {
        names::add(self.watch.host_mut(), self.cache, self.output);
    }

    /// Files that name containers may be newer than the containers.
    fn named(&mut self, mut changes: Vec<Change>) -> Vec<Change> {
        self.name();
        let host = self.watch.host();
        for change in &mut changes {
            if let Some(position) = host.position(change.namespace.inode) {
                change.place = host.namespaces[position].name();
            }
        }
        changes
    }

    /// Reads what has passed; rates are of the time since the last call.
    pub(crate) fn count(&mut self) {
        self.watch.count();
        let now = Instant::now();
        let counters: BTreeMap<LinkId, Counters> = links(self.watch.host()).collect();
        if let Some((then, past)) = &self.counted {
            let seconds = now.duration_since(*then).as_secs_f64().max(0.001);
            self.rates = counters
                .iter()
                .filter_map(|(id, counters)| {
                    let rate = rate(past.get(id)?, counters, seconds);
                    (rate != Rate::default()).then_some((*id, rate))
                })
                .collect();
        }
        self.counted = Some((now, counters));
    }
}

fn links(host: &Host) -> impl Iterator<Item = (LinkId, Counters)> + '_ {
    host.namespaces.iter().flat_map(|namespace| {
        let links = namespace.content().into_iter().flat_map(|content| &content.links);
        links.map(|link| ((namespace.identity.inode, link.index), link.counters))
    })
}

fn rate(past: &Counters, now: &Counters, seconds: f64) -> Rate {
    // A link that was made anew under the same index counts from nothing.
    #[expect(clippy::cast_precision_loss, reason = "nobody sees the last bits of a rate")]
    let rate = |past: u64, now: u64| now.saturating_sub(past) as f64 / seconds;
    Rate { rx: rate(past.rx_bytes, now.rx_bytes), tx: rate(past.tx_bytes, now.tx_bytes) }
}
