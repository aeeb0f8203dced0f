//! `ropewalk topology` on a host with very many containers.
//!
//! It must never run beside other tests: those would be looked at too.

use std::time::{Duration, Instant};

use ropewalk_e2e::{Lab, command_path, patience};

#[test]
fn a_thousand_namespaces_take_less_than_two_seconds() {
    let lab = Lab::new();
    lab.sh("{ for number in $(seq 1000); do echo netns add n$number; done; } | ip -batch -
         ip link add b0 type bridge && ip link set b0 up
         for number in $(seq 1000); do
             echo link add v$number type veth peer name eth0 netns n$number
             echo link set v$number master b0
         done | ip -batch -");
    let started = Instant::now();
    let tree = lab.sh(&format!("{} topology", command_path().display()));
    let took = started.elapsed();
    for number in [1, 500, 1000] {
        assert!(tree.contains(&format!("⇄ eth0 in n{number} ")), "{tree}");
    }
    assert!(took < patience(Duration::from_secs(2)), "it took {took:?}");
    lab.sh("for number in $(seq 1000); do echo netns del n$number; done | ip -batch -");
}
