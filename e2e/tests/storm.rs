//! Many at once: hundreds of ADD, CHECK, DEL and GC of one network, some of them killed, and then
//! what must hold of every network whatever happened to it. The numbers (I1 and so on) are those of
//! docs/decisions/invariants.md.

use std::collections::{BTreeMap, BTreeSet};

use ropewalk_e2e::{Lab, Outcome, Plugin, Random, Running, Value, json};

/// How many containers there are, and how many plugins run at once.
const CONTAINERS: usize = 200;

/// How many times hundreds start at once.
const WAVES: usize = 3;

/// One in so many is killed.
const KILLED: usize = 8;

/// The network: four hundred addresses of each family and more, some of which nobody may have.
fn network<'lab>(lab: &'lab Lab, container: &str) -> Plugin<'lab> {
    lab.plugin("bridge").on(container).config(json!({
        "cniVersion": "1.1.0", "name": "net", "type": "bridge", "isGateway": true, "ipMasq": true,
        "ipam": {
            "type": "host-local",
            "ranges": [
                [{ "subnet": "10.1.0.0/22", "exclude": ["10.1.0.7", "10.1.0.64/27"] }],
                [{ "subnet": "fd00:1::/56" }],
            ],
        },
    }))
}

fn name(number: usize) -> String {
    format!("c{number}")
}

/// What the runtime knows of a container.
#[derive(Debug, Clone)]
enum Known {
    /// Nothing of it is there.
    Absent,
    /// It is attached, with this result.
    Attached(Value),
    /// A verb failed or was killed: anything may be there.
    Unclear,
}

/// What was started for a container.
enum Started {
    Add,
    Check,
    Del,
}

/// timeout may tell that it came too late, too.
fn is_killed(outcome: &Outcome) -> bool {
    [-9, 124, 128 + 9].contains(&outcome.code)
}

struct Storm<'lab> {
    lab: &'lab Lab,
    random: Random,
    known: Vec<Known>,
    killed: usize,
}

impl<'lab> Storm<'lab> {
    fn new(lab: &'lab Lab) -> Self {
        // One program for all: two hundred of them would take longer than the test.
        let names: Vec<String> =
            (0..CONTAINERS).map(|n| format!("netns add {}", name(n))).collect();
        lab.sh(&format!("ip -b - <<'END'\n{}\nEND", names.join("\n")));
        let random = Random::new(Random::seed());
        Self { lab, random, known: vec![Known::Absent; CONTAINERS], killed: 0 }
    }

    /// The plugin, or one that is killed some milliseconds after it was started.
    fn maybe_killed(&mut self, plugin: Plugin<'lab>) -> Plugin<'lab> {
        if self.random.below(KILLED) > 0 {
            return plugin;
        }
        let seconds = format!("0.{:03}", 1 + self.random.below(60));
        plugin.by(&["/usr/bin/timeout", "--foreground", "-s", "KILL", &seconds])
    }

    /// Starts something for each container, and GC now and then, all at once; takes note of what
    /// became of them.
    fn wave(&mut self) {
        let mut running: Vec<(usize, Started, Running)> = Vec::new();
        let mut collectors: Vec<Running> = Vec::new();
        // What is attached and what is being attached: a runtime lists both.
        let valid: Vec<Value> =
            (0..CONTAINERS).map(|n| json!({ "containerID": name(n), "ifname": "eth0" })).collect();
        for number in 0..CONTAINERS {
            let plugin = network(self.lab, &name(number));
            let (what, plugin) = match (&self.known[number], self.random.below(3)) {
                (Known::Absent, _) => (Started::Add, plugin.command("ADD")),
                (Known::Attached(result), 0) => {
                    (Started::Check, plugin.previous(result).command("CHECK"))
                }
                (Known::Attached(result), _) => {
                    (Started::Del, plugin.previous(result).command("DEL"))
                }
                (Known::Unclear, _) => (Started::Del, plugin.command("DEL")),
            };
            running.push((number, what, self.maybe_killed(plugin).start()));
            if number % 20 == 0 {
                let collector = network(self.lab, "c0").command("GC");
                let collector =
                    collector.key("cni.dev/valid-attachments", &Value::Array(valid.clone()));
                collectors.push(self.maybe_killed(collector).start());
            }
        }
        for (number, what, running) in running {
            let outcome = running.finish();
            let is_killed = is_killed(&outcome);
            self.killed += usize::from(is_killed);
            let known = match (what, outcome.code) {
                (Started::Add, 0) => Known::Attached(outcome.result()),
                (Started::Del, 0) => Known::Absent,
                (Started::Check, 0) => continue,
                (Started::Check, _) if is_killed => continue,
                _ if is_killed => Known::Unclear,
                _ => panic!("nobody else's work may make it fail: {outcome}"),
            };
            self.known[number] = known;
        }
        for collector in collectors {
            let outcome = collector.finish();
            assert!(outcome.code == 0 || is_killed(&outcome), "{outcome}");
        }
    }

    /// The addresses of the containers that are attached.
    fn addresses(&self) -> BTreeMap<String, String> {
        let mut owners = BTreeMap::new();
        for (number, known) in self.known.iter().enumerate() {
            let Known::Attached(result) = known else { continue };
            for ip in result["ips"].as_array().expect("addresses") {
                let address = ip["address"].as_str().expect("an address");
                let address = address.split('/').next().unwrap_or_default().to_owned();
                let other = owners.insert(address.clone(), name(number));
                assert_eq!(other, None, "I1: {address} is that of {} too", name(number));
            }
        }
        owners
    }

    /// What holds between two waves, when nothing runs.
    fn holds(&mut self) {
        let owners = self.addresses();
        for address in owners.keys() {
            let last: u8 = match address.strip_prefix("10.1.0.") {
                Some(last) => last.parse().expect("a number"),
                None => 2,
            };
            let is_excluded = last == 7 || (64..96).contains(&last);
            let is_special = ["10.1.0.0", "10.1.0.1", "10.1.3.255", "fd00:1::", "fd00:1::1"]
                .contains(&address.as_str());
            assert!(!is_excluded && !is_special, "I7: {address} was given");
        }
        let leases: BTreeSet<String> = self.lab.leases("net").into_iter().collect();
        let lost: Vec<&String> = owners.keys().filter(|ip| !leases.contains(*ip)).collect();
        assert!(lost.is_empty(), "I6: nobody has reserved {lost:?}");
        // A tenth of them is enough to look at each time.
        for (number, known) in self.known.iter().enumerate().skip(self.killed % 10).step_by(10) {
            if let Known::Attached(result) = known {
                network(self.lab, &name(number)).check(result).silent();
                // I3: a second ADD is refused and takes no second address.
                network(self.lab, &name(number)).add().failure();
            }
        }
        assert_eq!(self.lab.leases("net").len(), leases.len(), "I3: a second address was taken");
    }

    /// GC with those that are attached: exactly their things are left.
    fn collect(&mut self) {
        let attached: Vec<String> = (0..CONTAINERS)
            .filter(|number| matches!(self.known[*number], Known::Attached(_)))
            .map(name)
            .collect();
        let valid: Vec<(&str, &str)> = attached.iter().map(|id| (id.as_str(), "eth0")).collect();
        network(self.lab, "c0").gc(&valid).silent();
        let owners = self.addresses();
        let leases: BTreeSet<String> = self.lab.leases("net").into_iter().collect();
        assert_eq!(leases, owners.keys().cloned().collect(), "I5 and I6: leases after GC");
        let links = self.lab.sh("ip -o link show type veth | wc -l");
        assert_eq!(links.trim(), attached.len().to_string(), "I5: links after GC");
        self.lab.wait_until("I5: exactly the elements of the attached are left", || {
            let elements = self.lab.sh("nft list ruleset | grep -o ropewalk: | wc -l");
            elements.trim() == owners.len().to_string()
        });
    }
}

/// I1, I3, I5, I6, I7, I9, with files.
#[test]
fn hundreds_at_once_with_kills_keep_every_invariant() {
    let lab = Lab::new();
    if lab.reference_fails("it has no GC and is slow") || lab.lacks_nftables() {
        return;
    }
    let before = lab.settled(&network(&lab, "settled"));
    let mut storm = Storm::new(&lab);
    for _ in 0..WAVES {
        storm.wave();
        storm.holds();
    }
    storm.collect();
    storm.holds();
    for (number, known) in storm.known.clone().iter().enumerate() {
        let plugin = network(&lab, &name(number));
        match known {
            Known::Attached(result) => plugin.del(result).silent(),
            Known::Absent | Known::Unclear => plugin.del_without_result().silent(),
        }
    }
    lab.nothing_left(&before);
    assert!(storm.killed > CONTAINERS / KILLED / 4, "only {} were killed", storm.killed);
    eprintln!("FAULTS TRIED: {} kills in a storm, seed {}", storm.killed, Random::seed());
}

/// host-local alone, with a small network of both families.
fn small(lab: &Lab) -> Plugin<'_> {
    lab.plugin("host-local").config(json!({
        "cniVersion": "1.1.0", "name": "small", "ipam": { "type": "host-local", "ranges": [
            [{ "subnet": "10.2.0.0/27", "exclude": ["10.2.0.9"] }],
            [{ "subnet": "fd00:2::/32", "rangeEnd": "fd00:2::20" }],
        ] },
    }))
}

/// I1, I2, I3, I4, I6, I7, I12: a run of random verbs against a network that is too small for all,
/// compared after each with what a list in memory says.
#[test]
fn random_verbs_against_a_full_network_do_what_a_list_in_memory_would() {
    let lab = Lab::new();
    if lab.reference_fails("it has no GC") {
        return;
    }
    let mut random = Random::new(Random::seed());
    let mut model: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for step in 0..400 {
        let container = name(random.below(34));
        let plugin = small(&lab).on(&container);
        let what = format!("seed {}, step {step}: {container}", Random::seed());
        match random.below(10) {
            0..6 => {
                let outcome = plugin.add();
                if outcome.code == 0 {
                    let result = outcome.result();
                    let ips = result["ips"].as_array().expect("addresses").iter();
                    let text = |ip: &Value| ip["address"].as_str().map(str::to_owned);
                    let own: BTreeSet<String> = ips
                        .filter_map(text)
                        .filter_map(|ip| Some(ip.split_once('/')?.0.to_owned()))
                        .collect();
                    assert_eq!(own.len(), 2, "I12, {what}: {outcome}");
                    let taken: Vec<_> = model.values().flatten().collect();
                    assert!(!own.iter().any(|ip| taken.contains(&ip)), "I1, {what}: {outcome}");
                    assert_eq!(model.insert(container, own), None, "I3, {what}");
                } else {
                    outcome.error();
                    // 30 hosts, without the gateway and the excluded one.
                    let is_full = model.len() == 28;
                    assert!(is_full || model.contains_key(&container), "I2, {what}: {outcome}");
                }
            }
            6..9 => {
                plugin.del_without_result().silent();
                model.remove(&container);
            }
            _ => {
                let mut valid: Vec<String> = model.keys().cloned().collect();
                if random.below(4) == 0 {
                    valid.truncate(valid.len().saturating_sub(2));
                }
                let list: Vec<(&str, &str)> = valid.iter().map(|id| (&**id, "eth0")).collect();
                plugin.gc(&list).silent();
                model.retain(|container, _| valid.contains(container));
            }
        }
        let leases: BTreeSet<String> = lab.leases("small").into_iter().collect();
        let expected: BTreeSet<String> = model.values().flatten().cloned().collect();
        assert_eq!(leases, expected, "{what}");
        for bad in ["10.2.0.0", "10.2.0.1", "10.2.0.9", "10.2.0.31", "fd00:2::", "fd00:2::1"] {
            assert!(!leases.contains(bad), "I7, {what}: {bad}");
        }
    }
}

/// I8: a range that shrinks or moves takes nobody's address, and new ones come from the new range.
#[test]
fn a_range_that_changes_moves_nobody() {
    let lab = Lab::new();
    let network = |subnet: &str| {
        lab.plugin("host-local").config(json!({
            "cniVersion": "1.0.0", "name": "moves",
            "ipam": { "type": "host-local", "subnet": subnet },
        }))
    };
    let first = |container: &str, subnet: &str| {
        let result = network(subnet).on(container).add().result();
        (result["ips"][0]["address"].as_str().unwrap_or_default().to_owned(), result)
    };
    let (old, result) = first("c1", "10.3.0.0/24");
    assert_eq!(old, "10.3.0.2/24");
    for (container, subnet, expected) in [
        ("c2", "10.3.0.0/29", "10.3.0.3/29"),
        ("c3", "10.4.0.0/24", "10.4.0.2/24"),
        ("c4", "10.3.0.0/24", "10.3.0.4/24"),
    ] {
        assert_eq!(first(container, subnet).0, expected);
        assert!(lab.leases("moves").contains(&"10.3.0.2".to_owned()));
        network(subnet).on("c1").check(&result).silent();
    }
    network("10.4.0.0/24").on("c1").del(&result).silent();
    assert!(!lab.leases("moves").contains(&"10.3.0.2".to_owned()));
}

/// I10: leases have no end, so that a clock that jumps ends none.
#[test]
fn a_clock_that_jumps_ends_no_lease() {
    let lab = Lab::new();
    let plugin = small(&lab).key("cniVersion", &json!("1.0.0"));
    let result = plugin.clone().on("c1").add().result();
    let files = "/var/lib/cni/networks/small/10.2.0.2 /var/lib/cni/networks/small/fd00:2::2
        /var/lib/cni/networks/small";
    for moment in ["1970-01-02", "2100-01-01"] {
        lab.sh(&format!("touch -d {moment} $(echo {files})"));
        plugin.clone().on("c1").check(&result).silent();
        let other = plugin.clone().on("c2").add().result();
        assert_ne!(other["ips"][0]["address"], result["ips"][0]["address"]);
        plugin.clone().on("c2").del(&other).silent();
    }
    plugin.on("c1").del(&result).silent();
    assert_eq!(lab.leases("small"), [""; 0]);
}

/// I11: a range wider than 64 bits is used as any other.
#[test]
fn a_range_wider_than_64_bits_is_used() {
    let lab = Lab::new();
    let plugin = lab.plugin("host-local").config(json!({
        "cniVersion": "1.0.0", "name": "wide", "ipam": { "type": "host-local", "ranges": [
            [{ "subnet": "fd00::/8", "rangeStart": "fd00::ffff:ffff:ffff:fffe" }],
        ] },
    }));
    let addresses: Vec<String> = ["c1", "c2", "c3"]
        .map(|container| plugin.clone().on(container).add().result())
        .iter()
        .map(|result| result["ips"][0]["address"].as_str().unwrap_or_default().to_owned())
        .collect();
    let expected = ["fd00::ffff:ffff:ffff:fffe/8", "fd00::ffff:ffff:ffff:ffff/8", "fd00:0:0:1::/8"];
    assert_eq!(addresses, expected);
}
