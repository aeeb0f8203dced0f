//! `ropewalk doctor` on private hosts: each fault is made for real, found, and mended where that is
//! safe; a healthy host has no findings.
//!
//! The command runs where it sees the processes of its own host alone: those of other tests come
//! and go.

mod doctor {
    pub(crate) mod host;
    mod packets;
}

use doctor::host::{host, names, with_containers};
use ropewalk_e2e::json;

#[test]
fn a_healthy_host_has_no_findings() {
    let sick = host();
    if sick.lab.lacks_nftables() {
        return;
    }
    assert_eq!(sick.findings(), [], "before there are networks");
    for name in ["c1", "c2", "c3"] {
        sick.attach(name);
    }
    assert_eq!(sick.findings(), []);
    let outcome = sick.doctor("");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome}");
    assert_eq!(outcome.stdout, "nothing found in 4 namespaces\n");
    for name in ["c1", "c2", "c3"] {
        sick.detach(name);
    }
    assert_eq!(sick.findings(), [], "after all are gone");
}

#[test]
fn what_is_left_of_a_container_is_found_and_deleted() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    // A runtime that lost its state: no record, and nobody calls DEL.
    sick.lab.sh("rm /var/lib/cni/results/lan-c1-eth0");
    let found = sick.findings();
    assert_eq!(names(&found), ["leaked-link", "stale-rules"], "{found:#?}");
    assert!(found[0].evidence.contains("eth0 in c1"), "{found:#?}");
    assert!(found[1].evidence.contains("inet ropewalk"), "{found:#?}");
    // Or one that keeps its records elsewhere, and a container between two processes.
    assert!(found.iter().all(|one| !one.fixable), "{found:#?}");
    let outcome = sick.doctor("--fix --settle 0");
    assert_eq!(outcome.code, 5, "{outcome}");
    assert!(!outcome.stdout.contains("fix: "), "{outcome}");
    sick.lab.sh("ping -c 1 -w 5 10.1.0.2");
    // With the namespace it is over; the pair came back to the host before.
    sick.lab.sh("ip -n c1 link set eth0 name left netns $$ && ip netns del c1");
    let outcome = sick.doctor("--fix --settle 0");
    assert!(outcome.stdout.contains("fix: delete what is left of lan/c1/eth0"), "{outcome}");
    // With the link its address is gone, which leaves a lease that nobody has.
    assert!(outcome.stdout.contains("fix: release 10.1.0.2 of lan/c1/eth0 in lan\n"), "{outcome}");
    assert!(outcome.stdout.ends_with("\nnothing found in 2 namespaces\n"), "{outcome}");
    assert_eq!(outcome.code, 0, "{outcome}");
    assert_eq!(sick.findings(), []);
    assert_eq!(sick.lab.leases("lan").len(), 2, "those of c2");
    sick.lab.sh("ping -c 1 -w 5 10.1.0.3");
}

#[test]
fn what_is_well_at_the_second_look_is_left_alone() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    // An ADD that has a lease and is not done at the first look.
    sick.lease("c3");
    let text = sick.doctor_meanwhile("--fix --settle 2", || {
        sick.lab.sh("ip -n c2 address add 10.1.0.4/24 dev eth0");
    });
    assert!(text.starts_with("looking again in 2 s"), "{text}");
    assert!(!text.contains("fix:"), "{text}");
    assert!(text.ends_with("nothing found in 3 namespaces\n"), "{text}");
    assert_eq!(sick.findings(), []);
}

#[test]
fn nothing_is_mended_after_a_signal_during_the_second_look() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lease("gone");
    // Each look ends when a pipe among the configured networks does.
    let outcome = sick.apart(&format!(
        "cd /etc/cni/net.d && mkfifo 20-slow.conflist later
         {} doctor --fix --settle 0 & pid=$!
         exec 3>20-slow.conflist; mv later 20-slow.conflist; exec 3>&-
         exec 3>20-slow.conflist; kill $pid; rm 20-slow.conflist; exec 3>&-
         wait $pid",
        ropewalk_e2e::command_path().display()
    ));
    assert_eq!(outcome.code, 5, "{outcome}");
    assert!(outcome.stdout.contains("lease-without-container"), "{outcome}");
    assert!(!outcome.stdout.contains("fix:"), "{outcome}");
    assert_eq!(sick.one("lease-without-container").object, "10.1.0.4");
}

#[test]
fn rules_of_an_address_in_use_are_kept() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.sh("rm /var/lib/cni/results/lan-c1-eth0");
    assert_eq!(
        sick.findings_beside_a_process("c1"),
        [],
        "somebody is there, whoever keeps the records"
    );
}

#[test]
fn what_others_have_on_record_is_theirs() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    // As Multus keeps those of its networks.
    sick.lab.sh("mkdir -p /var/lib/cni/multus/results
                 mv /var/lib/cni/results/lan-c1-eth0 /var/lib/cni/multus/results");
    assert_eq!(sick.findings(), []);
    sick.lab.sh("echo broken >/var/lib/cni/multus/results/lan-c1-eth0");
    assert_eq!(names(&sick.findings()), [""; 0], "it may be that of anybody");
}

#[test]
fn a_record_without_namespace_is_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.end("c1");
    let found = sick.findings();
    assert!(names(&found).contains(&"stale-record"), "{found:#?}");
    assert!(!names(&found).contains(&"lease-without-container"), "{found:#?}");
    let record = found.iter().find(|one| one.check == "stale-record").expect("it");
    sick.run(record.command.strip_prefix("ropewalk ").expect("a command of ours"));
    assert_eq!(sick.findings(), []);
}

#[test]
fn leases_and_containers_that_do_not_go_together_are_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lease("gone");
    let found = sick.one("lease-without-container");
    assert!(found.evidence.contains("lan/gone/eth0"), "{found:?}");
    assert!(found.fixable);
    sick.run(found.command.strip_prefix("ropewalk ").expect("a command of ours"));
    assert_eq!(sick.findings(), []);
    sick.lab.sh("rm /var/lib/cni/networks/lan/10.1.0.2");
    let found = sick.one("container-without-lease");
    assert_eq!((found.object.as_str(), found.fixable), ("10.1.0.2", false));
}

#[test]
fn a_database_is_held_against_containers() {
    let sick = host();
    if sick.lab.lacks_nftables()
        || !sick.lab.exists(&format!("{}/sql", sick.lab.plugin_directory()))
    {
        sick.lab.not_here("the plugin sql, which is a program of its own");
        return;
    }
    sick.with_database();
    sick.attach("c1");
    assert_eq!(sick.findings(), []);
    sick.lab.sh("ip -n c1 address add 10.1.0.77/24 dev eth0");
    let found = sick.one("container-without-lease");
    assert_eq!(found.object, "10.1.0.77");
    sick.run(found.command.strip_prefix("ropewalk ").expect("a command of ours"));
    assert_eq!(sick.findings(), [], "it is kept from others");
    sick.lab.sh("rm /var/lib/cni/results/*");
    sick.end("c1");
    let found = sick.findings();
    assert!(names(&found).contains(&"lease-without-container"), "{found:#?}");
    let outcome = sick.doctor("--fix --settle 0 --cache-dir /elsewhere");
    assert!(outcome.code == 5 && !outcome.stdout.contains("fix: "), "{outcome}");
    let outcome = sick.doctor("--fix --settle 0");
    assert!(outcome.stdout.contains("fix: release 10.1.0.2 of lan/c1/eth0 in lan\n"), "{outcome}");
    assert_eq!(outcome.code, 0, "{outcome}");
}

#[test]
fn findings_that_are_known_are_left_out() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.sh("echo 0 >/proc/sys/net/ipv4/ip_forward; ip -n c1 link set eth0 mtu 1400");
    let outcome = sick.doctor("--ignore forwarding-off --ignore mtu-pair");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome}");
    let outcome = sick.doctor("--ignore mtu-pair");
    assert_eq!(outcome.code, 5, "{outcome}");
    assert!(!outcome.stdout.contains("mtu"), "{outcome}");
    assert_eq!(sick.doctor("--ignore nothing").code, 2);
    // Of some namespaces alone, what needs to see all is not told.
    sick.lab.sh("rm /var/lib/cni/results/lan-c1-eth0");
    let outcome = sick.doctor("c2 --ignore forwarding-off");
    assert_eq!(outcome.code, 0, "{outcome}");
}

#[test]
fn duplicate_addresses_are_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.sh("ip -n c2 address add 10.1.0.2/24 dev eth0");
    let found = sick.one("duplicate-address");
    assert!(found.evidence.contains("eth0 in c1") && found.evidence.contains("eth0 in c2"));
    sick.lab.sh(&found.command);
    assert_eq!(sick.findings(), []);
}

#[test]
fn subnets_that_overlap_are_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.sh("ip link add other type bridge && ip link set other up
                 ip address add 10.1.128.1/16 dev other");
    let found = sick.one("overlapping-subnets");
    assert!(found.evidence.contains("10.1.0.0/24"), "{found:?}");
    sick.lab.sh("ip address flush dev other && ip address add 10.8.0.1/24 dev other
                 ip route add 10.1.0.128/25 via 10.8.0.2");
    let found = sick.one("overlapping-subnets");
    sick.lab.sh(&found.command);
    assert_eq!(sick.findings(), []);
    sick.configure("wan", "wan0", "10.1.0", "fd00:1");
    let found = sick.findings();
    assert!(found.iter().all(|one| one.object == "networks lan and wan"), "{found:#?}");
    assert_eq!(found.len(), 2, "IPv4 and IPv6: {found:#?}");
}

#[test]
fn gateways_that_nobody_is_are_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.sh("ip address del 10.1.0.1/24 dev lan0");
    let found = sick.findings();
    assert_eq!(names(&found), ["gateway-missing", "gateway-missing"], "{found:#?}");
    sick.lab.sh(&found[0].command);
    assert_eq!(sick.findings(), []);
}

#[test]
fn the_gateway_of_a_vlan_is_found_where_the_plugin_has_made_it() {
    let sick = host();
    if sick.lab.lacks_nftables() {
        return;
    }
    if !sick.lab.has_vlan_filtering() {
        return sick.lab.not_here("bridge VLAN filtering");
    }
    sick.in_vlan(100);
    sick.attach("c1");
    sick.attach("c2");
    assert_eq!(sick.findings(), []);
    sick.lab.sh("ip address del 10.1.0.1/24 dev lan0.100");
    let found = sick.findings();
    assert_eq!(names(&found), ["gateway-missing", "gateway-missing"], "{found:#?}");
}

#[test]
fn half_made_bridges_are_found() {
    let sick = host();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.attach("c1");
    sick.lab.sh("ip link set lan0 down");
    let found = sick.findings();
    let found = found.iter().find(|one| one.check == "half-made-bridge").expect("it is there");
    sick.lab.sh(&found.command);
    sick.detach("c1");
    // A network on layer 2 alone looks like this while it has no container.
    sick.lab.sh("ip address flush dev lan0");
    assert_eq!(sick.findings(), []);
}

#[test]
fn tables_that_are_nearly_full_are_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    // The limit of neighbours is everybody's, and cannot be lowered here.
    let most: usize = sick.lab.sh(
        "ip ntable show | grep -A2 arp_cache | grep -o 'thresh3 [0-9]*' | head -1 | cut -d' ' -f2",
    ).parse().expect("a number");
    if most > 4096 {
        sick.lab.not_here("a table of neighbours that can be filled");
        return;
    }
    sick.lab.sh(&format!(
        "for number in $(seq 1 {}); do
             echo neigh replace 10.1.$((number / 250 + 1)).$((number % 250 + 1)) \
                  lladdr 02:00:00:00:00:01 dev lan0 nud stale
         done | ip -batch -",
        most / 5 * 4
    ));
    let found = sick.one("neighbours-near-limit");
    assert!(found.evidence.contains("of at most"), "{found:?}");
    sick.lab.sh("ip neigh flush dev lan0");
    assert_eq!(sick.findings(), []);
}

#[test]
fn a_table_of_connections_that_is_nearly_full_is_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() || !sick.lab.exists("/usr/sbin/conntrack") {
        sick.lab.not_here("the program conntrack");
        return;
    }
    let most: u64 =
        sick.lab.read("/proc/sys/net/netfilter/nf_conntrack_max").trim().parse().unwrap();
    if most > 1 << 18 {
        sick.lab.not_here("a table of connections that can be filled");
        return;
    }
    sick.lab.sh(&format!(
        r#"awk 'BEGIN {{ for (i = 0; i < {}; i++) {{
               ip = sprintf("10.%d.%d.%d", 100 + i / 65536, i / 256 % 256, i % 256)
               printf "-A -t 600 -s %s -d 192.0.2.1 -r 192.0.2.1 -q %s -p udp", ip, ip
               print " --sport 1 --dport 2 --reply-port-src 2 --reply-port-dst 1"
           }} }}' >/run/lab/connections
           conntrack -R /run/lab/connections"#,
        most / 5 * 4 + 5
    ));
    let found = sick.one("connections-near-limit");
    assert!(found.evidence.contains(&format!("of at most {most}")), "{found:?}");
    sick.lab.sh("conntrack -F 2>&1");
    assert_eq!(sick.findings(), []);
}

#[test]
fn kernels_that_lack_what_a_network_needs_are_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() || sick.lab.has_kind("vrf") {
        sick.lab.not_here("a kernel without vrf");
        return;
    }
    sick.lab.write(
        "/etc/cni/net.d/20-red.conflist",
        &json!({ "cniVersion": "1.0.0", "name": "red", "plugins": [
            { "type": "ptp" }, { "type": "vrf", "vrfname": "red" },
        ] })
        .to_string(),
    );
    let found = sick.one("kernel-lacks");
    assert!(found.evidence.contains("CONFIG_NET_VRF"), "{found:?}");
}

#[test]
fn ipv6_that_runs_out_or_is_off_is_found() {
    let sick = with_containers();
    if sick.lab.lacks_nftables() {
        return;
    }
    sick.lab.uplink();
    sick.lab.sh("echo 1 >/proc/sys/net/ipv6/conf/uplink/accept_ra
                 ip address add 2001:db8::5/64 dev uplink valid_lft 1800 preferred_lft 1800");
    let found = sick.one("ipv6-trap");
    assert_eq!(found.object, "uplink");
    sick.lab.sh(&found.command);
    assert_eq!(sick.findings(), []);
    sick.lab.sh_in("c1", "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
    let found = sick.findings();
    assert!(found.iter().any(|one| one.object == "eth0 in c1" && one.check == "ipv6-trap"));
}
