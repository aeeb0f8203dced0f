//! A host with one container that stays and one whose plugin is spoiled, again and again.
//!
//! After each fault everything is compared with what was there before: the container that stays has
//! lost nothing, and nothing is left of the other. It must never go on with a host that is not as
//! it was: the next fault would be blamed.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use std::vec::IntoIter;

use serde_json::{Value, json};

use super::{Answer, Call, Fault, Kind, Trace};
use crate::chain::Chain;
use crate::{Host, Outcome, Plugin, Random, Sample, State, command_path, patience};

/// What is tried of each hundred faults, by verb. CHECK changes nothing. The last is an ADD whose
/// container ends.
const SHARES: [(&str, usize); 5] =
    [("ADD", 35), ("DEL", 32), ("GC", 15), ("CHECK", 10), ("END", 8)];

/// So many failures of one plugin tell enough.
const ENOUGH: usize = 8;

/// No fault may keep a plugin longer.
const LONGEST: Duration = Duration::from_secs(10);

/// The codes of docs/decisions/error-codes.md.
const CODES: [i64; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 50, 999];

/// Tries faults of a plugin, as many as are asked for, and says how many. With `ROPEWALK_FAULTS=all`
/// in the environment it tries all there are; with `ROPEWALK_FAULT` the one of this name.
#[expect(clippy::print_stderr, reason = "how much was tried is worth knowing")]
pub fn try_faults(plugin: &str, count: usize) {
    if named().is_some_and(|fault| fault.plugin != plugin) {
        return;
    }
    let Some(mut host) = Sample::of(plugin).host() else { return };
    if host.lab.reference_fails("it leaks in many ways") {
        return;
    }
    // A slow machine tries fewer in its time.
    let count = count / usize::try_from(patience(Duration::from_secs(1)).as_secs()).unwrap_or(1);
    let mut chosen: Option<IntoIter<Fault>> = None;
    let mut failures = Vec::new();
    let mut tried = 0;
    loop {
        let mut stage = Stage::new(&host);
        let rest = chosen.get_or_insert_with(|| {
            named().map_or_else(|| stage.choose(count), |fault| vec![fault]).into_iter()
        });
        for fault in rest.by_ref() {
            let attempt = catch_unwind(AssertUnwindSafe(|| stage.attempt(&fault)));
            let complaints = match attempt {
                Ok(Attempt { happened, complaints }) => {
                    tried += usize::from(happened);
                    complaints
                }
                Err(_) => vec!["the test itself ended, see above".to_owned()],
            };
            if !complaints.is_empty() {
                failures.push(format!("{}\n{}", replay(&fault), complaints.join("\n")));
                break;
            }
        }
        failures.extend(findings_in_books(&host));
        if rest.len() == 0 || failures.len() >= ENOUGH {
            break;
        }
        host = Sample::of(plugin).host().expect("this kernel had it before");
    }
    eprintln!("FAULTS TRIED: {tried} of {plugin}, seed {}", Random::seed());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What the command says about leases without addresses and addresses without leases.
fn findings_in_books(host: &Host) -> Option<String> {
    const BOOKS: &str = "/var/lib/cni/networks";
    // An address plugin alone gives nobody an interface.
    if host.sample.name == "host-local" {
        return None;
    }
    let command = command_path();
    let check = format!("{} ipam check --database host-local://{BOOKS}", command.display());
    let outcome = host.lab.try_sh(&format!("[ ! -d {BOOKS} ] || {check}"));
    (outcome.code != 0).then(|| format!("after all of them: {outcome}"))
}

/// The fault that is to be tried alone.
fn named() -> Option<Fault> {
    let text = env::var("ROPEWALK_FAULT").ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("ROPEWALK_FAULT: {error}")))
}

/// The command that tries a fault again.
fn replay(fault: &Fault) -> String {
    format!(
        "ROPEWALK_FAULT={:?} cargo test -p ropewalk-e2e --test faults_everywhere",
        fault.to_string()
    )
}

/// What became of a fault.
struct Attempt {
    /// Whether the call was made at all.
    happened: bool,
    complaints: Vec<String>,
}

struct Stage<'host> {
    host: &'host Host,
    earlier: Chain<'host>,
    earlier_result: Option<Value>,
    plugin: Plugin<'host>,
    /// What there is without the container, and with all of it that comes before this plugin.
    without: State,
    before: State,
}

impl<'host> Stage<'host> {
    fn new(host: &'host Host) -> Self {
        host.settle();
        // Who looks into iptables makes its tables, if it is the one that is built on nftables.
        host.lab.try_sh(
            "for table in filter nat mangle raw; do
                 iptables -t $table -S; ip6tables -t $table -S
             done",
        );
        let list =
            |number| host.list(number).map(|plugin| plugin.key("cniVersion", &json!("1.1.0")));
        list(2).add();
        let mut earlier = list(0);
        let plugin = earlier.0.pop().expect("a list has a plugin");
        let without = State::glance(host);
        let mut stage =
            Self { host, earlier, earlier_result: None, plugin, before: without.clone(), without };
        stage.prepare();
        stage
    }

    /// Everything that comes before this plugin.
    fn prepare(&mut self) {
        if !self.earlier.0.is_empty() {
            self.earlier_result = Some(self.earlier.add());
            self.before = State::glance(self.host);
        }
    }

    /// The plugin with what it is told at this verb; a result is that of its own ADD.
    fn verb(&self, verb: &str, result: Option<&Value>) -> Plugin<'host> {
        let plugin = self.plugin.clone().command(verb);
        if verb == "GC" {
            let stays = json!([{ "containerID": "c2", "ifname": self.host.sample.ifname() }]);
            return plugin.key("cni.dev/valid-attachments", &stays);
        }
        match result.or(self.earlier_result.as_ref()) {
            Some(result) => plugin.previous(result),
            None => plugin,
        }
    }

    /// An undisturbed ADD, for verbs that need something to act on.
    fn add(&self) -> Value {
        self.verb("ADD", None).run().result()
    }

    /// The calls of a verb.
    fn calls(&mut self, verb: &str) -> Vec<Call> {
        let result = (verb != "ADD").then(|| self.add());
        let outcome = Trace::recording(&self.verb(verb, result.as_ref())).run();
        assert_eq!(outcome.code, 0, "{outcome}");
        let calls = Trace::last(&self.host.lab).calls();
        self.verb("DEL", result.as_ref()).run().silent();
        if verb == "GC" || self.moves_routes() {
            let left = self.renew();
            assert!(left.is_empty(), "{}", left.join("\n"));
        }
        calls
    }

    /// Faults of each verb, chosen by the seed.
    fn choose(&mut self, count: usize) -> Vec<Fault> {
        let mut random = Random::new(Random::seed());
        let mut chosen = Vec::new();
        for (verb, share) in SHARES {
            let (kinds, answers, verb) = match verb {
                "END" => (&[Kind::ContainerEnds][..], &[Answer::DelWithoutNamespace][..], "ADD"),
                verb => (&Kind::ALL[..], &Answer::ALL[..], verb),
            };
            let calls = self.calls(verb).into_iter();
            let mut faults: Vec<Fault> = calls
                .flat_map(|call| kinds.iter().map(move |kind| (call.clone(), *kind)))
                .zip(answers.iter().cycle())
                .map(|((call, kind), &answer)| Fault {
                    plugin: self.host.sample.name.to_owned(),
                    verb: verb.to_owned(),
                    call,
                    kind,
                    answer,
                })
                .filter(Fault::is_possible)
                .collect();
            random.shuffle(&mut faults);
            if env::var("ROPEWALK_FAULTS").as_deref() != Ok("all") {
                faults.truncate(count * share / 100);
            }
            chosen.extend(faults);
        }
        chosen
    }

    /// One fault, and what the runtime does then.
    fn attempt(&mut self, fault: &Fault) -> Attempt {
        let verb = fault.verb.as_str();
        let mut result = (verb != "ADD").then(|| self.add());
        let begun = Instant::now();
        let spoiled = Trace::spoiling(&self.verb(verb, result.as_ref()), &fault.call, fault.kind);
        let (outcome, happened) = match fault.kind {
            Kind::ContainerEnds => self.run_while_container_ends(&spoiled),
            Kind::Kill | Kind::Error(_) => {
                (spoiled.run(), Trace::last(&self.host.lab).has_spoiled())
            }
        };
        let took = begun.elapsed();
        let mut complaints = complaints_about(fault, &outcome);
        if took > patience(LONGEST) {
            complaints.push(format!("took {took:?}: {outcome}"));
        }
        let succeeded = outcome.code == 0;
        if succeeded && verb == "ADD" {
            result = serde_json::from_str(&outcome.stdout).ok();
        }
        let is_checked = ["ADD", "CHECK"].contains(&verb) && fault.kind != Kind::ContainerEnds;
        if let Some(result) = result.as_ref().filter(|_| is_checked) {
            complaints.extend(failure_of(&self.check(result), "CHECK after it"));
        }
        match verb {
            // What says that it has succeeded has done all of it.
            "DEL" | "GC" if succeeded => {}
            _ => complaints.extend(self.answer(fault.answer, result.as_ref())),
        }
        complaints.extend(self.difference(verb));
        if !complaints.is_empty() {
            complaints.insert(0, outcome.to_string());
        }
        Attempt { happened, complaints }
    }

    /// Runs a plugin that holds itself, and ends its container meanwhile; whether it was held.
    fn run_while_container_ends(&self, held: &Plugin<'_>) -> (Outcome, bool) {
        let lab = &self.host.lab;
        Trace::forget(lab);
        let mut running = held.start();
        lab.wait_until("the plugin is held or has ended", || {
            running.has_ended() || Trace::held(lab).is_some()
        });
        let pid = Trace::held(lab);
        if let Some(pid) = pid {
            lab.sh(&format!("ip netns del c1; kill -CONT {pid}"));
        }
        (running.finish(), pid.is_some())
    }

    /// What is not as before.
    fn difference(&mut self, verb: &str) -> Vec<String> {
        // Only a new container is as the old one was: GC may have deleted all of the old one before it
        // failed.
        if self.moves_routes() || verb == "GC" {
            return self.renew();
        }
        self.before.difference(|| State::glance(self.host))
    }

    /// Whether the plugin leaves routes of its container in other places than it found them: sbr does
    /// not move them back, nor can vrf if a DEL was cut short after the link had left its domain.
    fn moves_routes(&self) -> bool {
        ["sbr", "vrf"].contains(&self.host.sample.name)
    }

    fn check(&self, result: &Value) -> Outcome {
        self.verb("CHECK", Some(result)).run()
    }

    /// What the runtime does after a verb that failed, or that was an ADD.
    fn answer(&mut self, answer: Answer, result: Option<&Value>) -> Vec<String> {
        let plain = self.plugin.clone();
        match answer {
            Answer::Del => failure_of(&self.verb("DEL", result).run(), "DEL"),
            Answer::DelWithoutResult => {
                failure_of(&plain.del_without_result(), "DEL without result")
            }
            Answer::Gc => {
                let complaints = failure_of(&self.verb("GC", None).run(), "GC");
                [complaints, self.renew()].concat()
            }
            Answer::DelWithoutNamespace => {
                self.host.lab.try_sh("ip netns del c1");
                let complaints = failure_of(&plain.del_without_result(), "DEL without namespace");
                [complaints, self.renew()].concat()
            }
        }
    }

    /// The container ends, and another one begins up to this plugin. Answers what is left of the
    /// first one.
    fn renew(&mut self) -> Vec<String> {
        self.earlier.del_without_result();
        self.host.renew("c1");
        let left = self.without.difference(|| State::glance(self.host));
        self.prepare();
        left
    }
}

/// A process that was killed ends in one of two ways, depending on who looks.
fn is_killed(outcome: &Outcome) -> bool {
    [128 + 9, -9].contains(&outcome.code)
}

fn failure_of(outcome: &Outcome, what: &str) -> Vec<String> {
    let failed = outcome.code != 0 || !outcome.stdout.is_empty();
    failed.then(|| format!("{what}: {outcome}")).into_iter().collect()
}

/// What is wrong about how a verb ended.
fn complaints_about(fault: &Fault, outcome: &Outcome) -> Vec<String> {
    let value = || serde_json::from_str::<Value>(&outcome.stdout).ok();
    let is_documented = || {
        value().is_some_and(|error| {
            error["msg"].as_str().is_some_and(|text| !text.is_empty())
                && error["code"].as_i64().is_some_and(|code| CODES.contains(&code))
        })
    };
    let fine = match outcome.code {
        0 if fault.verb == "ADD" => value().is_some(),
        0 => outcome.stdout.is_empty(),
        1 => fault.stops_answer() || (is_documented() && !fault.is_interruption()),
        // Without memory a program may end in the middle.
        134 | -6 => fault.takes_memory(),
        _ => is_killed(outcome) && fault.kind == Kind::Kill,
    };
    if fine { Vec::new() } else { vec![format!("neither done nor an error: {outcome}")] }
}
