//! Everything that a plugin could leave behind or disturb, as text: on the host, in its files, and
//! in the container.
//!
//! Few programs are started for it: on an emulated processor each costs as much as a plugin.

use std::time::{Duration, Instant};

use crate::{Host, patience};

/// Links, addresses, routes, rules, disciplines and some settings of a namespace.
const NETWORK: &str = "
    printf 'link show\\naddress show\\n' | ip -o -b -
    for family in -4 -6; do
        printf 'route show table all\\nrule show\\n' | ip $family -b -
    done
    tc qdisc show
    cd /proc/sys/net
    grep -s . ipv4/conf/*/arp_filter ipv4/conf/*/proxy_arp ipv4/conf/*/forwarding \\
        ipv6/conf/*/accept_ra ipv6/conf/*/disable_ipv6 ipv6/conf/*/keep_addr_on_down";

/// Parts of lines that the kernel adds by itself, at a moment of its own choice.
const ITS_OWN: [&str; 11] = [
    "table local",
    "anycast",
    "multicast",
    " fe80:",
    "ff00::/8",
    "noqueue",
    "pfifo_fast",
    "fq_codel",
    "valid_lft 0sec",
    "/cni0/",
    "/lan0/",
];

/// Words that come and go while links get ready, as those after them.
const PASSING: [&str; 6] =
    [" tentative", " noprefixroute", " linkdown", ",LOWER_UP", "NO-CARRIER,", ",M-DOWN"];

/// A line without what passes, or nothing if all of it does.
fn lasting(line: &str) -> Option<String> {
    if line.starts_with("fe80:") || ITS_OWN.iter().any(|part| line.contains(part)) {
        return None;
    }
    let mut line = PASSING.iter().fold(line.to_owned(), |line, word| line.replace(word, ""));
    for word in [" state ", " qdisc "] {
        if let Some((before, behind)) = line.split_once(word) {
            let behind = behind.split_once(' ').map_or("", |(_, behind)| behind);
            line = format!("{before} {behind}");
        }
    }
    // Numbers of links say only how many there were before.
    let number = line.split_once(": ").filter(|(number, _)| number.parse::<u32>().is_ok());
    let line = number.map_or(line.as_str(), |(_, rest)| rest);
    let words = line.split(' ').map(|word| word.split("@if").next().unwrap_or_default());
    Some(words.collect::<Vec<_>>().join(" "))
}

/// Prints the rules of nftables when no element lives its last milliseconds any more: such a one is
/// there at one moment and not at the next. It looks so often that none can outlive it.
pub const LASTING_RULES: &str = "
    for look in $(seq 200); do
        rules=$(nft -s list ruleset)
        case $rules in *' timeout '*) ;; *) break ;; esac
    done
    printf '%s\\n' \"$rules\"";

/// What prints packet filters and files. What is done and undone for an attachment shows in its
/// elements; a list of them is in no order.
fn rules_and_files() -> String {
    format!(
        "({LASTING_RULES}) 2>/dev/null | tr , '\\n' | sed 's/^[[:space:]]*//'
        find /var/lib/cni /run/cni /var/lib/ropewalk /run/ropewalk -type f \\
            ! -name lock ! -name '*.lock' ! -name 'last_reserved_ip.*' \\
            ! -path '/run/ropewalk/leases/*' 2>/dev/null || true"
    )
}

/// What there is at one moment, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State(Vec<String>);

impl State {
    /// What there is now on the host and in `c1`.
    #[track_caller]
    pub fn of(host: &Host) -> Self {
        let lab = &host.lab;
        let mut lines: Vec<String> = lab.snapshot().lines().map(str::to_owned).collect();
        for (name, text) in [("host", lab.sh(NETWORK)), ("c1", lab.sh_in("c1", NETWORK))] {
            lines.extend(text.lines().filter_map(lasting).map(|line| format!("{name}: {line}")));
        }
        // Links that were made anew stand in another place.
        lines.sort();
        Self(lines)
    }

    /// The same in one look, for those who look a thousand times: rules as nft prints them, and so
    /// those of the iptables that is built on it.
    #[track_caller]
    pub fn glance(host: &Host) -> Self {
        let text = host.lab.sh(&format!(
            "({NETWORK})\necho c1\nnsenter --net=/run/netns/c1 sh <<'END'\n{NETWORK}\nEND\n\
             {}",
            rules_and_files()
        ));
        let mut lines: Vec<String> = text.lines().filter_map(lasting).collect();
        lines.sort();
        Self(lines)
    }

    /// What is not as at this moment when a deadline is over: the kernel takes its time with some
    /// things. Empty if all is well.
    #[track_caller]
    pub fn difference(&self, look: impl Fn() -> Self) -> Vec<String> {
        let deadline = Instant::now() + patience(Duration::from_secs(2));
        let mut now = look();
        while now != *self && Instant::now() < deadline {
            now = look();
        }
        let only = |sign: char, here: &Self, there: &Self| -> Vec<String> {
            let lines = here.0.iter().filter(|line| !there.0.contains(line));
            lines.map(|line| format!("{sign} {line}")).collect()
        };
        match [only('+', &now, self), only('-', self, &now)].concat() {
            none if none.is_empty() && now != *self => vec!["something is there twice".to_owned()],
            difference => difference,
        }
    }

    /// Asserts that everything is as at this moment, within a deadline.
    #[track_caller]
    pub fn is_still_so(&self, host: &Host, what: &str) {
        let difference = self.difference(|| Self::of(host));
        assert!(difference.is_empty(), "{what}: not as before:\n{}", difference.join("\n"));
    }
}
