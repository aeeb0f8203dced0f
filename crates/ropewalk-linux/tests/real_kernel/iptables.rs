//! Chains and rules of `iptables`, in both of its variants, and tracked connections.

use ropewalk_addr::Family;
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Resource, Step,
    resource::{IptablesChain, IptablesRule, StaleFlows, iptables::Position},
};

use crate::support::{HOST, INSIDE, in_lab, in_lab_with_nftables, not_run_here, output_of};

fn chain(family: Family, table: &str, name: &str, from: &[&str]) -> IptablesChain {
    let referenced_from = from.iter().map(ToString::to_string).collect();
    IptablesChain { family, table: table.into(), name: name.into(), referenced_from }
}

fn rule(family: Family, table: &str, chain: &str, specification: &[&str]) -> IptablesRule {
    let specification = specification.iter().map(ToString::to_string).collect();
    let (table, chain) = (table.into(), chain.into());
    IptablesRule { family, table, chain, position: Position::Last, specification }
}

fn source(family: Family) -> &'static str {
    match family {
        Family::V4 => "10.1.0.2/32",
        Family::V6 => "fd00:1::2/128",
    }
}

#[test]
fn chains_obey_the_law() {
    in_lab(|lab| {
        for family in [Family::V4, Family::V6] {
            for place in [HOST, INSIDE] {
                let wanted = chain(family, "nat", "CNI-1234", &["POSTROUTING", "NOWHERE"]);
                lab.obeys_the_law(place, wanted.clone());
                lab.create(place, wanted.clone());
                lab.create(place, wanted);
            }
        }
    });
}

#[test]
fn rules_obey_the_law() {
    in_lab(|lab| {
        for family in [Family::V4, Family::V6] {
            let comment = "name: \"lan\" id: \"c 1\"";
            let specification =
                ["-s", source(family), "-m", "comment", "--comment", comment, "-j", "ACCEPT"];
            lab.obeys_the_law(HOST, rule(family, "filter", "FORWARD", &specification));
        }
    });
}

#[test]
fn a_chain_takes_the_rules_that_lead_to_it_along() {
    in_lab(|lab| {
        let wanted = chain(Family::V4, "nat", "CNI-1234", &["PREROUTING", "POSTROUTING"]);
        let other = chain(Family::V4, "nat", "CNI-5678", &["POSTROUTING"]);
        lab.create(HOST, wanted.clone());
        lab.create(HOST, other.clone());
        lab.create(HOST, rule(Family::V4, "nat", "CNI-1234", &["-j", "RETURN"]));
        let comment = "name: \"-j CNI-1234\" id: \"c1\"";
        for (from, target) in
            [("POSTROUTING", "CNI-1234"), ("POSTROUTING", "CNI-5678"), ("PREROUTING", "CNI-1234")]
        {
            let specification =
                ["-s", "10.1.0.2", "-m", "comment", "--comment", comment, "-j", target];
            lab.create(HOST, rule(Family::V4, "nat", from, &specification));
        }
        lab.deletes(HOST, wanted);
        lab.has(HOST, &other.into());
        let rules = output_of("iptables", &["-t", "nat", "-S"]);
        assert_eq!(rules.matches("-A ").count(), 1, "{rules}");
    });
}

#[test]
fn a_rule_may_come_first() {
    in_lab(|lab| {
        lab.create(HOST, rule(Family::V4, "filter", "FORWARD", &["-j", "DROP"]));
        let specification = ["-i", "br0", "-j", "ACCEPT"];
        let first = rule(Family::V4, "filter", "FORWARD", &specification);
        lab.creates(HOST, IptablesRule { position: Position::First, ..first });
        let rules = output_of("iptables", &["-S", "FORWARD"]);
        let expected = "-P FORWARD ACCEPT\n-A FORWARD -i br0 -j ACCEPT\n-A FORWARD -j DROP\n";
        assert_eq!(rules, expected);
    });
}

#[test]
fn what_the_legacy_programs_made_is_found_and_deleted_too() {
    in_lab(|lab| {
        for command in
            ["-N CNI-1234", "-A CNI-1234 -j MASQUERADE", "-A POSTROUTING -s 10.1.0.2 -j CNI-1234"]
        {
            let arguments: Vec<&str> =
                ["-w", "-t", "nat"].into_iter().chain(command.split(' ')).collect();
            output_of("iptables-legacy", &arguments);
        }
        lab.has(HOST, &rule(Family::V4, "nat", "CNI-1234", &["-j", "MASQUERADE"]).into());
        let wanted = chain(Family::V4, "nat", "CNI-1234", &["POSTROUTING"]);
        lab.has(HOST, &wanted.clone().into());
        assert_eq!(lab.find(INSIDE, &wanted.clone().into()), None);
        lab.deletes(HOST, wanted);
        let rules = output_of("iptables-legacy", &["-w", "-t", "nat", "-S"]);
        assert!(!rules.contains("CNI-1234") && !rules.contains("-A "), "{rules}");
    });
}

#[test]
fn looking_and_deleting_where_nothing_is_makes_nothing() {
    in_lab_with_nftables(|lab| {
        let nothing: [Resource; 2] = [
            chain(Family::V4, "nat", "CNI-1234", &["POSTROUTING"]).into(),
            rule(Family::V4, "filter", "FORWARD", &["-j", "ACCEPT"]).into(),
        ];
        for resource in nothing {
            assert_eq!(lab.find(HOST, &resource), None);
            lab.delete(HOST, resource);
        }
        assert_eq!(lab.linux.forward_policies_are_drop([Family::V4]), [Ok(false)]);
        assert_eq!(output_of("nft", &["list", "ruleset"]), "", "no table was made by looking");
    });
}

#[test]
fn what_iptables_refuses_is_told_in_its_words() {
    in_lab(|lab| {
        let error = lab.refuses(HOST, rule(Family::V4, "nat", "NOWHERE", &["-j", "ACCEPT"]));
        assert!(error.reason.starts_with("exit status "), "{error}");
        assert!(error.reason.contains("No chain/target/match by that name"), "{error}");
        let name = "a-name-that-is-longer-than-28-bytes";
        let error = lab.refuses(HOST, chain(Family::V4, "nat", name, &[]));
        assert!(error.reason.contains("chain name"), "{error}");
    });
}

#[test]
fn the_forward_policy_is_told_for_both_variants_and_families() {
    in_lab_with_nftables(|lab| {
        for (family, program) in [
            (Family::V4, "iptables-nft"),
            (Family::V6, "ip6tables-nft"),
            (Family::V4, "iptables-legacy"),
            (Family::V6, "ip6tables-legacy"),
        ] {
            assert_eq!(lab.linux.forward_policies_are_drop([family]), [Ok(false)]);
            output_of(program, &["-w", "-P", "FORWARD", "DROP"]);
            assert_eq!(lab.linux.forward_policies_are_drop([family]), [Ok(true)], "{program}");
            output_of(program, &["-w", "-P", "FORWARD", "ACCEPT"]);
        }
    });
}

#[test]
fn plugins_can_ask_what_is_installed() {
    in_lab_with_nftables(|lab| {
        assert!(Linux::iptables_usable(Family::V4) && Linux::iptables_usable(Family::V6));
        assert!(lab.linux.nft_usable());
    });
}

#[test]
fn without_nftables_the_old_iptables_is_found_and_used() {
    in_lab(|lab| {
        if lab.linux.nft_usable() {
            return not_run_here("a kernel without nftables");
        }
        assert!(Linux::iptables_usable(Family::V4) && Linux::iptables_usable(Family::V6));
        for (family, program) in [(Family::V4, "iptables"), (Family::V6, "ip6tables")] {
            assert_eq!(lab.linux.forward_policies_are_drop([family]), [Ok(false)]);
            output_of(program, &["-w", "-P", "FORWARD", "DROP"]);
            assert_eq!(lab.linux.forward_policies_are_drop([family]), [Ok(true)], "{program}");
        }
    });
}

fn track(family: Family, protocol: &str, port: u16, client: u16) {
    let (from, to) = match family {
        Family::V4 => ("10.0.0.1", "10.0.0.2"),
        Family::V6 => ("fd00::1", "fd00::2"),
    };
    let (port, client) = (port.to_string(), client.to_string());
    let mut arguments = vec!["-I", "-p", protocol, "-s", from, "-d", to, "-t", "60"];
    arguments.extend(["--sport", client.as_str(), "--dport", port.as_str()]);
    if protocol == "tcp" {
        arguments.extend(["--state", "ESTABLISHED"]);
    }
    output_of("conntrack", &arguments);
}

fn tracked(family: &str) -> usize {
    output_of("conntrack", &["-L", "-f", family]).lines().count()
}

#[test]
fn only_the_flows_toward_the_port_are_forgotten() {
    in_lab(|lab| {
        let between = |family, ports, destination: Option<&str>| StaleFlows {
            family,
            protocol: 17,
            ports,
            destination: destination.map(|ip| ip.parse().unwrap()),
        };
        let stale = |family, port| between(family, (port, port), None);
        lab.create(HOST, stale(Family::V4, 53));
        for client in 1000..1100 {
            track(Family::V4, "udp", 53, client);
        }
        track(Family::V4, "udp", 54, 53);
        track(Family::V4, "tcp", 53, 1000);
        track(Family::V6, "udp", 53, 1000);
        assert_eq!((tracked("ipv4"), tracked("ipv6")), (102, 1));
        lab.apply(&[Step::Create(HOST, stale(Family::V4, 53).into())]);
        assert_eq!((tracked("ipv4"), tracked("ipv6")), (2, 1));
        lab.apply(&[Step::Delete(HOST, stale(Family::V6, 53).into())]);
        assert_eq!((tracked("ipv4"), tracked("ipv6")), (2, 0));
        track(Family::V6, "udp", 53, 1000);
        for (family, other) in [(Family::V4, "10.0.0.1"), (Family::V6, "fd00::1")] {
            lab.apply(&[Step::Create(HOST, between(family, (53, 54), Some(other)).into())]);
        }
        assert_eq!((tracked("ipv4"), tracked("ipv6")), (2, 1), "of another address");
        lab.apply(&[Step::Create(HOST, between(Family::V4, (55, 65535), None).into())]);
        lab.apply(&[Step::Create(HOST, between(Family::V4, (40, 60), Some("10.0.0.2")).into())]);
        lab.apply(&[Step::Create(HOST, between(Family::V6, (53, 53), Some("fd00::2")).into())]);
        assert_eq!((tracked("ipv4"), tracked("ipv6")), (1, 0));
        assert_eq!(lab.find(HOST, &stale(Family::V4, 54).into()), None, "an action is never there");
    });
}
