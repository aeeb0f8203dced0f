//! Faults of what is kept: files that are damaged, and hosts that have lost one half of what there
//! was, by a reboot or by somebody's hand. Whatever the runtime does then, the host is as before,
//! and nobody's address is given to somebody else.

use std::fs;

use ropewalk_e2e::chain::Chain;
use ropewalk_e2e::{Host, Outcome, Random, Sample, State, Value, json};

/// Where plugins keep what they know.
const STATE: &str = "/var/lib/cni /run/cni /var/lib/ropewalk /run/ropewalk";

/// How many times the files of a plugin are damaged.
const DAMAGES: usize = 40;

/// The list for an attachment, in the version that knows GC.
fn list(host: &Host, number: usize) -> Chain<'_> {
    host.list(number).map(|plugin| plugin.key("cniVersion", &json!("1.1.0")))
}

/// Everything that could be damaged, what is there for all and no socket.
fn files(host: &Host) -> Vec<String> {
    let found = host.lab.sh(&format!("find {STATE} -type f 2>/dev/null | sort"));
    found.lines().map(str::to_owned).collect()
}

/// The leases of the containers that there are.
fn leases(host: &Host) -> Vec<String> {
    let is_lease = |path: &String| {
        path.rsplit('/').next().is_some_and(|name| name.parse::<std::net::IpAddr>().is_ok())
    };
    files(host).into_iter().filter(is_lease).collect()
}

/// Damage as disks and hands do it. A name that was changed into another good one cannot be told
/// from a good one, and is not tried.
fn damaged(content: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = content.to_vec();
    match random.below(4) {
        0 => bytes.clear(),
        1 => bytes.truncate(random.below(content.len() + 1)),
        2 => bytes.extend((0..random.below(5000)).map(|_| 0x80)),
        _ => {
            for _ in 0..=random.below(4) {
                let place = random.below(content.len().max(1));
                if let Some(byte) = bytes.get_mut(place) {
                    *byte |= 0x80;
                }
            }
        }
    }
    bytes
}

/// What a runtime may do with an attachment that it does not need any more.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Del,
    DelWithoutResult,
    Gc,
}

const ANSWERS: [Answer; 3] = [Answer::Del, Answer::DelWithoutResult, Answer::Gc];

/// Does it; the answers of all plugins.
fn answer(
    answer: Answer,
    list: &Chain<'_>,
    result: &Value,
    valid: &[(&str, &str)],
) -> Vec<Outcome> {
    let plugins = list.0.iter().rev();
    let act = |plugin: &ropewalk_e2e::Plugin<'_>| match answer {
        Answer::Del => plugin.del(result),
        Answer::DelWithoutResult => plugin.del_without_result(),
        Answer::Gc => plugin.gc(valid),
    };
    plugins.map(act).collect()
}

/// Damages a file of a plugin again and again.
#[expect(clippy::print_stderr, reason = "how much was tried is worth knowing")]
fn damage(name: &str) {
    let Some(host) = Sample::of(name).host() else { return };
    if host.lab.reference_fails("it has no GC") {
        return;
    }
    host.settle();
    let stays = list(&host, 2);
    let result = stays.add();
    let (before, stay) = (State::glance(&host), leases(&host));
    let valid = [("c2", host.sample.ifname())];
    let mut random = Random::new(Random::seed());
    for number in 0..DAMAGES {
        let own = list(&host, 0);
        let own_result = own.add();
        let files = files(&host);
        let path = random.choose(&files).clone();
        let outside = host.lab.outside(&path);
        let original = fs::read(&outside).expect("it is there");
        let bytes = damaged(&original, &mut random);
        fs::write(&outside, &bytes).expect("a private host takes files");
        let how = *random.choose(&ANSWERS);
        let what = format!(
            "{name}, seed {}, number {number}: {path} is {:?}, then {how:?}",
            Random::seed(),
            String::from_utf8_lossy(&bytes[..bytes.len().min(80)])
        );
        for outcome in answer(how, &own, &own_result, &valid) {
            if outcome.code != 0 {
                outcome.error();
            }
        }
        for outcome in answer(Answer::Gc, &own, &own_result, &valid) {
            assert_eq!(outcome.code, 0, "{what}: {outcome}");
        }
        // A damaged backup does not tell its network, so that only DEL knows whose it is.
        for outcome in answer(Answer::DelWithoutResult, &own, &own_result, &[]) {
            assert_eq!(outcome.code, 0, "{what}: {outcome}");
        }
        let now = leases(&host);
        assert!(stay.iter().all(|lease| now.contains(lease)), "{what}: {now:?}, before {stay:?}");
        if outside.exists() {
            fs::write(&outside, &original).expect("a private host takes files");
        }
        host.renew("c1");
        let difference = before.difference(|| State::glance(&host));
        assert!(difference.is_empty(), "{what}:\n{}", difference.join("\n"));
    }
    host.check(&stays, &result);
    eprintln!("FAULTS TRIED: {DAMAGES} of {name}, files were damaged");
}

#[test]
fn damaged_leases_cost_nobody_an_address() {
    damage("bridge");
}

#[test]
fn damaged_backups_of_tuning_keep_nobody_from_going() {
    damage("tuning");
}

#[test]
fn damaged_records_of_dhcp_keep_nobody_from_going() {
    damage("dhcp");
}

/// The first address of a result.
fn address(result: &Value) -> &str {
    result["ips"][0]["address"].as_str().unwrap_or_default()
}

/// Containers can be attached and go again, and then nothing is left but what was there before.
fn works_again(host: &Host, before: &State, what: &str) {
    host.renew("c1");
    host.renew("c2");
    host.settle();
    let difference = before.difference(|| State::glance(host));
    assert!(difference.is_empty(), "{what}:\n{}", difference.join("\n"));
    let lists = [list(host, 0), list(host, 2)];
    let results = lists.each_ref().map(Chain::add);
    if leases(host).len() > 1 {
        assert_ne!(address(&results[0]), address(&results[1]), "{what}");
    }
    for (list, result) in lists.iter().zip(&results) {
        host.check(list, result);
        list.del(result);
    }
    host.renew("c1");
    host.renew("c2");
    let difference = before.difference(|| State::glance(host));
    assert!(difference.is_empty(), "{what}, then another life:\n{}", difference.join("\n"));
}

/// With each answer of the runtime: two containers, what befalls the host, the answer, and everything
/// works as before.
#[expect(clippy::print_stderr, reason = "how much was tried is worth knowing")]
fn befall(plugin: &str, what: &str, script: &str) {
    let Some(host) = Sample::of(plugin).host() else { return };
    if host.lab.reference_fails("it has no GC, and its DEL needs what is gone") {
        return;
    }
    host.settle();
    host.renew("c1");
    let before = State::glance(&host);
    for how in ANSWERS {
        let lists = [list(&host, 0), list(&host, 2)];
        let results = lists.each_ref().map(Chain::add);
        host.lab.sh(script);
        let what = format!("{what}, then {how:?}");
        for (list, result) in lists.iter().zip(&results) {
            for outcome in answer(how, list, result, &[]) {
                assert_eq!(outcome.code, 0, "{what}: {outcome}");
            }
        }
        works_again(&host, &before, &what);
    }
    eprintln!("FAULTS TRIED: {} of {plugin}, {what}", ANSWERS.len());
}

/// What is kept on disk stays, and nothing else.
const REBOOT: &str = "
    ip netns del c1; ip netns del c2
    for link in $(ip -o link | cut -d: -f2 | cut -d@ -f1 | grep -e veth -e cni0 -e bwp); do
        ip link del $link 2>/dev/null || true
    done
    nft delete table inet ropewalk 2>/dev/null || true
    nft delete table bridge ropewalk 2>/dev/null || true
    rm -rf /run/ropewalk /run/cni/tuning";

/// The tests of each plugin, so that one that this kernel cannot serve is tried on another.
macro_rules! tests_of_each {
    ($($module:ident: $plugin:literal,)*) => {
        $(
            mod $module {
                #[test]
                fn what_was_kept_goes_after_a_reboot() {
                    crate::befall($plugin, "after a reboot", crate::REBOOT);
                }

                #[test]
                fn what_nobody_remembers_goes_all_the_same() {
                    let script = format!("find {} -type f -delete || true", crate::STATE);
                    crate::befall($plugin, "with all files lost", &script);
                }
            }
        )*
    };
}

ropewalk_e2e::for_every_plugin!(tests_of_each);
