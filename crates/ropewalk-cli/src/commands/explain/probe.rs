//! One real packet, and whether it fared as explained.
//!
//! It never decides what is right: where the two differ, both are told.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use ropewalk_linux::{Netns, Probe, ProbeKind, Probed, any_end};
use ropewalk_topology::explain::{End, From, Outcome, Packet, Port, Question, TCP, Trace, UDP};
use ropewalk_topology::model::{Host, Namespace};
use serde_json::{Value, json};

use super::ends;
use crate::failure::Failure;

/// What a probe showed.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// Where it was seen to arrive, and from whom.
    arrived: Option<(usize, SocketAddr)>,
    refusal: Option<String>,
    took: Duration,
    /// What is not as explained; nothing if that cannot be compared.
    pub(super) differences: Option<Vec<String>>,
}

/// A place where a packet may arrive.
struct Candidate {
    position: usize,
    netns: Netns,
    address: SocketAddr,
}

/// Sends a packet as the one that was explained.
pub(super) fn run(
    host: &Host,
    question: &Question,
    trace: &Trace,
    patience: Duration,
) -> Result<Report, Failure> {
    let From::Inside { namespace, address } = question.from else {
        let reason = "failed to probe: the sender is not on this host";
        return Err(Failure::failed(reason).with_hint("name a namespace, container or own address"));
    };
    let from = open(host, namespace)?;
    let candidates = candidates(host, question, trace);
    let kind = match question.protocol {
        TCP => ProbeKind::Tcp,
        UDP => ProbeKind::Udp,
        _ => ProbeKind::Echo,
    };
    let any = any_end(question.destination.is_ipv6());
    let port = question.source_port.filter(|_| kind != ProbeKind::Echo).unwrap_or(0);
    let probe = Probe {
        kind,
        from: &from,
        source: SocketAddr::new(address.unwrap_or(any.ip()), port),
        to: SocketAddr::new(question.destination, question.port),
        listeners: candidates.iter().map(|one| (&one.netns, one.address)).collect(),
        patience,
    };
    let probed =
        probe.run().map_err(|error| Failure::failed(format!("failed to probe: {error}")))?;
    let arrived = probed.arrived.and_then(|(listener, from)| {
        candidates.get(listener).map(|candidate| (candidate.position, from))
    });
    let differences = compare(host, trace, kind, (&probed, arrived));
    let Probed { refusal, took, .. } = probed;
    Ok(Report { arrived, refusal, took, differences })
}

/// Opens a namespace where it was found.
fn open(host: &Host, position: usize) -> Result<Netns, Failure> {
    let gone = || Failure::failed("failed to probe: the namespace is gone");
    let namespace = host.namespaces.get(position).ok_or_else(gone)?;
    let own = namespace.is_own.then(|| "/proc/thread-self/ns/net".to_owned());
    let process = namespace.owner.as_ref().map(|owner| format!("/proc/{}/ns/net", owner.pid));
    let paths = own.into_iter().chain(namespace.paths.iter().cloned()).chain(process);
    let is_it = |path: &String| {
        // Another one may be there by now.
        fs::metadata(path).is_ok_and(|file| file.ino() == namespace.identity.inode)
    };
    let path = paths.into_iter().find(is_it).ok_or_else(gone)?;
    Netns::open(path).map_err(|error| Failure::failed(format!("failed to probe: {error}")))
}

/// Where to listen: where it arrives as explained, and where it was meant to.
fn candidates(host: &Host, question: &Question, trace: &Trace) -> Vec<Candidate> {
    let last = &trace.way.last;
    let port = |packet: &Packet| match packet.destination_port {
        Port::Number(port) => port,
        Port::Chosen => 0,
    };
    let mut places: Vec<(usize, IpAddr, u16)> = Vec::new();
    if let End::Delivered { at } = trace.way.end {
        places.push((at.namespace, last.destination, port(last)));
    } else if let Some(owner) = ends::owner(host, last.destination) {
        places.push((owner, last.destination, port(last)));
    }
    if let Some(owner) = ends::owner(host, question.destination) {
        places.push((owner, question.destination, question.port));
    }
    places.dedup();
    let candidate = |(position, ip, port)| {
        let netns = open(host, position).ok()?;
        Some(Candidate { position, netns, address: SocketAddr::new(ip, port) })
    };
    places.into_iter().filter_map(candidate).collect()
}

/// What is not as explained.
fn compare(
    host: &Host,
    trace: &Trace,
    kind: ProbeKind,
    (probed, arrived): (&Probed, Option<(usize, SocketAddr)>),
) -> Option<Vec<String>> {
    let mut differences = Vec::new();
    let is_answered = probed.refusal.is_none();
    let name = |position: usize| host.namespaces.get(position).map(Namespace::name);
    let expected = match trace.outcome {
        Outcome::Passes => true,
        Outcome::NoAnswer | Outcome::Stopped => false,
        Outcome::Leaves | Outcome::CannotTell => return None,
    };
    if expected != is_answered {
        let seen = if is_answered { "an answer came" } else { "no answer came" };
        differences.push(format!("{seen}, explained was: {}", trace.outcome.name()));
    }
    match (&trace.way.end, arrived) {
        (End::Stopped(_), Some((at, _))) => {
            differences.push(format!("it arrived in {}", name(at).unwrap_or_default()));
        }
        (End::Delivered { at }, Some((seen, from))) => {
            if seen != at.namespace {
                differences.push(format!(
                    "it arrived in {}, not in {}",
                    name(seen).unwrap_or_default(),
                    name(at.namespace).unwrap_or_default()
                ));
            } else if from.ip() != trace.way.last.source {
                let explained = trace.way.last.source;
                differences.push(format!("it came from {}, not from {explained}", from.ip()));
            }
        }
        // Whoever listened already was not asked.
        (End::Delivered { .. }, None) if kind == ProbeKind::Udp && !is_answered => {
            differences.push("it did not arrive".to_owned());
        }
        _ => {}
    }
    Some(differences)
}

impl Report {
    /// Whether it was as explained; nothing if that cannot be compared.
    pub(super) fn agrees(&self) -> Option<bool> {
        self.differences.as_ref().map(Vec::is_empty)
    }

    /// In a line for people.
    pub(super) fn words(&self, host: &Host) -> String {
        let name = |at: usize| host.namespaces.get(at).map(Namespace::name).unwrap_or_default();
        let mut words = match &self.refusal {
            None => format!("answered after {:.1} ms", self.took.as_secs_f64() * 1000.0),
            Some(reason) => format!("not answered: {reason}"),
        };
        if let Some((at, from)) = self.arrived {
            words.extend(["; ", &name(at), " saw it come from ", &from.ip().to_string()]);
        }
        words
    }

    pub(super) fn to_json(&self, host: &Host) -> Value {
        let arrived = self.arrived.map(|(at, from)| {
            let inode = host.namespaces.get(at).map(|one| one.identity.inode);
            json!({ "namespace": inode, "source": from.ip() })
        });
        json!({
            "answered": self.refusal.is_none(),
            "refusal": self.refusal,
            "arrived": arrived,
            "microseconds": u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
            "agrees": self.agrees(),
            "differences": self.differences,
        })
    }
}
