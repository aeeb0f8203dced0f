//! Hosts on which the kernel does what is easily told wrong: what is explained of them against what
//! a real packet shows, one by one.

use ropewalk_e2e::{Lab, Value};

use super::questions::{Answer, Question, ask_for};
use super::world;

/// How many seconds an answer may take: an error that comes while the call is under way is seen when
/// TCP tries again, after one.
const SECONDS: f64 = 2.0;

/// Asks with a real packet, which must fare as explained.
fn agrees(lab: &Lab, host: usize, ends: &str) -> Value {
    let mut words = ends.split(' ').map(str::to_owned);
    let mut word = || words.next().expect("source, destination and service");
    let question = Question { source: word(), destination: word(), service: word() };
    let document = match ask_for(lab, &question, &world::names(host), SECONDS) {
        Answer::Told(document) => document,
        Answer::Failed(text) => panic!("{text}"),
    };
    assert_eq!(document["probe"]["agrees"], true, "{document:#}");
    document
}

fn passes(lab: &Lab, host: usize, ends: &str) -> Value {
    let document = agrees(lab, host, ends);
    assert_eq!(document["outcome"], "passes", "{document:#}");
    document
}

/// What the sender hears of a packet that goes no further: as explained, and as it was.
fn hears(lab: &Lab, host: usize, ends: &str, told: &str) {
    let document = agrees(lab, host, ends);
    assert_eq!(document["way"]["end"]["senderHears"], told, "{ends}: {document:#}");
    let waited = document["probe"]["refusal"] == "no answer in time";
    assert_eq!(waited, told == "nothing", "{ends}: {document:#}");
}

#[test]
fn masquerading_takes_the_address_that_is_near_the_gateway() {
    let lab = world::make(11);
    if lab.lacks_nftables() {
        return;
    }
    lab.sh("set -e
            ip address add 10.9.0.5/24 dev upw11
            ip -n outw11 address add 10.9.0.1/24 dev eth0
            ip route replace default via 10.9.0.1
            ip -n outw11 route del default
            nft 'table ip nat { chain after { type nat hook postrouting priority 100;
                oifname \"upw11\" masquerade; }; }'");
    for ends in ["c1w11 198.51.100.1 80", "192.0.2.1 198.51.100.1 80"] {
        let document = passes(&lab, 11, ends);
        assert_eq!(document["way"]["last"]["source"], "10.9.0.5", "{document:#}");
    }
    let document = passes(&lab, 11, "c1w11 192.0.2.2 80");
    assert_eq!(document["way"]["last"]["source"], "192.0.2.1", "{document:#}");
}

/// A host that knows the way to the network of `br1` in table 100 alone, and is strict there.
fn strict(host: usize, rules: &str) -> Lab {
    let lab = world::make(host);
    let text = "set -e
        ip -n c1~ neighbour add 10.1.0.1 lladdr $(cat /sys/class/net/br1~/address) dev eth0
        ip route del 10.1.0.0/24 dev br1~
        ip route add 10.1.0.0/24 dev br1~ table 100
        echo 1 >/proc/sys/net/ipv4/conf/br1~/rp_filter";
    lab.sh(&format!("{text}\n{rules}").replace('~', &world::suffix(host)));
    lab
}

#[test]
fn the_way_back_is_looked_for_as_if_from_where_the_packet_goes() {
    let lab = strict(12, "ip rule add iif up~ lookup 100");
    passes(&lab, 12, "c1w12 outw12 80");
    lab.sh("ip rule del iif upw12; ip rule add iif br2w12 lookup 100");
    let document = agrees(&lab, 12, "c1w12 outw12 80");
    assert_eq!(document["outcome"], "stopped", "{document:#}");
    // What is passed on is nobody's.
    lab.sh("ip rule add iif upw12 lookup 100; ip rule add uidrange 1000-2000 blackhole");
    passes(&lab, 12, "c1w12 outw12 80");
}

#[test]
fn the_way_back_is_looked_for_with_ports_the_other_way_round() {
    let lab = strict(13, "ip rule add ipproto tcp sport 80 lookup 100");
    passes(&lab, 13, "c1w13 outw13 80");
    let document = agrees(&lab, 13, "c1w13 outw13 81");
    assert_eq!(document["outcome"], "stopped", "{document:#}");
}

#[test]
fn the_way_back_is_looked_for_with_the_mark_if_all_links_say_so() {
    let lab = strict(
        14,
        "ip rule add fwmark 7 lookup 100
         nft 'table ip t { chain before { type filter hook prerouting priority -150; mark set 7; }; }'",
    );
    if lab.lacks_nftables() {
        return;
    }
    let document = agrees(&lab, 14, "c1w14 outw14 80");
    assert_eq!(document["outcome"], "stopped", "{document:#}");
    lab.sh("echo 1 >/proc/sys/net/ipv4/conf/all/src_valid_mark");
    passes(&lab, 14, "c1w14 outw14 80");
}

#[test]
fn what_is_tracked_already_stays_tracked() {
    let lab = world::make(15);
    if lab.lacks_nftables() {
        return;
    }
    lab.sh("ip -n outw15 route del default");
    for (priority, outcome) in [(0, "passes"), (-300, "no answer")] {
        lab.sh(&format!(
            "nft 'flush ruleset; table ip t {{
                chain before {{ type filter hook prerouting priority {priority}; notrack; }}
                chain between {{ type filter hook forward priority 0; ct state untracked counter; }}
                chain after {{ type nat hook postrouting priority 100; oifname upw15 masquerade; }}
            }}'"
        ));
        let document = agrees(&lab, 15, "c1w15 outw15 80");
        assert_eq!(document["outcome"], outcome, "{priority}: {document:#}");
    }
}

#[test]
fn a_sender_hears_of_its_end_what_the_kernel_tells() {
    let lab = world::make(16);
    lab.sh("set -e
            ip route del default; ip -6 route del default
            for kind in blackhole:1 unreachable:2; do
                ip route add ${kind%:*} 203.0.113.${kind#*:}
                ip -6 route add ${kind%:*} 2001:db8:9::${kind#*:}
            done
            for kind in blackhole:3 prohibit:4; do
                ip rule add to 203.0.113.${kind#*:} ${kind%:*}
                ip -6 rule add to 2001:db8:9::${kind#*:} ${kind%:*}
            done");
    // Whoever asks often is told less often.
    lab.sh("echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit");
    for network in ["203.0.113.", "2001:db8:9::"] {
        // The fifth is nowhere.
        let told = ["nothing", "error", "nothing", "error", "error"];
        for (number, told) in (1..).zip(told) {
            hears(&lab, 16, &format!("c1w16 {network}{number} 80"), told);
            hears(&lab, 16, &format!("host {network}{number} 80"), "error");
        }
    }
    lab.sh("echo 0 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding");
    for number in [2, 4, 5] {
        hears(&lab, 16, &format!("c1w16 203.0.113.{number} 80"), "nothing");
        hears(&lab, 16, &format!("c1w16 2001:db8:9::{number} 80"), "error");
    }
}

#[test]
fn iptables_looks_for_the_way_back_with_the_mark_only_if_it_is_told_to() {
    let lab = world::make(17);
    if lab.lacks_nftables() {
        return;
    }
    // Only what is marked finds its way back.
    lab.sh("set -e
            ip route add 10.1.0.11 via 192.0.2.2 dev upw17
            ip route add 10.1.0.0/24 dev br1w17 table 100
            ip rule add fwmark 7 lookup 100
            ip rule add iif upw17 lookup 100
            ip -n c1w17 neighbour add 10.1.0.1 lladdr $(cat /sys/class/net/br1w17/address) dev eth0
            iptables-nft -t mangle -A PREROUTING -i br1w17 -j MARK --set-mark 7
            echo 1 >/proc/sys/net/ipv4/conf/all/src_valid_mark");
    for (option, outcome) in [("--validmark", "passes"), ("--loose", "passes"), ("", "stopped")] {
        lab.sh(&format!(
            "set -e
             iptables-nft -t mangle -A PREROUTING -i br1w17 -m rpfilter {option} --invert -j DROP"
        ));
        let document = agrees(&lab, 17, "c1w17 outw17 80");
        assert_eq!(document["outcome"], outcome, "{option}: {document:#}");
        lab.sh("iptables-nft -t mangle -D PREROUTING 2");
    }
    // Ports do not count for it.
    lab.sh("ip rule add ipproto tcp sport 80 lookup 100
            iptables-nft -t mangle -A PREROUTING -i br1w17 -m rpfilter --invert -j DROP");
    let document = agrees(&lab, 17, "c1w17 outw17 80");
    assert_eq!(document["outcome"], "stopped", "{document:#}");
}
