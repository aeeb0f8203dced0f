//! `ropewalk topology` and `ropewalk explain` on a host with very many containers.
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
    lab.sh("for number in 1 1000; do
             ip link set v$number up
             ip -n n$number link set eth0 up
             ip -n n$number address add 10.0.$((number / 256)).$((number % 256))/16 dev eth0
         done");
    lab.wait_until("ports forward", || lab.sh("bridge link").matches("forwarding").count() == 2);
    let started = Instant::now();
    let explained = lab.sh(&format!("{} explain n1 n1000 80", command_path().display()));
    let took = started.elapsed();
    assert!(explained.contains("b0: v1 → v1000"), "{explained}");
    assert!(took < patience(Duration::from_secs(2)), "it took {took:?}");
    lab.sh("for number in $(seq 1000); do echo netns del n$number; done | ip -batch -");
}
