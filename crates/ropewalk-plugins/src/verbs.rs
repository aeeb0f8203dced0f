//! The CNI verbs for plugins that declare desired state: who is asked in which order, and what is
//! taken back when something fails.

use std::{mem::ManuallyDrop, net::IpAddr, path::Path};

use ropewalk_cni::{
    CniError, CniResult, Command, Fields, Request, config_error, prev_result, valid_attachments,
};
use ropewalk_linux::{Linux, Netns, NetnsError};
use ropewalk_netstate::{
    Conflict, Desired, Item, KernelError, Lifetime, Observed, Owner, Place, Probe, Resource,
    converge::{self, ConvergeError},
};
use ropewalk_store::{Holder, LeaseDirectory};

use crate::{
    device::{Attachment, Device, Facts, Given},
    ipam::{self, Ipam},
    layer3,
    link_first::{self, MadeLink},
    packet_filters,
    texts::{self, and_then},
};

/// Does what the request asks for. The answer goes to standard output.
pub(crate) fn run(device: &dyn Device, request: &Request) -> Result<String, CniError> {
    match request.command {
        Command::Add => add(device, request)?.to_json(request.version),
        Command::Check => check(device, request).map(|()| String::new()),
        Command::Del => del(device, request).map(|()| String::new()),
        Command::Gc => gc(device, request).map(|()| String::new()),
        Command::Status => status(device, request).map(|()| String::new()),
        Command::Version => Ok(String::new()),
    }
}

fn add(device: &dyn Device, request: &Request) -> Result<CniResult, CniError> {
    let adding = Adding { device, request, attachment: Attachment::of(request)? };
    let Some(name) = device.ipam() else {
        let (mut kernel, given) = adding.look()?;
        return adding.make(&mut kernel, &given, None);
    };
    let is_beside = !device.takes_link() && !ipam::needs_link(name);
    if is_beside && let Some((ipam, slow)) = Ipam::find_slow(name, request) {
        return link_first::beside(&adding, &ipam, slow);
    }
    let (mut kernel, given) = adding.look()?;
    let ipam = Ipam::find(name, request)?;
    adding.refuse_second(&mut kernel, &given)?;
    let claim = if is_beside { ipam.start(request)? } else { None };
    if ipam::needs_link(name) || claim.is_some() {
        return link_first::add(&adding, &mut kernel, &ipam, claim, given);
    }
    let given = Given { layer3: Some(ipam.claim(request)?), ..given };
    if device.takes_link() {
        // Whoever leased may have taken his time.
        kernel.forget_links_in_advance();
    }
    adding.make_or_release(&mut kernel, &ipam, &given, None)
}

/// One ADD.
pub(crate) struct Adding<'a> {
    pub(crate) device: &'a dyn Device,
    pub(crate) request: &'a Request,
    pub(crate) attachment: Attachment,
}

impl Adding<'_> {
    /// What the chain, the sandbox and the host are like.
    pub(crate) fn look(&self) -> Result<(OneShot, Given), CniError> {
        let previous = previous(self.device, self.request)?;
        let mut kernel = sandbox(self.request)?;
        let facts = self.device.facts(&mut kernel, &self.attachment, previous.as_ref());
        refuse_silence(&kernel)?;
        Ok((kernel, Given { previous, facts, ..Given::default() }))
    }

    /// What is to be made, on a host that can serve it.
    fn declare(&self, kernel: &mut Linux, given: &Given) -> Result<Desired, CniError> {
        let desired = self.device.declare(&self.attachment, given)?;
        packet_filters::refuse_missing(kernel, &desired)?;
        Ok(desired)
    }

    /// An attachment that exists is refused before addresses are claimed: some IPAM plugins answer
    /// a second claim with the first one's lease, and releasing that would take it from the
    /// container. Nothing that takes time lies between this look and the link.
    pub(crate) fn refuse_second(&self, kernel: &mut Linux, given: &Given) -> Result<(), CniError> {
        kernel.keep_idle_bridges();
        let desired = self.declare(kernel, given)?;
        kernel.find_links_in_advance(&links(&desired)).map_err(internal)?;
        let own = |item: &&Item| item.lifetime == Lifetime::Attachment;
        for item in desired.items().iter().filter(own).filter(|item| is_link(&item.resource)) {
            let Some(name) = item.resource.link() else { continue };
            if kernel.was_there(item.place, name) {
                let conflict = Conflict::AlreadyThere(item.place, item.resource.clone());
                return Err(texts::converge_error(ConvergeError::Conflict(Box::new(conflict))));
            }
        }
        Ok(())
    }

    /// Makes the interface with the addresses that were leased, or gives them back.
    pub(crate) fn make_or_release(
        &self,
        kernel: &mut Linux,
        ipam: &Ipam,
        given: &Given,
        link: Option<MadeLink<'_>>,
    ) -> Result<CniResult, CniError> {
        self.make(kernel, given, link).map_err(|error| {
            let released = ipam.release(self.request);
            and_then(error, released.map_err(|second| second.prefixed("failed to release")))
        })
    }

    /// From addresses to an interface: everything of an ADD behind IPAM, apart from a link that had
    /// to be made before.
    fn make(
        &self,
        kernel: &mut Linux,
        given: &Given,
        link: Option<MadeLink<'_>>,
    ) -> Result<CniResult, CniError> {
        let Self { device, request, attachment } = self;
        refuse_unusable(given)?;
        let mut observed = match &link {
            Some(link) => observe_made(kernel, link.desired)?,
            None => Observed::new(),
        };
        // A link that is there keeps the bridge that it is a port of.
        if link.is_none() {
            kernel.keep_idle_bridges();
        }
        let desired = self.declare(kernel, given)?;
        // A result that the version asked for cannot carry is an error before anything is made.
        device.result(attachment, given, &Observed::new()).to_value(request.version)?;
        let rest = link.as_ref().map(|link| desired.without(link.desired));
        let rest = rest.as_ref().unwrap_or(&desired);
        if let Some(before) = link.and_then(|link| link.before) {
            kernel.observe_as_before(before);
        }
        converge::add(kernel, &mut *device.memory(attachment), rest)
            .map_err(texts::converge_error)?;
        observed.extend(observe_made(kernel, rest)?);
        Ok(device.result(attachment, given, &observed))
    }
}

/// An address plugin that gives no address, or one for an interface that is none, has failed. Only
/// ADD asks: a previous result that is wrong must not keep a DEL from deleting.
fn refuse_unusable(given: &Given) -> Result<(), CniError> {
    match &given.layer3 {
        Some(layer3) if layer3.ips.is_empty() => {
            Err(CniError::internal("IPAM plugin returned missing IP config"))
        }
        Some(layer3) => layer3::check_indices(layer3),
        None => Ok(()),
    }
}

/// What the kernel did not answer is not known, and must not be taken for a no.
fn refuse_silence(kernel: &Linux) -> Result<(), CniError> {
    let silence = kernel.unanswered();
    silence
        .map_or(Ok(()), |error| Err(internal(error.clone()).prefixed("failed to ask the kernel")))
}

fn internal(error: KernelError) -> CniError {
    CniError::internal(error.reason)
}

/// What results tell of links that were just made.
fn observe_made(kernel: &mut Linux, desired: &Desired) -> Result<Observed, CniError> {
    kernel.observe_made(&links(desired)).map_err(internal)
}

/// Results tell the links that were made and their hardware addresses, and the addresses that a
/// container's interface gave itself.
fn links(desired: &Desired) -> Vec<Probe<'_>> {
    let is_told = |item: &Item| match &item.resource {
        Resource::AddressGuard(_) => item.place == Place::Sandbox,
        resource => is_link(resource) && item.lifetime != Lifetime::Predecessor,
    };
    let own = desired.items().iter().filter(|item| is_told(item));
    own.map(|item| Probe { place: item.place, resource: &item.resource }).collect()
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

fn check(device: &dyn Device, request: &Request) -> Result<(), CniError> {
    let attachment = Attachment::of(request)?;
    let previous = prev_result(&request.raw)?
        .ok_or_else(|| CniError::internal("Required prevResult missing"))?;
    let mut kernel = sandbox(request)?;
    if let Some(ipam) = device.ipam() {
        Ipam::find(ipam, request)?.confirm(request)?;
    }
    check_sandbox(device, &attachment, &previous)?;
    let facts = device.facts(&mut kernel, &attachment, Some(&previous));
    let given = known_before(device, &attachment, Some(previous), facts);
    refuse_silence(&kernel)?;
    let desired = device.declare(&attachment, &given)?;
    let findings = converge::check(&mut *kernel, &desired).map_err(texts::converge_error)?;
    let Some((first, others)) = findings.split_first() else {
        return Ok(());
    };
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    Err(texts::finding_error(first).with_details(others.join("; ")))
}

/// A plugin that makes an interface must find it in the previous result, in this sandbox.
fn check_sandbox(
    device: &dyn Device,
    attachment: &Attachment,
    previous: &CniResult,
) -> Result<(), CniError> {
    if device.is_chained() {
        return Ok(());
    }
    let named = previous.interfaces.iter().filter(|i| i.name == attachment.owner.interface);
    let sandboxes: Vec<&str> =
        named.map(|i| i.sandbox.as_str()).filter(|sandbox| !sandbox.is_empty()).collect();
    if sandboxes.contains(&attachment.netns.as_str()) {
        return Ok(());
    }
    let found = sandboxes.first().copied().unwrap_or_default();
    Err(texts::sandbox_mismatch(&attachment.owner, &attachment.netns, found))
}

/// What CHECK and DEL know: what the result of the ADD tells.
pub(crate) fn known_before(
    device: &dyn Device,
    attachment: &Attachment,
    previous: Option<CniResult>,
    facts: Facts,
) -> Given {
    let own = |result: &CniResult| {
        layer3::of_interface(result, &attachment.owner.interface, &attachment.netns)
    };
    let layer3 = device.ipam().and(previous.as_ref()).map(own);
    Given { layer3, previous, facts, ..Given::default() }
}

fn del(device: &dyn Device, request: &Request) -> Result<(), CniError> {
    let attachment = Attachment::of(request)?;
    let mut kernel = sandbox_if_there(request)?;
    // DEL works without a previous result, so one that cannot be read must not stop it.
    let previous = prev_result(&request.raw).unwrap_or_default();
    let leased = match &previous {
        None if device.is_chained() => leased(&attachment),
        _ => Vec::new(),
    };
    let facts = device.facts_for_del(&mut kernel, &attachment, previous.as_ref());
    let given = known_before(device, &attachment, previous, facts);
    // What it did not answer may be what there is to delete: whatever is known goes, and the runtime
    // has to come again.
    let complete = refuse_silence(&kernel);
    let given = Given { deleting: true, leased, ..given };
    let ipam = device.ipam();
    let release = || match ipam {
        Some(ipam) => Ipam::find(ipam, request).and_then(|ipam| ipam.release(request)),
        None => Ok(()),
    };
    let delete = || {
        let desired = device.declare(&attachment, &given)?;
        converge::del(&mut *kernel, &mut *device.memory(&attachment), &desired)
            .map_err(texts::converge_error)
            .and(complete)
    };
    give_back(ipam, release, delete)
}

/// Deletes what there is and releases addresses, one failure or not. An address is free for others
/// when nobody has it any more; but a DHCP server learns over the link itself that its lease is not
/// needed.
fn give_back(
    ipam: Option<&str>,
    release: impl FnOnce() -> Result<(), CniError>,
    delete: impl FnOnce() -> Result<(), CniError>,
) -> Result<(), CniError> {
    let (released, deleted) = if ipam.is_some_and(ipam::needs_link) {
        (release(), delete())
    } else {
        let deleted = delete();
        (release(), deleted)
    };
    deleted.and(released)
}

/// The addresses that the default lease directory has for the attachment. It is a help for rules
/// that tell an address and no owner; where it cannot be read there is none.
fn leased(attachment: &Attachment) -> Vec<IpAddr> {
    let owner = &attachment.owner;
    let holder = Holder::new(&owner.container, &owner.interface);
    let directory = LeaseDirectory::new(Path::new(LeaseDirectory::DEFAULT), &owner.network);
    let leases = directory.leases().unwrap_or_default().into_iter();
    leases.filter(|lease| lease.holder == holder).map(|lease| lease.ip).collect()
}

fn gc(device: &dyn Device, request: &Request) -> Result<(), CniError> {
    let Some(valid) = valid_attachments(&request.raw)? else {
        return Ok(());
    };
    let ipam = device.ipam();
    let newer = ipam::newer_attachments(ipam, request, &valid)?;
    let valid = [valid.attachments, newer].concat();
    let hashes: Vec<String> = valid
        .iter()
        .flat_map(|id| [(id, id.ifname.as_str()), (id, Owner::ANY_INTERFACE)])
        .map(|(id, interface)| Owner {
            network: request.network.clone(),
            container: id.container_id.clone(),
            interface: interface.to_owned(),
        })
        .map(|owner| owner.hash())
        .collect();
    let network = Owner::network_hash(&request.network);
    let release = || match ipam {
        Some(ipam) => Ipam::find(ipam, request).and_then(|ipam| ipam.collect(request)),
        None => Ok(()),
    };
    let delete = || {
        let mut kernel = Linux::host_only();
        let collected = converge::gc(&mut kernel, &device.scopes(), &network, &hashes)
            .map_err(texts::converge_error);
        let swept =
            converge::del(&mut kernel, &mut (), &device.idle()).map_err(texts::converge_error);
        let forgotten = device.collect_memory(&request.network, &valid);
        collected.map(|_| ()).and(swept).and(forgotten)
    };
    give_back(ipam, release, delete)
}

fn status(device: &dyn Device, request: &Request) -> Result<(), CniError> {
    match device.ipam() {
        Some(ipam) => Ipam::find(ipam, request)?.status(request),
        None => Ok(()),
    }
}

/// The result of the plugins before a chained one. For one that makes an interface it is of no
/// interest what it says, as long as it is one.
fn previous(device: &dyn Device, request: &Request) -> Result<Option<CniResult>, CniError> {
    if device.is_chained() {
        return prev_result(&request.raw).map_err(|error| error.prefixed(device.decoding()));
    }
    let fields = Fields::new(&request.raw, "");
    fields.object("prevResult");
    fields.finish().map_err(|errors| config_error(device.decoding(), &errors))?;
    Ok(None)
}

/// The kernel for one verb. The process ends next, and closes everything at once.
type OneShot = ManuallyDrop<Linux>;

/// The kernel with the sandbox of ADD and CHECK, which must exist and be another namespace than the
/// plugin's.
fn sandbox(request: &Request) -> Result<OneShot, CniError> {
    let path = request.netns.as_deref().unwrap_or_default();
    let netns = Netns::open(path).map_err(|error| texts::netns_error(path, error))?;
    Ok(OneShot::new(guard(request, netns)?))
}

/// The kernel with the sandbox of DEL, which may be gone or was not named.
fn sandbox_if_there(request: &Request) -> Result<OneShot, CniError> {
    let kernel = match request.netns.as_deref().map(|path| (path, Netns::open(path))) {
        Some((_, Ok(netns))) => guard(request, netns)?,
        // What a namespace was mounted on stays behind as a plain file.
        None | Some((_, Err(NetnsError::Missing { .. } | NetnsError::NotNamespace { .. }))) => {
            Linux::with_missing_sandbox()
        }
        Some((path, Err(error))) => return Err(texts::netns_error(path, error)),
    };
    // The kernel's last grace period is nobody's business either.
    Ok(OneShot::new(kernel.leaving_early()))
}

/// CHECK reads only, so that it needs no guard.
fn guard(request: &Request, sandbox: Netns) -> Result<Linux, CniError> {
    let mut kernel = Linux::with_sandbox(sandbox);
    let acts = matches!(request.command, Command::Add | Command::Del);
    let same = acts && !request.netns_override && kernel.sandbox_is_host().map_err(internal)?;
    if same { Err(texts::same_netns_error()) } else { Ok(kernel) }
}
