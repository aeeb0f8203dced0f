//! What packets would suffer from: forwarding, filters, chains that drop, sizes, checksums.

use super::host::{host, names, with_containers};

#[test]
fn forwarding_that_is_off_is_found_and_switched_on() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.sh("echo 0 >/proc/sys/net/ipv4/ip_forward
                 echo 0 >/proc/sys/net/ipv6/conf/all/forwarding");
    let found = sick.findings();
    let objects: Vec<&str> = found.iter().map(|one| one.object.as_str()).collect();
    assert_eq!(objects, ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"]);
    let outcome = sick.doctor("--fix --settle 0");
    assert_eq!(outcome.code, 0, "{outcome}");
    assert!(outcome.stdout.contains("fix: set net.ipv4.ip_forward to 1\n"), "{outcome}");
    sick.lab.sh("sysctl -qw net.ipv4.conf.lan0.forwarding=0");
    let found = sick.one("forwarding-off");
    // Somebody meant this link: it forwarded as long as all did.
    assert_eq!((&*found.object, found.fixable), ("net.ipv4.conf.lan0.forwarding", false));
    sick.lab.sh(&found.command);
    assert_eq!(sick.findings(), []);
}

#[test]
fn a_host_that_lives_on_router_advertisements_is_not_made_to_forward() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.uplink();
    sick.lab.sh("echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
                 echo 1 >/proc/sys/net/ipv6/conf/uplink/accept_ra
                 ip address add 2001:db8::5/64 dev uplink valid_lft 1800 preferred_lft 1800");
    let found = sick.one("forwarding-off");
    assert!(!found.fixable, "{found:?}");
    sick.lab.sh("echo 2 >/proc/sys/net/ipv6/conf/uplink/accept_ra");
    assert!(sick.one("forwarding-off").fixable);
}

#[test]
fn chains_of_the_forgotten_are_deleted_from_iptables() {
    let sick = host();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.sh("iptables-nft -P FORWARD DROP");
    sick.attach("c1");
    sick.attach("c2");
    assert_eq!(sick.findings(), []);
    sick.lab.sh("rm /var/lib/cni/results/lan-c1-eth0");
    let chains = "iptables-nft -S | grep -c '^-N RW-'";
    let before: usize = sick.lab.sh(chains).parse().expect("a number");
    sick.end("c1");
    let found = sick.findings();
    assert!(names(&found).contains(&"stale-rules"), "{found:#?}");
    let outcome = sick.doctor("--fix --settle 0");
    assert_eq!(outcome.code, 0, "{outcome}");
    let after: usize = sick.lab.sh(chains).parse().expect("a number");
    assert!(after > 0 && after < before, "{before} {after}: {outcome}");
    assert_eq!(sick.findings(), []);
}

#[test]
fn strict_reverse_path_filters_are_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.sh("for number in 1 2; do
                     ip netns add out$number
                     ip link add up$number type veth peer name far netns out$number
                     ip link set up$number up && ip -n out$number link set far up
                     ip address add 192.0.$number.1/24 dev up$number
                     ip route add default via 192.0.$number.2 metric $number
                 done
                 echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
                 echo 0 >/proc/sys/net/ipv4/conf/up1/rp_filter
                 echo 1 >/proc/sys/net/ipv4/conf/up2/rp_filter");
    let found = sick.one("reverse-path");
    assert_eq!(found.object, "up2");
    sick.lab.sh(&found.command);
    assert_eq!(sick.findings(), []);
    // The same with policy routing.
    sick.lab.sh("ip route del default via 192.0.2.2
                 ip route add default via 192.0.2.2 table 100
                 ip rule add fwmark 7 lookup 100
                 echo 1 >/proc/sys/net/ipv4/conf/up2/rp_filter");
    assert!(sick.one("reverse-path").evidence.contains("mark 0x7"));
    sick.lab.sh("echo 1 >/proc/sys/net/ipv4/conf/up2/src_valid_mark");
    assert_eq!(sick.findings(), []);
}

#[test]
fn chains_that_drop_what_containers_send_are_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.sh("nft 'add table ip strict
              add chain ip strict forward { type filter hook forward priority 0; policy drop; }
              add rule ip strict forward ct state established,related accept
              add rule ip strict forward iifname \"eth9\" accept'");
    let found = sick.findings().swap_remove(0);
    assert_eq!(found.check, "forward-dropped");
    assert!(found.evidence.contains("ip strict forward") && found.evidence.contains("lan0"));
    assert_ne!(sick.reach("c1"), 0, "it is true");
    sick.lab.sh(&found.command);
    assert_eq!(sick.findings(), []);
    assert_eq!(sick.reach("c1"), 0);
    // A rule in words that nobody here understands may accept it.
    sick.lab.sh("nft flush chain ip strict forward
                 nft add rule ip strict forward meta mark 1 accept");
    assert_eq!(sick.findings(), []);
}

#[test]
fn an_iptables_policy_that_drops_is_found() {
    let sick = host();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.without_firewall();
    sick.attach("c1");
    sick.lab.sh("iptables-nft -P FORWARD DROP
                 iptables-nft -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                 iptables-nft -A FORWARD -i docker0 -j ACCEPT");
    let found = sick.one("forward-dropped");
    assert!(found.evidence.contains("ip filter FORWARD"), "{found:?}");
    // The old iptables have a chain of their own.
    if sick.lab.try_sh("iptables-legacy -P FORWARD DROP").code == 0 {
        let found = sick.findings();
        assert_eq!(names(&found), ["forward-dropped", "forward-dropped"], "{found:#?}");
        sick.lab.sh("iptables-legacy -P FORWARD ACCEPT");
    }
    // The plugin `firewall` accepts its containers, whatever the policy is.
    sick.configure("lan", "lan0", "10.1.0", "fd00:1");
    sick.detach("c1");
    sick.attach("c1");
    assert_eq!(sick.findings(), []);
}

#[test]
fn bridged_packets_that_are_dropped_are_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() || !sick.lab.exists("/proc/sys/net/bridge") {
        return;
    }
    sick.lab.sh("echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
                 nft 'add table ip strict
                      add chain ip strict forward { type filter hook forward priority 0; policy drop; }
                      add rule ip strict forward iifname \"lan0\" oifname != \"lan0\" accept'");
    let found = sick.findings();
    let bridged = found.iter().find(|one| one.check == "bridged-packets-dropped");
    let bridged = bridged.unwrap_or_else(|| panic!("{found:#?}"));
    sick.lab.sh(&bridged.command);
    assert_eq!(sick.findings(), []);
}

#[test]
fn mtus_that_do_not_fit_are_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.sh("ip -n c1 link set eth0 mtu 1400");
    let found = sick.one("mtu-pair");
    assert!(found.evidence.contains("1500") && found.evidence.contains("1400"), "{found:?}");
    sick.lab.sh(&found.command);
    let found = sick.findings();
    assert_eq!(names(&found), ["mtu-bridge"], "both ends are smaller now: {found:#?}");
    sick.lab.sh("ip -n c1 link set eth0 mtu 1500
                 host=$(ip -br link show master lan0 | grep ^veth | cut -d@ -f1)
                 for end in $host; do ip link set $end mtu 1500; done");
    assert_eq!(sick.findings(), []);
    sick.lab.uplink();
    sick.lab.sh("ip link add vx0 type vxlan id 7 remote 10.9.0.2 dstport 4789
                 ip link set vx0 mtu 1500 up");
    let found = sick.one("mtu-tunnel");
    assert!(found.evidence.contains("adds 50"), "{found:?}");
    sick.lab.sh(&found.command);
    assert_eq!(sick.findings(), []);
    sick.lab.sh("ip link set vx0 down
                 ip link set uplink mtu 1400; ip -n uplink link set eth0 mtu 1400
                 ip route add default via 10.9.0.2");
    let found = sick.one("mtu-uplink");
    assert!(found.evidence.contains("1400"), "{found:?}");
}

/// Loads a program of XDP that lets everything pass, and keeps it under a name.
const LOAD: &str = r#"
import ctypes, platform, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    answer = libc.syscall(280 if platform.machine() == "aarch64" else 321, command, buffer, 128)
    assert answer >= 0, ctypes.get_errno()
    return answer
program = ctypes.create_string_buffer(struct.pack("<QQ", 0x2000000b7, 0x95))
licence = ctypes.create_string_buffer(b"GPL")
load = struct.pack("<IIQQ", 6, 2, ctypes.addressof(program), ctypes.addressof(licence))
path = ctypes.create_string_buffer(sys.argv[1].encode())
descriptor = bpf(5, load)
bpf(6, struct.pack("<QI", ctypes.addressof(path), descriptor))
"#;

#[test]
fn checksums_that_a_program_would_see_unfinished_are_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.write("/run/lab/load.py", LOAD);
    let loaded = sick.lab.try_sh(
        "mkdir -p /run/lab/bpf && mount -t bpf bpf /run/lab/bpf
         python3 /run/lab/load.py /run/lab/bpf/pass
         host=$(ip -br link show master lan0 | head -1 | cut -d@ -f1)
         ip link set dev $host xdp pinned /run/lab/bpf/pass",
    );
    if loaded.code != 0 {
        sick.lab.not_here(&format!("programs of XDP: {}", loaded.stderr));
        return;
    }
    let found = sick.one("checksum-offload");
    assert!(found.evidence.contains("has XDP program"), "{found:?}");
    sick.lab.sh(&found.command);
    assert_eq!(sick.findings(), []);
}
