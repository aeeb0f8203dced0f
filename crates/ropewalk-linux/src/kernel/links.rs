//! Links: found by name, made, changed and deleted.

use std::os::fd::{AsFd, AsRawFd};

use ropewalk_addr::{IfName, Mac};
use ropewalk_netstate::{
    KernelError, Place,
    resource::{Announcement, Attribute, Bridge, BridgePort, PortVlans, Veth, VethPeer},
};
use rustix::{io::Errno, rand::GetRandomFlags};

use super::{Linux, farewell, observe::absent_is_none};
use crate::{
    error::{error_about, error_with, is},
    netlink::{Message, Reply},
    translate::{
        bridge_port,
        link::{self, Link, VethSurroundings},
    },
};

impl Linux {
    /// A link by name; `None` if there is none.
    pub(super) fn find_link(
        &mut self,
        place: Place,
        name: &str,
    ) -> Result<Option<Link>, KernelError> {
        let socket = self.route(place)?;
        absent_is_none(socket.get(link::find_by_name(name), link::read))
    }

    /// Whether a link is there. No ioctl would do: for a link that is not there the kernel would
    /// look for a module of its name (`dev_load` in net/core/dev_ioctl.c).
    pub fn has_link(&mut self, place: Place, name: &IfName) -> Result<bool, KernelError> {
        Ok(self.is_there(place)? && self.find_link(place, name)?.is_some())
    }

    /// The index of a link, learnt once per application of steps.
    pub(super) fn index_of(&mut self, place: Place, name: &str) -> Result<u32, KernelError> {
        let known = self.sockets(place);
        if let Some(index) = known.told.get(name).map(|link| link.index) {
            return Ok(index);
        }
        if let Some(&index) = known.indices.get(name) {
            return Ok(index);
        }
        let found = self.find_link(place, name)?;
        let index = found.ok_or_else(|| error_with(Errno::NODEV, "Link not found"))?.index;
        self.sockets(place).indices.insert(name.to_owned(), index);
        Ok(index)
    }

    /// Sends requests and remembers what the kernel tells of links: of new ones that it is asked to
    /// echo (it does since Linux 6.2), and of those that are asked for.
    pub(super) fn exchange_about_links(
        &mut self,
        place: Place,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<(), KernelError>>, KernelError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let mut told = Vec::new();
        let read = |reply: &Reply<'_>| told.extend(link::read(reply));
        let verdicts = self.route(place)?.exchange_reading(messages, read)?;
        // What fails may have been told of before, and undone.
        if verdicts.iter().all(Result::is_ok) {
            let told = told.into_iter().map(|link| (link.name.clone(), link));
            self.sockets(place).told.extend(told);
        }
        Ok(verdicts)
    }

    pub(super) fn create_bridge(
        &mut self,
        place: Place,
        bridge: &Bridge,
    ) -> Result<(), KernelError> {
        let mac = match bridge.mac {
            Some(mac) => mac,
            None => random_mac()?,
        };
        // A bridge without the mark is one that stays, so that nobody asks whether it is there.
        let messages =
            vec![link::create_bridge(bridge, mac), link::set_alias(&bridge.name, Bridge::MARK)];
        let created = self.exchange_about_links(place, messages)?;
        match created.into_iter().next().unwrap_or(Ok(())) {
            Err(error) if is(&error, Errno::EXIST) => self.adopt_bridge(place, bridge, error),
            Err(error) => Err(explain_filtering(bridge.vlan_filtering, error)),
            Ok(()) if bridge.vlan_filtering => self.confirm_filtering(place, bridge, true),
            Ok(()) => Ok(()),
        }
    }

    /// Somebody else made the bridge a moment ago: that is as good, once it is as wanted.
    fn adopt_bridge(
        &mut self,
        place: Place,
        bridge: &Bridge,
        error: KernelError,
    ) -> Result<(), KernelError> {
        match self.find_link(place, &bridge.name)? {
            Some(found) if found.is("bridge") => self.change_bridge(place, bridge),
            _ => Err(error),
        }
    }

    pub(super) fn change_bridge(
        &mut self,
        place: Place,
        bridge: &Bridge,
    ) -> Result<(), KernelError> {
        let index = self.index_of(place, &bridge.name)?;
        self.route(place)?
            .request(link::change_bridge(index, bridge))
            .map_err(|error| explain_filtering(bridge.vlan_filtering, error))?;
        if bridge.vlan_filtering { self.confirm_filtering(place, bridge, false) } else { Ok(()) }
    }

    /// A kernel built without VLAN filtering refuses the wish (Linux 6.18) or ignores it (older
    /// ones): what we made for nothing goes away again.
    fn confirm_filtering(
        &mut self,
        place: Place,
        bridge: &Bridge,
        is_ours: bool,
    ) -> Result<(), KernelError> {
        let found = self.find_link(place, &bridge.name)?;
        if found.as_ref().is_some_and(|found| found.vlan_filtering == Some(true)) {
            return Ok(());
        }
        if is_ours {
            self.delete_link(place, &bridge.name)?;
        }
        Err(no_filtering())
    }

    pub(super) fn create_veth(&mut self, place: Place, veth: &Veth) -> Result<(), KernelError> {
        let master = self.master_index(place, veth.bridge.as_ref())?;
        let elsewhere = veth.peer.as_ref().map(|peer| peer.place).filter(|&peer| peer != place);
        let peer_namespace = match elsewhere {
            Some(peer) => Some(self.namespace(peer)?.as_fd().as_raw_fd()),
            None => None,
        };
        let mut messages =
            vec![link::create_veth(veth, VethSurroundings { master, peer_namespace })];
        // In the same send as the creation, so that whoever is killed leaves no pair without its
        // owner's mark. If the creation fails because the name, a hash of the owner, is there, the
        // link has this mark already.
        let is_port = veth.bridge.is_some();
        if is_port || veth.tag.is_some() {
            messages.push(link::finish_veth(veth, is_port));
        }
        let mut verdicts = self.exchange_about_links(place, messages)?.into_iter();
        if let Some(Err(error)) = verdicts.next() {
            return Err(self.explain_veth(place, veth, error));
        }
        let marked = match verdicts.next() {
            // A kernel without IPv6, or a link that is too short for it, gives itself no address.
            Some(Err(error)) if is_port && is(&error, Errno::AFNOSUPPORT) => {
                self.route(place)?.request(link::finish_veth(veth, false))
            }
            verdict => verdict.unwrap_or(Ok(())),
        };
        if marked.is_err() {
            let _ = self.delete_link(place, &veth.name);
        }
        let told = self.sockets(place).told.get_mut(&*veth.name);
        let far = told.and_then(|link| {
            // The kernel tells of a link before it makes it a port.
            link.master = master;
            link.peer
        });
        if let (Some(peer), Some(index)) = (&veth.peer, far) {
            self.sockets(peer.place).indices.insert(peer.name.to_string(), index);
        }
        marked
    }

    fn master_index(
        &mut self,
        place: Place,
        bridge: Option<&IfName>,
    ) -> Result<Option<u32>, KernelError> {
        let Some(bridge) = bridge else { return Ok(None) };
        match self.index_of(place, bridge) {
            Err(error) if is(&error, Errno::NODEV) => {
                Err(error_with(Errno::NODEV, format!("bridge {bridge}: {error}")))
            }
            found => found.map(Some),
        }
    }

    /// Which of the two names of a pair is taken. The text for the far one is the reference's.
    fn explain_veth(&mut self, place: Place, veth: &Veth, error: KernelError) -> KernelError {
        if !is(&error, Errno::EXIST) {
            return error;
        }
        let (near, Some(peer)) = (&veth.name, &veth.peer) else { return error };
        if let Ok(Some(_)) = self.find_link(peer.place, &peer.name) {
            let (name, near) = (&*peer.name, &**near);
            let reason =
                format!("container veth name ({name:?}) peer provided ({near:?}) already exists");
            return error_with(Errno::EXIST, reason);
        }
        match self.find_link(place, near) {
            Ok(Some(_)) => error_with(Errno::EXIST, format!("link {near}: file exists")),
            _ => error,
        }
    }

    /// Changes what can change on a pair: not which two ends belong together.
    pub(super) fn change_veth(
        &mut self,
        place: Place,
        from: &Veth,
        to: &Veth,
    ) -> Result<(), KernelError> {
        let end = |peer: &VethPeer| (peer.place, peer.name.clone());
        if to.peer.is_some() && from.peer.as_ref().map(end) != to.peer.as_ref().map(end) {
            return Err(error_with(Errno::OPNOTSUPP, "a veth pair cannot get another peer"));
        }
        let master = self.master_index(place, to.bridge.as_ref())?;
        let index = self.index_of(place, &to.name)?;
        self.forget_links();
        self.route(place)?.request(link::change_veth(index, to, master))?;
        if let Some(VethPeer { place, name, mac: Some(mac) }) = &to.peer {
            let index = self.index_of(*place, name)?;
            self.route(*place)?.request(link::set_attribute(index, Attribute::Mac(*mac)))?;
        }
        Ok(())
    }

    /// Deletes a link; absent is fine.
    pub(super) fn delete_link(&mut self, place: Place, name: &str) -> Result<(), KernelError> {
        let result = match self.index_of(place, name) {
            Ok(index) if self.leaves_early => farewell::delete_link(self, place, index),
            Ok(index) => self.route(place)?.request(link::delete(index)),
            Err(error) => Err(error),
        };
        // The other end of a veth pair goes too, and its index may be used again.
        self.forget_links();
        match result {
            Err(error) if is(&error, Errno::NODEV) => Ok(()),
            other => other,
        }
    }

    /// Writes a link's MAC as it is, which makes the kernel tell all neighbours the addresses of
    /// the link (`NETDEV_CHANGEADDR` in net/ipv4/devinet.c and net/ipv6/ndisc.c). A packet socket
    /// could say the same, but closing one takes a grace period. Links whose MAC is another link's
    /// (ipvlan) have announced theirs when they came up.
    pub(super) fn announce(
        &mut self,
        place: Place,
        announcement: &Announcement,
    ) -> Result<(), KernelError> {
        let found = match self.sockets(place).told.get(&*announcement.link) {
            Some(told) => Some(told.clone()),
            None => self.find_link(place, &announcement.link)?,
        };
        let Some((index, mac)) = found.and_then(|found| Some((found.index, found.mac?))) else {
            return Ok(());
        };
        // Nor do some drivers take a MAC while they are up (macvlan in passthru mode hands it on).
        // Whoever did not hear it has to ask, which is no reason to fail.
        let _ = self.route(place)?.request(link::set_attribute(index, Attribute::Mac(mac)));
        Ok(())
    }

    pub(super) fn set_bridge_port(
        &mut self,
        place: Place,
        port: &BridgePort,
    ) -> Result<(), KernelError> {
        let index = self.index_of(place, &port.link)?;
        self.route(place)?.request(bridge_port::set_flags(index, port))?;
        let Some(wanted) = &port.vlans else { return Ok(()) };
        self.set_port_vlans(place, index, wanted).map_err(|error| explain_filtering(true, error))
    }

    fn set_port_vlans(
        &mut self,
        place: Place,
        index: u32,
        wanted: &PortVlans,
    ) -> Result<(), KernelError> {
        let present = self.port_vlans(place, index)?;
        let (removed, added) = bridge_port::vlan_changes(wanted, &present);
        if !removed.is_empty() {
            self.route(place)?.request(bridge_port::remove_vlans(index, &removed))?;
        }
        if !added.is_empty() {
            self.route(place)?.request(bridge_port::add_vlans(index, &added))?;
        }
        Ok(())
    }
}

fn no_filtering() -> KernelError {
    let reason = "operation not supported (the kernel has no bridge VLAN filtering)";
    error_with(Errno::OPNOTSUPP, reason)
}

/// The kernel does not say what it is that it does not support.
fn explain_filtering(is_wanted: bool, error: KernelError) -> KernelError {
    let is_about_it = is_wanted && is(&error, Errno::OPNOTSUPP);
    if is_about_it { no_filtering() } else { error }
}

/// A random unicast MAC that is marked as locally administered.
pub(super) fn random_mac() -> Result<Mac, KernelError> {
    let mut bytes = [0; 6];
    rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty()))
        .map_err(|errno| error_about(errno, "read random bytes"))?;
    bytes[0] = (bytes[0] & 0xfe) | 0x02;
    Ok(Mac(bytes))
}
