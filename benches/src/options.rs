//! What options of ours do to packets, beside two containers with nothing but a pair between them,
//! which is as fast as two namespaces can be.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use crate::{
    Outcome,
    console::tell,
    contestant::Contestant,
    host::{Machine, run},
    scenario::Scenario,
    traffic::{Road, SERVER, Traffic, drive, two_containers},
};

/// What the tables call the pair alone, the bridge without options, and that with each.
pub const DIRECT: &str = "direct veth";
/// Without options.
pub const PLAIN: &str = "bridge";
/// With packets of many segments.
pub const BIG: &str = "bigTCP";
/// With the fast path.
pub const FAST: &str = "fastPath";
/// With both.
const BOTH: &str = "both";

/// What stays on a bridge passes no packet filter, without which there is no fast path.
const UNFILTERED: &str = "cd /proc/sys/net/bridge 2>/dev/null || exit 0
                          echo 0 >bridge-nf-call-iptables; echo 0 >bridge-nf-call-ip6tables";

fn options(name: &str) -> Value {
    match name {
        BIG => json!({ "bigTCP": true }),
        FAST => json!({ "fastPath": "ebpf" }),
        BOTH => json!({ "bigTCP": true, "fastPath": "ebpf" }),
        _ => json!({}),
    }
}

/// Measures them all in turn.
pub fn measure(machine: &Machine, ours: &Contestant, rounds: usize) -> Outcome<Vec<Traffic>> {
    tell(&format!("options, {rounds} rounds"));
    let mut roads = vec![(DIRECT, direct(machine)?)];
    for name in [PLAIN, BIG, FAST, BOTH] {
        match bridged(machine, ours, name) {
            Ok(road) => roads.push((name, road)),
            // This build or this kernel cannot.
            Err(reason) => tell(&format!("{name} is left out: {reason}")),
        }
    }
    let lent: Vec<_> = roads.iter().map(|(name, road)| (*name, road)).collect();
    let of = drive(&lent, rounds)?;
    roads.into_iter().try_for_each(|(_, road)| road.close(machine))?;
    Ok(vec![Traffic { way: "options", existing: 0, of }])
}

fn direct(machine: &Machine) -> Outcome<Road> {
    let mut host = machine.host("direct", "")?;
    let [from, to] = ["direct-first", "direct-second"].map(|name| host.container(name));
    let (from, to) = (from?, to?);
    run("ip link add eth0 netns direct-first type veth peer name eth0 netns direct-second
         ip -n direct-first address add 10.1.0.2/16 dev eth0
         ip -n direct-second address add 10.1.0.3/16 dev eth0
         ip -n direct-first link set eth0 up
         ip -n direct-second link set eth0 up")?;
    Road::open(host, &from, &to, SocketAddr::from((Ipv4Addr::new(10, 1, 0, 3), SERVER)))
}

fn bridged(machine: &Machine, ours: &Contestant, name: &str) -> Outcome<Road> {
    let scenario = Scenario::find("bridge").ok_or("no such scenario")?;
    let network = format!("options-{name}");
    let mut host = machine.host(&network, UNFILTERED)?;
    let mut plugins = scenario.plugins(&network);
    for (key, value) in options(name).as_object().into_iter().flatten() {
        plugins[0][key] = value.clone();
    }
    let places = two_containers(&mut host, ours, &plugins)?;
    let (from, to) = (&places[0], &places[1]);
    Road::open(host, &from.0, &to.0, SocketAddr::from((to.1, SERVER)))
}
