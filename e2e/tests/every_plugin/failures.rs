//! ADDs that fail half way, for each reason that there is.

use ropewalk_e2e::{Host, Outcome, Role, Sample, json};

use ropewalk_e2e::State;

/// Asserts that it failed and changed nothing.
#[track_caller]
fn failed(host: &Host, before: &State, outcome: &Outcome, why: &str) {
    outcome.error();
    before.is_still_so(host, why);
}

/// Whatever the reason is for which ADD fails, nothing is left: on the host, in the container, in
/// files.
pub(crate) fn leave_nothing(name: &str) {
    let Some(host) = Sample::of(name).host() else { return };
    if host.lab.reference_fails("it leaves much") {
        return;
    }
    host.settle();
    let plugin = host.plugin(0);
    let before = State::of(&host);
    let lab = &host.lab;
    let asks = host.sample.role == Role::Interface && name != "loopback";
    if asks {
        lab.sh_in("c1", "ip link add eth0 type veth peer name other");
        let taken = State::of(&host);
        failed(&host, &taken, &plugin.add(), "the name is taken");
        let layer2 = plugin.clone().key("ipam", &json!({}));
        failed(&host, &taken, &layer2.add(), "the name is taken, without addresses");
        lab.sh_in("c1", "ip link del eth0");
        before.is_still_so(&host, "the name is free");

        let path = lab.delegate("broken", "echo '{\"code\":11,\"msg\":\"try\"}'; exit 1");
        let broken = plugin.clone().path(&path).key("ipam", &json!({ "type": "broken" }));
        failed(&host, &before, &broken.add(), "the address plugin fails");
        let path = lab.delegate("empty", "echo '{\"cniVersion\":\"1.0.0\"}'");
        let empty = plugin.clone().path(&path).key("ipam", &json!({ "type": "empty" }));
        failed(&host, &before, &empty.add(), "there are no addresses");
        let absent = plugin.clone().key("ipam", &json!({ "type": "absent" }));
        failed(&host, &before, &absent.add(), "there is no such address plugin");

        for (what, routes) in [
            ("a route leads nowhere", json!([{ "dst": "10.77.0.0/16", "gw": "10.78.0.1" }])),
            (
                "a route is there twice",
                json!([{ "dst": "10.1.2.0/24", "scope": 253 },
                { "dst": "fd00:77::/64", "gw": "fd00:78::1" }]),
            ),
            ("a route has no such table", json!([{ "dst": "10.77.0.0/16", "scope": 300 }])),
        ] {
            let ipam = json!({
                "type": "host-local", "routes": routes,
                "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
            });
            let outcome = plugin.clone().key("ipam", &ipam).add();
            failed(&host, &before, &outcome, what);
        }
        let ipam = json!({ "type": "host-local", "subnet": "10.1.2.0/32" });
        failed(&host, &before, &plugin.clone().key("ipam", &ipam).add(), "no range");
    }
    for (why, outcome) in [
        ("no namespace", plugin.clone().netns("/run/netns/nope").add()),
        ("its own namespace", plugin.clone().netns("/proc/self/ns/net").add()),
        ("a name that is none", plugin.clone().ifname("a/b").add()),
    ] {
        // What only gives addresses, and what does not look into the container, need no namespace.
        if outcome.code == 0 {
            plugin.del_without_result().silent();
            before.is_still_so(&host, why);
            continue;
        }
        failed(&host, &before, &outcome, why);
    }
    let result = plugin.add().result();
    plugin.check(&result).silent();
}
