//! `ropewalk explain`: what it says of generated hosts against what a real packet shows, case by
//! case, and its answers as people and scripts get them.
//!
//! A seed (`ROPEWALK_SEED`) chooses the cases; `ROPEWALK_ROUND` repeats the rounds of one number
//! alone.

mod explain {
    pub(crate) mod changes;
    mod corners;
    pub(crate) mod plugins;
    pub(crate) mod questions;
    pub(crate) mod world;
}

use std::sync::Mutex;
use std::time::Duration;

use explain::questions::{Counts, Finding};
use explain::{changes, plugins, questions, world};
use ropewalk_e2e::{Lab, Outcome, Random, command_path, patience};

/// How many hosts are tried at once, each by a thread; most of the time is waiting.
const HOSTS: usize = 4;
/// How often each host is changed.
const ROUNDS: usize = 7;
/// What is asked after each change.
const QUESTIONS: usize = 12;
/// Of all that, one part in so many where processors are emulated.
const SLOW_PART: usize = 6;
/// Disagreements that are known, with the beginning of what is said; each is explained in
/// `docs/guide/explain.md`.
const KNOWN: [&str; 0] = [];

/// Whether the machine is told to be slow.
fn is_slow() -> bool {
    patience(Duration::from_secs(1)) > Duration::from_secs(1)
}

#[test]
fn what_is_explained_is_what_a_real_packet_shows() {
    if Lab::new().lacks_nftables() {
        return;
    }
    let seed = Random::seed();
    let findings = Mutex::new(Vec::new());
    let counts = Mutex::new(Counts::default());
    std::thread::scope(|scope| {
        for host in 0..if is_slow() { 1 } else { HOSTS } {
            let (findings, counts) = (&findings, &counts);
            scope.spawn(move || {
                let (found, counted) = by_hand(seed, host);
                findings.lock().expect("no panic").extend(found);
                counts.lock().expect("no panic").add(counted);
            });
        }
        let (found, counted) = with_plugins(seed);
        findings.lock().expect("no panic").extend(found);
        counts.lock().expect("no panic").add(counted);
    });
    let (findings, counts) = (findings.into_inner().expect("no panic"), counts.into_inner());
    let counts = counts.expect("no panic");
    println!("explain: seed {seed}: {counts}");
    let is_known = |finding: &Finding| KNOWN.iter().any(|known| finding.said.contains(known));
    let (known, new): (Vec<Finding>, Vec<Finding>) = findings.into_iter().partition(is_known);
    for finding in known.iter().chain(&new) {
        println!("{finding}");
    }
    assert!(new.is_empty(), "{} disagreements, see above (seed {seed})", new.len());
    let is_whole = std::env::var_os("ROPEWALK_ROUND").is_none() && !is_slow();
    assert!(!is_whole || counts.compared >= 300, "too few cases: {counts}");
    // What is sure to stop and what is sure to pass must both come up.
    assert!(!is_whole || counts.passed > 60 && counts.stopped > 60, "{counts}");
}

/// Rounds on a host that was made with `ip`, `nft` and `iptables`.
fn by_hand(seed: u64, host: usize) -> (Vec<Finding>, Counts) {
    let lab = world::make(host);
    let only = std::env::var("ROPEWALK_ROUND").ok();
    let (mut findings, mut counts) = (Vec::new(), Counts::default());
    for round in 0..if is_slow() { ROUNDS.div_ceil(SLOW_PART) } else { ROUNDS } {
        let number = host * ROUNDS + round;
        if only.as_ref().is_some_and(|only| *only != number.to_string()) {
            continue;
        }
        let mut random = Random::new(seed.wrapping_mul(1000) + number as u64);
        let changes = world::change(&lab, changes::choose(&mut random, host));
        for _ in 0..QUESTIONS {
            let question = questions::choose(&mut random, host);
            let answer = questions::ask(&lab, &question, &world::names(host));
            if let Some(said) = counts.count(&question, &answer) {
                let script = changes.iter().map(|change| change.script.clone()).collect();
                findings.push(Finding { round: Some(number), question, script, said });
            }
        }
        world::restore(&lab, host, &changes);
    }
    (findings, counts)
}

/// Questions about a host whose containers were attached by plugins.
fn with_plugins(seed: u64) -> (Vec<Finding>, Counts) {
    let (mut findings, mut counts) = (Vec::new(), Counts::default());
    let lab = plugins::make();
    let mut random = Random::new(seed);
    let step = if is_slow() { SLOW_PART } else { 1 };
    for question in plugins::questions(&mut random).into_iter().step_by(step) {
        let answer = questions::ask(&lab, &question, plugins::NAMES);
        if let Some(said) = counts.count(&question, &answer) {
            findings.push(Finding { round: None, question, script: Vec::new(), said });
        }
    }
    (findings, counts)
}

fn run(lab: &Lab, arguments: &str) -> Outcome {
    lab.try_sh(&format!("{} {arguments}", command_path().display()))
}

#[test]
fn a_rule_that_drops_is_named_with_the_command_that_takes_it_away() {
    let lab = world::make(9);
    if lab.lacks_nftables() {
        return;
    }
    lab.sh("nft 'table inet fw { chain forward { type filter hook forward priority 0;
            tcp dport 80 accept comment \"web\"; ip daddr 192.0.2.2 drop; }; }'");
    let outcome = run(&lab, "explain c1w9 outw9 81/tcp --only c1w9 --only outw9");
    assert_eq!(outcome.code, 6, "{outcome}");
    for line in [
        "✗ it does not arrive: in host, at forward",
        "rule 2 of inet fw forward says drop",
        "ip daddr 192.0.2.2 drop",
        "inet fw forward, rule 2",
        "nft -a list chain inet fw forward",
        "nft delete rule inet fw forward handle ",
    ] {
        assert!(outcome.stdout.contains(line), "{line}: {outcome}");
    }
    // The command it names helps.
    let change = outcome.stdout.lines().find_map(|line| line.trim().strip_prefix("change"));
    lab.sh(change.expect("a command").trim());
    let outcome = run(&lab, "explain c1w9 outw9 81/tcp --only c1w9 --only outw9 --probe");
    assert_eq!(outcome.code, 0, "{outcome}");
    assert!(outcome.stdout.contains("✓ it passes"), "{outcome}");
    assert!(outcome.stdout.contains("outw9 saw it come from 10.1.0.11, as explained"), "{outcome}");
}

#[test]
fn a_published_port_is_followed_to_its_container_and_back() {
    let lab = world::make(8);
    if lab.lacks_nftables() {
        return;
    }
    lab.sh("iptables-nft -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.1.0.12:80");
    let outcome = run(&lab, "explain outw8 192.0.2.1 8080 --only c2w8 --only outw8 --json");
    let answer = outcome.result();
    assert_eq!(answer["outcome"], "passes", "{outcome}");
    assert_eq!(answer["way"]["last"]["destination"], "10.1.0.12", "{outcome}");
    assert_eq!(answer["way"]["last"]["destinationPort"], 80, "{outcome}");
    assert_eq!(answer["way"]["end"]["kind"], "delivered", "{outcome}");
    assert_eq!(answer["back"]["last"]["source"], "192.0.2.1", "{outcome}");
    let steps = answer["way"]["steps"].as_array().expect("steps");
    let deed = steps.iter().find_map(|step| step["deeds"].get(0)).expect("a deed");
    assert_eq!(deed["action"], "dnat to 10.1.0.12:80", "{outcome}");
    assert_eq!(deed["rule"]["chain"], "PREROUTING", "{outcome}");
    assert_eq!(deed["rule"]["iptables"], true, "{outcome}");
}

#[test]
fn what_keeps_a_packet_is_named_with_the_sysctl_or_route() {
    let lab = world::make(7);
    lab.sh("echo 0 >/proc/sys/net/ipv4/ip_forward");
    let outcome = run(&lab, "explain c1w7 c3w7 --only c1w7 --only c3w7");
    assert!(outcome.stdout.contains("sysctl -w net.ipv4.ip_forward=1"), "{outcome}");
    lab.sh("echo 1 >/proc/sys/net/ipv4/ip_forward; ip -n c1w7 route del default");
    let outcome = run(&lab, "explain c1w7 c3w7 --only c1w7 --only c3w7");
    assert!(outcome.stdout.contains("there is no route to 10.2.0.13"), "{outcome}");
    let command = "nsenter --net=/run/netns/c1w7 ip route add 10.2.0.13 ";
    assert!(outcome.stdout.contains(command), "{outcome}");
    lab.sh("ip -n c1w7 route add default via 10.1.0.1; ip link set v3w7 down");
    let outcome = run(&lab, "explain c1w7 c3w7 --only c1w7 --only c3w7");
    assert_eq!(outcome.code, 6, "{outcome}");
}

#[test]
fn what_nobody_knows_is_refused_in_words() {
    let lab = world::make(6);
    let fails = |arguments: &str, code: i32, words: &str| {
        let outcome = run(&lab, arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{outcome}");
        assert!(outcome.stderr.contains(words), "{outcome}");
    };
    fails("explain nobody c1w6", 4, "failed to find \"nobody\"");
    fails("explain c1w6 /run/netns/none", 4, "failed to find \"/run/netns/none\"");
    fails("explain c1w6", 2, "<DST>");
    fails("explain c1w6 c2w6 80/sctp", 2, "\"sctp\" is not tcp or udp");
    fails("explain c1w6 c2w6 70000", 2, "is not a port");
    fails("explain 10.1.0.11 fd00:1::12", 4, "are of two versions of IP");
    fails("explain -4 -6 c1w6 c2w6", 2, "cannot be used with");
    // Two containers of one name on record are two that may be meant.
    let record = |network: &str, number: u8| {
        format!(
            r#"{{"kind":"cniCacheV1","containerId":"twin","config":"","ifName":"eth0",
                "networkName":"{network}","netns":"/run/netns/c{number}w6","result":{{}}}}"#
        )
    };
    for (network, number) in [("one", 1), ("two", 2)] {
        let path = format!("/var/lib/cni/results/{network}-twin-eth0");
        lab.write(&path, &record(network, number));
    }
    let outcome = run(&lab, "explain 192.0.2.77 host 80 --only c1w6");
    assert!(outcome.stdout.contains("192.0.2.77:* → 192.0.2.1:80"), "{outcome}");
    assert!(outcome.stdout.contains("enters by"), "{outcome}");
    fails("explain twin host", 4, "failed to tell what \"twin\" is");
    let outcome = run(&lab, "explain two/twin host --only c2w6");
    assert_eq!(outcome.code, 0, "{outcome}");
    assert!(outcome.stdout.contains("10.1.0.12"), "{outcome}");
}

#[test]
fn a_probe_leaves_nothing() {
    let lab = world::make(5);
    let state =
        "ip address; ip route show table all; ip rule; cat /proc/net/tcp /proc/net/udp | wc -l";
    let before = lab.sh(state);
    for what in ["80/tcp", "53/udp", ""] {
        let outcome = run(&lab, &format!("explain c1w5 host {what} --probe --only c1w5"));
        assert_eq!(outcome.code, 0, "{outcome}");
    }
    assert_eq!(lab.sh(state), before);
}

#[test]
fn vlans_ipvlans_and_filtering_bridges_are_followed() {
    let lab = Lab::new();
    let made = lab.try_sh(
        "set -e
         for name in a1 a2 i1 i2; do ip netns add $name; ip -n $name link set lo up; done
         ip link add va netns a1 type veth peer name vb netns a2
         for end in a1:va:1 a2:vb:2; do
             name=${end%%:*} rest=${end#*:}; link=${rest%:*} number=${end##*:}
             ip -n $name link set $link up
             ip -n $name link add $link.7 link $link type vlan id 7
             ip -n $name address add 10.7.0.$number/24 dev $link.7
             ip -n $name link set $link.7 up
         done
         ip link add base type veth peer name far
         ip link set base up; ip link set far up; ip address add 10.8.0.9/24 dev far
         for number in 1 2; do
             ip link add iv$number link base type ipvlan mode l2
             ip link set iv$number netns i$number name eth0
             ip -n i$number address add 10.8.0.$number/24 dev eth0
             ip -n i$number link set eth0 up
         done
         ip link add sw type bridge vlan_filtering 1
         ip link set sw up
         for number in 1 2 3; do
             ip netns add s$number
             ip link add p$number type veth peer name eth0 netns s$number
             ip link set p$number master sw up
             ip -n s$number address add 10.6.0.$number/24 dev eth0
             ip -n s$number link set eth0 up
         done
         bridge vlan add dev p3 vid 30 pvid untagged
         bridge vlan del dev p3 vid 1",
    );
    if made.code != 0 {
        lab.not_here("vlan, ipvlan or bridge VLAN filtering");
        return;
    }
    lab.wait_until("ports forward", || {
        lab.sh("bridge link").lines().filter(|line| line.contains("state forwarding")).count() == 3
    });
    let only = "--only a1 --only a2 --only i1 --only i2 --only s1 --only s2 --only s3";
    for (ends, code) in [
        ("a1 a2 80", 0),
        ("a1 a2", 0),
        ("i1 i2 80", 0),
        ("i1 10.8.0.9 80", 0),
        ("s1 s2 80", 0),
        ("s1 s3 80", 6),
        ("s1 10.6.0.99", 6),
    ] {
        let outcome = run(&lab, &format!("explain {ends} --probe --deadline 2 {only}"));
        assert_eq!(outcome.code, code, "{outcome}");
        assert!(outcome.stdout.contains(", as explained"), "{outcome}");
    }
}
