//! The fast path of bridges. The reference plugins have no such thing.
//!
//! What goes past the bridge is told from what does not by rules for the bridge's frames: a rule
//! that drops TCP there concerns only what takes the slow way.

use ropewalk_e2e::chain::packets::{Server, passes, tcp_source};
use ropewalk_e2e::chain::{Chain, bridge, chained, lab_with_outside, portmap};
use ropewalk_e2e::{Lab, Plugin, Value, json};

const FIRST: Server<'_> = Server("c1", 80);
const SECOND: Server<'_> = Server("c2", 80);
const SCRIPT: &str = include_str!("fast_path/bpf.py");
const NOT_KNOWN: &str = "it does not know the key";

/// A host on which a fast path is possible; nothing where this kernel or build has none.
fn lab() -> Option<Lab> {
    let lab = lab_with_outside();
    if lab.reference_fails(NOT_KNOWN) {
        return None;
    }
    filter_bridged(&lab, 0);
    lab.write("/run/lab/bpf.py", SCRIPT);
    lab.netns("probe");
    let probe = fast(&lab).on("probe").key("name", &json!("probe")).key("bridge", &json!("probe0"));
    let outcome = probe.add();
    if outcome.code != 0 {
        let message = outcome.invalid_config();
        let is_missing = message.contains("no eBPF");
        assert!(is_missing, "refused for another reason: {message}");
        lab.not_here(&message);
        return None;
    }
    probe.del(&outcome.result()).silent();
    lab.sh("ip link del probe0; ip netns del probe");
    Some(lab)
}

/// Says whether packets that stay on a bridge pass iptables.
fn filter_bridged(lab: &Lab, is_on: u8) {
    for family in ["", "6"] {
        let path = format!("/proc/sys/net/bridge/bridge-nf-call-ip{family}tables");
        lab.sh(&format!("test ! -e {path} || echo {is_on} >{path}"));
    }
}

/// The dual-stack bridge of `c1`, with a fast path.
fn fast(lab: &Lab) -> Plugin<'_> {
    bridge(lab).key("fastPath", &json!("ebpf"))
}

fn bpf(lab: &Lab, words: &str) -> Vec<String> {
    lab.sh(&format!("python3 /run/lab/bpf.py {words}")).lines().map(str::to_owned).collect()
}

fn host_end(result: &Value) -> String {
    result["interfaces"][1]["name"].as_str().expect("a name").to_owned()
}

/// Lets the bridge drop what an expression of nftables matches.
fn drop_on_bridge(lab: &Lab, expression: &str) {
    lab.sh(&format!(
        "nft 'table bridge test {{
             chain forward {{ type filter hook forward priority 0; {expression} drop; }}
         }}'"
    ));
}

#[test]
fn containers_reach_each_other_past_the_bridge() {
    let Some(lab) = lab() else { return };
    let first = fast(&lab);
    let second = first.clone().on("c2");
    let results = [&first, &second].map(|plugin| plugin.add().result());
    drop_on_bridge(&lab, "meta l4proto { tcp, udp }");
    for (from, to) in [("10.1.2.2", "10.1.2.3"), ("fd00:1::2", "[fd00:1::3]")] {
        let source = tcp_source(&lab, "c1", &format!("{to}:80"), SECOND);
        assert_eq!(source, from.parse().ok(), "the source is the container's own");
    }
    passes(&lab, "c2", "10.1.2.2:80", FIRST, true);
    // What is in pieces is so, too: nobody looks behind the MAC.
    lab.sh_in("c1", "ping -q -c 1 -w 5 -s 4000 10.1.2.3");
    for (plugin, result) in [&first, &second].into_iter().zip(&results) {
        plugin.check(result).silent();
        assert_eq!(bpf(&lab, &format!("programs {}", host_end(result))).len(), 1);
    }
    assert_eq!(bpf(&lab, "elements cni0").len(), 2);
}

#[test]
fn everybody_else_is_reached_through_the_bridge() {
    let Some(lab) = lab() else { return };
    lab.netns("c3");
    let first = fast(&lab).key("ipMasq", &json!(true));
    first.add().result();
    let third = bridge(&lab).on("c3");
    third.add().result();
    passes(&lab, "c1", "10.1.2.3:80", Server("c3", 80), true);
    passes(&lab, "c3", "[fd00:1::2]:80", FIRST, true);
    passes(&lab, "c1", "10.1.2.1:80", Server("host", 80), true);
    passes(&lab, "c1", "[fd00:1::1]:80", Server("host", 80), true);
    let masqueraded = lab.source_seen("c1", "outer", "10.99.0.2:80");
    assert_eq!(masqueraded, "10.99.0.1".parse().ok());
    drop_on_bridge(&lab, "meta l4proto tcp");
    passes(&lab, "c1", "10.1.2.3:81", Server("c3", 81), false);
}

#[test]
fn published_ports_are_reached_from_both_sides_of_them() {
    let Some(lab) = lab() else { return };
    let mappings = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }]);
    let first = Chain(vec![fast(&lab), portmap(&lab, &json!([]), &json!({}))]);
    let second = Chain(vec![fast(&lab), portmap(&lab, &mappings, &json!({}))]).on("c2");
    let results = [&first, &second].map(Chain::add);
    for from in ["c1", "c2"] {
        passes(&lab, from, "10.1.2.1:8080", SECOND, true);
        passes(&lab, from, "10.99.0.1:8080", SECOND, true);
    }
    passes(&lab, "outer", "10.99.0.1:8080", SECOND, true);
    for (chain, result) in [&first, &second].into_iter().zip(&results) {
        chain.check(result);
        chain.del(result);
    }
}

#[test]
fn check_notices_what_is_missing_of_it() {
    let Some(lab) = lab() else { return };
    let plugin = fast(&lab);
    for (damage, expected) in [
        ("remove cni0", "listed is false"),
        ("detach cni0", "attached is false"),
        ("detach HOST", "attached is false"),
    ] {
        let result = plugin.add().result();
        plugin.check(&result).silent();
        bpf(&lab, &damage.replace("HOST", &host_end(&result)));
        let message = plugin.check(&result).failure();
        assert!(message.contains("fast path of"), "{damage}: {message}");
        assert!(message.contains(expected), "{damage}: {message}");
        plugin.del(&result).silent();
    }
    let result = plugin.add().result();
    filter_bridged(&lab, 1);
    assert!(plugin.check(&result).invalid_config().contains("br_netfilter"));
}

#[test]
fn nothing_of_it_is_left_however_a_container_goes() {
    let Some(lab) = lab() else { return };
    let plugin = fast(&lab);
    let before = lab.settled(&plugin);
    let result = plugin.add().result();
    assert_eq!(bpf(&lab, "elements cni0").len(), 1);
    plugin.del(&result).silent();
    assert_eq!(bpf(&lab, "elements cni0"), [""; 0], "after DEL");
    plugin.add().result();
    plugin.del_without_result().silent();
    assert_eq!(bpf(&lab, "elements cni0"), [""; 0], "after DEL without a result");
    plugin.add().result();
    plugin.clone().key("cniVersion", &json!("1.1.0")).gc(&[]).silent();
    assert_eq!(bpf(&lab, "elements cni0"), [""; 0], "after GC");
    lab.nothing_left(&before);
    plugin.add().result();
    lab.sh("ip netns del c1");
    let is_empty = || bpf(&lab, "elements cni0").is_empty();
    lab.wait_until("the element goes with the container's namespace", is_empty);
}

#[test]
fn one_that_is_killed_at_any_call_leaves_nothing() {
    let Some(lab) = lab() else { return };
    let before = lab.settled(&fast(&lab));
    let script = "exec strace -qq -o /run/lab/calls -e inject=$KILL_AT /run/lab/plugins/bridge";
    lab.delegate("bridge", script);
    let mut kills = 0;
    let moments = ["bpf", "sendto"].into_iter().flat_map(|call| (1..40).map(move |n| (call, n)));
    let mut has_ended = "";
    for (call, number) in moments {
        let victim = fast(&lab).program("/run/lab/delegates/bridge");
        let at = format!("{call}:signal=KILL:when={number}");
        if has_ended == call {
            continue;
        }
        if victim.variable("KILL_AT", &at).add().code == 0 {
            has_ended = call;
        } else {
            kills += 1;
        }
        fast(&lab).del_without_result().silent();
        assert_eq!(bpf(&lab, "elements cni0"), [""; 0], "killed at {at}");
        lab.nothing_left(&before);
    }
    assert!(kills > 10, "there are more than {kills} calls");
}

#[test]
fn bridges_stay_apart() {
    let Some(lab) = lab() else { return };
    let result = fast(&lab).add().result();
    let other = fast(&lab).on("c2").key("bridge", &json!("other0")).key("name", &json!("other"));
    let there = other.add().result();
    let programs = ["cni0", "other0"].map(|name| bpf(&lab, &format!("programs {name}")));
    assert!(programs[0].len() == 1 && programs[1].len() == 1 && programs[0] != programs[1]);
    let mac = there["interfaces"][2]["mac"].as_str().expect("a MAC");
    assert!(mac.starts_with("0e:72:"), "{mac}");
    // The other's MAC is known, but on this bridge nobody has it.
    lab.sh_in("c1", &format!("ip neigh replace 10.1.2.77 lladdr {mac} dev eth0"));
    lab.sh_in("c2", "ip address add 10.1.2.77/24 dev eth0");
    passes(&lab, "c1", "10.1.2.77:80", SECOND, false);
    assert_eq!(bpf(&lab, &format!("programs {}", host_end(&result))), programs[0]);
}

#[test]
fn containers_that_come_at_once_share_one() {
    let Some(lab) = lab() else { return };
    let names: Vec<String> = (0..8).map(|number| format!("n{number}")).collect();
    for name in &names {
        lab.netns(name);
    }
    let started: Vec<_> =
        names.iter().map(|name| fast(&lab).on(name).command("ADD").start()).collect();
    let ends: Vec<_> = started.into_iter().map(|one| host_end(&one.finish().result())).collect();
    let programs = bpf(&lab, "programs cni0");
    assert_eq!(programs.len(), 1);
    for end in ends {
        assert_eq!(bpf(&lab, &format!("programs {end}")), programs);
    }
    assert_eq!(bpf(&lab, "elements cni0").len(), 8);
}

#[test]
fn what_it_would_bypass_is_refused() {
    let Some(lab) = lab() else { return };
    let before = lab.settled(&fast(&lab));
    for (key, value) in [
        ("vlan", json!(7)),
        ("vlanTrunk", json!([{ "id": 7 }])),
        ("macspoofchk", json!(true)),
        ("portIsolation", json!(true)),
    ] {
        let message = fast(&lab).key(key, &value).add().invalid_config();
        assert_eq!(message, format!("{key} cannot be used with fastPath, which it would not see"));
    }
    let asked = fast(&lab).key("runtimeConfig", &json!({ "mac": "02:00:00:00:00:07" }));
    let message = asked.add().invalid_config();
    assert!(message.starts_with("fastPath gives the interface a MAC of its own"), "{message}");
    for (name, keys, words) in [
        ("bandwidth", json!({ "ingressRate": 8000, "ingressBurst": 8000 }), "bandwidth would"),
        ("firewall", json!({ "ingressPolicy": "isolated" }), "ingressPolicy \"isolated\" would"),
    ] {
        let chain = Chain(vec![fast(&lab), chained(&lab, name, &keys)]);
        let (result, failure) = chain.try_add();
        let message = failure.expect("it is refused").invalid_config();
        assert!(message.starts_with(words) && message.contains("fast path of"), "{message}");
        chain.del(&result.expect("the bridge was made"));
    }
    lab.sh("ip link set cni0 type bridge nf_call_ip6tables 1");
    assert!(fast(&lab).add().invalid_config().contains("nf_call_ip6tables is on"));
    lab.sh("ip link set cni0 type bridge nf_call_ip6tables 0");
    let routed = fast(&lab).program(&format!("{}/ptp", lab.plugin_directory()));
    let message = routed.key("type", &json!("ptp")).add().invalid_config();
    assert!(message.starts_with("fastPath: what containers of ptp send"), "{message}");
    filter_bridged(&lab, 1);
    let message = fast(&lab).add().invalid_config();
    assert!(message.contains("passes packets through iptables (br_netfilter)"), "{message}");
    lab.nothing_left(&before);
}
