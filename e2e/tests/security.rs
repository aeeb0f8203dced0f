//! What docs/guide/security.md promises: least privilege, no way out of our directories, private
//! files, and bounds for what is not ours.

use std::fs;
use std::time::{Duration, Instant};

use ropewalk_e2e::chain::Chain;
use ropewalk_e2e::{Host, Lab, Outcome, Plugin, SAMPLES, Sample, Value, json, patience};

/// The plugin with no more than these capabilities, as root.
fn with_only<'lab>(plugin: &Plugin<'lab>, capabilities: &[&str]) -> Plugin<'lab> {
    let bound = [&["-all"][..], capabilities].concat().join(",+");
    plugin.clone().by(&["/usr/bin/setpriv", &format!("--bounding-set={bound}")])
}

/// What the verbs of a plugin need, beside being root.
fn needed(plugin: &str) -> &'static [&'static str] {
    match plugin {
        "dhcp" | "host-local" | "static" => &[],
        _ => &["net_admin", "sys_admin"],
    }
}

/// A whole life with these capabilities.
fn live(host: &Host, capabilities: &[&str]) {
    let list = host.list(0).map(|plugin| plugin.key("cniVersion", &json!("1.1.0")));
    let (own, preceding) = list.0.split_last().expect("a list has a plugin");
    let earlier = Chain(preceding.to_vec());
    let previous = (!earlier.0.is_empty()).then(|| earlier.add());
    let plugin = with_only(own, capabilities);
    let adding = previous.iter().fold(plugin.clone(), Plugin::previous);
    let result = adding.add().result();
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    plugin.gc(&[("c2", "eth0")]).silent();
    plugin.status().silent();
    earlier.del_without_result();
}

#[test]
fn every_verb_works_with_the_capabilities_that_are_promised() {
    for sample in SAMPLES {
        let Some(host) = sample.host() else { continue };
        if host.lab.reference_fails("it has no GC") {
            return;
        }
        live(&host, needed(sample.name));
    }
}

#[test]
fn without_a_capability_an_add_is_refused_and_leaves_nothing() {
    for name in ["bridge", "ptp", "macvlan", "tap"] {
        let host = Sample::of(name).host().expect("every kernel has these");
        if host.lab.reference_fails("it leaves much") {
            return;
        }
        host.settle();
        let before = host.lab.snapshot();
        for missing in needed(name) {
            let rest: Vec<&str> =
                needed(name).iter().copied().filter(|other| other != missing).collect();
            let outcome = with_only(&host.plugin(0), &rest).add();
            outcome.error();
            host.lab.nothing_left(&before);
        }
    }
}

#[test]
fn version_needs_no_privilege_at_all() {
    let lab = Lab::new();
    for name in lab.plugin_names() {
        let plugin = with_only(&lab.plugin(name), &[]).command("VERSION");
        plugin.stdin(r#"{"cniVersion":"1.0.0"}"#).run().result();
    }
}

#[test]
fn names_and_ids_are_no_paths() {
    let lab = Lab::new();
    lab.netns("c1");
    let before = lab.snapshot();
    let plugin = |name: &str, network: &str| {
        lab.plugin(name).on("c1").config(json!({
            "cniVersion": "1.0.0", "name": network, "type": name,
            "ipam": { "type": "host-local", "subnet": "10.1.2.0/24" },
        }))
    };
    for bad in ["../net", "..", "a/b", "/etc", "a\\b/../c", ".", ""] {
        for name in ["bridge", "host-local"] {
            plugin(name, bad).add().error();
            plugin(name, "net").container(bad).add().error();
            plugin(name, "net").container(bad).del_without_result().error();
        }
        plugin("bridge", "net").ifname(bad).add().error();
        let elsewhere = json!({ "type": bad, "subnet": "10.1.2.0/24" });
        if !bad.is_empty() {
            plugin("bridge", "net").key("ipam", &elsewhere).add().error();
        }
    }
    lab.nothing_left(&before);
}

/// Everything below these directories that is a file of ours, with its permissions.
fn files(lab: &Lab) -> Vec<(String, u32)> {
    let found = lab.sh(
        "find /var/lib/cni /var/lib/ropewalk /run/cni /run/ropewalk -type f -printf '%m %p\\n' \
         2>/dev/null || true",
    );
    let line = |line: &str| {
        let (mode, path) = line.split_once(' ').expect("mode and path");
        (path.to_owned(), u32::from_str_radix(mode, 8).expect("permissions"))
    };
    found.lines().map(line).collect()
}

#[test]
fn files_are_private() {
    for name in ["bridge", "tuning", "dhcp"] {
        let host = Sample::of(name).host().expect("every kernel has these");
        if host.lab.reference_fails("it has other files") {
            return;
        }
        host.list(0).add();
        let files = files(&host.lab);
        assert!(!files.is_empty(), "{name} keeps something");
        for (path, mode) in files {
            // The lock has nothing in it, and the mode that the reference plugin gives it.
            let expected = if path.ends_with("/lock") { 0o750 } else { 0o600 };
            assert_eq!(mode, expected, "{path}");
        }
    }
}

#[test]
fn symbolic_links_lead_nowhere() {
    for name in ["bridge", "tuning"] {
        let host = Sample::of(name).host().expect("every kernel has these");
        if host.lab.reference_fails("it follows them") {
            return;
        }
        let lab = &host.lab;
        let list = host.list(0);
        let result = list.add();
        // Each life may have files of other names.
        for number in 0..files(lab).len() {
            let Some((path, _)) = files(lab).into_iter().nth(number) else { break };
            let was = fs::read(lab.outside(&path)).expect("it is there");
            lab.write("/run/lab/victim", "precious");
            lab.sh(&format!("ln -sf /run/lab/victim {path}"));
            // Whatever comes of these, it comes to nobody else.
            let end = |outcome: Outcome| {
                if outcome.code != 0 {
                    drop(outcome.error());
                }
            };
            for plugin in list.0.iter().rev() {
                end(plugin.del(&result));
            }
            let mut previous: Option<Value> = None;
            for plugin in &list.0 {
                let plugin = match &previous {
                    Some(result) => plugin.clone().previous(result),
                    None => plugin.clone(),
                };
                let outcome = plugin.add();
                if outcome.code != 0 {
                    outcome.error();
                    break;
                }
                previous = Some(outcome.result());
            }
            assert_eq!(lab.read("/run/lab/victim"), "precious", "{path}");
            lab.sh(&format!("rm -f {path}"));
            if path.ends_with("/lock") || path.contains("last_reserved_ip") {
                fs::write(lab.outside(&path), was).expect("a private host takes files");
            }
            list.del_without_result();
            list.add();
        }
    }
}

/// A bridge whose address plugin is this script.
fn delegating<'lab>(lab: &'lab Lab, script: &str) -> Plugin<'lab> {
    let path = lab.delegate("hostile", script);
    lab.plugin("bridge").on("c1").path(&path).config(json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": { "type": "hostile" },
    }))
}

#[test]
fn an_address_plugin_that_never_stops_talking_or_never_ends_is_killed() {
    let lab = Lab::new();
    if lab.reference_fails("it waits for ever") {
        return;
    }
    lab.netns("c1");
    let before = lab.snapshot();
    let begun = Instant::now();
    let outcome = delegating(&lab, "exec yes").add();
    assert!(outcome.failure().contains("more than 8 MiB"), "{outcome}");
    for script in
        ["exec sleep 1000", "exec 1>&- 2>&-; exec sleep 1000", "yes >&2 & exec sleep 1000"]
    {
        let plugin = delegating(&lab, script).variable("ROPEWALK_DELEGATE_SECONDS", "1");
        let outcome = plugin.add();
        assert!(outcome.failure().contains("did not end in time"), "{outcome}");
        assert!(plugin.del_without_result().failure().contains("did not end in time"));
    }
    assert!(begun.elapsed() < patience(Duration::from_mins(1)));
    // One that says much before it listens, and one that does not listen at all.
    let large = json!("x".repeat(300_000));
    let first = "yes | head -c 300000 >&2; cat >/dev/null; \
                 echo '{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.1.2.3/24\"}]}'";
    let plugin = delegating(&lab, first).key("large", &large);
    plugin.add().result();
    plugin.del_without_result().silent();
    let deaf = delegating(&lab, "exit 0").key("large", &large);
    deaf.del_without_result().silent();
    lab.nothing_left(&before);
}

#[test]
fn the_daemon_of_dhcp_answers_root_alone() {
    let host = Sample::of("dhcp").host().expect("every kernel has it");
    if host.lab.reference_fails("it answers everybody") {
        return;
    }
    let lab = &host.lab;
    assert_eq!(lab.mode("/run/cni/dhcp.sock") & 0o7000, 0);
    lab.sh("chmod 755 /run/cni; chmod 777 /run/cni/dhcp.sock");
    let list = host.list(0);
    let result = list.add();
    let plugin = list.0.last().expect("a list has a plugin");
    let nobody = plugin.clone().by(&[
        "/usr/bin/setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ]);
    let message = nobody.check(&result).error().msg;
    assert!(!message.is_empty());
    nobody.del(&result).error();
    plugin.check(&result).silent();
    assert!(lab.read("/run/lab/daemon.log").contains("turned away"));
    list.del(&result);
}
