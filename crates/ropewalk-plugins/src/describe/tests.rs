//! The table and the readers say the same: holds for every plugin of the table of plugins.
//!
//! A failure says what to change; "Describing keys" in CONTRIBUTING.md says how.

mod spots;

use std::collections::BTreeSet;

use ropewalk_cni::{CniResult, Environment, Fields, Request};
use serde_json::{Map, Value, json};

use self::spots::{Spot, empty, errors, full, outer_keys, sparse, spots};
use super::{Absent, Class, DESCRIPTIONS, Description, Kind, find};
use crate::{
    config,
    device::{Attachment, Given},
    ipam::sql,
    lint,
    table::{self, PLUGINS},
};

/// Fails with all problems at once, and with what to do.
#[track_caller]
fn none(problems: &[String], advice: &str) {
    let count = problems.len();
    assert!(count == 0, "{count} problems\n{}\n{advice}", problems.join("\n"));
}

#[test]
fn every_plugin_is_described() {
    let missing = PLUGINS.iter().filter(|plugin| find(plugin.name).is_none());
    let missing = missing.map(|plugin| format!("{} has no description", plugin.name));
    none(
        &missing.collect::<Vec<_>>(),
        "write a DESCRIPTION beside the plugin's reader of its configuration, as in \
         src/chained/tuning/keys.rs, and add it to DESCRIPTIONS in src/describe/mod.rs; \
         then run `cargo xtask docs`",
    );
    let is_known = |name| {
        table::find(name).is_some() || table::SEPARATE.iter().any(|plugin| plugin.name == name)
    };
    let unknown = DESCRIPTIONS.iter().filter(|found| !is_known(found.plugin));
    let unknown = unknown.map(|found| format!("{} is described, but no plugin", found.plugin));
    none(&unknown.collect::<Vec<_>>(), "the name must be the one in src/table.rs");
}

/// The keys that configurations for the reference plugins may have, as documented there.
const REFERENCE: &[(&str, &str)] = &[
    ("bandwidth", "ingressRate ingressBurst egressRate egressBurst runtimeConfig.bandwidth"),
    (
        "bridge",
        "bridge isGateway isDefaultGateway forceAddress ipMasq ipMasqBackend mtu hairpinMode \
         promiscMode vlan vlanTrunk[].minID vlanTrunk[].maxID vlanTrunk[].id preserveDefaultVlan \
         macspoofchk enabledad disableContainerInterface portIsolation dns ipam args.cni.mac \
         runtimeConfig.mac",
    ),
    (
        "dhcp",
        "ipam.daemonSocketPath ipam.priority ipam.provide[].option ipam.provide[].value \
         ipam.provide[].fromArg ipam.request[].skipDefault ipam.request[].option",
    ),
    ("dummy", "ipam"),
    ("firewall", "backend iptablesAdminChainName firewalldZone ingressPolicy"),
    ("host-device", "device hwaddr kernelpath pciBusID dpdkMode dns ipam runtimeConfig.deviceID"),
    (
        "host-local",
        "ipam.subnet ipam.rangeStart ipam.rangeEnd ipam.gateway ipam.ranges[][].subnet \
         ipam.ranges[][].rangeStart ipam.ranges[][].rangeEnd ipam.ranges[][].gateway \
         ipam.routes[].dst ipam.routes[].gw ipam.routes[].mtu ipam.routes[].advmss \
         ipam.routes[].priority ipam.routes[].table ipam.routes[].scope ipam.dataDir \
         ipam.resolvConf runtimeConfig.ipRanges runtimeConfig.ips args.cni.ips",
    ),
    ("ipvlan", "master mode mtu linkInContainer dns ipam"),
    ("loopback", ""),
    ("macvlan", "master mode mtu mac linkInContainer bcqueuelen dns ipam runtimeConfig.mac"),
    (
        "portmap",
        "backend snat masqAll markMasqBit externalSetMarkChain conditionsV4 conditionsV6 \
         runtimeConfig.portMappings[].hostPort runtimeConfig.portMappings[].containerPort \
         runtimeConfig.portMappings[].protocol runtimeConfig.portMappings[].hostIP",
    ),
    ("ptp", "ipMasq ipMasqBackend mtu dns ipam"),
    ("sbr", "table gateways addSourceHints"),
    ("sql", ""),
    (
        "static",
        "ipam.addresses[].address ipam.addresses[].gateway ipam.routes ipam.dns args.cni.ips \
         runtimeConfig.ips",
    ),
    ("tap", "multiQueue mtu mac owner group selinuxContext bridge dns ipam runtimeConfig.mac"),
    (
        "tuning",
        "sysctl mac promisc mtu txQLen allmulti dataDir args.cni.sysctl args.cni.mac \
         args.cni.promisc args.cni.mtu args.cni.allmulti args.cni.txQLen runtimeConfig.mac",
    ),
    ("vlan", "master vlanId mtu linkInContainer dns ipam"),
    ("vrf", "vrfname table"),
];

#[test]
fn every_key_of_the_reference_plugins_is_known() {
    let described: BTreeSet<String> = spots().iter().map(ToString::to_string).collect();
    let mut problems = Vec::new();
    for description in DESCRIPTIONS {
        let plugin = description.plugin;
        let known = REFERENCE.iter().find(|(name, _)| *name == plugin);
        let (_, keys) = known.unwrap_or_else(|| panic!("{plugin} is missing in REFERENCE"));
        let unknown = keys.split_whitespace().map(|key| format!("{plugin}: {key}"));
        problems.extend(unknown.filter(|path| !described.contains(path)));
    }
    none(&problems, "a configuration for the reference plugin would lose its meaning");
}

/// A path without the places in lists.
fn general(path: &str) -> String {
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| {
        let after = part.split_once(']').map_or("", |(_, after)| after);
        format!("{path}[]{after}")
    })
}

/// Every path that the reader asks for when all keys are there.
fn asked(description: &'static Description) -> BTreeSet<String> {
    let outer = outer_keys(description);
    let mut configurations: Vec<Value> =
        outer.iter().map(|(place, key)| full(description, *place, key)).collect();
    // Some keys hide others.
    let alone = outer.iter().map(|(place, key)| sparse(description, *place, &[*key]));
    configurations.extend(alone);
    let ask = |configuration: &Value| {
        let fields = Fields::new(configuration, "");
        lint::read(description, &fields);
        fields.asked_keys()
    };
    configurations.iter().flat_map(ask).map(|path| general(&path)).collect()
}

#[test]
fn what_a_plugin_reads_is_what_is_described() {
    let spots = spots();
    let mut problems = Vec::new();
    for description in DESCRIPTIONS {
        let own = spots.iter().filter(|spot| spot.description.plugin == description.plugin);
        let (names, described): (Vec<&Spot>, Vec<&Spot>) =
            own.partition(|spot| matches!(spot.key.kind, Kind::Names | Kind::Switches));
        let of_protocol = |path: &String| {
            config::COMMON.contains(&path.as_str())
                || ["args.cni", "ipam.type"].contains(&path.as_str())
                || description.class == Class::Addresses && path == "ipam"
                || path.starts_with("capabilities.")
        };
        let is_name =
            |path: &String| names.iter().any(|spot| path.starts_with(&format!("{}.", spot.path)));
        let asked = asked(description);
        let described: BTreeSet<String> =
            described.iter().chain(&names).map(|spot| spot.path.clone()).collect();
        let plugin = description.plugin;
        let unread = described.difference(&asked);
        problems.extend(unread.map(|path| format!("{plugin}: {path} is described, but not read")));
        let silent =
            asked.difference(&described).filter(|path| !of_protocol(path) && !is_name(path));
        problems.extend(silent.map(|path| format!("{plugin}: {path} is read, but not described")));
    }
    none(
        &problems,
        "add a `key(…)` to the plugin's DESCRIPTION for what is read, or take out what is not; a \
         key that is read only if another is there needs an example that has both",
    );
}

#[test]
fn every_example_is_accepted_by_the_reader() {
    let mut problems = Vec::new();
    for description in DESCRIPTIONS {
        for (place, key) in outer_keys(description) {
            let configuration = full(description, place, key);
            let remarks = lint::lint(description.plugin, &configuration).expect("a plugin of ours");
            let plugin = description.plugin;
            problems.extend(remarks.iter().map(|remark| {
                let (path, message) = (&remark.path, &remark.message);
                format!("{plugin}: with the example of {}: at {path}: {message}", key.name)
            }));
        }
    }
    none(
        &problems,
        "correct the `.example(…)`, or name the keys that exclude each other with `.not_with(…)`",
    );
}

#[test]
fn what_excludes_each_other_is_refused_together() {
    let mut problems = Vec::new();
    for description in DESCRIPTIONS {
        for (place, key) in outer_keys(description) {
            for (name, message) in key.not_with {
                let other = place.1.iter().find(|other| other.name == *name);
                let other = other.unwrap_or_else(|| panic!("{}: no key {name}", key.name));
                let found = errors(description, &sparse(description, place, &[key, other]));
                if !found.iter().any(|(_, found)| found == message) {
                    let (plugin, key) = (description.plugin, key.name);
                    problems.push(format!("{plugin}: {key} with {name}: {found:?}"));
                }
            }
        }
    }
    none(&problems, "`.not_with(…)` must name what the reader says of both examples together");
}

#[test]
fn what_is_described_as_refused_is_refused_in_these_words() {
    let mut problems = Vec::new();
    for spot in spots() {
        for (value, message) in spot.key.refused {
            // A value of another kind is written as JSON.
            let value = match spot.key.kind.value(value) {
                Value::Null => panic!("{spot}: {value} is no JSON"),
                value => value,
            };
            let complaints = spot.complaints(&value).concat();
            if !complaints.iter().any(|(_, complaint)| complaint == message) {
                problems.push(format!("{spot}: {value}: {complaints:?}"));
            }
        }
    }
    none(&problems, "`.refuses(…)` must have the very words that the reader says of the value");
}

#[test]
fn what_must_not_be_left_out_is_refused_without() {
    let mut problems = Vec::new();
    for spot in spots().iter().filter(|spot| spot.key.absent == Absent::Refused) {
        let complaints = spot.complaints(&Value::Null).concat();
        if complaints.is_empty() {
            problems.push(format!("{spot} may be left out"));
        }
    }
    none(&problems, "take `.required()` away, and say what the absent key means");
}

/// Values that do not fit a kind.
fn misfits(kind: Kind) -> Vec<Value> {
    match kind {
        Kind::Bool | Kind::BoolOr(_) => vec![json!("yes"), json!(1)],
        Kind::Integer(least, most) => {
            let outside =
                [least.checked_sub(1).map(Value::from), most.checked_add(1).map(Value::from)];
            outside.into_iter().flatten().chain([json!("7"), json!(true)]).collect()
        }
        Kind::Text | Kind::KnownWord(_) | Kind::AddressPlugin | Kind::Path => vec![json!(5)],
        Kind::Word(_)
        | Kind::WordInAnyCase(_)
        | Kind::Mac
        | Kind::Address
        | Kind::Cidr
        | Kind::AddressOrCidr => vec![json!(5), json!("zz")],
        Kind::InterfaceName => vec![json!(5), json!("a/b")],
        Kind::List(element) => {
            let inner = misfits(*element).into_iter().map(|misfit| json!([misfit]));
            inner.chain([json!("x")]).collect()
        }
        Kind::Object(_) => vec![json!("x")],
        Kind::Names => {
            vec![json!("x"), json!({ "net.core.somaxconn": 5 }), json!([5]), json!([{}])]
        }
        Kind::Switches => vec![json!("x"), json!({ "tso": "off" }), json!([])],
    }
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let mut problems = Vec::new();
    for spot in spots() {
        let misfits = misfits(spot.key.kind).into_iter();
        let accepted = misfits.filter(|misfit| spot.complaints(misfit).concat().is_empty());
        problems.extend(accepted.map(|misfit| format!("{spot}: {misfit} is accepted")));
    }
    none(&problems, "let the reader refuse it, or describe the key with a kind that says less");
}

#[test]
fn the_ends_of_ranges_are_accepted() {
    let mut problems = Vec::new();
    for spot in spots() {
        let Kind::Integer(least, most) = spot.key.kind else { continue };
        if spot.key.kind == Kind::NUMBER {
            continue;
        }
        for end in [Value::from(least), Value::from(most)] {
            let is_own = |(path, _): &&(String, String)| general(path) == spot.path;
            let complaints = spot.complaints(&end);
            // What is right alone may not go together with the example of another key.
            if let [Some(own), Some(_)] = complaints.each_ref().map(|all| all.iter().find(is_own)) {
                problems.push(format!("{spot}: {end}: {}", own.1));
            }
        }
    }
    none(&problems, "correct the range in `Kind::Integer(…)`");
}

fn request(configuration: &Value, args: &str) -> Request {
    let text = configuration.to_string();
    let variable = |name: &str| {
        let value = match name {
            "CNI_COMMAND" => "ADD",
            "CNI_CONTAINERID" => "c1",
            "CNI_NETNS" => "/run/netns/c1",
            "CNI_IFNAME" => "eth0",
            "CNI_PATH" => "/nowhere",
            "CNI_ARGS" => args,
            _ => return None,
        };
        Some(value.to_owned())
    };
    Request::parse(Environment::read(variable), text.as_bytes(), ropewalk_cni::ALL)
        .expect("a request that can be read")
}

/// What a plugin would make of a configuration, in words; `None` for one that gives addresses.
fn made(description: &Description, configuration: &Value) -> Option<String> {
    let table::Kind::Device(load) = table::find(description.plugin)?.kind else { return None };
    let result = |interfaces: Value, interface: Value| {
        let value = json!({ "cniVersion": "1.0.0", "interfaces": interfaces, "ips": [
            { "address": "10.7.0.2/24", "gateway": "10.7.0.1", "interface": interface },
            { "address": "fd00:7::2/64", "gateway": "fd00:7::1", "interface": interface },
        ]});
        CniResult::from_value(&value, "1.0.0").expect("a result")
    };
    let container = json!({ "name": "eth0", "sandbox": "/run/netns/c1" });
    let mut configuration = configuration.clone();
    let previous = result(json!([{ "name": "lan0" }, { "name": "veth0" }, container]), json!(2));
    configuration["prevResult"] =
        previous.to_value(ropewalk_cni::Version::V1_0_0).expect("version 1.0.0 carries it");
    let request = request(&configuration, "");
    let device = match load(&request) {
        Ok(device) => device,
        Err(error) => return Some(error.to_string()),
    };
    let attachment = Attachment::of(&request).expect("an attachment");
    let layer3 = device.ipam().map(|_| result(json!([]), Value::Null));
    let given = Given { layer3, previous: Some(previous), ..Given::default() };
    let ipam = device.ipam().map(str::to_owned);
    Some(format!("{ipam:?} {:#?}", device.declare(&attachment, &given)))
}

/// The same configuration with all switches of an object the other way round.
fn switched(mut configuration: Value, pointer: &str) -> Value {
    let object = configuration.pointer_mut(pointer).and_then(Value::as_object_mut);
    for value in object.into_iter().flat_map(Map::values_mut) {
        if let Some(switch) = value.as_bool() {
            *value = Value::Bool(!switch);
        }
    }
    configuration
}

#[test]
fn a_default_is_the_same_as_the_absent_key() {
    let mut problems = Vec::new();
    for spot in spots() {
        let Absent::Value(default) = spot.key.absent else { continue };
        let default = spot.key.kind.value(default);
        assert_ne!(default, Value::Null, "{spot}: the default is no JSON");
        let full = full(spot.description, spot.place, spot.outer);
        // What one switch hides, the other position shows.
        for full in [switched(full.clone(), &spot.pointer), full] {
            let there = spot.with(full, default.clone());
            let mut absent = there.clone();
            let object = absent.pointer_mut(&spot.pointer).and_then(Value::as_object_mut);
            object.expect("it was there").remove(spot.key.name);
            let (there, absent) = (made(spot.description, &there), made(spot.description, &absent));
            let (there, absent) = (there.unwrap_or_default(), absent.unwrap_or_default());
            let mut lines = there.lines().zip(absent.lines());
            if there != absent {
                let first = lines.find(|(there, absent)| there != absent);
                problems.push(format!("{spot}: with the default and without it: {first:?}"));
            }
        }
    }
    none(&problems, "correct `.default(…)`, or say it in words with `.absent(…)`");
}

/// The complaint about variables that a plugin does not know, if it has one.
fn complaint(description: &Description, args: &str) -> Option<String> {
    let (place, key) = ((description.objects().first().copied()).unwrap_or(("", &[])), None);
    let key = place.1.first().or(key);
    let configuration = key.map_or(empty(description), |key| full(description, place, key));
    let request = request(&configuration, args);
    let error = match table::find(description.plugin).map(|plugin| &plugin.kind) {
        Some(table::Kind::Device(load)) => load(&request).err()?,
        Some(table::Kind::Ipam(plugin)) => plugin.preview(&request).err()?,
        None => sql::Config::read(&request).err()?,
    };
    Some(error.msg).filter(|message| message.starts_with("ARGS: unknown args"))
}

#[test]
fn the_variables_that_a_plugin_knows_are_those_that_are_described() {
    let names: BTreeSet<&str> =
        DESCRIPTIONS.iter().flat_map(|found| found.variables).map(|key| key.name).collect();
    let mut problems = Vec::new();
    for description in DESCRIPTIONS {
        let (plugin, described) = (description.plugin, description.variables);
        let is_strict = complaint(description, "NOBODY_KNOWS=1").is_some();
        for name in &names {
            let is_described = described.iter().any(|key| key.name == *name);
            let is_known = complaint(description, &format!("{name}=x")).is_none();
            if is_strict && is_described != is_known {
                let (known, is) = (is_known, is_described);
                problems.push(format!("{plugin}: {name}: known: {known}, described: {is}"));
            }
        }
        if !is_strict && !described.is_empty() {
            problems.push(format!("{plugin}: describes variables, but reads none"));
        }
    }
    none(&problems, "correct `variables` of the DESCRIPTION");
}

#[test]
fn every_key_has_an_example_and_a_meaning() {
    let mut problems = Vec::new();
    let variables = DESCRIPTIONS.iter().flat_map(|found| found.variables);
    let spots = spots();
    for key in spots.iter().map(|spot| spot.key).chain(variables) {
        if key.example_value().is_null() {
            problems.push(format!("{} has no example", key.name));
        }
        if key.meaning.is_empty() || key.meaning.ends_with('.') || key.meaning.contains('\n') {
            problems.push(format!("{}: the meaning is a sentence without a full stop", key.name));
        }
    }
    for spot in &spots {
        let same = spot.beside.iter().filter(|key| key.name == spot.key.name).count();
        if same > 1 {
            problems.push(format!("{spot} is described {same} times"));
        }
    }
    none(&problems, "every key needs `.example(…)` unless it is a switch or an object");
}
