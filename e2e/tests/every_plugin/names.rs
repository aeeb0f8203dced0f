//! Names at the edge of what is allowed, and more than one attachment of a container.

use ropewalk_e2e::{Role, Sample, json};

use ropewalk_e2e::State;

/// Containers, networks and interfaces may have any name that the specification allows.
pub(crate) fn odd(name: &str) {
    let Some(host) = Sample::of(name).host() else { return };
    host.settle();
    let long = "Az09_.-".repeat(28);
    let interfaces: &[&str] = match (host.sample.role, name) {
        (_, "loopback") => &["lo"],
        _ => &["a.b-c_d,e+f=g@1", "\"$x'\\*;&|", "äöü7", "-e"],
    };
    let mut failures = Vec::new();
    for ifname in interfaces {
        let before = State::of(&host);
        let list = host.list(0).map(|plugin| {
            plugin
                .container(&long)
                .ifname(ifname)
                .key("name", &json!(format!("N.{}", &long[..190])))
        });
        let (result, failure) = list.try_add();
        if let Some(failure) = failure {
            failures.push(format!("{ifname}: {failure}"));
        } else {
            let result = result.expect("it succeeded");
            host.check(&list, &result);
            list.del(&result);
        }
        list.del_without_result();
        before.is_still_so(&host, ifname);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Two attachments of one container to one network do not disturb each other.
pub(crate) fn neighbours(name: &str) {
    let Some(host) = Sample::of(name).host() else { return };
    // The loopback interface is one, the container of a VRF sample has one domain.
    if name == "loopback" {
        return;
    }
    host.settle();
    let lists = [host.list(0), host.list(1), host.list(2)];
    let before = State::of(&host);
    let first = lists[0].add();
    let alone = State::of(&host);
    let second = lists[1].add();
    let third = lists[2].add();
    for (list, result) in lists.iter().zip([&first, &second, &third]) {
        host.check(list, result);
    }
    if host.sample.role == Role::Interface {
        assert_ne!(first["ips"], second["ips"]);
    }
    lists[2].del(&third);
    lists[1].del_without_result();
    host.check(&lists[0], &first);
    alone.is_still_so(&host, "the second and the third are gone");
    lists[0].del(&first);
    before.is_still_so(&host, "all are gone");
}
