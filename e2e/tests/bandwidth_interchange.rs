//! bandwidth and the packaged reference plugin in one place: both make the same, each is content
//! with what the other made, and deletes it.

mod clients {
    pub(crate) mod packaged;
}

use clients::packaged;
use ropewalk_e2e::chain::chained;
use ropewalk_e2e::{Lab, Plugin, Value, json};

/// One of the two plugins, for `eth0` of `c1`.
type Make = fn(&Lab) -> Plugin<'_>;

fn lab_with_pair() -> Lab {
    let lab = Lab::new();
    lab.netns("c1");
    for (host, inside) in [("host0", "eth0"), ("host1", "net1")] {
        lab.sh(&format!(
            "ip link add {host} type veth peer name {inside} netns c1
             ip link set {host} addrgenmode none up"
        ));
    }
    lab
}

fn previous(host: &str, inside: &str) -> Value {
    let inside = json!({ "name": inside, "sandbox": "/run/netns/c1" });
    json!({ "cniVersion": "1.0.0", "interfaces": [{ "name": host }, inside] })
}

/// Numbers that do not divide well.
fn rates() -> Value {
    json!({
        "ingressRate": 12_345_678, "ingressBurst": 7_654_321,
        "egressRate": 3_333_333_333_u64, "egressBurst": 99_999_999,
    })
}

fn ours(lab: &Lab) -> Plugin<'_> {
    chained(lab, "bandwidth", &rates())
}

#[track_caller]
fn theirs(lab: &Lab) -> Plugin<'_> {
    packaged::require_them();
    // A laboratory gives plugins by their names in the directory of those under test; the parent
    // of the root is the root.
    let name = format!("../../../../../../../../../..{}/bandwidth", packaged::DIRECTORY);
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "bandwidth" });
    let plugin = lab.plugin(&name).on("c1").config(config);
    let rates = rates();
    let keys = rates.as_object().into_iter().flatten();
    keys.fold(plugin, |plugin, (key, value)| plugin.key(key, value))
}

/// What `tc` shows, without counters and the numbers of actions.
fn shown(lab: &Lab) -> Vec<String> {
    let script = "for link in host0 $(ip -br link | grep -o '^bwp[0-9a-f]*'); do
                      tc -d qdisc show dev $link; tc filter show dev $link ingress
                  done";
    let text = lab.sh(script);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    // The reference plugin's second action is never reached, and its class does not exist.
    let lines = lines.filter(|line| !line.starts_with("index") && !line.contains("order 2: "));
    lines.map(|line| line.replace("*flowid 1:1", "flowid").replace(" terminal", "")).collect()
}

#[test]
fn both_make_the_same() {
    let made = |plugin: Make| {
        let lab = lab_with_pair();
        let result = plugin(&lab).previous(&previous("host0", "eth0")).add().result();
        let names: Vec<Value> = (0..3).map(|at| result["interfaces"][at]["name"].clone()).collect();
        (names, shown(&lab))
    };
    assert_eq!(made(ours), made(theirs));
}

#[test]
fn each_is_content_with_what_the_other_made_and_deletes_it() {
    let pairs: [(Make, Make); 2] = [(ours, theirs), (theirs, ours)];
    for (adds, deletes) in pairs {
        let lab = lab_with_pair();
        let before = lab.snapshot();
        let result = adds(&lab).previous(&previous("host0", "eth0")).add().result();
        deletes(&lab).check(&result).silent();
        deletes(&lab).del(&result).silent();
        lab.nothing_left(&before);
        lab.try_sh("tc qdisc del dev host0 root; tc qdisc del dev host0 ingress");
        adds(&lab).previous(&previous("host0", "eth0")).add().result();
        lab.sh("ip netns del c1");
        deletes(&lab).del_without_result().silent();
        let left = lab.sh("ip -br link");
        assert!(!left.contains("bwp"), "{left}");
    }
}

#[test]
fn of_another_interface_the_result_tells_what_the_reference_plugin_made() {
    let lab = lab_with_pair();
    let before = lab.snapshot();
    let theirs = theirs(&lab).ifname("net1");
    let ours = ours(&lab).ifname("net1");
    let result = theirs.previous(&previous("host1", "net1")).add().result();
    // The link could be another interface's, so that its name alone is not enough.
    ours.del_without_result().silent();
    let name = result["interfaces"][2]["name"].as_str().expect("a name");
    lab.ip_json(&format!("link show dev {name}"));
    ours.del(&result).silent();
    lab.nothing_left(&before);
}

#[test]
fn del_of_another_interface_does_not_take_the_link_of_eth0() {
    let lab = lab_with_pair();
    let first = ours(&lab);
    let first_result = first.clone().previous(&previous("host0", "eth0")).add().result();
    let second = ours(&lab).ifname("net1");
    let second_result = second.clone().previous(&previous("host1", "net1")).add().result();
    for _ in 0..2 {
        second.del(&second_result).silent();
        second.del_without_result().silent();
    }
    first.check(&first_result).silent();
}
