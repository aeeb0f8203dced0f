//! SQ: the program with `sql` in it is all plugins: an interface plugin asks `sql` in its own process,
//! while it makes the link.

use ropewalk_e2e::{Lab, Plugin, Value, json};

use super::{books::kept_ipam, file::Books};

const FILE: &str = "sqlite:///var/lib/ropewalk/ipam.db";

fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.use_larger_program("sql");
    lab.netns("c1");
    lab
}

/// A bridge whose addresses are from this database and these pools.
fn bridge<'lab>(lab: &'lab Lab, database: &str, pools: &Value) -> Plugin<'lab> {
    let ipam = kept_ipam(database, &json!({ "pools": pools }));
    let config = json!({ "cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0",
                         "isDefaultGateway": true, "ipam": ipam });
    lab.plugin("bridge").on("c1").config(config)
}

fn subnet() -> Value {
    json!([{ "subnet": "10.0.0.0/24" }])
}

#[test]
fn sq_28_no_other_program_is_started() {
    let lab = lab();
    lab.sh("rm /run/lab/larger/sql; ln /run/lab/larger/bridge /run/lab/larger/sql");
    let plugin = bridge(&lab, FILE, &subnet());
    let strace = ["strace", "-f", "-qq", "-e", "trace=execve", "-o", "/run/lab/trace"];
    let result = plugin.clone().by(&strace).add().result();
    let trace = lab.sh("cat /run/lab/trace");
    assert_eq!(trace.matches("execve(").count(), 1, "{trace}");
    assert_eq!(result["ips"][0]["address"], "10.0.0.2/24");
    assert!(lab.sh("ip -n c1 -4 -o address show eth0").contains("10.0.0.2/24"));
    assert!(lab.sh("ip -n c1 route").contains("default via 10.0.0.1 dev eth0"));
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    assert_eq!(Books::of_file(&lab).held(), [""; 0]);
}

#[test]
fn sq_29_a_second_add_changes_nothing() {
    let lab = lab();
    let result = bridge(&lab, FILE, &subnet()).add().result();
    // Had it claimed before it was refused, giving back would have taken the first one's lease.
    let more = json!([{ "subnet": "10.0.0.0/24" }, { "subnet": "10.9.0.0/24", "group": "b" }]);
    bridge(&lab, FILE, &more).add().failure();
    assert_eq!(Books::of_file(&lab).held(), ["10.0.0.2 c1"]);
    bridge(&lab, FILE, &subnet()).check(&result).silent();
}

#[test]
fn sq_30_what_fails_before_the_link_takes_no_address() {
    let lab = lab();
    let plugin = bridge(&lab, FILE, &subnet());
    plugin.clone().netns("/run/netns/nobody").add().failure();
    lab.sh("ip link add br0 type veth peer name other");
    plugin.add().failure();
    assert_eq!(Books::of_file(&lab).held(), [""; 0]);
}

#[test]
fn sq_31_a_link_that_fails_gives_its_address_back() {
    let lab = lab();
    let plugin = bridge(&lab, FILE, &subnet());
    lab.netns("c0");
    plugin.clone().on("c0").add().result();
    let before = lab.snapshot();
    // The second message is the one that makes the pair.
    let inject = "inject=sendto:error=ENOBUFS:when=2";
    let strace = ["strace", "-f", "-qq", "-e", inject, "-o", "/run/lab/trace"];
    let failure = plugin.by(&strace).add().failure();
    assert!(failure.starts_with("failed to make veth pair: "), "{failure}");
    assert_eq!(Books::of_file(&lab).held(), ["10.0.0.2 c0"]);
    lab.nothing_left(&before);
}

#[test]
fn sq_32_without_an_address_no_link_stays() {
    let lab = lab();
    let plugin = bridge(&lab, FILE, &json!([{ "subnet": "10.0.0.0/30" }]));
    lab.netns("c0");
    plugin.clone().on("c0").add().result();
    let before = lab.snapshot();
    let exhausted = "failed to allocate: no IP addresses available in pool: 10.0.0.1-10.0.0.2";
    assert_eq!(plugin.add().failure(), exhausted);
    lab.nothing_left(&before);
    assert!(!lab.has_link("c1", "eth0"));
    let nowhere = bridge(&lab, "postgres://127.0.0.1:1/ipam", &subnet());
    assert_eq!(nowhere.add().code, 1);
    lab.nothing_left(&before);
}

#[test]
fn sq_33_gc_leaves_what_is_newer_than_the_list() {
    let lab = lab();
    let plugin = bridge(&lab, FILE, &subnet());
    let result = plugin.clone().add().result();
    plugin.clone().key("cni.dev/valid-attachments-time", &json!(1000)).gc(&[]).silent();
    plugin.check(&result).silent();
    assert_eq!(Books::of_file(&lab).held(), ["10.0.0.2 c1"]);
    plugin.gc(&[]).silent();
    assert!(!lab.has_link("c1", "eth0"));
    assert_eq!(Books::of_file(&lab).held(), [""; 0]);
}
