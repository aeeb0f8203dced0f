//! `ropewalk topology` against what `ip`, `bridge`, `tc`, `nft` and `iptables-save` say of the
//! same namespaces, object by object.
//!
//! It must never look at more of the machine than its own hosts: all others come and go.

mod topology {
    pub(crate) mod compare;
    mod iptables;
    pub(crate) mod legacy;
    pub(crate) mod ours;
    pub(crate) mod theirs;
}

use ropewalk_e2e::{Lab, Value};
use topology::compare;

/// The namespaces that are made here.
const NAMES: &str = "c1 c2 c3 m1 3f2a11bb77cc";

fn command(lab: &Lab, arguments: &str) -> String {
    compare::command(lab, arguments, NAMES)
}

#[track_caller]
fn same(lab: &Lab, path: &str) {
    compare::same(lab, path, NAMES);
}

/// A host with what people make by hand.
const BY_HAND: &str = r#"
ip link add br0 type bridge
ip address add 10.1.0.1/24 dev br0
ip address add fd00:1::1/64 dev br0 nodad
ip link set br0 up
for number in 1 2 3; do
    ip netns add c$number
    ip link add v$number mtu 1400 type veth peer name eth0 mtu 1400 netns c$number
    ip link set v$number master br0 up alias "of c$number"
    ip -n c$number link set lo up
    ip -n c$number link set eth0 up
    ip -n c$number address add 10.1.0.1$number/24 dev eth0
    ip -n c$number route add default via 10.1.0.1 metric 50
done
bridge link set dev v2 hairpin on isolated on
ip link add vx0 type vxlan id 42 remote 10.9.0.2 local 10.1.0.1 dstport 4789
ip link set vx0 master br0 up
bridge fdb append 02:00:00:00:00:09 dev vx0 dst 10.9.0.9 self
ip netns add m1
ip link add mv0 link br0 netns m1 type macvlan mode bridge
ip -n m1 link set mv0 up
ip tuntap add tap0 mode tap
ip link add near type veth peer name far
ip link set near up
ip address add 10.3.0.1 peer 10.3.0.2/32 dev near
ip route add 10.4.0.0/16 nexthop via 10.1.0.12 weight 2 nexthop dev near
ip route add unreachable 10.5.0.0/16 metric 7
ip route add 10.99.0.0/16 via 10.1.0.11 table 100 src 10.1.0.1 mtu 1300
ip rule add from 10.1.0.0/24 lookup 100 pref 1000
ip rule add fwmark 0x10/0xf0 iif br0 lookup 200 pref 1001
ip -6 rule add to fd00:9::/64 ipproto tcp dport 80-90 lookup 200 pref 1002
ip neighbour add 10.1.0.77 lladdr 02:00:00:00:00:77 dev br0
ip neighbour add proxy 10.1.0.78 dev br0
tc qdisc add dev v1 root tbf rate 10mbit burst 32kb latency 50ms
tc qdisc add dev v3 ingress
nft -f - <<'END'
table inet by-hand {
    set ports { type inet_service; flags interval; elements = { 80, 8000-8099 } }
    map ways { type ipv4_addr : verdict; elements = { 10.0.0.1 : jump inner } }
    chain inner { tcp dport @ports counter accept comment "ours"; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ip saddr vmap @ways
        iifname "br0" ip daddr != 10.0.0.0/8 tcp dport { 22, 443 } limit rate 5/second reject
    }
    chain after { type nat hook postrouting priority srcnat; ip saddr 10.1.0.0/24 masquerade; }
}
table bridge by-hand { chain input { type filter hook input priority 0; ether type arp accept; }; }
END
iptables-nft -t nat -A POSTROUTING -s 10.1.0.0/24 ! -o br0 -m comment --comment mine -j MASQUERADE
iptables-nft -A FORWARD -p tcp -m multiport --dports 1,2,3 -m statistic --mode random --probability 0.5 -j DROP
nsenter --net=/run/netns/c2 nft add table ip inside
"#;

#[test]
fn everything_made_by_hand_is_what_the_other_programs_say() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    lab.sh(BY_HAND);
    lab.sh("ping -c 1 -w 2 10.1.0.12");
    for path in ["/proc/self/ns/net", "/run/netns/c1", "/run/netns/c2", "/run/netns/m1"] {
        same(&lab, path);
    }
}

/// What Docker makes: a bridge, a namespace that is mounted in its own place, iptables.
const AS_DOCKER: &str = "
mkdir -p /run/docker/netns
touch /run/docker/netns/3f2a11bb77cc
ip link add docker0 type bridge
ip address add 172.17.0.1/16 dev docker0
ip link set docker0 up
unshare --net=/run/docker/netns/3f2a11bb77cc true
ip link add vethdock type veth peer name dockend
ip link set dockend netns /run/docker/netns/3f2a11bb77cc
nsenter --net=/run/docker/netns/3f2a11bb77cc ip link set dockend name eth0 up
ip link set vethdock master docker0 up
iptables-nft -t nat -N DOCKER
iptables-nft -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables-nft -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
iptables-nft -t nat -A DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
iptables-nft -N DOCKER-USER
iptables-nft -A FORWARD -j DOCKER-USER
iptables-nft -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
";

#[test]
fn what_docker_would_make_is_what_the_other_programs_say() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    lab.sh(AS_DOCKER);
    same(&lab, "/proc/self/ns/net");
    same(&lab, "/run/docker/netns/3f2a11bb77cc");
    let tree = command(&lab, "");
    assert!(tree.contains("vethdock  ⇄ eth0 in 3f2a11bb77cc"), "{tree}");
}

#[test]
fn pairs_and_parents_are_found_across_namespaces() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    lab.sh(BY_HAND);
    let document: Value = command(&lab, "--json").parse().expect("JSON");
    let place = |path: &str, link: &str| {
        let inode = lab.sh(&format!("stat -Lc %i {path}"));
        let index =
            lab.sh(&format!("nsenter --net={path} ip -j link show dev {link} | jq '.[0].ifindex'"));
        format!("{inode}/{index}")
    };
    let end = |end: &Value| format!("{}/{}", end["namespace"], end["link"]);
    let relations: Vec<(String, String, String)> = document["relations"]
        .as_array()
        .expect("relations")
        .iter()
        .map(|one| (end(&one["from"]), one["kind"].as_str().unwrap().into(), end(&one["to"])))
        .collect();
    let are = |from: &str, kind: &str, to: &str| {
        relations.iter().any(|one| {
            let ends = (one.0.as_str(), one.2.as_str());
            one.1 == kind && (ends == (from, to) || kind == "peer" && ends == (to, from))
        })
    };
    let here = "/proc/self/ns/net";
    for number in 1..=3 {
        let near = place(here, &format!("v{number}"));
        let far = place(&format!("/run/netns/c{number}"), "eth0");
        assert!(are(&near, "peer", &far), "{near} {far}: {relations:?}");
        assert!(are(&near, "port", &place(here, "br0")), "{relations:?}");
    }
    assert!(are(&place(here, "near"), "peer", &place(here, "far")));
    assert!(are(&place("/run/netns/m1", "mv0"), "upper", &place(here, "br0")));
}

#[test]
fn the_drawings_show_every_container() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    lab.sh(BY_HAND);
    let tree = command(&lab, "");
    for number in 1..=3 {
        assert!(tree.contains(&format!("⇄ eth0 in c{number}")), "{tree}");
        assert!(tree.contains(&format!("10.1.0.1{number}/24")), "{tree}");
    }
    assert!(tree.starts_with("host\n├─ br0"), "{tree}");
    assert!(tree.contains("inet by-hand (5 rules, "), "{tree}");
    assert!(command(&lab, "--dot").starts_with("graph network {"));
    let svg = command(&lab, "--svg");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{svg}");
    assert!(svg.contains(">c1</text>"), "{svg}");
}

#[test]
fn looking_changes_nothing() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    lab.sh(BY_HAND);
    // Counters, ages and timers move by themselves, and so do states until all links are up.
    let state = "ip address; ip route show table all; ip rule; bridge fdb; ls /run/netns; \
                 nft list ruleset | sed 's/packets.*bytes [0-9]*//'; cut -d' ' -f1 /proc/modules || true";
    let settled = || {
        let mut last = lab.sh(state);
        lab.wait_until("nothing changes", || {
            let now = lab.sh(state);
            let is_same = now == last;
            last = now;
            is_same
        });
        last
    };
    lab.wait_until("links have their addresses", || {
        lab.try_sh("ip -6 address show tentative").stdout.is_empty()
    });
    let before = settled();
    command(&lab, "--json --connections");
    assert_eq!(settled(), before);
}

/// What is rarer; a kernel need not have all.
const RARER: &str = r#"
try() { "$@" || true; }
ip link add v0 type veth peer name v1
ip link set v0 up && ip link set v1 up
ip address add 10.0.0.1/24 dev v0
ip nexthop add id 1 via 10.0.0.2 dev v0
ip nexthop add id 2 via 10.0.0.3 dev v0
ip nexthop add id 3 blackhole
ip nexthop add id 10 group 1,4/2
ip route add 10.9.0.0/16 nhid 10
tc qdisc add dev v0 root handle 1: htb default 10
tc class add dev v0 parent 1: classid 1:1 htb rate 10mbit
tc class add dev v0 parent 1:1 classid 1:10 htb rate 1mbit
tc filter add dev v0 parent 1: protocol ip prio 5 u32 match ip dst 10.0.0.7/32 flowid 1:10
tc filter add dev v0 parent 1:1 protocol ip prio 8 u32 match ip dst 10.0.0.8/32 flowid 1:10
try tc filter add dev v0 parent 1: protocol ipv6 prio 6 matchall flowid 1:10
try tc qdisc add dev v1 clsact
try tc filter add dev v1 ingress protocol all prio 1 matchall action drop
try tc filter add dev v1 egress protocol ip chain 3 prio 7 u32 match u32 0 0
try tc qdisc add dev lo ingress
try tc filter add dev lo parent ffff: protocol arp prio 2 u32 match u32 0 0
nft add table inet t
nft add counter inet t c1 '{ packets 3 bytes 4; comment "mine" ; }'
nft add quota inet t q1 '{ over 25 mbytes ; }'
nft add quota inet t q2 '{ 100 bytes used 4 bytes ; }'
nft add limit inet t l1 '{ rate 5/second burst 7 packets ; }'
nft add limit inet t l2 '{ rate over 10 mbytes/minute ; }'
try nft add ct helper inet t h1 '{ type "ftp" protocol tcp; }'
try nft add ct timeout inet t to '{ protocol tcp; l3proto ip; policy = { established: 123 } ; }'
try nft add ct expectation inet t e '{ protocol tcp; dport 9999; timeout 2m; size 8; l3proto ip; }'
try nft add synproxy inet t sp '{ mss 1400; wscale 7; }'
nft add chain inet t c
try nft add rule inet t c tcp dport 1 counter name c1
"#;

#[test]
fn objects_queues_and_next_hops_are_what_the_other_programs_say() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    lab.sh(RARER);
    same(&lab, "/proc/self/ns/net");
    let tree = command(&lab, "");
    assert!(tree.contains("htb at v0 (2 classes, "), "{tree}");
    assert!(tree.contains("4 next hops"), "{tree}");
    assert!(tree.contains("inet t (") && tree.contains(" objects"), "{tree}");
}

#[test]
fn flow_tables_are_what_nft_says() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    lab.sh("ip link add v0 type veth peer name v1 && nft add table inet t");
    let made = lab.try_sh(
        "nft add flowtable inet t f '{ hook ingress priority 5; devices = { v0, v1 }; counter; }'",
    );
    if made.code != 0 {
        lab.not_here("flow tables of nftables");
        return;
    }
    same(&lab, "/proc/self/ns/net");
    let said = compare::namespace(&lab, "/proc/self/ns/net", NAMES);
    let devices = said["tables"][0]["flowTables"][0]["devices"].as_array();
    assert_eq!(devices.map(Vec::len), Some(2));
}

#[test]
fn links_of_all_kinds_are_what_the_other_programs_say() {
    let lab = Lab::new();
    let made = lab.try_sh(
        "set -e
         ip link add base type dummy && ip link set base up
         ip link add base.7 link base type vlan id 7 && ip link set base.7 up
         ip link add ipv0 link base type ipvlan mode l3
         ip link add red type vrf table 70 && ip link set red up
         ip link add gre1 type gre local 10.0.0.1 remote 10.0.0.2
         ip link add bridge type bridge vlan_filtering 1 && ip link set bridge up
         ip link set base.7 master bridge
         bridge vlan add dev base.7 vid 20-22 && bridge vlan add dev base.7 vid 30 pvid untagged",
    );
    if made.code != 0 || lab.lacks_nftables() {
        lab.not_here("dummy, vlan, ipvlan, vrf, gre or bridge VLAN filtering");
        return;
    }
    same(&lab, "/proc/self/ns/net");
    let said = compare::namespace(&lab, "/proc/self/ns/net", NAMES);
    let links = said["links"].as_array().expect("links");
    let link = |name: &str| links.iter().find(|link| link["name"] == name).expect("the link");
    let vlans = link("base.7")["vlans"].as_array().expect("VLANs").iter();
    let ids: Vec<u64> = vlans.filter_map(|vlan| vlan["id"].as_u64()).collect();
    assert_eq!(ids, [1, 20, 21, 22, 30]);
    assert_eq!(link("red")["details"]["table"], 70);
    assert_eq!(link("gre1")["details"]["remote"], "10.0.0.2");
    let tree = command(&lab, "");
    for line in ["vlan 7 over base", "ipvlan l3", "vrf table 70", "gre to 10.0.0.2"] {
        assert!(tree.contains(line), "{line}: {tree}");
    }
}
