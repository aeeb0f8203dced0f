//! What users asked of cleaning up and never got: rows 1 and 3. GC does what it is for in every
//! plugin, and DEL needs neither namespace nor result.

use ropewalk_e2e::chain::{
    Chain, bridge, chain_rules, chained, forward_drop_by, lab_with_outside, portmap,
};
use ropewalk_e2e::{Lab, Snapshot, Value, json};

/// Ways in which the same chain is made: who filters and translates. What the firewall makes in
/// iptables tells an address and no owner, so GC cannot know whose it is; DEL can.
const VARIANTS: [&str; 4] = ["nftables", "iptables", "iptables behind nftables", "forward drop"];
const WITH_OWNER: [&str; 3] = [VARIANTS[0], VARIANTS[2], VARIANTS[3]];

/// Every plugin at once for `c1`, as this variant makes it; publishes this port.
fn everything<'lab>(lab: &'lab Lab, variant: &str, port: u16) -> Chain<'lab> {
    let name = if variant.starts_with("iptables") { "iptables" } else { "nftables" };
    let backend = json!({ "backend": name });
    let path = "/run/lab/tools:/usr/sbin:/usr/bin:/sbin:/bin";
    let mappings = json!([
        { "hostPort": port, "containerPort": 80, "protocol": "tcp" },
        { "hostPort": port, "containerPort": 53, "protocol": "udp" },
    ]);
    let bridge = bridge(lab).key("ipMasq", &json!(true)).key("ipMasqBackend", &json!(name));
    let sysctls = json!({ "net.ipv4.conf.IFNAME.arp_filter": "1" });
    let tuning = chained(lab, "tuning", &json!({ "mtu": 1400, "sysctl": sysctls }));
    let firewall = chained(lab, "firewall", &json!({ "ingressPolicy": "same-bridge" }));
    let firewall =
        if variant == "iptables" { firewall.key("backend", &json!(name)) } else { firewall };
    let bridge = bridge.key("macspoofchk", &json!(true));
    let plugins = vec![bridge, tuning, firewall, portmap(lab, &mappings, &backend)];
    Chain(plugins).map(|plugin| {
        let plugin = plugin.key("cniVersion", &json!("1.1.0"));
        if variant == "forward drop" { plugin.variable("PATH", path) } else { plugin }
    })
}

fn lab_for(variant: &str) -> Lab {
    let lab = lab_with_outside();
    if variant == "forward drop" {
        forward_drop_by(&lab, "nft");
    }
    lab
}

/// What is there when every kind of shared thing has been made.
fn settled(lab: &Lab, variant: &str) -> Snapshot {
    everything(lab, variant, 79).settled(lab)
}

#[track_caller]
fn gc(chain: &Chain<'_>, valid: &[(&str, &str)]) {
    for plugin in &chain.0 {
        plugin.gc(valid).silent();
    }
}

#[test]
fn row_01_gc_takes_what_belongs_to_nobody_from_every_plugin() {
    for variant in WITH_OWNER {
        let lab = lab_for(variant);
        if lab.reference_fails("its GC does nothing") {
            return;
        }
        let before = settled(&lab, variant);
        let first = everything(&lab, variant, 81);
        let second = everything(&lab, variant, 82).on("c2");
        let kept = first.add();
        let alone = lab.snapshot();
        second.add();
        lab.sh("ip netns del c2");
        gc(&first, &[("c1", "eth0")]);
        lab.nothing_left(&alone);
        first.check(&kept);
        gc(&first, &[]);
        lab.nothing_left(&before);
    }
}

#[test]
fn row_01_another_interface_of_a_valid_container_is_collected() {
    let lab = lab_with_outside();
    if lab.reference_fails("its GC does nothing") {
        return;
    }
    let chain = everything(&lab, "nftables", 81);
    let kept = chain.add();
    let alone = lab.snapshot();
    everything(&lab, "nftables", 82).map(|plugin| plugin.ifname("eth1")).add();
    gc(&chain, &[("c1", "eth0")]);
    lab.nothing_left(&alone);
    chain.check(&kept);
}

#[test]
fn row_01_null_and_an_empty_list_mean_none_and_no_list_means_nothing_is_known() {
    let lab = lab_with_outside();
    if lab.reference_fails("its GC does nothing") {
        return;
    }
    let before = settled(&lab, "nftables");
    let chain = everything(&lab, "nftables", 81);
    for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        for list in [json!(null), json!([])] {
            let result = chain.add();
            for plugin in &chain.0 {
                plugin.clone().command("GC").run().silent();
            }
            chain.check(&result);
            for plugin in &chain.0 {
                plugin.clone().command("GC").key(key, &list).run().silent();
            }
            lab.nothing_left(&before);
        }
    }
}

/// The moment this many seconds ago, as the key has it.
fn seconds_ago(lab: &Lab, seconds: u32) -> Value {
    lab.sh(&format!("date -d '{seconds} seconds ago' +%s%3N")).parse().expect("a number")
}

#[test]
fn row_01_gc_keeps_what_is_newer_than_the_list() {
    for variant in WITH_OWNER {
        let lab = lab_for(variant);
        if lab.reference_fails("its GC does nothing") {
            return;
        }
        everything(&lab, variant, 81).add();
        lab.sh("touch -d '1 hour ago' /var/lib/cni/networks/net/[1f]*");
        let second = everything(&lab, variant, 82).on("c2");
        let result = second.add();
        let as_of = |time: &Value| {
            for plugin in &second.0 {
                let gc = plugin.clone().command("GC").key("cni.dev/valid-attachments", &json!([]));
                gc.key("cni.dev/valid-attachments-time", time).run().silent();
            }
        };
        as_of(&seconds_ago(&lab, 600));
        second.check(&result);
        assert_eq!(lab.leases("net"), ["10.1.2.3", "fd00:1::3"], "the old one is gone");
        lab.wait_until("what it had in the packet filter is gone", || {
            !lab.sh("nft list ruleset; iptables-save").contains("net/c1/eth0")
        });
        assert!(!lab.has_link("c1", "eth0"));
        lab.sh("touch -d '1 hour ago' /var/lib/cni/networks/net/[1f]*");
        as_of(&seconds_ago(&lab, 600));
        assert!(lab.leases("net").is_empty());
    }
}

#[test]
fn row_01_the_age_is_that_of_the_leases_wherever_they_are() {
    let lab = lab_with_outside();
    if lab.reference_fails("its GC does nothing") {
        return;
    }
    let ipam = json!({ "type": "host-local", "subnet": "10.1.2.0/24", "dataDir": "/run/leases" });
    let bridge = bridge(&lab).key("cniVersion", &json!("1.1.0")).key("ipam", &ipam);
    bridge.add().result();
    let gc = bridge.clone().command("GC").key("cni.dev/valid-attachments", &json!([]));
    let key = "cni.dev/valid-attachments-time";
    gc.clone().key(key, &seconds_ago(&lab, 60)).run().silent();
    assert!(lab.has_link("c1", "eth0"));
    let text = gc.clone().key(key, &json!("yesterday")).run().invalid_config();
    assert!(text.contains("invalid list of valid attachments"), "{text}");
    assert!(lab.has_link("c1", "eth0"));
    gc.run().silent();
    assert!(!lab.has_link("c1", "eth0"));
    assert_eq!(lab.list("/run/leases/net"), ["last_reserved_ip.0", "lock"]);
}

#[test]
fn row_01_rules_that_name_an_address_only_stay_until_del() {
    let lab = lab_with_outside();
    if lab.reference_fails("its GC does nothing") {
        return;
    }
    let chain = everything(&lab, "iptables", 81);
    let result = chain.add();
    let rules = || chain_rules(&lab, "iptables", "filter", "CNI-FORWARD").len();
    assert_eq!(rules(), 3);
    gc(&chain, &[]);
    assert_eq!(rules(), 3);
    chain.del(&result);
    assert_eq!(rules(), 1);
}

#[test]
fn row_03_del_needs_no_namespace() {
    for variant in VARIANTS {
        let lab = lab_for(variant);
        if lab.reference_fails("it leaks rules, elements and files") {
            return;
        }
        let before = settled(&lab, variant);
        let chain = everything(&lab, variant, 81);
        let delete_all = |change: &dyn Fn(&str), with_result: bool| {
            let result = chain.add();
            change("c1");
            for _ in 0..2 {
                let nameless = chain.map(|plugin| plugin.without("CNI_NETNS"));
                let used = if lab.exists("/run/netns/c1") { &nameless } else { &chain };
                if with_result { used.del(&result) } else { used.del_without_result() }
            }
            lab.nothing_left(&before);
        };
        for with_result in [true, false] {
            // Not named; gone; a plain file, as a restart leaves it.
            delete_all(&|_| {}, with_result);
            delete_all(&|name| drop(lab.sh(&format!("ip netns del {name}"))), with_result);
            lab.netns("c1");
            delete_all(&|name| drop(lab.sh(&format!("umount /run/netns/{name}"))), with_result);
            lab.sh("rm -f /run/netns/c1");
            lab.netns("c1");
        }
    }
}
