//! VR 323 to 328 and wish 25: interfaces in routing domains.
//!
//! The container `c1` has `net1` toward the router `r1`, as in the tests of sbr, and `net2`.

use ropewalk_e2e::chain::chained;
use ropewalk_e2e::chain::routes::{connect, lab_with_net1, net1_result, routes};
use ropewalk_e2e::{Lab, Plugin, Value, json, reference};

/// Nothing where the kernel has no routing domains.
fn lab() -> Option<Lab> {
    let lab = Lab::new();
    if lab.try_sh("ip link add probe type vrf table 9").code != 0 {
        lab.not_here("vrf");
        return None;
    }
    let lab = lab_with_net1();
    connect(
        &lab,
        "r2",
        "net2",
        &[("10.2.0.2/24", "10.2.0.1/24"), ("fd00:2::2/64", "fd00:2::1/64")],
    );
    Some(lab)
}

fn vrf<'lab>(lab: &'lab Lab, keys: &Value) -> Plugin<'lab> {
    chained(lab, "vrf", keys).ifname("net1")
}

fn blue(lab: &Lab) -> Plugin<'_> {
    vrf(lab, &json!({ "vrfname": "blue" }))
}

fn add(plugin: &Plugin<'_>) -> Value {
    plugin.clone().previous(&net1_result()).add().result()
}

/// The domains of the container, `NAME TABLE`, each with its members.
fn domains(lab: &Lab) -> Vec<String> {
    let links = lab.ip_json_in("c1", "link show");
    let links = links.as_array().expect("a list").clone();
    let domains = links.iter().filter(|link| link["linkinfo"]["info_kind"] == "vrf");
    let line = |domain: &Value| {
        let members = links.iter().filter(|link| link["master"] == domain["ifname"]);
        let members: Vec<_> = members.filter_map(|link| link["ifname"].as_str()).collect();
        let up = domain["flags"].as_array().is_some_and(|flags| flags.contains(&json!("UP")));
        let state = if up { "" } else { " down" };
        let table = &domain["linkinfo"]["info_data"]["table"];
        format!(
            "{} {table}{state}: {}",
            domain["ifname"].as_str().unwrap_or("?"),
            members.join(" ")
        )
    };
    domains.map(line).collect()
}

/// Addresses, domains and routes of the container.
fn everything(lab: &Lab) -> Vec<String> {
    let mut lines = domains(lab);
    for table in ["main", "1", "2", "7"] {
        lines.extend(routes(lab, table).into_iter().map(|route| format!("{table}: {route}")));
    }
    let shown = lab.sh_in("c1", "ip -o addr show scope global");
    let words = |line: &str| line.split_whitespace().skip(1).take(3).collect::<Vec<_>>().join(" ");
    lines.extend(shown.lines().map(words));
    lines
}

fn global_ipv6(lab: &Lab) -> String {
    lab.sh_in("c1", "ip -6 -o addr show dev net1 scope global")
}

/// What `net1` has in the main table before.
const ROUTES: [&str; 7] = [
    "10.1.0.0/24 - net1",
    "10.1.7.0/24 - net1",
    "10.55.0.0/16 10.1.7.9 net1",
    "10.56.0.0/16 - net1",
    "default 10.1.0.1 net1",
    "default fd00:1::1 net1",
    "fd00:1::/64 - net1",
];

#[test]
fn vr_323_the_interface_enters_a_domain_with_all_that_it_has() {
    let Some(lab) = lab() else { return };
    let plugin = blue(&lab);
    let answer = add(&plugin);
    assert_eq!(domains(&lab), ["blue 1: net1"]);
    let within = routes(&lab, "1");
    let within: Vec<_> = within.iter().filter(|route| !route.starts_with("ff00")).collect();
    if reference() {
        // 1.1.1 puts back what the kernel makes by itself.
        assert!(within.iter().all(|route| ROUTES.contains(&route.as_str())), "{within:?}");
    } else {
        assert_eq!(within, ROUTES);
    }
    assert!(!routes(&lab, "main").iter().any(|route| route.ends_with("net1")));
    let address = global_ipv6(&lab);
    assert!(address.contains("fd00:1::2/64") && !address.contains("tentative"), "{address}");
    for (key, value) in net1_result().as_object().expect("an object") {
        assert!(key == "routes" || &answer[key] == value, "{key}: {answer}");
    }
    plugin.check(&answer).silent();
    plugin.check(&net1_result()).silent();
    lab.sh_in("c1", "ip vrf exec blue ping -c 1 -W 5 10.1.0.1 || ping -c 1 -W 5 -I blue 10.1.0.1");
    lab.sh_in("c1", "ping -c 1 -W 5 -I blue fd00:1::1");
}

#[test]
fn vr_323_the_next_domain_has_the_next_free_table() {
    let Some(lab) = lab() else { return };
    add(&blue(&lab));
    let red = vrf(&lab, &json!({ "vrfname": "red" })).ifname("net2");
    add(&red);
    assert_eq!(domains(&lab), ["blue 1: net1", "red 2: net2"]);
    if reference() {
        return;
    }
    red.del_without_result().silent();
    lab.sh("ip -n c1 route add 10.9.0.0/16 dev net2 table 2");
    add(&red);
    assert_eq!(domains(&lab), ["blue 1: net1", "red 3: net2"], "the table of somebody else");
}

#[test]
fn vr_324_a_table_can_be_asked_for_and_must_be_that_of_a_domain_that_is_there() {
    let Some(lab) = lab() else { return };
    let keys = |table: u32| json!({ "vrfname": "blue", "table": table });
    let answer = add(&vrf(&lab, &keys(7)));
    assert_eq!(domains(&lab), ["blue 7: net1"]);
    let before = everything(&lab);
    let other = |table| vrf(&lab, &keys(table)).ifname("net2").previous(&net1_result());
    let message = other(8).add().failure();
    assert!(
        message.ends_with("VRF blue already exist with different routing table 7"),
        "{message}"
    );
    assert_eq!(everything(&lab), before);
    other(7).add().result();
    assert_eq!(domains(&lab), ["blue 7: net1 net2"]);
    vrf(&lab, &keys(7)).check(&answer).silent();
}

#[test]
fn vr_325_mistakes_are_told_and_change_nothing() {
    let Some(lab) = lab() else { return };
    let answer = add(&blue(&lab));
    let before = everything(&lab);
    let named = |name: &str| vrf(&lab, &json!({ "vrfname": name })).previous(&net1_result());
    for (plugin, expected) in [
        (named("blue"), "interface net1 has already a master set: blue"),
        (named("net2"), "Netlink net2 is not a VRF"),
    ] {
        let message = plugin.add().failure();
        assert!(message.ends_with(expected), "{message}");
        assert_eq!(everything(&lab), before);
    }
    let unnamed = "configuration is expected to have a valid vrf name";
    for keys in [json!({}), json!({ "vrfname": "" })] {
        let plugin = vrf(&lab, &keys);
        assert_eq!(plugin.clone().previous(&net1_result()).add().invalid_config(), unnamed);
        assert_eq!(plugin.del(&answer).invalid_config(), unnamed);
    }
    let message = blue(&lab).ifname("net2").add().failure();
    assert_eq!(message, "missing prevResult from earlier plugin");
    assert_eq!(everything(&lab), before);
    if reference() {
        return;
    }
    let message = named("a-name-that-is-too-long").add().invalid_config();
    assert!(message.starts_with(unnamed), "{message}");
    let message = named("green").add().failure();
    assert_eq!(message, "interface net1 has already a master set: blue");
    assert_eq!(everything(&lab), before, "no domain without a member");
}

#[test]
fn vr_326_the_domain_goes_with_its_last_member() {
    let Some(lab) = lab() else { return };
    let (first, second) = (blue(&lab), blue(&lab).ifname("net2"));
    let answer = add(&first);
    add(&second);
    assert_eq!(domains(&lab), ["blue 1: net1 net2"]);
    first.del(&answer).silent();
    assert_eq!(domains(&lab), ["blue 1: net2"]);
    first.del(&answer).silent();
    assert_eq!(domains(&lab), ["blue 1: net2"], "another one's");
    second.del_without_result().silent();
    assert!(domains(&lab).is_empty());
    second.del_without_result().silent();
}

#[test]
fn vr_327_del_where_something_is_gone_succeeds() {
    let Some(lab) = lab() else { return };
    let plugin = blue(&lab);
    let answer = add(&plugin);
    lab.sh("ip -n c1 link del blue");
    plugin.del(&answer).silent();
    let answer = add(&plugin);
    if !reference() {
        lab.sh("ip -n c1 link del net1");
        plugin.del(&answer).silent();
        assert!(domains(&lab).is_empty(), "{:?}", domains(&lab));
        plugin.del_without_result().silent();
    }
    lab.sh("ip netns del c1");
    plugin.del(&answer).silent();
    plugin.del_without_result().silent();
    plugin.clone().netns("").del(&answer).silent();
}

#[test]
fn vr_327_an_interface_that_is_missing_leaves_no_domain() {
    let Some(lab) = lab() else { return };
    let before = everything(&lab);
    let message = blue(&lab).ifname("net7").previous(&net1_result()).add().failure();
    assert!(message.ends_with("could not get link by name net7"), "{message}");
    if !reference() {
        assert_eq!(everything(&lab), before);
    }
}

#[test]
fn vr_328_check_looks_at_the_member_the_domain_and_its_routes() {
    let Some(lab) = lab() else { return };
    if lab.reference_fails("the CHECK of 1.1.1 looks at nothing") {
        return;
    }
    for (damage, word) in [
        ("ip link set net1 nomaster", "failed to find net1 associated to vrf blue"),
        ("ip link set blue down", "blue is down"),
        ("ip link del blue", "blue"),
        ("ip -6 addr del fd00:1::2/64 dev net1", "fd00:1::2/64"),
        ("ip route del default table 1", "0.0.0.0/0"),
        ("ip -6 route del default table 1", "::/0"),
        (
            "ip link del blue; ip link add blue type vrf table 5; ip link set blue up; ip link set net1 master blue",
            "Vrf",
        ),
    ] {
        let plugin = vrf(&lab, &json!({ "vrfname": "blue", "table": 1 }));
        let answer = add(&plugin);
        plugin.check(&answer).silent();
        lab.sh_in("c1", damage);
        let error = plugin.check(&answer).error();
        let text = format!("{}; {}", error.msg, error.details);
        assert!(
            text.contains(word) || text.contains("different routing table"),
            "{damage}: {text}"
        );
        let _ = lab.try_sh("ip -n c1 link del blue");
        lab.sh("ip -n c1 link del net1; ip netns del r1");
        ropewalk_e2e::chain::routes::connect_net1(&lab);
    }
}

#[test]
fn row_25_an_interface_that_leaves_its_domain_has_everything_back() {
    let Some(lab) = lab() else { return };
    if lab.reference_fails("addresses and routes are lost") {
        return;
    }
    for keeps in [0, 1] {
        lab.sh_in("c1", &format!("echo {keeps} >/proc/sys/net/ipv6/conf/net1/keep_addr_on_down"));
        let before = everything(&lab);
        let plugin = blue(&lab);
        let answer = add(&plugin);
        assert_ne!(everything(&lab), before);
        plugin.del(&answer).silent();
        assert_eq!(everything(&lab), before, "keep_addr_on_down is {keeps}");
    }
}

#[test]
fn row_25_an_add_that_fails_gives_everything_back() {
    let Some(lab) = lab() else { return };
    if lab.reference_fails("it leaves the domain behind") {
        return;
    }
    // The gateway can no longer be reached, so that the route cannot be put into the table.
    lab.sh("ip -n c1 route add 10.77.0.0/16 via 10.1.0.77
            ip -n c1 -6 route add fd00:77::/64 via fd00:1::77");
    let before = everything(&lab);
    lab.sh("ip -n c1 addr add 10.99.0.2/24 dev net1
            ip -n c1 route add 10.78.0.0/16 via 10.99.0.1
            ip -n c1 addr del 10.99.0.2/24 dev net1");
    let message = blue(&lab).previous(&net1_result()).add().failure();
    assert!(message.contains("blue") && message.contains("net1"), "{message}");
    assert!(domains(&lab).is_empty());
    assert_eq!(everything(&lab), before);
}

#[test]
fn row_25_our_del_ends_what_the_reference_plugin_began_and_the_other_way_round() {
    let Some(lab) = lab() else { return };
    let theirs = "/usr/lib/cni";
    if reference() || lab.try_sh(&format!("test -x {theirs}/vrf")).code != 0 {
        return;
    }
    let config = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "vrf", "vrfname": "blue",
        "prevResult": net1_result(),
    });
    let run = |directory: &str, verb: &str| {
        let directory = if directory.is_empty() { lab.plugin_directory() } else { directory };
        lab.sh(&format!(
            "CNI_COMMAND={verb} CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/c1 CNI_IFNAME=net1 \
             CNI_PATH={directory} {directory}/vrf <<'END'\n{config}\nEND"
        ));
    };
    for (first, second) in [(theirs, ""), ("", theirs)] {
        run(first, "ADD");
        assert_eq!(domains(&lab), ["blue 1: net1"]);
        run(second, "DEL");
        assert!(domains(&lab).is_empty());
        lab.sh("ip -n c1 link del net1; ip netns del r1");
        ropewalk_e2e::chain::routes::connect_net1(&lab);
    }
}
