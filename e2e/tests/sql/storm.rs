//! SQ: eight hosts, each a network namespace, with fifty containers each on one PostgreSQL server
//! that they reach over a network, all at work at once, some killed: what docs/decisions/invariants.md says holds.

use std::collections::{BTreeMap, BTreeSet};

use ropewalk_e2e::{Lab, Outcome, Plugin, Random, Running, json};

use super::books::{addresses, kept_ipam, sql};
use super::server::Server;

const HOSTS: usize = 8;
const CONTAINERS: usize = 50;

/// How many run at once: the server takes forty connections.
const AT_ONCE: usize = 32;

/// One in so many is killed.
const KILLED: usize = 8;

/// timeout may tell that it came too late, too.
fn is_killed(outcome: &Outcome) -> bool {
    [-9, 124, 128 + 9].contains(&outcome.code)
}

struct Storm<'lab> {
    plugins: Vec<Plugin<'lab>>,
    random: Random,
    /// The addresses of those that are attached, and those of which nothing is known.
    attached: BTreeMap<String, Vec<String>>,
    unclear: BTreeSet<String>,
    killed: usize,
}

impl<'lab> Storm<'lab> {
    /// On which host it runs, and whether it is killed there.
    fn on_host(&mut self, host: usize, plugin: Plugin<'lab>) -> Plugin<'lab> {
        let network = format!("--net=/run/netns/h{host}");
        let enter = ["/usr/bin/nsenter", &network];
        if self.random.below(KILLED) > 0 {
            return plugin.by(&enter);
        }
        let seconds = format!("0.{:03}", 1 + self.random.below(80));
        let kill = ["/usr/bin/timeout", "--foreground", "-s", "KILL", &seconds];
        plugin.by(&[&enter[..], &kill].concat())
    }

    /// ADD for who is not attached, DEL for some who are and for all of whom nothing is known.
    fn round(&mut self) {
        let mut names: Vec<(usize, String)> = (0..HOSTS)
            .flat_map(|host| (0..CONTAINERS).map(move |c| (host, format!("h{host}c{c}"))))
            .collect();
        self.random.shuffle(&mut names);
        for crowd in names.chunks(AT_ONCE) {
            let mut running: Vec<(&str, bool, Running)> = Vec::new();
            for (host, name) in crowd {
                let is_there = self.attached.contains_key(name);
                if is_there && self.random.below(2) == 0 {
                    continue;
                }
                let deletes = is_there || self.unclear.contains(name);
                let plugin = self.plugins[*host].clone().on(name);
                let plugin = plugin.command(if deletes { "DEL" } else { "ADD" });
                running.push((name, deletes, self.on_host(*host, plugin).start()));
            }
            for (name, deletes, running) in running {
                let outcome = running.finish();
                let name = name.to_owned();
                if is_killed(&outcome) {
                    self.killed += 1;
                    self.attached.remove(&name);
                    self.unclear.insert(name);
                } else if deletes {
                    outcome.silent();
                    self.attached.remove(&name);
                    self.unclear.remove(&name);
                } else {
                    self.attached.insert(name, addresses(&outcome.result()));
                }
            }
        }
    }

    /// No address is two containers', and each is on the books.
    fn holds(&self, held: &[String]) {
        let held: BTreeSet<&str> = held.iter().map(String::as_str).collect();
        let mut given = BTreeSet::new();
        for (name, addresses) in &self.attached {
            for address in addresses {
                assert!(given.insert(address), "I1: {address} is that of {name} and another");
                let line = format!("{address} {name}");
                assert!(held.contains(line.as_str()), "I6: {line} is not on the books");
            }
        }
    }
}

/// The network of the hosts; the server is at its first address.
fn connect_hosts(lab: &Lab) {
    lab.sh("ip link add wire type bridge; ip addr add 10.98.0.1/24 dev wire; ip link set wire up");
    for host in 0..HOSTS {
        lab.netns(&format!("h{host}"));
        lab.sh(&format!(
            "ip link add h{host} master wire type veth peer name eth0 netns h{host}
             ip link set h{host} up
             ip -n h{host} addr add 10.98.0.{}/24 dev eth0
             ip -n h{host} link set eth0 up",
            host + 2
        ));
    }
}

/// I1, I3, I5, I6, I9, with a database.
#[test]
fn sq_30_eight_hosts_with_fifty_containers_each_keep_every_invariant() {
    let lab = Lab::new();
    if lab.reference_fails("there is no such plugin") {
        return;
    }
    let server = Server::new(&lab, "pg", 5432);
    let pools = json!({ "pools": [{ "name": "all", "subnet": "10.0.0.0/22", "blockSize": 28 }] });
    let plugin = sql(&lab, &server.url(), &pools);
    connect_hosts(&lab);
    let url = "postgres://postgres@10.98.0.1:5432/ipam";
    let on_host = |host: usize| {
        let mut ipam = kept_ipam(url, &pools);
        ipam["host"] = json!(format!("h{host}"));
        plugin.clone().key("ipam", &ipam)
    };
    let mut storm = Storm {
        plugins: (0..HOSTS).map(on_host).collect(),
        random: Random::new(Random::seed()),
        attached: BTreeMap::new(),
        unclear: BTreeSet::new(),
        killed: 0,
    };
    for _ in 0..3 {
        storm.round();
        storm.holds(&server.held());
    }
    assert!(storm.killed > HOSTS * CONTAINERS / KILLED / 4, "only {} were killed", storm.killed);
    for name in storm.unclear.clone() {
        plugin.clone().on(&name).del_without_result().silent();
    }
    let expected: usize = storm.attached.values().map(Vec::len).sum();
    assert_eq!(server.held().len(), expected, "I5: what killed ones have left");
    storm.holds(&server.held());
    let some: Vec<String> = storm.attached.keys().take(10).cloned().collect();
    for name in &some {
        plugin.clone().on(name).add().failure();
    }
    assert_eq!(server.held().len(), expected, "I3: a second address was taken");
    for name in storm.attached.keys() {
        plugin.clone().on(name).del_without_result().silent();
    }
    assert_eq!(server.held(), [""; 0]);
    eprintln!("FAULTS TRIED: {} kills of sql, seed {}", storm.killed, Random::seed());
}
