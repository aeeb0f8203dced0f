//! A plugin that is killed at any moment: what the runtime does next leaves nothing behind.
//!
//! strace kills the plugin on entering a system call, for each of its calls from the moment it has
//! read its input, passing over calls that change nothing: between two changes it does not matter
//! when it dies.
//! The runtime answers in each way: DEL with a result, DEL without, GC, and DEL without namespace.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ropewalk_e2e::chain::{Chain, chained};
use ropewalk_e2e::faults::is_begun_anew;
use ropewalk_e2e::{LASTING_RULES, Lab, Plugin, Value, json, patience};

/// The plugins of the list, in order.
const PLUGINS: [&str; 4] = ["bridge", "portmap", "firewall", "tuning"];

/// Calls that neither change anything nor tell anybody. Whatever is not here counts.
const HARMLESS: &str = "access,arch_prctl,brk,close,fcntl,fstat,fstatfs,futex,getdents64,getpid,\
                        getrandom,getsockname,ioctl,lseek,madvise,mmap,mprotect,mremap,munmap,\
                        newfstatat,pipe2,poll,ppoll,pread64,read,recvfrom,recvmmsg,recvmsg,\
                        rt_sigaction,rt_sigprocmask,set_tid_address,setsockopt,sigaltstack,socket,stat,statx";

/// So many failures of one plugin tell enough.
const ENOUGH: usize = 20;

/// What a killed process ends with: strace ends as its tracee did.
const KILLED: i32 = 128 + 9;

/// A system call: its name, and the how manieth of that name it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call(String, usize);

/// The calls of the last run that change something, after it has read its standard input.
fn recorded_calls(lab: &Lab) -> Vec<Call> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    let trace = lab.read("/run/lab/calls");
    let lines: Vec<&str> = trace.lines().filter(|line| !is_begun_anew(line)).collect();
    let trace = lines.join("\n");
    let has_read = trace.rfind("\nread(0, \"\"").expect("the plugin has read its input");
    let mut position = 0;
    for line in trace.lines() {
        let name = line.split('(').next().unwrap_or_default();
        let is_call = !name.starts_with(['-', '+']);
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        if is_call && position > has_read && !HARMLESS.split(',').any(|harmless| harmless == name) {
            calls.push(Call(name.to_owned(), *count));
        }
        position += line.len() + 1;
    }
    assert!(calls.len() > 5, "strace has recorded: {trace}");
    calls
}

/// What the runtime does after the plugin was killed.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Del,
    DelWithoutResult,
    Gc,
    DelWithoutNamespace,
}

const ANSWERS: [Answer; 4] =
    [Answer::Del, Answer::DelWithoutResult, Answer::Gc, Answer::DelWithoutNamespace];

/// A host on which a plugin can be started by way of strace.
fn lab_with_killer() -> Lab {
    let lab = Lab::new();
    lab.netns("c1");
    lab.outer_network("outer", &ropewalk_e2e::chain::OUTSIDE);
    // strace counts the calls of each name for themselves.
    let script = "exec strace -qq -o /run/lab/calls ${KILL_AT:+-e inject=$KILL_AT} \
                  /run/lab/plugins/${0##*/}";
    for plugin in PLUGINS {
        lab.delegate(plugin, script);
    }
    lab
}

/// The configuration of each plugin; `directory` is where its executable is found.
fn plugin<'lab>(lab: &'lab Lab, directory: &str, name: &str) -> Plugin<'lab> {
    let keys = match name {
        "bridge" => json!({
            "isGateway": true, "ipMasq": true, "macspoofchk": true,
            "ipam": {
                "type": "host-local",
                "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
            },
        }),
        "portmap" => json!({ "runtimeConfig": { "portMappings": [
            { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
            { "hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1" },
        ] } }),
        "firewall" => json!({ "ingressPolicy": "same-bridge" }),
        _ => json!({
            "mtu": 1400, "promisc": true, "sysctl": { "net.ipv4.conf.IFNAME.arp_filter": "1" },
        }),
    };
    let plugin = chained(lab, &format!("{directory}{name}"), &keys);
    plugin.key("type", &json!(name)).key("cniVersion", &json!("1.1.0"))
}

/// The whole list.
fn network(lab: &Lab) -> Chain<'_> {
    Chain(PLUGINS.iter().map(|name| plugin(lab, "", name)).collect())
}

/// Everything that could be left behind, as text: links, packet filter, files. A link that is up
/// or down, and the MAC address of a bridge, follow from others.
fn traces(lab: &Lab) -> String {
    lab.sh(&format!(
        "ip -o link | cut -d: -f2 | cut -d@ -f1 | sort
            {LASTING_RULES}
            find /var/lib/cni /run/cni /var/lib/ropewalk /run/ropewalk -type f 2>/dev/null |
                grep -v -e /lock$ -e /last_reserved_ip -e ^/run/ropewalk/leases/ | sort"
    ))
}

/// The values that tuning gives back.
fn tuned_values(lab: &Lab) -> String {
    lab.sh_in(
        "c1",
        "ip -o link show eth0 | grep -o -e 'mtu [0-9]*' -e PROMISC
         cat /proc/sys/net/ipv4/conf/eth0/arp_filter",
    )
}

/// What is not as it was; empty if all is well. A child of a killed plugin may still be at work.
fn difference(lab: &Lab, before: &str) -> Vec<String> {
    let deadline = Instant::now() + patience(Duration::from_secs(2));
    let mut now = traces(lab);
    while now != before && Instant::now() < deadline {
        now = traces(lab);
    }
    let missing = before.lines().filter(|line| !now.lines().any(|other| other == *line));
    let new = now.lines().filter(|line| !before.lines().any(|other| other == *line));
    new.map(|line| format!("+ {line}")).chain(missing.map(|line| format!("- {line}"))).collect()
}

/// One plugin of the list, with those before it done.
struct Stage<'lab> {
    lab: &'lab Lab,
    name: &'static str,
    plugin: Plugin<'lab>,
    /// The same plugin under strace.
    victim: Plugin<'lab>,
    earlier: Chain<'lab>,
    /// What there is when every attachment is gone, and what with the earlier plugins done.
    clean: String,
    prepared: String,
    earlier_result: Option<Value>,
}

impl<'lab> Stage<'lab> {
    fn new(lab: &'lab Lab, name: &'static str) -> Self {
        let earlier = PLUGINS.iter().take_while(|earlier| **earlier != name);
        let mut stage = Self {
            lab,
            name,
            plugin: plugin(lab, "", name),
            victim: plugin(lab, "../delegates/", name),
            earlier: Chain(earlier.map(|name| plugin(lab, "", name)).collect()),
            clean: traces(lab),
            prepared: String::new(),
            earlier_result: None,
        };
        stage.prepare();
        stage
    }

    /// ADD of the plugins before this one.
    fn prepare(&mut self) {
        self.earlier_result = (!self.earlier.0.is_empty()).then(|| self.earlier.add());
        self.prepared = traces(self.lab);
    }

    fn with(plugin: &Plugin<'lab>, result: Option<&Value>) -> Plugin<'lab> {
        match result {
            Some(result) => plugin.clone().previous(result),
            None => plugin.clone(),
        }
    }

    /// Runs the verb, to be killed on entering a call; whether it was.
    fn kill(&self, verb: &str, result: Option<&Value>, call: &Call) -> bool {
        let Call(name, number) = call;
        let victim = Self::with(&self.victim, result);
        let victim = victim.variable("KILL_AT", &format!("{name}:signal=KILL:when={number}"));
        let outcome = victim.command(verb).run();
        if outcome.code == KILLED || outcome.code == -9 {
            return true;
        }
        assert_eq!(outcome.code, 0, "neither killed nor done: {outcome}");
        false
    }

    /// The calls that the verb makes.
    fn record(&self, verb: &str) -> Vec<Call> {
        let mut result = self.earlier_result.clone();
        if verb == "DEL" {
            result = Some(Self::with(&self.plugin, result.as_ref()).add().result());
        }
        let outcome = Self::with(&self.victim, result.as_ref()).command(verb).run();
        assert_eq!(outcome.code, 0, "{outcome}");
        let calls = recorded_calls(self.lab);
        self.plugin.del_without_result().silent();
        calls
    }

    /// What the runtime does after the plugin was killed; then there is what there was before this
    /// plugin's ADD. Answers what is not.
    fn answer(&mut self, answer: Answer, result: Option<&Value>) -> Vec<String> {
        let outcome = match (answer, result) {
            (Answer::Del, Some(result)) => self.plugin.del(result),
            (Answer::Gc, _) => self.plugin.gc(&[]),
            (Answer::DelWithoutNamespace, _) => {
                self.lab.sh("ip netns del c1");
                self.plugin.del_without_result()
            }
            _ => self.plugin.del_without_result(),
        };
        if outcome.code != 0 {
            return vec![format!("{outcome}")];
        }
        // An empty list at GC means the attachments of the plugins before this one too, and without
        // a namespace theirs have to go as well.
        match answer {
            Answer::Del | Answer::DelWithoutResult => {
                return difference(self.lab, &self.prepared);
            }
            Answer::Gc => self.earlier.0.iter().rev().for_each(|plugin| plugin.gc(&[]).silent()),
            Answer::DelWithoutNamespace => self.earlier.del_without_result(),
        }
        let difference = difference(self.lab, &self.clean);
        self.lab.try_sh("ip netns del c1");
        self.lab.netns("c1");
        self.prepare();
        difference
    }

    /// Makes the host fit for the next try after one that failed.
    fn repair(&mut self) {
        self.lab.sh("nft delete table inet ropewalk; nft delete table bridge ropewalk
                     iptables -F; iptables -X; ip6tables -F; ip6tables -X
                     for link in $(ls /sys/class/net | grep -e ^veth -e ^cni); do ip link del $link; done
                     rm -rf /var/lib/cni/networks /run/cni/tuning
                     ip netns del c1; ip netns add c1");
        let whole = network(self.lab);
        whole.del(&whole.add());
        self.clean = traces(self.lab);
        self.prepare();
    }

    /// Notes a failure, to go on and show all of them.
    fn fail(&mut self, what: &str, difference: &[String], failures: &mut Vec<String>) {
        failures.push(format!("{what}:\n{}", difference.join("\n")));
        self.repair();
    }

    /// One try: the verb is killed at a call, the runtime answers. Whether it was killed, and what
    /// is not as before.
    fn attempt(&mut self, verb: &str, call: &Call, answer: Answer) -> (bool, Vec<String>) {
        let tuned = (self.name == "tuning").then(|| tuned_values(self.lab));
        let mut result = self.earlier_result.clone();
        if verb == "DEL" {
            result = Some(Self::with(&self.plugin, result.as_ref()).add().result());
        }
        let was_killed = self.kill(verb, result.as_ref(), call);
        let mut difference = self.answer(answer, result.as_ref());
        if let (Some(before), Answer::Del | Answer::DelWithoutResult) = (tuned, answer) {
            let now = tuned_values(self.lab);
            if now != before {
                difference.push(format!("{now:?} is not given back to {before:?}"));
            }
        }
        (was_killed, difference)
    }

    /// Kills the verb at each call in turn, with each of the answers; how often it was killed.
    fn kill_everywhere(
        &mut self,
        verb: &str,
        answers: &[Answer],
        failures: &mut Vec<String>,
    ) -> usize {
        let calls = self.record(verb);
        let mut kills = 0;
        for call in &calls {
            if failures.len() > ENOUGH {
                break;
            }
            for &answer in answers {
                let (was_killed, difference) = self.attempt(verb, call, answer);
                kills += usize::from(was_killed);
                if !difference.is_empty() {
                    let what = format!("{} {verb} killed at {call:?}, then {answer:?}", self.name);
                    self.fail(&what, &difference, failures);
                }
            }
        }
        self.earlier.del_without_result();
        let expected = calls.len() * answers.len() / 2;
        assert!(kills > expected || !failures.is_empty(), "{kills} kills at {calls:?}");
        kills
    }

    /// The state of a host on which no container has been.
    fn make_fresh(&mut self) {
        self.earlier.del_without_result();
        self.lab.try_sh(
            "nft delete table inet ropewalk; nft delete table bridge ropewalk; ip link del cni0",
        );
        self.prepare();
    }

    /// As [`Stage::kill_everywhere`] at an ADD that is the first on this host: what is Shared may be
    /// half done, and the next ADD completes it.
    fn kill_everywhere_on_a_fresh_host(
        &mut self,
        whole: &Chain<'_>,
        failures: &mut Vec<String>,
    ) -> usize {
        self.make_fresh();
        let calls = self.record("ADD");
        for call in &calls {
            self.make_fresh();
            self.kill("ADD", self.earlier_result.as_ref(), call);
            self.plugin.del_without_result().silent();
            self.earlier.del_without_result();
            let result = whole.add();
            whole.check(&result);
            whole.del(&result);
            let difference = difference(self.lab, &self.clean);
            if !difference.is_empty() {
                let what = format!("{} ADD on a fresh host, killed at {call:?}", self.name);
                self.fail(&what, &difference, failures);
            }
        }
        calls.len()
    }
}

/// Kills a verb of each of these plugins everywhere, and says how often.
#[expect(clippy::print_stderr, reason = "how much was tried is worth knowing")]
fn kill_all(lab: &Lab, plugins: &[&'static str], verb: &str, answers: &[Answer]) {
    if lab.reference_fails("it leaks in many ways") {
        return;
    }
    let whole = network(lab);
    whole.del(&whole.add());
    let mut failures = Vec::new();
    for name in plugins {
        let mut own = Vec::new();
        let kills = Stage::new(lab, name).kill_everywhere(verb, answers, &mut own);
        eprintln!("FAULTS TRIED: {kills} of {name}, {verb} was killed");
        failures.extend(own);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    let result = whole.add();
    whole.check(&result);
    whole.del(&result);
}

#[test]
fn whatever_is_left_of_a_killed_add_is_removed() {
    kill_all(&lab_with_killer(), &PLUGINS, "ADD", &ANSWERS);
}

#[test]
fn whatever_is_left_of_a_killed_del_is_removed() {
    kill_all(&lab_with_killer(), &PLUGINS, "DEL", &ANSWERS);
}

/// The plugins that accept forwarded packets where iptables drops them.
const FORWARDING: [&str; 2] = ["portmap", "firewall"];

#[test]
fn whatever_is_left_in_iptables_of_a_killed_add_is_removed() {
    let lab = lab_with_killer();
    lab.sh("iptables -P FORWARD DROP; ip6tables -P FORWARD DROP");
    kill_all(&lab, &FORWARDING, "ADD", &[Answer::DelWithoutResult, Answer::Gc]);
}

#[test]
fn whatever_is_left_in_iptables_of_a_killed_del_is_removed() {
    let lab = lab_with_killer();
    lab.sh("iptables -P FORWARD DROP; ip6tables -P FORWARD DROP");
    kill_all(&lab, &FORWARDING, "DEL", &[Answer::DelWithoutResult, Answer::Gc]);
}

#[test]
fn whatever_is_half_done_on_a_fresh_host_is_completed_by_the_next_add() {
    let lab = lab_with_killer();
    if lab.reference_fails("it leaks in many ways") {
        return;
    }
    let whole = network(&lab);
    whole.del(&whole.add());
    let mut failures = Vec::new();
    for name in PLUGINS.iter().filter(|name| **name != "tuning") {
        let mut stage = Stage::new(&lab, name);
        let calls = stage.kill_everywhere_on_a_fresh_host(&whole, &mut failures);
        eprintln!("FAULTS TRIED: {calls} of {name}, ADD on a fresh host was killed");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn a_list_whose_namespace_is_gone_is_deleted_completely() {
    let lab = lab_with_killer();
    if lab.reference_fails("it leaks without a namespace or without a result") {
        return;
    }
    let whole = network(&lab);
    whole.del(&whole.add());
    let clean = traces(&lab);
    let ways: [&dyn Fn(&Value); 4] = [
        &|result| whole.del(result),
        &|_| whole.del_without_result(),
        &|_| whole.map(|plugin| plugin.without("CNI_NETNS")).del_without_result(),
        &|_| whole.0.iter().rev().for_each(|plugin| plugin.gc(&[]).silent()),
    ];
    for (number, way) in ways.iter().enumerate() {
        let result = whole.add();
        // Somebody else holds the namespace, so that its links do not go with its name.
        let held = std::fs::File::open(lab.outside("/run/netns/c1")).expect("it is there");
        lab.sh("ip netns del c1");
        way(&result);
        let difference = difference(&lab, &clean);
        assert!(difference.is_empty(), "way {number}:\n{}", difference.join("\n"));
        drop(held);
        lab.netns("c1");
    }
}
