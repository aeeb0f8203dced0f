//! nftables chains: every kind of statement, as `nft` reads it back.

use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Kernel, Resource, Step,
    resource::{
        Address, NftChain, NftTable, NftTaggedRules,
        nft::{
            BaseChain, ChainKind, Connection, DataType, Datum, Field, Hook, MapsTo, NftFamily,
            Rule, Statement, TableRef, Verdict,
        },
    },
};

use crate::{
    packet_filter::{ip, port_map, set, table, with_table},
    support::{HOST, Lab, bridge, in_lab_with_nftables, output_of},
};

const ACCEPT: Statement = Statement::Verdict(Verdict::Accept);

fn chain(name: &str, rules: Vec<Rule>) -> NftChain {
    NftChain::regular(table(), name, rules)
}

/// What `nft` prints of a chain's rules, without their comments.
fn listed(family: &str, name: &str) -> Vec<String> {
    let text = output_of("nft", &["list", "chain", family, "ropewalk", name]);
    let rules = text.lines().filter(|line| line.contains(" comment "));
    rules.map(|line| line.split(" comment ").next().unwrap().trim().into()).collect()
}

/// A chain of one rule is found as wanted, and `nft` reads the rule so.
#[track_caller]
fn reads(lab: &mut Lab, statements: &[Statement], expected: &str) {
    let wanted = chain("probe", vec![Rule::new(statements)]);
    lab.obeys_the_law(HOST, wanted.clone());
    lab.create(HOST, wanted.clone());
    assert_eq!(listed("inet", "probe"), [expected]);
    lab.delete(HOST, wanted);
}

#[test]
fn comparisons_are_read_back_as_they_were_meant() {
    with_table(|lab| {
        use Field::{
            DestinationPort, InterfaceIn, InterfaceOut, Ip4Destination, Ip4Source, Ip6Destination,
            Ip6Source, Protocol,
        };
        use Statement::{Equal, NotEqual, Outside, Within};
        let near = || Datum::Interface("near".parse().unwrap());
        let net = |text: &str| text.parse().unwrap();
        for (statement, expected) in [
            (Equal(Ip4Source, ip("10.0.0.1")), "ip saddr 10.0.0.1"),
            (NotEqual(Ip4Destination, ip("10.0.0.1")), "ip daddr != 10.0.0.1"),
            (Equal(Ip6Source, ip("fd00::1")), "ip6 saddr fd00::1"),
            (Equal(Ip6Destination, ip("fd00::1")), "ip6 daddr fd00::1"),
            (Within(Ip4Source, net("10.1.0.0/16")), "ip saddr 10.1.0.0/16"),
            (Outside(Ip4Destination, net("224.0.0.0/4")), "ip daddr != 224.0.0.0/4"),
            (Within(Ip4Source, net("10.1.0.7/32")), "ip saddr 10.1.0.7"),
            (Within(Ip6Source, net("fd00::/61")), "ip6 saddr fd00::/61"),
            (Outside(Ip6Destination, net("ff00::/8")), "ip6 daddr != ff00::/8"),
            (Equal(Protocol, Datum::Protocol(6)), "meta l4proto tcp"),
            (NotEqual(Protocol, Datum::Protocol(17)), "meta l4proto != udp"),
            (Equal(DestinationPort, Datum::Port(53)), "th dport 53"),
            (Equal(InterfaceIn, near()), "iifname \"near\""),
            (NotEqual(InterfaceOut, near()), "oifname != \"near\""),
            (Statement::DestinationIsLocal, "fib daddr type local"),
            (
                Statement::Connection(Connection::EstablishedOrRelated),
                "ct state established,related",
            ),
            (Statement::Connection(Connection::Invalid), "ct state invalid"),
            (Statement::Connection(Connection::DestinationTranslated), "ct status dnat"),
        ] {
            reads(lab, &[statement, ACCEPT], &format!("{expected} accept"));
        }
    });
}

#[test]
fn lookups_are_read_back_as_they_were_meant() {
    with_table(|lab| {
        use Field::{DestinationPort, InterfaceIn, Ip4Destination, Ip4Source, Protocol};
        lab.create(HOST, set("net4", &[DataType::Ip4], MapsTo::Nothing));
        let three = [DataType::Interface, DataType::Ip4, DataType::Port];
        lab.create(HOST, set("three", &three, MapsTo::Nothing));
        lab.create(HOST, set("dispatch", &[DataType::Ip4], MapsTo::Verdict));
        let fields = || vec![InterfaceIn, Ip4Source, DestinationPort];
        for (statements, expected) in [
            (
                vec![Statement::InSet(vec![Ip4Source], "net4".into()), ACCEPT],
                "ip saddr @net4 accept",
            ),
            (
                vec![Statement::NotInSet(vec![Ip4Destination], "net4".into()), ACCEPT],
                "ip daddr != @net4 accept",
            ),
            (
                vec![Statement::InSet(fields(), "three".into()), ACCEPT],
                "iifname . ip saddr . th dport @three accept",
            ),
            (
                vec![Statement::VerdictMap(vec![Ip4Destination], "dispatch".into())],
                "ip daddr vmap @dispatch",
            ),
            (
                vec![
                    Statement::Equal(Protocol, Datum::Protocol(17)),
                    Statement::InSet(vec![Ip4Source], "net4".into()),
                    Statement::NotInSet(vec![Ip4Destination], "net4".into()),
                    Statement::Verdict(Verdict::Drop),
                ],
                "meta l4proto udp ip saddr @net4 ip daddr != @net4 drop",
            ),
        ] {
            reads(lab, &statements, expected);
        }
    });
}

#[test]
fn verdicts_are_read_back_as_they_were_meant() {
    with_table(|lab| {
        lab.create(HOST, chain("other", Vec::new()));
        for (verdict, expected) in [
            (Verdict::Accept, "accept"),
            (Verdict::Drop, "drop"),
            (Verdict::Return, "return"),
            (Verdict::Jump("other".into()), "jump other"),
            (Verdict::Goto("other".into()), "goto other"),
        ] {
            reads(lab, &[Statement::Verdict(verdict)], expected);
        }
    });
}

#[test]
fn translations_are_read_back_as_they_were_meant() {
    with_table(|lab| {
        use Field::{DestinationPort, Protocol};
        lab.create(HOST, port_map());
        let values = MapsTo::Values(vec![DataType::Ip6, DataType::Port]);
        lab.create(HOST, set("ports6", &[DataType::Protocol, DataType::Port], values));
        let base = |hook, priority| BaseChain { kind: ChainKind::Nat, hook, priority };
        let fields = || vec![Protocol, DestinationPort];
        let rules = vec![
            Rule::new([
                Statement::DestinationIsLocal,
                Statement::TranslateDestination4(fields(), "ports".into()),
            ]),
            Rule::new([Statement::TranslateDestination6(fields(), "ports6".into())]),
        ];
        let wanted = NftChain::base(table(), "prerouting", base(Hook::Prerouting, -100), rules);
        lab.obeys_the_law(HOST, wanted.clone());
        lab.create(HOST, wanted);
        assert_eq!(
            listed("inet", "prerouting"),
            [
                "fib daddr type local dnat ip to meta l4proto . th dport map @ports",
                "dnat ip6 to meta l4proto . th dport map @ports6",
            ]
        );
        let masquerade = Rule::new([
            Statement::Within(Field::Ip4Source, "10.1.0.0/16".parse().unwrap()),
            Statement::Masquerade,
        ]);
        let wanted =
            NftChain::base(table(), "postrouting", base(Hook::Postrouting, 100), vec![masquerade]);
        lab.creates(HOST, wanted);
        assert_eq!(listed("inet", "postrouting"), ["ip saddr 10.1.0.0/16 masquerade"]);
    });
}

#[test]
fn base_chains_hang_where_they_were_wanted() {
    with_table(|lab| {
        for (hook, name) in [
            (Hook::Prerouting, "prerouting"),
            (Hook::Input, "input"),
            (Hook::Forward, "forward"),
            (Hook::Output, "output"),
            (Hook::Postrouting, "postrouting"),
        ] {
            let base = BaseChain { kind: ChainKind::Filter, hook, priority: -7 };
            let wanted = NftChain::base(table(), name, base, vec![Rule::new([ACCEPT])]);
            lab.obeys_the_law(HOST, wanted.clone());
            lab.create(HOST, wanted);
            let text = output_of("nft", &["list", "chain", "inet", "ropewalk", name]);
            let expected = format!("type filter hook {name} priority filter - 7; policy accept;");
            assert!(text.contains(&expected), "{text}");
        }
    });
}

#[test]
fn tables_of_one_family_and_of_bridges_get_no_needless_checks() {
    in_lab_with_nftables(|lab| {
        let rule = |field, text: &str| Rule::new([Statement::Equal(field, ip(text)), ACCEPT]);
        let mac = Datum::Mac("02:00:00:00:00:01".parse().unwrap());
        for (family, name, rules, expected) in [
            (
                NftFamily::Ip,
                "ip",
                vec![rule(Field::Ip4Source, "10.0.0.1")],
                "ip saddr 10.0.0.1 accept",
            ),
            (NftFamily::Ip6, "ip6", vec![rule(Field::Ip6Source, "::1")], "ip6 saddr ::1 accept"),
            (
                NftFamily::Bridge,
                "bridge",
                vec![Rule::new([
                    Statement::NotEqual(Field::EtherSource, mac),
                    Statement::Equal(Field::Ip4Source, ip("10.0.0.1")),
                    ACCEPT,
                ])],
                "ether saddr != 02:00:00:00:00:01 ip saddr 10.0.0.1 accept",
            ),
        ] {
            let table = TableRef::new(family, "ropewalk");
            lab.create(HOST, NftTable { table: table.clone() });
            lab.creates(HOST, NftChain::regular(table, "probe", rules));
            assert_eq!(listed(name, "probe"), [expected]);
        }
    });
}

#[test]
fn a_chain_that_was_tampered_with_differs_and_is_put_right() {
    with_table(|lab| {
        let rule = |text: &str| Rule::new([Statement::Equal(Field::Ip4Source, ip(text)), ACCEPT]);
        let wanted = chain("c", vec![rule("10.0.0.1"), rule("10.0.0.2")]);
        lab.create(HOST, wanted.clone());
        for command in [
            "flush chain inet ropewalk c",
            "add rule inet ropewalk c accept",
            "insert rule inet ropewalk c accept comment \"somebody's\"",
        ] {
            output_of("nft", &[command]);
            lab.changes(HOST, wanted.clone());
            assert_eq!(listed("inet", "c").len(), 2);
        }
        let swapped = chain("c", vec![rule("10.0.0.2"), rule("10.0.0.1")]);
        lab.changes(HOST, swapped);
        lab.changes(HOST, chain("c", Vec::new()));
    });
}

#[test]
fn two_adds_that_make_the_same_chain_do_not_double_its_rules() {
    with_table(|lab| {
        let wanted: Resource = chain("c", vec![Rule::new([ACCEPT])]).into();
        lab.apply(&[Step::Create(HOST, wanted.clone())]);
        lab.apply(&[Step::Create(HOST, wanted.clone())]);
        lab.has(HOST, &wanted);
        assert_eq!(listed("inet", "c"), ["accept"]);
    });
}

#[test]
fn parallel_adds_make_shared_things_together() {
    in_lab_with_nftables(|lab| {
        let link = "br0".parse().unwrap();
        let prefix = "10.1.0.1/24".parse().unwrap();
        let gateway = Address::new(link, prefix);
        let wanted: [Resource; 5] = [
            bridge("br0").into(),
            gateway.into(),
            NftTable { table: table() }.into(),
            port_map().into(),
            chain("c", vec![Rule::new([ACCEPT])]).into(),
        ];
        let create: Vec<_> = wanted.iter().cloned().map(|r| Step::Create(HOST, r)).collect();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| Linux::host_only().apply(&create).unwrap());
            }
        });
        for resource in &wanted {
            lab.has(HOST, resource);
        }
    });
}

#[test]
fn a_table_with_all_that_is_in_it_is_one_transaction() {
    in_lab_with_nftables(|lab| {
        let map = port_map();
        let base = BaseChain { kind: ChainKind::Nat, hook: Hook::Prerouting, priority: -100 };
        let fields = vec![Field::Protocol, Field::DestinationPort];
        let rule = Rule::new([Statement::TranslateDestination4(fields, "ports".into())]);
        let wanted: [Resource; 5] = [
            NftTable { table: table() }.into(),
            map.into(),
            set("other", &[DataType::Ip4], MapsTo::Verdict).into(),
            chain("target", Vec::new()).into(),
            NftChain::base(table(), "prerouting", base, vec![rule]).into(),
        ];
        let create: Vec<_> = wanted.iter().cloned().map(|r| Step::Create(HOST, r)).collect();
        lab.apply(&create);
        for resource in &wanted {
            lab.has(HOST, resource);
        }
        let delete: Vec<_> = create.iter().rev().map(Step::undo).collect();
        lab.apply(&delete);
        assert_eq!(output_of("nft", &["list", "ruleset"]), "");
        lab.apply(&delete);
    });
}

#[test]
fn rules_of_others_are_found_and_deleted_by_their_comment() {
    with_table(|lab| {
        lab.create(HOST, chain("c", Vec::new()));
        for comment in ["cni_1234, net: a", "cni_1234, net: b", "cni_5678, net: a"] {
            let rule = format!("add rule inet ropewalk c accept comment \"{comment}\"");
            output_of("nft", &[&rule]);
        }
        let of = |prefix: &str| NftTaggedRules {
            table: table(),
            chain: "c".into(),
            comment_prefix: prefix.into(),
        };
        assert_eq!(lab.find(HOST, &of("cni_9").into()), None);
        lab.has(HOST, &of("cni_1234").into());
        lab.deletes(HOST, of("cni_1234"));
        lab.has(HOST, &of("cni_5678").into());
        assert_eq!(listed("inet", "c").len(), 1);
        let nowhere = NftTaggedRules { chain: "none".into(), ..of("cni") };
        assert_eq!(lab.find(HOST, &nowhere.clone().into()), None);
        lab.delete(HOST, nowhere);
        assert_eq!(lab.refuses(HOST, of("cni")).reason, "NftTaggedRules cannot be created");
    });
}
