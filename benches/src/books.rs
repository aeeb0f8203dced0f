//! Books of addresses: what an ADD and a DEL cost with leases in files, in SQLite and in
//! PostgreSQL, and what a claim costs in a pool that has a million.
//!
//! All are measured in turn, round by round, so that what else the machine does is the same for
//! each; forwards and backwards, because a DEL leaves work to the kernel that whoever comes next
//! meets.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    Outcome,
    attachment::Container,
    call::{self, Verb},
    contestant::{Contestant, OURS_WITH_SQL},
    failed,
    host::{Host, Machine, run},
    statistics::{Summary, rounded},
    sys,
};

/// What is measured.
const VERBS: [Verb; 2] = [Verb::Add, Verb::Del];

/// Rounds before the first one that counts.
const WARMING_UP: usize = 5;

/// How many leases there are in the pools of the second table.
const FILLED: [u32; 2] = [1000, 1_000_000];

/// Starts a server of Debian's package.
const START: &str = r#"
programs=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
mkdir -p /run/pg && chown postgres /run/pg
runuser -u postgres -- $programs/initdb -D /run/pg/data -A trust -U postgres -N >/run/pg/init.log
runuser -u postgres -- $programs/pg_ctl -D /run/pg/data -l /run/pg/log -w \
    -o "-k /run/pg -c listen_addresses=" start >/run/pg/start.log
"#;

/// Tells it to end at once, whoever still asks it something.
const STOP: &str = r"kill -QUIT $(head -n 1 /run/pg/data/postmaster.pid)";

/// What one kind of books took.
#[derive(Clone, Debug)]
pub struct Kind {
    /// As tables call it.
    pub name: String,
    /// In the order of [`VERBS`].
    pub costs: [Vec<Duration>; 2],
}

impl Kind {
    /// Milliseconds of ADD and DEL.
    fn summaries(&self) -> [Summary; 2] {
        self.costs.each_ref().map(|costs| Summary::of(costs.iter().map(milliseconds)))
    }

    /// The middle of what each ADD took beside that of the same round: times, and milliseconds
    /// more.
    pub fn against(&self, other: &Self) -> [f64; 2] {
        let pairs = || self.costs[0].iter().zip(&other.costs[0]);
        let times = pairs().map(|(own, other)| own.as_secs_f64() / other.as_secs_f64());
        let more = pairs().map(|(own, other)| milliseconds(own) - milliseconds(other));
        [Summary::of(times).median, Summary::of(more).median]
    }
}

fn milliseconds(duration: &Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Kinds that belong together; all are held against the first.
#[derive(Clone, Debug)]
pub struct Books {
    /// What is compared.
    pub about: &'static str,
    /// What it took.
    pub kinds: Vec<Kind>,
}

impl Books {
    /// For people.
    pub fn text(&self) -> String {
        let line = |kind: &Kind| {
            let [add, del] = kind.summaries();
            let [times, more] = kind.against(&self.kinds[0]);
            format!(
                "  {:<16} ADD {:6.2} {:6.2}   DEL {:6.2} {:6.2}   ADD x {times:.2}, {more:+.2} ms\n",
                kind.name, add.median, add.least, del.median, del.least
            )
        };
        let lines: Vec<String> = self.kinds.iter().map(line).collect();
        format!("\n{}, ms (median, least)\n{}", self.about, lines.concat())
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let kind = |kind: &Kind| {
            let [add, del] = kind.summaries();
            let [times, more] = kind.against(&self.kinds[0]).map(rounded);
            json!({
                "name": kind.name, "add_ms": add.to_json(), "del_ms": del.to_json(),
                "times": times, "more_ms": more,
            })
        };
        json!({ "about": self.about, "kinds": self.kinds.iter().map(kind).collect::<Vec<_>>() })
    }
}

/// Both tables. The server ends before whatever is measured next, which waits for all that this
/// process has adopted.
pub fn measure(machine: &Machine, ours: &Contestant, rounds: usize) -> Outcome<Vec<Books>> {
    run(START)?;
    let measured = with_server(machine, ours, rounds);
    run(STOP)?;
    call::settle()?;
    measured
}

fn with_server(machine: &Machine, ours: &Contestant, rounds: usize) -> Outcome<Vec<Books>> {
    let pools = json!([{ "subnet": "10.1.0.0/16" }]);
    let sql = |url: &str| json!({ "type": "sql", "database": url, "pools": pools });
    run("psql -q -h /run/pg -U postgres -c 'CREATE DATABASE ipam'")?;
    let kinds = [
        ("host-local", json!({ "type": "host-local", "subnet": "10.1.0.0/16" })),
        ("sql, SQLite", sql("sqlite:///var/lib/ropewalk/ipam.db")),
        ("sql, PostgreSQL", sql("postgres:///ipam?host=/run/pg")),
    ];
    let list = |(name, ipam): (&str, Value)| {
        let bridge = json!({ "type": "bridge", "bridge": "bench0", "isDefaultGateway": true });
        (name.to_owned(), with(bridge, "ipam", ipam))
    };
    let kinds = kinds.into_iter().map(list).collect();
    let bridges = in_turn(machine, ours, kinds, rounds)?;
    let mut pools = Vec::new();
    for leases in FILLED {
        let name = format!("{leases} leases");
        pools.push((name, json!({ "type": "sql", "ipam": fill(leases)? })));
    }
    let pools = in_turn(machine, ours, pools, rounds)?;
    Ok(vec![
        Books { about: "Bridge with leases in", kinds: bridges },
        Books { about: "The plugin sql alone, in one pool of PostgreSQL with", kinds: pools },
    ])
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

/// Makes a database with a pool that has so many leases; answers the part `ipam` for it.
fn fill(leases: u32) -> Outcome<Value> {
    let name = format!("ipam{leases}");
    let url = format!("postgres:///{name}?host=/run/pg");
    let ipam = json!({
        "type": "sql", "database": url, "pools": [{ "name": "lan", "subnet": "10.0.0.0/8" }],
    });
    let config = json!({ "cniVersion": "1.1.0", "name": "books", "type": "sql", "ipam": ipam });
    run(&format!(
        "psql -q -h /run/pg -U postgres -c 'CREATE DATABASE {name}'
         echo '{config}' | CNI_COMMAND=ADD CNI_CONTAINERID=first CNI_IFNAME=eth0 CNI_NETNS=/x \
         CNI_PATH=/x {plugins}/{OURS_WITH_SQL}/sql >/dev/null
         psql -q -h /run/pg -U postgres {name} -c \"
         INSERT INTO ropewalk_lease SELECT host('10.0.0.0'::inet + i), 'books', 'lan', '', 'IPv4', \
         'books', 'x' || i, 'eth0', NULL, NULL, 'h' || i % 100, 1, NULL, NULL, 0 \
         FROM generate_series(3, {leases} + 1) i\" -c \"
         UPDATE ropewalk_pool SET next = host('10.0.0.0'::inet + {leases} + 2)\" -c ANALYZE",
        plugins = crate::host::PLUGINS,
    ))?;
    Ok(ipam)
}

/// Runs a verb. What it leaves behind is not waited for, because the server is never done.
fn time(container: &Container, verb: Verb) -> Outcome<Duration> {
    let (mut command, config) = container.first_call(verb);
    let begun = Instant::now();
    let mut child = call::start(&mut command, &config)?;
    let text = call::read(&mut child)?;
    let ended = sys::wait_for(&child).map_err(failed("wait"))?;
    let wall = begun.elapsed();
    if ended.is_success { Ok(wall) } else { Err(format!("{command:?} <<< {config}: {text}")) }
}

/// Runs ADD and DEL of every list in turn.
fn in_turn(
    machine: &Machine,
    ours: &Contestant,
    lists: Vec<(String, Value)>,
    rounds: usize,
) -> Outcome<Vec<Kind>> {
    let mut stands: Vec<(Host, Container, Kind)> = Vec::new();
    for (index, (name, plugin)) in lists.into_iter().enumerate() {
        let network = format!("books-{}-{index}", plugin["type"].as_str().unwrap_or_default());
        let mut host = machine.host(&network, "")?;
        let network = if plugin["type"] == "sql" { "books" } else { &network };
        let plugin = with(with(plugin, "name", json!(network)), "cniVersion", json!("1.0.0"));
        let id = format!("measured-{network}-{index}");
        let netns = host.container(&id)?;
        let container = Container::new(ours, &[plugin], (&id, netns), 0);
        stands.push((host, container, Kind { name, costs: [Vec::new(), Vec::new()] }));
    }
    for round in 0..WARMING_UP + rounds {
        let count = stands.len();
        for place in 0..count {
            let step = if round % 2 == 0 { place } else { count - place };
            let index = (round + step) % count;
            let (host, container, kind) = &mut stands[index];
            host.enter()?;
            for (verb, costs) in VERBS.into_iter().zip(&mut kind.costs) {
                let wall = time(container, verb)?;
                if round >= WARMING_UP {
                    costs.push(wall);
                }
            }
        }
    }
    let mut kinds = Vec::new();
    for (host, _, kind) in stands {
        machine.remove(host)?;
        kinds.push(kind);
    }
    Ok(kinds)
}
