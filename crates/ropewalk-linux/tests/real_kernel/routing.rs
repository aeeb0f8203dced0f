//! Rules of policy routing, routes that are taken away and put back, and the question how a link
//! is routed.

use ropewalk_linux::{LinkRoute, Routing};
use ropewalk_netstate::{
    Resource, Step,
    resource::{Address, Attribute, Hop, Route, RouteAbsence, RouteScope, RoutingRule},
};

use crate::support::{HOST, INSIDE, Lab, attribute, in_lab, output_of, veth};

fn rule(source: &str, table: u32) -> RoutingRule {
    RoutingRule { source: source.parse().unwrap(), table, priority: None }
}

/// `eth0` and `eth1`, up, with an address of each family.
fn connected(lab: &mut Lab) {
    for (near, link, ips) in [
        ("near0", "eth0", ["10.1.0.2/24", "fd00:1::2/64"]),
        ("near1", "eth1", ["10.2.0.2/24", "fd00:2::2/64"]),
    ] {
        lab.create(HOST, veth(near, link));
        lab.create(INSIDE, attribute(link, Attribute::Up(true)));
        for ip in ips {
            lab.create(INSIDE, Address::new(link.parse().unwrap(), ip.parse().unwrap()));
        }
    }
}

fn ip(arguments: &str) -> String {
    let arguments = format!("-n sandbox {arguments}");
    output_of("ip", &arguments.split_whitespace().collect::<Vec<_>>())
}

fn routing(lab: &mut Lab, link: &str) -> Routing {
    lab.linux.routing(INSIDE, &link.parse().unwrap()).unwrap()
}

/// The routes through a link that lie in the main table, but for those to link-local addresses.
fn main_routes(lab: &mut Lab, link: &str) -> Vec<LinkRoute> {
    let routes = routing(lab, link).routes.into_iter();
    let is_main = |found: &LinkRoute| found.route.table == Route::MAIN_TABLE;
    routes
        .filter(is_main)
        .filter(|found| !found.route.destination.to_string().starts_with("fe80"))
        .collect()
}

#[test]
fn rules_obey_the_law() {
    in_lab(|lab| {
        for source in ["10.1.0.2/32", "10.1.0.0/24", "fd00:1::2/128", "fd00:1::/64"] {
            for table in [7, 100, 70_000] {
                lab.obeys_the_law(INSIDE, rule(source, table));
                lab.obeys_the_law(
                    INSIDE,
                    RoutingRule { priority: Some(50), ..rule(source, table) },
                );
            }
        }
        lab.create(INSIDE, RoutingRule { priority: Some(50), ..rule("10.1.0.2/32", 100) });
        lab.changes(INSIDE, RoutingRule { priority: Some(60), ..rule("10.1.0.2/32", 100) });
        assert!(ip("rule show").contains("60:\tfrom 10.1.0.2 lookup 100"), "{}", ip("rule show"));
    });
}

#[test]
fn a_rule_that_asks_for_more_than_a_source_is_not_ours() {
    in_lab(|lab| {
        connected(lab);
        for more in
            ["to 10.9.0.0/16", "iif eth0", "fwmark 7", "tos 4", "not", "sport 53", "uidrange 1-9"]
        {
            ip(&format!("rule add {more} from 10.1.0.2 lookup 100"));
            assert_eq!(lab.find(INSIDE, &rule("10.1.0.2/32", 100).into()), None, "{more}");
            let used = routing(lab, "eth0");
            assert!(used.used_tables.contains(&100) && used.rules.is_empty(), "{more}");
            ip(&format!("rule del {more} from 10.1.0.2 lookup 100"));
        }
        ip("rule add from 10.1.0.2 lookup 100 suppress_prefixlength 0");
        assert_eq!(lab.find(INSIDE, &rule("10.1.0.2/32", 100).into()), None);
        ip("rule add from 10.1.0.2 lookup 200");
        lab.has(INSIDE, &rule("10.1.0.2/32", 200).into());
    });
}

/// Removing every route of the main table, last first, and putting them back leaves the table as it
/// was, to the letter.
#[test]
fn absences_obey_the_law_and_routes_return_as_they_were() {
    in_lab(|lab| {
        connected(lab);
        for route in [
            "default via 10.1.0.1 dev eth0",
            "default via fe80::1 dev eth0",
            "default via fd00:1::9 dev eth0 metric 50",
            "10.3.0.0/16 dev eth0 scope link src 10.1.0.2 mtu 1300 advmss 1200",
            "10.4.0.0/16 via 10.77.0.1 dev eth0 onlink proto static metric 9",
            "10.5.0.0/16 nexthop via 10.1.0.3 dev eth0 weight 2 nexthop via 10.1.0.4 dev eth0",
            "fd00:5::/64 nexthop via fd00:1::3 dev eth0 nexthop via fd00:1::4 dev eth0",
            "fd00:6::/64 via fd00:1::5 dev eth0 src fd00:1::2",
            "10.6.0.0/16 via inet6 fd00:1::5 dev eth0",
        ] {
            let family =
                if route.contains("fd00") && !route.contains("inet6") || route.contains("fe80") {
                    "-6"
                } else {
                    "-4"
                };
            ip(&format!("{family} route add {route}"));
        }
        let before = [ip("-4 route show"), ip("-6 route show")];
        let routes = main_routes(lab, "eth0");
        assert_eq!(routes.len(), 12, "{routes:#?}");
        for found in routes.iter().rev() {
            let absence: Resource = RouteAbsence(found.route.clone()).into();
            assert_eq!(lab.find(INSIDE, &absence), None, "{absence}");
            lab.creates(INSIDE, absence);
        }
        assert!(main_routes(lab, "eth0").is_empty());
        for found in &routes {
            lab.deletes(INSIDE, RouteAbsence(found.route.clone()));
        }
        let after = [ip("-4 route show"), ip("-6 route show")];
        assert_eq!(sorted(&after), sorted(&before));
    });
}

fn sorted(texts: &[String; 2]) -> Vec<&str> {
    let mut lines: Vec<&str> = texts.iter().flat_map(|text| text.lines().map(str::trim)).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn an_absence_that_is_there_already_is_fine() {
    in_lab(|lab| {
        connected(lab);
        let gone = Route::new("10.3.0.0/16".parse().unwrap(), None, "eth0".parse().unwrap());
        lab.creates(INSIDE, RouteAbsence(gone.clone()));
        lab.deletes(INSIDE, RouteAbsence(gone.clone()));
        lab.has(INSIDE, &gone.clone().into());
        // Somebody else has put it back already.
        lab.delete(INSIDE, RouteAbsence(gone.clone()));
        lab.create(INSIDE, RouteAbsence(gone.clone()));
        lab.apply(&[Step::Create(INSIDE, RouteAbsence(gone).into())]);
    });
}

#[test]
fn a_route_with_several_hops_obeys_the_law() {
    in_lab(|lab| {
        connected(lab);
        let gateway = |n| Some([10, 1, 0, n].into());
        let mut route =
            Route::new("10.3.0.0/16".parse().unwrap(), gateway(3), "eth0".parse().unwrap());
        route.hops =
            vec![Hop { gateway: gateway(3), weight: 1 }, Hop { gateway: gateway(4), weight: 3 }];
        route.table = 100;
        lab.obeys_the_law(INSIDE, route.clone());
        lab.create(INSIDE, route.clone());
        route.hops[1].weight = 2;
        lab.changes(INSIDE, route);
        let shown = ip("route show table 100").split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = "10.3.0.0/16 nexthop via 10.1.0.3 dev eth0 weight 1 \
                        nexthop via 10.1.0.4 dev eth0 weight 2";
        assert_eq!(shown, expected);
    });
}

/// Two interfaces of a container on one network: their routes become one, of which the kernel tells
/// the source of the first.
#[test]
fn ipv6_routes_that_became_one_have_a_source_each() {
    in_lab(|lab| {
        connected(lab);
        ip("-6 address add fd00:1::7/64 dev eth1 nodad");
        let route = |link: &str, source: &str| Route {
            source: Some(source.parse().unwrap()),
            ..Route::new(
                "fd00:5::/64".parse().unwrap(),
                Some("fd00:1::9".parse().unwrap()),
                link.parse().unwrap(),
            )
        };
        let (first, second) = (route("eth0", "fd00:1::2"), route("eth1", "fd00:1::7"));
        lab.creates(INSIDE, first.clone());
        lab.creates(INSIDE, second.clone());
        lab.has(INSIDE, &first.into());
        lab.has(INSIDE, &second.into());
        let through = main_routes(lab, "eth1").into_iter().find(|found| found.shared);
        assert_eq!(through.expect("the shared route").route.source, None);
    });
}

#[test]
fn plugins_can_ask_how_a_link_is_routed() {
    in_lab(|lab| {
        connected(lab);
        ip("route add default nexthop via 10.1.0.1 dev eth0 nexthop via 10.2.0.1 dev eth1");
        ip("route add 10.8.0.0/16 dev eth1 table 101");
        ip("route add 10.8.0.0/16 dev eth0 table 102");
        ip("rule add from 10.1.0.2 lookup 104");
        ip("address add 10.1.9.9/24 dev eth0 noprefixroute");
        let found = routing(lab, "eth0");
        assert!(found.has_link);
        let addresses: Vec<_> =
            found.addresses.iter().map(|a| (a.prefix.to_string(), a.has_route)).collect();
        let expected = [("10.1.0.2/24", true), ("10.1.9.9/24", false), ("fd00:1::2/64", true)];
        assert_eq!(addresses, expected.map(|(prefix, has_route)| (prefix.to_owned(), has_route)));
        assert_eq!(
            found.rules,
            [RoutingRule { priority: Some(32765), ..rule("10.1.0.2/32", 104) }]
        );
        assert!([101, 102, 104, 254, 255].iter().all(|table| found.used_tables.contains(table)));
        assert!(found.foreign_tables.contains(&101) && !found.foreign_tables.contains(&102));
        let default = found.routes.iter().find(|found| found.route.destination.is_default());
        let default = default.expect("a default route");
        assert!(default.shared && default.route.hops.is_empty(), "{default:?}");
        assert_eq!(default.route.gateway, Some([10, 1, 0, 1].into()));
        let near =
            found.routes.iter().find(|found| found.route.destination.to_string() == "10.1.0.0/24");
        let near = near.expect("a route to the subnet");
        assert_eq!(
            (near.route.source, near.route.scope),
            (Some([10, 1, 0, 2].into()), Some(RouteScope::LINK))
        );
        assert_eq!(routing(lab, "eth9").routes, []);
        assert!(!routing(lab, "eth9").has_link);
    });
}

#[test]
fn a_locked_sandbox_keeps_others_out_until_it_is_let_go() {
    in_lab(|lab| {
        lab.linux.lock_sandbox().unwrap();
        // The same file, as others lock it.
        let locked = |lab: &mut Lab| {
            let _ = &lab;
            let output = std::process::Command::new("flock")
                .args(["--nonblock", "/run/netns/sandbox", "true"])
                .status();
            !output.unwrap().success()
        };
        assert!(locked(lab));
        lab.linux = ropewalk_linux::Linux::host_only();
        assert!(!locked(lab));
    });
}
