//! Fast paths of bridges: one program and one map for each bridge, held by the bridge itself, so
//! that nothing has to be kept in files and nothing is left when the bridge goes.
//!
//! An element of the map goes with the link it names, and a program at a link with that link.
//! Whoever deletes a pair need not know of either.

use ropewalk_addr::IfName;
use ropewalk_netstate::{KernelError, Place, resource::FastPath};
use rustix::io::Errno;

use super::Linux;
use crate::{
    bpf::{self, LinkMap, Program},
    error::{error_about, error_with, is},
    translate::fast_path,
};

include!(concat!(env!("OUT_DIR"), "/fast_path.rs"));

/// What the program is called. Another meaning of the map's elements needs another name.
const NAME: &str = "ropewalk_fast_1";
const MAP_NAME: &str = "ropewalk_ports";

/// How many ports a bridge can have.
const MOST_PORTS: u32 = 1024;

/// How often others may be faster.
const ATTEMPTS: usize = 100;

impl Linux {
    /// Why there can be no fast path past this bridge of the host, if so.
    pub fn fast_path_obstacle(&mut self, bridge: &IfName) -> Option<String> {
        if let Err(errno) = bpf::is_usable() {
            return Some(failed("bpf")(errno).reason);
        }
        let found = self.find_link(Place::Host, bridge).ok().flatten();
        found.filter(|found| found.filters_packets).map(|_| {
            format!(
                "{:?} passes packets through iptables (its nf_call_iptables or nf_call_ip6tables \
                 is on), which would not see them",
                &**bridge
            )
        })
    }

    /// Whether a link of the host has a fast path.
    pub fn has_fast_path(&mut self, link: &IfName) -> bool {
        let Ok(Some(link)) = self.find_link(Place::Host, link) else { return false };
        matches!(self.program_at(Place::Host, link.index), Ok(Some(_)))
    }

    /// The number of the program at a link.
    fn program_at(&mut self, place: Place, link: u32) -> Result<Option<u32>, KernelError> {
        let question = fast_path::list(link);
        let found = self.route(place)?.dump(&question, |reply| fast_path::read(reply, link, NAME));
        match found {
            // Without a hook there is nowhere to look.
            Err(error) if is(&error, Errno::INVAL) => Ok(None),
            found => Ok(found?.into_iter().next()),
        }
    }

    /// Lets a program see what a link receives; the answer is whether no other one was faster.
    fn attach(&mut self, place: Place, link: u32, program: &Program) -> Result<bool, KernelError> {
        let filter = fast_path::attach(link, program.descriptor(), NAME);
        let messages = vec![fast_path::create_hook(link), filter];
        let mut verdicts = self.route(place)?.exchange(messages)?.into_iter();
        if let Some(Err(error)) = verdicts.next()
            && !is(&error, Errno::EXIST)
        {
            return Err(error);
        }
        match verdicts.next() {
            Some(Err(error)) if is(&error, Errno::EXIST) => Ok(false),
            Some(Err(error)) => Err(error),
            Some(Ok(())) | None => Ok(true),
        }
    }

    /// The program that a bridge holds, loaded if it has none. Two that come at once agree on one.
    fn program_of_bridge(&mut self, place: Place, bridge: u32) -> Result<Program, KernelError> {
        for _ in 0..ATTEMPTS {
            if let Some(id) = self.program_at(place, bridge)? {
                match Program::of_id(id) {
                    // It has gone since.
                    Err(Errno::NOENT) => continue,
                    found => return found.map_err(failed("open a fast path")),
                }
            }
            let program = load()?;
            if self.attach(place, bridge, &program)? {
                return Ok(program);
            }
        }
        Err(error_with(Errno::BUSY, "others keep changing the programs of the bridge"))
    }
}

fn failed(what: &str) -> impl Fn(Errno) -> KernelError + '_ {
    move |errno| error_about(errno, what)
}

fn load() -> Result<Program, KernelError> {
    let map = LinkMap::create(MOST_PORTS, bpf::name(MAP_NAME));
    let map = map.map_err(failed("make the map of a fast path"))?;
    match Program::load(&INSTRUCTIONS, &map, bpf::name(NAME)) {
        Err(Errno::INVAL) => Err(error_with(
            Errno::INVAL,
            "the kernel leads no packets to the other end of a pair (Linux 5.10 does)",
        )),
        loaded => loaded.map_err(failed("load a fast path")),
    }
}

/// What there is of the fast path of a link past a bridge, both by their indices: nothing, a part,
/// or all.
pub(super) fn find(
    linux: &mut Linux,
    place: Place,
    wanted: &FastPath,
    (link, bridge): (u32, u32),
) -> Result<Option<FastPath>, KernelError> {
    let at_link = linux.program_at(place, link)?;
    let at_bridge = linux.program_at(place, bridge)?;
    let mut is_listed = false;
    if let Some(id) = at_bridge {
        let look = || Program::of_id(id)?.map()?.find(wanted.key);
        is_listed = look().map_err(failed("look for a fast path"))? == Some(link);
    }
    let is_attached = at_link.is_some() && at_link == at_bridge;
    let is_there = at_link.is_some() || is_listed;
    Ok(is_there.then(|| FastPath { is_attached, is_listed, ..wanted.clone() }))
}

/// Makes what is missing of a fast path: that of the bridge, the element, the program at the link.
pub(super) fn create(
    linux: &mut Linux,
    place: Place,
    wanted: &FastPath,
) -> Result<(), KernelError> {
    let bridge = linux.index_of(place, &wanted.bridge)?;
    let link = linux.index_of(place, &wanted.link)?;
    let program = linux.program_of_bridge(place, bridge)?;
    let map = program.map().map_err(failed("open the map of a fast path"))?;
    // The kernel looks for the link in the namespace of whoever asks.
    linux.within(place, || match map.add(wanted.key, link) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) if map.find(wanted.key) == Ok(Some(link)) => Ok(()),
        Err(Errno::EXIST) => Err(taken(wanted)),
        Err(errno) => Err(failed("add to the map of a fast path")(errno)),
    })??;
    let is_new = linux.attach(place, link, &program)?;
    if !is_new && linux.program_at(place, link)? != Some(program.id) {
        let reason = "it has a program of another bridge";
        return Err(error_with(Errno::EXIST, reason));
    }
    Ok(())
}

fn taken(wanted: &FastPath) -> KernelError {
    let reason = format!("another port of {} has the same MAC", wanted.bridge);
    error_with(Errno::EXIST, reason)
}
