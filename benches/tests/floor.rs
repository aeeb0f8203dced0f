//! The floor does the work it is measured for: its containers reach each other, ports lead to them,
//! they leave under the host's address, and DEL takes everything away.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use ropewalk_bench::{
    Outcome,
    attachment::Container,
    call::Verb,
    contestant::{Contestant, FLOOR},
    failed,
    host::{Host, Machine, OUTER, OUTSIDE, within},
    scenario::{ALL, Scenario},
    sys,
};

const PATIENCE: Duration = Duration::from_secs(10);
const PORT: u16 = 20_000;

/// Connects from one namespace to a listener in another, at an address that leads there.
fn connect(from: &str, to: &str, at: SocketAddr) -> Outcome<()> {
    let listen = || TcpListener::bind(("0.0.0.0", 80)).map_err(failed("listen"));
    let listener = joined(within(to, listen)?)?;
    let connect = move || TcpStream::connect_timeout(&at, PATIENCE).map_err(failed("connect"));
    joined(within(from, connect)?)?;
    listener.accept().map_err(failed("accept")).map(drop)
}

fn joined<T>(thread: JoinHandle<Outcome<T>>) -> Outcome<T> {
    thread.join().map_err(|_| "a thread failed")?
}

/// What a shell script prints.
fn output(script: &str) -> Outcome<String> {
    let output = Command::new("sh").args(["-c", script]).output().map_err(failed("sh"))?;
    String::from_utf8(output.stdout).map_err(failed("output"))
}

/// Two containers of a list live and go.
fn live(scenario: Scenario, floor: &Contestant, host: &mut Host, outside: &str) -> Outcome<()> {
    let plugins = scenario.plugins(scenario.name);
    let mut containers = Vec::new();
    for (number, port) in (0..2).zip(PORT..) {
        let name = format!("{}-{number}", scenario.name);
        let netns = host.container(&name)?;
        let mut container = Container::new(floor, &plugins, (&name, netns.clone()), port);
        container.run(Verb::Add)?;
        container.run(Verb::Check)?;
        containers.push((container, netns));
    }
    let [(first, first_netns), (second, second_netns)] = &mut containers[..] else {
        return Err("two containers were made".to_owned());
    };
    assert_ne!(first.address()?, second.address()?);
    connect(first_netns, second_netns, SocketAddr::from((second.address()?, 80)))?;
    if plugins[0]["ipMasq"] == true {
        connect(first_netns, outside, SocketAddr::from((OUTSIDE, 80)))?;
    }
    if plugins.len() > 1 {
        let published = SocketAddr::from((OUTER, PORT + 1));
        connect(first_netns, second_netns, published)?;
        connect(outside, second_netns, published)?;
    }
    for container in [first, second] {
        container.run(Verb::Del)?;
        assert!(container.run(Verb::Check).is_err(), "what is gone is missed");
    }
    nothing_is_left(scenario, [first_netns, second_netns])
}

fn nothing_is_left(scenario: Scenario, namespaces: [&str; 2]) -> Outcome<()> {
    for netns in namespaces {
        let links = output(&format!("nsenter --net={netns} ip -o link"))?;
        assert!(!links.contains("eth0"), "{links}");
    }
    assert!(!output("ip -o link")?.contains(": fl"));
    let begun = Instant::now();
    while output("nft list ruleset")?.contains("10.1.0.3") {
        assert!(begun.elapsed() < PATIENCE, "elements do not expire");
    }
    let leases = output(&format!("ls /var/lib/cni/networks/{}", scenario.name))?;
    assert_eq!(leases, "last_reserved_ip.0\nlock\n");
    Ok(())
}

#[test]
fn every_list_works_and_leaves_nothing() {
    let machine = Machine::leave_real_one().unwrap();
    sys::adopt_orphans().unwrap();
    let floor = Contestant::new(FLOOR, Path::new(env!("CARGO_BIN_EXE_floor"))).unwrap();
    for scenario in ALL {
        let mut host = machine.host(&format!("on-{}", scenario.name), scenario.host).unwrap();
        let outside = host.outside(&format!("beside-{}", scenario.name)).unwrap();
        live(scenario, &floor, &mut host, &outside)
            .unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
        machine.remove(host).unwrap();
    }
}
