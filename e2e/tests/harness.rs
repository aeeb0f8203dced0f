//! The harness itself: a laboratory is private, complete, and notices what is left behind.

use ropewalk_e2e::Lab;

#[test]
fn two_laboratories_do_not_see_each_other() {
    let (one, other) = (Lab::new(), Lab::new());
    one.netns("c1");
    one.sh("ip link add br0 type bridge");
    one.write("/var/lib/cni/networks/net/10.0.0.2", "c1\r\neth0");
    assert_eq!(one.list("/run/netns"), ["c1"]);
    assert_eq!(one.leases("net"), ["10.0.0.2"]);
    assert!(other.list("/run/netns").is_empty());
    assert!(other.leases("net").is_empty());
    assert_eq!(other.ip_json("link show").as_array().map(Vec::len), Some(1));
    assert!(std::fs::symlink_metadata("/run/netns/c1").is_err());
}

#[test]
fn a_laboratory_ends_with_its_holder() {
    let lab = Lab::new();
    let namespace = lab.outside("/run/netns");
    assert!(namespace.exists());
    drop(lab);
    assert!(!namespace.exists());
}

#[test]
fn what_is_left_behind_is_noticed_and_shared_things_are_not() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    let before = lab.snapshot();
    lab.sh("ip link add br0 type bridge
            nft add table inet shared
            nft 'add set inet shared addresses { type ipv4_addr; }'
            nft 'add chain inet shared post { type nat hook postrouting priority 100; }'
            nft add rule inet shared post ip saddr @addresses masquerade");
    lab.nothing_left(&before);
    let before = lab.snapshot();
    let leaks = [
        ("ip link add v0 type veth peer name v1", "ip link del v0"),
        (
            "nft add element inet shared addresses { 10.0.0.2 }",
            "nft flush set inet shared addresses",
        ),
        ("nft add chain inet shared leak", "nft delete chain inet shared leak"),
        ("iptables -t nat -N CNI-0123", "iptables -t nat -X CNI-0123"),
        ("iptables -A FORWARD -s 10.0.0.2 -j ACCEPT", "iptables -F FORWARD"),
        ("echo >/var/lib/cni/lease", "rm /var/lib/cni/lease"),
    ];
    for (leak, remedy) in leaks {
        lab.sh(leak);
        let difference = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            lab.nothing_left(&before);
        }));
        assert!(difference.is_err(), "should have been noticed: {leak}");
        lab.sh(remedy);
        lab.nothing_left(&before);
    }
}

#[test]
fn traffic_is_seen_where_it_arrives() {
    let lab = Lab::new();
    lab.outer_network("outer", &[("10.9.0.1/24", "10.9.0.2/24"), ("fd00:9::1/64", "fd00:9::2/64")]);
    lab.outer_network("other", &[("10.8.0.1/24", "10.8.0.2/24")]);
    lab.sh("ip -n other route add default via 10.8.0.1; echo 1 >/proc/sys/net/ipv4/ip_forward");
    assert!(lab.reaches("other", "10.9.0.1:9"));
    assert!(lab.does_not_reach("other", "10.9.0.2:9"), "outer has no way back");
    lab.sh("iptables -t nat -A POSTROUTING -s 10.8.0.2 -j MASQUERADE");
    let host = Some("10.9.0.1".parse().expect("an address"));
    assert_eq!(lab.source_seen("other", "outer", "10.9.0.2:80"), host);
    assert!(lab.reaches("outer", "[fd00:9::1]:9"));
}

#[test]
fn a_delegate_is_found_before_the_plugins_under_test() {
    let lab = Lab::new();
    let path = lab.delegate("bridge", "echo \"$CNI_COMMAND\"; cat; exit 3");
    let outcome = lab.sh(&format!("ls ${{0:+}}{}", path.split(':').next().expect("a directory")));
    assert_eq!(outcome, "bridge");
    assert!(path.ends_with(lab.plugin_directory()), "{path}");
}
