//! The table of checks: names, meanings and consequences. A table.

use alloc::{string::String, vec::Vec};

use super::{
    Finding, Mend, Severity, addresses, bridges, checksums, features, forwarding, ipv6, leaks,
    limits, mtu, reverse_path, view::View,
};
use crate::LinkAt;
use Severity::{Error, Note, Warning};

/// Something that is looked for.
#[derive(Debug)]
pub struct Check {
    /// Its name, which scripts rely on.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub meaning: &'static str,
    /// What comes of it, a sentence.
    pub consequence: &'static str,
    /// What mends it, in words.
    pub cure: &'static str,
    /// Whether some of its findings are mended without asking.
    pub is_mended: bool,
    find: fn(&View<'_>) -> Vec<Fact>,
}

/// What a check has found.
#[derive(Debug, Default)]
pub(super) struct Fact {
    pub(super) link: Option<LinkAt>,
    pub(super) namespace: usize,
    pub(super) object: String,
    pub(super) evidence: String,
    pub(super) command: String,
    pub(super) mend: Option<Mend>,
}

// Each check is one thing.
impl PartialEq for Check {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Check {}

impl Check {
    pub(super) fn look(&'static self, view: &View<'_>) -> Vec<Finding> {
        let finding = |fact: Fact| Finding {
            check: self,
            namespace: view.inode(fact.link.map_or(fact.namespace, |at| at.namespace)),
            link: fact.link.map(|at| at.index),
            object: fact.object,
            evidence: fact.evidence,
            command: fact.command,
            mend: fact.mend,
        };
        (self.find)(view).into_iter().map(finding).collect()
    }
}

/// All checks.
pub const CHECKS: [Check; 22] = [
    Check {
        name: "leaked-link",
        severity: Warning,
        meaning: "a link of ours on the host, of an attachment that nobody keeps: it is not on \
                  record, and no process is at the other end",
        consequence: "The link and its place on the bridge are taken until somebody deletes it.",
        cure: "delete the link, or collect garbage: `ropewalk gc NETWORK --recorded`",
        is_mended: true,
        find: leaks::links,
    },
    Check {
        name: "stale-rules",
        severity: Warning,
        meaning: "elements, rules or chains of ours in the packet filter, of an attachment that \
                  nobody keeps",
        consequence: "Published ports and permissions may reach the next container that gets the \
                      address.",
        cure: "collect garbage: `ropewalk gc NETWORK --recorded`",
        is_mended: true,
        find: leaks::rules,
    },
    Check {
        name: "stale-record",
        severity: Warning,
        meaning: "an attachment on record whose namespace is gone",
        consequence: "Its address stays taken, and what it published stays in the packet filter.",
        cure: "delete the attachment: `ropewalk del NETWORK --container-id ID --ifname NAME`",
        is_mended: false,
        find: leaks::records,
    },
    Check {
        name: "lease-without-container",
        severity: Warning,
        meaning: "an address that is leased on this host, and in no namespace",
        consequence: "The address is lost to others; when all are, no container starts.",
        cure: "give it back: `ropewalk ipam gc`, or `ropewalk del` where it is on record",
        is_mended: true,
        find: leaks::leases,
    },
    Check {
        name: "container-without-lease",
        severity: Error,
        meaning: "an address of a container that is not leased, or leased on another host",
        consequence: "The address will be given to another container, too.",
        cure: "attach the container anew, or keep the address from others: `ropewalk ipam reserve`",
        is_mended: false,
        find: leaks::strangers,
    },
    Check {
        name: "duplicate-address",
        severity: Error,
        meaning: "an address that two namespaces have in one broadcast domain, or for which the \
                  kernel has found another holder (IPv6)",
        consequence: "Packets go to whoever answered last.",
        cure: "give one of them another address",
        is_mended: false,
        find: addresses::duplicates,
    },
    Check {
        name: "overlapping-subnets",
        severity: Warning,
        meaning: "two links of a namespace, not both to the outside, with subnets that overlap; a \
                  route that takes a part of a container subnet away; or two networks that give \
                  the same addresses",
        consequence: "Some of the addresses cannot be reached, or are given twice.",
        cure: "give one of the networks another subnet",
        is_mended: false,
        find: addresses::overlaps,
    },
    Check {
        name: "gateway-missing",
        severity: Error,
        meaning: "the gateway of a container's route that nobody has, or answers for, in its \
                  broadcast domain",
        consequence: "The container reaches nothing beyond its own subnet.",
        cure: "give the bridge the address, or set `isGateway` in the configuration",
        is_mended: false,
        find: addresses::gateways,
    },
    Check {
        name: "forwarding-off",
        severity: Error,
        meaning: "a host that containers have as their gateway and that forwards no packets, on \
                  the whole or from that link (IPv4, IPv6)",
        consequence: "The containers reach the host, and nothing beyond it.",
        cure: "`sysctl -w net.ipv4.ip_forward=1`, `net.ipv6.conf.all.forwarding=1`",
        is_mended: true,
        find: forwarding::off,
    },
    Check {
        name: "reverse-path",
        severity: Warning,
        meaning: "strict `rp_filter` on a link that receives packets whose answers would leave \
                  through another: a second default route, or one that only marked packets take",
        consequence: "The kernel drops these packets and says nothing.",
        cure: "`sysctl -w net.ipv4.conf.LINK.rp_filter=2`",
        is_mended: false,
        find: reverse_path::traps,
    },
    Check {
        name: "bridged-packets-dropped",
        severity: Warning,
        meaning: "`bridge-nf-call-iptables` is on, and a forward chain drops what it does not \
                  accept, which nothing does for two containers of one bridge",
        consequence: "Containers on the same bridge do not reach each other.",
        cure: "accept them in the chain, or `sysctl -w net.bridge.bridge-nf-call-iptables=0`",
        is_mended: false,
        find: forwarding::bridged,
    },
    Check {
        name: "forward-dropped",
        severity: Error,
        meaning: "a forward chain with policy drop that no rule accepts the containers' packets in",
        consequence: "The containers reach the host, and nothing beyond it.",
        cure: "add the plugin `firewall` to the network, or accept the bridge in that chain",
        is_mended: false,
        find: forwarding::dropped,
    },
    Check {
        name: "mtu-pair",
        severity: Error,
        meaning: "the two ends of a pair have different MTUs",
        consequence: "Large packets towards the smaller end vanish without a message.",
        cure: "`ip link set LINK mtu N` to the same at both ends",
        is_mended: false,
        find: mtu::pairs,
    },
    Check {
        name: "mtu-bridge",
        severity: Warning,
        meaning: "ports of one bridge with different MTUs",
        consequence: "Large frames towards the smaller port vanish without a message.",
        cure: "set the same `mtu` for all that are on the bridge",
        is_mended: false,
        find: mtu::bridges,
    },
    Check {
        name: "mtu-tunnel",
        severity: Error,
        meaning: "a tunnel whose packets, with its own headers, are larger than what they travel \
                  over takes",
        consequence: "Large packets are fragmented or vanish; small ones pass, so that ping works.",
        cure: "set the tunnel's MTU to that of the link below less the overhead",
        is_mended: false,
        find: mtu::tunnels,
    },
    Check {
        name: "mtu-uplink",
        severity: Note,
        meaning: "containers with a larger MTU than the host's way to the world",
        consequence: "Connections hang wherever the ICMP message about it is filtered.",
        cure: "set `mtu` of the network to that of the uplink",
        is_mended: false,
        find: mtu::uplinks,
    },
    Check {
        name: "checksum-offload",
        severity: Warning,
        meaning: "an end of a pair that leaves checksums to hardware, with a program of XDP at the \
                  other end",
        consequence: "What the program sends on to other links has wrong checksums.",
        cure: "`ethtool -K LINK tx off` at the end that sends, or the plugin `tuning` with `offloads`",
        is_mended: false,
        find: checksums::unfinished,
    },
    Check {
        name: "half-made-bridge",
        severity: Error,
        meaning: "a bridge of ours that is down",
        consequence: "Nothing passes the bridge.",
        cure: "`ip link set BRIDGE up`",
        is_mended: false,
        find: bridges::half_made,
    },
    Check {
        name: "connections-near-limit",
        severity: Warning,
        meaning: "a namespace with at least four fifths of the tracked connections it may have",
        consequence: "When the table is full, the kernel drops the packets of new connections.",
        cure: "`sysctl -w net.netfilter.nf_conntrack_max=N`",
        is_mended: false,
        find: limits::connections,
    },
    Check {
        name: "neighbours-near-limit",
        severity: Warning,
        meaning: "at least four fifths of the neighbours that the kernel keeps for all namespaces \
                  together",
        consequence: "When the table is full, new neighbours cannot be reached.",
        cure: "raise `net.ipv4.neigh.default.gc_thresh3` (or ipv6), and gc_thresh2 with it",
        is_mended: false,
        find: limits::neighbours,
    },
    Check {
        name: "kernel-lacks",
        severity: Error,
        meaning: "a part of the kernel that a plugin of a configured network needs and that is \
                  neither built in nor to be loaded",
        consequence: "Containers cannot be attached to the network.",
        cure: "`modprobe MODULE`, or a kernel with it",
        is_mended: false,
        find: features::lacking,
    },
    Check {
        name: "ipv6-trap",
        severity: Warning,
        meaning: "an address from router advertisements on a link of a host that forwards, with \
                  `accept_ra` 1; or IPv6 switched off where a container was given an IPv6 address",
        consequence: "The IPv6 address or route runs out, or was never there.",
        cure: "`sysctl -w net.ipv6.conf.LINK.accept_ra=2`; `disable_ipv6=0` and attach anew",
        is_mended: false,
        find: ipv6::traps,
    },
];
