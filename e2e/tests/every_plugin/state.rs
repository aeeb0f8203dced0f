//! Everything that a plugin could leave behind or disturb, as text: on the host, in its files, and
//! in the containers.

use std::time::{Duration, Instant};

use ropewalk_e2e::{Host, patience};

/// Links, addresses, routes, rules, disciplines and settings of a namespace. What the kernel adds
/// by itself a moment later is left out, and what portmap sets for good on the link to a container.
const NETWORK: &str = "
    ip -o link show | sed 's/^[0-9]*: //; s/@[^:]*:/:/; s/ state [A-Z]*//; s/qdisc [a-z]* //; s/,\\?LOWER_UP//; s/NO-CARRIER,//;
                           s/,M-DOWN//'
    ip -o address show | grep -v ' fe80:' | sed 's/^[0-9]*: //; s/ tentative//; s/ noprefixroute//'
    for family in -4 -6; do
        ip $family route show table all
        ip $family rule show
    done | grep -v -e fe80: -e ff00::/8 -e 'table local' -e '^anycast' |
        sed 's/ linkdown//; s/ dead//'
    tc qdisc show | grep -v -e noqueue -e pfifo_fast -e fq_codel
    grep -rs . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/ip_forward |
        grep -v -e /cni0/ -e /route_localnet";

/// What there is at one moment, a line each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State(Vec<String>);

impl State {
    /// What there is now.
    #[track_caller]
    pub(crate) fn of(host: &Host) -> Self {
        let lab = &host.lab;
        let mut lines: Vec<String> = lab.snapshot().lines().map(str::to_owned).collect();
        let mut network = |name: &str, text: String| {
            lines.extend(text.lines().map(|line| format!("{name}: {line}")));
        };
        network("host", lab.sh(NETWORK));
        for container in lab.list("/run/netns") {
            network(&container, lab.sh_in(&container, NETWORK));
        }
        // Links that were made anew stand in another place.
        lines.sort();
        Self(lines)
    }

    /// Asserts that everything is as at this moment, within a deadline: the kernel takes its time
    /// with some things.
    #[track_caller]
    pub(crate) fn is_still_so(&self, host: &Host, what: &str) {
        let deadline = Instant::now() + patience(Duration::from_secs(2));
        let mut now = Self::of(host);
        while now != *self && Instant::now() < deadline {
            now = Self::of(host);
        }
        let only = |sign: char, here: &Self, there: &Self| -> Vec<String> {
            let lines = here.0.iter().filter(|line| !there.0.contains(line));
            lines.map(|line| format!("{sign} {line}")).collect()
        };
        let mut difference = [only('+', &now, self), only('-', self, &now)].concat();
        // The settings of a link say little when there are hundreds.
        difference.sort_by_key(|line| line.contains("/proc/sys/"));
        difference.truncate(25);
        assert!(now == *self, "{what}: not as before:\n{}", difference.join("\n"));
    }
}
