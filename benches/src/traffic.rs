//! What packets cost: TCP between two containers, out of the host and into it. Both ends are on one
//! processor, so that what is measured is work and not how well it is spread.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use crate::{
    Outcome,
    attachment::{self, Container, PORT},
    call::Verb,
    console::tell,
    contestant::Contestant,
    failed,
    host::{Host, Machine, OUTER, OUTSIDE, within},
    scenario::Scenario,
    statistics::Summary,
    sys,
};

/// A way that packets take.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// As the tables call it.
    pub name: &'static str,
    scenario: &'static str,
    from: End,
    to: End,
}

/// Where a way begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    First,
    Second,
    Outside,
}

/// All ways.
pub const WAYS: [Way; 4] = [
    Way { name: "bridge", scenario: "bridge", from: End::First, to: End::Second },
    Way { name: "ptp", scenario: "ptp", from: End::First, to: End::Second },
    Way { name: "masqueraded", scenario: "chain", from: End::First, to: End::Outside },
    Way { name: "published port", scenario: "chain", from: End::Outside, to: End::Second },
];

/// What is measured of a way.
pub const QUANTITIES: [&str; 3] = ["round trip, us", "connection, us", "Gbit/s"];

/// What one contestant's way came to, round by round, in the order of [`QUANTITIES`].
pub type Trips = [Vec<f64>; 3];

/// What a way came to.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// Which.
    pub way: &'static str,
    /// How many other containers there were.
    pub existing: u16,
    /// Of each contestant.
    pub of: Vec<(&'static str, Trips)>,
}

/// How much is done in one round.
const ROUND_TRIPS: u32 = 3000;
const CONNECTIONS: u32 = 300;
const BYTES: usize = 64 << 20;
const CHUNK: usize = 128 << 10;

/// The port of servers.
pub(crate) const SERVER: u16 = 80;

/// The processor that both ends are on.
const PROCESSOR: usize = 1;

/// Where a client's ports are from: a port rests for a minute after its connection, and a client that
/// has to look for one that does not is slow.
const PORTS: (&str, &str) = ("/proc/sys/net/ipv4/ip_local_port_range", "1024 65535");

/// What a client says first.
const ECHO: u8 = b'e';
const SINK: u8 = b's';
const STOP: u8 = b'q';

const PATIENCE: Duration = Duration::from_secs(10);

/// A server and a client that wait.
pub(crate) struct Road {
    host: Host,
    orders: mpsc::Sender<()>,
    trips: mpsc::Receiver<Outcome<[f64; 3]>>,
    threads: [JoinHandle<Outcome<()>>; 2],
}

/// A road of a contestant's, beside which there are other containers.
struct Street {
    road: Road,
    contestant: Contestant,
    plugins: Vec<Value>,
    existing: u16,
}

/// Measures a way with each of these numbers of other containers, least first.
pub fn measure(
    machine: &Machine,
    way: Way,
    contestants: &[Contestant],
    sizes: &[u16],
    rounds: usize,
) -> Outcome<Vec<Traffic>> {
    let streets = contestants.iter().map(|contestant| Street::build(machine, way, contestant));
    let mut streets = streets.collect::<Outcome<Vec<Street>>>()?;
    let mut all = Vec::new();
    for existing in sizes.iter().copied() {
        streets.iter_mut().try_for_each(|street| street.fill(existing))?;
        tell(&format!("traffic, {}: {existing} existing, {rounds} rounds", way.name));
        let roads: Vec<_> = streets.iter().map(|s| (s.contestant.name, &s.road)).collect();
        all.push(Traffic { way: way.name, existing, of: drive(&roads, rounds)? });
    }
    streets.into_iter().try_for_each(|street| street.road.close(machine))?;
    Ok(all)
}

/// Measures roads in turn.
pub(crate) fn drive(
    roads: &[(&'static str, &Road)],
    rounds: usize,
) -> Outcome<Vec<(&'static str, Trips)>> {
    let mut of: Vec<_> = roads.iter().map(|(name, _)| (*name, Trips::default())).collect();
    for round in 0..rounds {
        for place in 0..roads.len() {
            let index = (round + place) % roads.len();
            let (name, road) = &roads[index];
            let trips = road.go().map_err(|error| format!("{name}: {error}"))?;
            for (all, trip) in of[index].1.iter_mut().zip(trips) {
                all.push(trip);
            }
        }
    }
    Ok(of)
}

/// Adds two containers of a contestant; answers their namespaces and addresses.
pub(crate) fn two_containers(
    host: &mut Host,
    contestant: &Contestant,
    plugins: &[Value],
) -> Outcome<Vec<(String, Ipv4Addr)>> {
    let network = plugins[0]["name"].as_str().unwrap_or_default();
    let mut places = Vec::new();
    for (number, port) in ["first", "second"].into_iter().zip(PORT..) {
        let name = format!("{network}-{number}");
        let netns = host.container(&name)?;
        let id = (name.as_str(), netns.clone());
        let mut container = Container::new(contestant, plugins, id, port);
        container.run(Verb::Add)?;
        places.push((netns, container.address()?));
    }
    Ok(places)
}

impl Street {
    fn build(machine: &Machine, way: Way, contestant: &Contestant) -> Outcome<Self> {
        let scenario = Scenario::find(way.scenario).ok_or("no such scenario")?;
        let network = format!("traffic-{}-{}", way.name.replace(' ', "-"), contestant.name);
        let mut host = machine.host(&network, scenario.host)?;
        let outside = host.outside(&format!("{network}-outside"))?;
        let plugins = scenario.plugins(&network);
        let mut places = two_containers(&mut host, contestant, &plugins)?;
        places.push((outside, OUTSIDE));
        let place = |end: End| places[end as usize].clone();
        let (from, to) = (place(way.from), place(way.to));
        let at = match way.from {
            End::Outside => SocketAddr::from((OUTER, PORT + 1)),
            End::First | End::Second => SocketAddr::from((to.1, SERVER)),
        };
        let road = Road::open(host, &from.0, &to.0, at)?;
        Ok(Self { road, contestant: contestant.clone(), plugins, existing: 0 })
    }

    /// Adds other containers until there are so many.
    fn fill(&mut self, existing: u16) -> Outcome<()> {
        let numbers = self.existing..existing;
        self.existing = existing;
        attachment::fill(&mut self.road.host, &self.contestant, &self.plugins, numbers)
    }
}

impl Road {
    /// Lets a client in one namespace wait, and a server in another.
    pub(crate) fn open(host: Host, from: &str, to: &str, at: SocketAddr) -> Outcome<Self> {
        let (ready, is_ready) = mpsc::channel();
        let server = within(to, move || serve(&ready))?;
        let (orders, waiting) = mpsc::channel();
        let (results, trips) = mpsc::channel();
        let client = within(from, move || travel(at, &waiting, &results))?;
        // A server that cannot begin says why when it is joined, and the client cannot connect.
        let _ = is_ready.recv();
        Ok(Self { host, orders, trips, threads: [client, server] })
    }

    fn go(&self) -> Outcome<[f64; 3]> {
        self.orders.send(()).map_err(failed("the client has gone"))?;
        self.trips.recv().map_err(failed("the client has gone"))?
    }

    pub(crate) fn close(self, machine: &Machine) -> Outcome<()> {
        drop(self.orders);
        for thread in self.threads {
            thread.join().map_err(|_| "a thread failed")??;
        }
        machine.remove(self.host)
    }
}

/// Answers one connection after the other, until one says stop.
fn serve(ready: &mpsc::Sender<()>) -> Outcome<()> {
    sys::pin(PROCESSOR).map_err(failed("processor"))?;
    let listener =
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, SERVER)).map_err(failed("failed to listen"))?;
    ready.send(()).map_err(failed("nobody waits"))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let (mut stream, _) = listener.accept().map_err(failed("accept"))?;
        stream.set_nodelay(true).map_err(failed("nodelay"))?;
        let mut byte = [0];
        stream.read_exact(&mut byte).map_err(failed("first byte"))?;
        match byte[0] {
            STOP => return Ok(()),
            SINK => while stream.read(&mut chunk).map_err(failed("read"))? > 0 {},
            _ => {}
        }
        stream.write_all(&byte).map_err(failed("write"))?;
        // A client that has got what it wanted hangs up, in whatever way.
        while byte[0] == ECHO && stream.read(&mut byte).is_ok_and(|length| length > 0) {
            stream.write_all(&byte).map_err(failed("write"))?;
        }
    }
}

/// Measures once for each order, then stops the server.
fn travel(
    at: SocketAddr,
    orders: &mpsc::Receiver<()>,
    results: &mpsc::Sender<Outcome<[f64; 3]>>,
) -> Outcome<()> {
    sys::pin(PROCESSOR).map_err(failed("processor"))?;
    fs::write(PORTS.0, PORTS.1).map_err(failed(PORTS.0))?;
    while orders.recv().is_ok() {
        let trip = || Ok([round_trip(at)?, connection(at)?, throughput(at)?]);
        results.send(trip()).map_err(failed("nobody waits"))?;
    }
    connect(at)?.write_all(&[STOP]).map_err(failed("write"))
}

fn connect(at: SocketAddr) -> Outcome<TcpStream> {
    let stream = TcpStream::connect_timeout(&at, PATIENCE).map_err(failed(at))?;
    stream.set_nodelay(true).map_err(failed("nodelay"))?;
    Ok(stream)
}

fn exchange(stream: &mut TcpStream) -> Outcome<()> {
    stream.write_all(&[ECHO]).map_err(failed("write"))?;
    stream.read_exact(&mut [0]).map_err(failed("read"))
}

/// A byte there and back, in microseconds.
fn round_trip(at: SocketAddr) -> Outcome<f64> {
    let mut stream = connect(at)?;
    exchange(&mut stream)?;
    let begun = Instant::now();
    for _ in 0..ROUND_TRIPS {
        exchange(&mut stream)?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROUND_TRIPS))
}

/// A connection for one byte there and back, in microseconds.
fn connection(at: SocketAddr) -> Outcome<f64> {
    let begun = Instant::now();
    for _ in 0..CONNECTIONS {
        exchange(&mut connect(at)?)?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(CONNECTIONS))
}

/// Many bytes one way, in gigabits per second.
fn throughput(at: SocketAddr) -> Outcome<f64> {
    let mut stream = connect(at)?;
    stream.write_all(&[SINK]).map_err(failed("write"))?;
    let chunk = vec![0; CHUNK];
    let begun = Instant::now();
    for _ in 0..BYTES / CHUNK {
        stream.write_all(&chunk).map_err(failed("write"))?;
    }
    stream.shutdown(std::net::Shutdown::Write).map_err(failed("shutdown"))?;
    stream.read_exact(&mut [0]).map_err(failed("read"))?;
    #[expect(clippy::cast_precision_loss, reason = "it is a power of two")]
    let bits = BYTES as f64 * 8.0;
    Ok(bits / 1e9 / begun.elapsed().as_secs_f64())
}

impl Traffic {
    /// What one contestant's way comes to.
    pub fn summary(&self, contestant: usize, quantity: usize) -> Summary {
        Summary::of(self.of[contestant].1[quantity].iter().copied())
    }

    /// How many times one's quantity is another's in the same round.
    pub fn ratio(&self, pair: (&str, &str), quantity: usize) -> Option<Summary> {
        let find = |name| self.of.iter().find(|(of, _)| *of == name);
        let ((_, first), (_, second)) = find(pair.0).zip(find(pair.1))?;
        let ratios = first[quantity].iter().zip(&second[quantity]).map(|(one, two)| one / two);
        Some(Summary::of(ratios))
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let contestants = self.of.iter().enumerate().map(|(index, (name, _))| {
            let quantities = QUANTITIES.iter().enumerate().map(|(quantity, name)| {
                ((*name).to_owned(), self.summary(index, quantity).to_json())
            });
            ((*name).to_owned(), Value::Object(quantities.collect()))
        });
        json!({ "way": self.way, "existing": self.existing, "contestants": contestants.collect::<Map<_, _>>() })
    }
}
