//! Chains of plugins as a runtime runs them, and what the tests of chained plugins ask of them.
//!
//! Each test file uses a part of it. It must know no more of the product than a runtime does.

pub mod packets;
pub mod routes;

use crate::{Lab, Outcome, Plugin, Snapshot, Value, json};

/// Addresses of host and peer on the network outside.
pub const OUTSIDE: [(&str, &str); 2] =
    [("10.99.0.1/24", "10.99.0.2/24"), ("fd00:99::1/64", "fd00:99::2/64")];

/// Containers `c1`, `c2` and a namespace `outer`, which has no way to the containers; the host's
/// own namespace is named `host`.
pub fn lab_with_outside() -> Lab {
    let lab = Lab::new();
    lab.sh("ip netns attach host $$");
    lab.netns("c1");
    lab.netns("c2");
    lab.outer_network("outer", &OUTSIDE);
    lab
}

/// The bridge `cni0` of the dual-stack network `net`; containers send everything through it.
///
/// Where the kernel shows bridged packets to iptables, a container reaches its own published port
/// only with `hairpinMode`: the packet is translated on its way through the bridge.
pub fn bridge(lab: &Lab) -> Plugin<'_> {
    lab.plugin("bridge").on("c1").config(json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "isGateway": true,
        "hairpinMode": true,
        "ipam": {
            "type": "host-local",
            "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
        },
    }))
}

/// A plugin of the network `net` with these keys, for `c1`.
pub fn chained<'lab>(lab: &'lab Lab, name: &str, keys: &Value) -> Plugin<'lab> {
    let plugin = lab.plugin(name).on("c1");
    let plugin = plugin.config(json!({ "cniVersion": "1.0.0", "name": "net", "type": name }));
    let keys = keys.as_object().expect("keys are an object").iter();
    keys.fold(plugin, |plugin, (key, value)| plugin.key(key, value))
}

/// portmap with these mappings and other keys.
pub fn portmap<'lab>(lab: &'lab Lab, mappings: &Value, keys: &Value) -> Plugin<'lab> {
    chained(lab, "portmap", keys).key("runtimeConfig", &json!({ "portMappings": mappings }))
}

/// The result of a bridge that was never there: `c1` has `10.1.2.5` and `fd00:1::5` on `eth0`.
pub fn bridge_result() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "interfaces": [
            { "name": "cni0" }, { "name": "eth0", "sandbox": "/run/netns/c1" },
        ],
        "ips": [
            { "interface": 1, "address": "10.1.2.5/24" },
            { "interface": 1, "address": "fd00:1::5/64" },
        ],
    })
}

/// As [`bridge_result`], for `c2`, which has `10.1.2.6` and `fd00:1::6`.
pub fn second_result() -> Value {
    let text = bridge_result().to_string().replace("netns/c1", "netns/c2");
    let text = text.replace("10.1.2.5", "10.1.2.6").replace("fd00:1::5", "fd00:1::6");
    text.parse().expect("still a result")
}

/// A host where `c1` could be as in [`bridge_result`]: there is the link toward its addresses.
pub fn lab_with_bridge() -> Lab {
    let lab = Lab::new();
    lab.netns("c1");
    lab.netns("c2");
    lab.sh("ip link add cni0 type bridge
            ip addr add 10.1.2.1/24 dev cni0
            ip addr add fd00:1::1/64 dev cni0 nodad
            ip link set cni0 up");
    lab
}

/// A host where `c1` has one end of a veth pair, `eth0`, which is up; the other is the host's
/// `host0`.
pub fn lab_with_pair() -> Lab {
    let lab = Lab::new();
    lab.netns("c1");
    lab.sh("ip link add host0 type veth peer name eth0 netns c1");
    lab.sh_in("c1", "ip link set eth0 up");
    lab
}

/// What a bridge plugin would have told of such a pair.
pub fn pair() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "interfaces": [
            { "name": "host0", "mac": "00:00:00:00:00:01" },
            { "name": "eth0", "mac": "00:00:00:00:00:02", "sandbox": "/run/netns/c1" },
        ],
    })
}

/// The object with its key removed.
pub fn without(object: &Value, key: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().expect("an object").remove(key);
    object
}

/// Plugins in the order of a network's list, for one container.
#[derive(Clone)]
pub struct Chain<'lab>(pub Vec<Plugin<'lab>>);

impl<'lab> Chain<'lab> {
    /// The same chain with every plugin changed.
    #[must_use]
    pub fn map(&self, change: impl Fn(Plugin<'lab>) -> Plugin<'lab>) -> Self {
        Self(self.0.iter().cloned().map(change).collect())
    }

    /// The same chain for another container.
    #[must_use]
    pub fn on(&self, container: &str) -> Self {
        self.map(|plugin| plugin.on(container))
    }

    /// ADD of each plugin; the result of the last one that succeeded, and the failure if there was
    /// one.
    pub fn try_add(&self) -> (Option<Value>, Option<Outcome>) {
        let mut result = None;
        for plugin in &self.0 {
            let plugin = match &result {
                Some(result) => plugin.clone().previous(result),
                None => plugin.clone(),
            };
            let outcome = plugin.add();
            if outcome.code != 0 {
                return (result, Some(outcome));
            }
            result = Some(outcome.result());
        }
        (result, None)
    }

    /// ADD of each plugin; the result of the last.
    #[track_caller]
    pub fn add(&self) -> Value {
        match self.try_add() {
            (Some(result), None) => result,
            (_, Some(failure)) => panic!("should have succeeded: {failure}"),
            (None, None) => panic!("a chain has a plugin"),
        }
    }

    /// CHECK of each plugin.
    #[track_caller]
    pub fn check(&self, result: &Value) {
        for plugin in &self.0 {
            plugin.check(result).silent();
        }
    }

    /// DEL of each plugin, last first.
    #[track_caller]
    pub fn del(&self, result: &Value) {
        for plugin in self.0.iter().rev() {
            plugin.del(result).silent();
        }
    }

    /// DEL of each plugin without a `prevResult`, last first.
    #[track_caller]
    pub fn del_without_result(&self) {
        for plugin in self.0.iter().rev() {
            plugin.del_without_result().silent();
        }
    }

    /// Runs ADD and DEL once for a container of its own on a network of its own, so that what is
    /// Shared is there and a comparison with the snapshot is exact.
    #[track_caller]
    pub fn settled(&self, lab: &Lab) -> Snapshot {
        lab.netns("settled");
        let chain = self.on("settled").map(|plugin| plugin.key("name", &json!("settled")));
        let result = chain.add();
        chain.del(&result);
        lab.sh("ip netns del settled");
        lab.snapshot()
    }
}

/// Lets every forwarded packet be dropped by this kind of iptables, `nft` or `legacy`, and answers
/// a `PATH` on which `iptables` is that kind.
pub fn forward_drop_by(lab: &Lab, kind: &str) -> String {
    lab.sh(&format!(
        "mkdir /run/lab/tools
         for family in iptables ip6tables; do
             for action in '' -save -restore; do
                 ln -s /usr/sbin/$family-{kind}$action /run/lab/tools/$family$action
             done
             /run/lab/tools/$family -P FORWARD DROP
         done"
    ));
    "/run/lab/tools:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()
}

/// All policies and rules that this kind of iptables has, of both families, without counters.
pub fn saved_rules(lab: &Lab, kind: &str) -> Vec<String> {
    let text = lab.sh(&format!("iptables-{kind}-save; ip6tables-{kind}-save"));
    let lines = text.lines().filter(|line| line.starts_with(['-', ':']));
    lines.map(|line| line.split(" [").next().unwrap_or_default().to_owned()).collect()
}

/// The rules of one table as `iptables-save` prints them, without counters.
pub fn iptables_rules(lab: &Lab, program: &str, table: &str) -> Vec<String> {
    let text = lab.sh(&format!("{program}-save -t {table}"));
    text.lines().filter(|line| line.starts_with('-')).map(str::to_owned).collect()
}

/// The rules of one chain, in order, without their `-A <chain>`; nothing for no chain.
pub fn chain_rules(lab: &Lab, program: &str, table: &str, chain: &str) -> Vec<String> {
    let start = format!("-A {chain} ");
    let rules = iptables_rules(lab, program, table).into_iter();
    rules.filter_map(|rule| rule.strip_prefix(&start).map(str::to_owned)).collect()
}

/// The names of the chains that somebody added to a table, sorted.
pub fn user_chains(lab: &Lab, program: &str, table: &str) -> Vec<String> {
    let text = lab.sh(&format!("{program}-save -t {table}"));
    let chains = text.lines().filter(|line| line.starts_with(':') && line.contains(" - ["));
    let name = |line: &str| line[1..].split(' ').next().unwrap_or_default().to_owned();
    let mut names: Vec<String> = chains.map(name).collect();
    names.sort();
    names
}

/// Asserts that a text contains each of the words.
#[track_caller]
pub fn names_all(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

/// Message and details of an error in one text.
#[track_caller]
pub fn whole_text(outcome: &Outcome) -> String {
    let error = outcome.error();
    format!("{}; {}", error.msg, error.details)
}
