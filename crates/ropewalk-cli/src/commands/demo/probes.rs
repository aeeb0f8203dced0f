//! Connections that must pass, and what the other side must see.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ropewalk_addr::Family;
use serde_json::{Value, json};

use super::stage::{CONTAINERS, PORT, PUBLISHED, Stage, UPLINK};
use crate::failure::Failure;
use crate::output::Output;

const PATIENCE: Duration = Duration::from_secs(3);

/// One connection and its outcome.
pub(crate) struct Probe {
    title: String,
    expected: String,
    answer: Result<String, String>,
    took: Duration,
}

impl Probe {
    /// Whether the right process answered and saw the right address.
    pub(crate) fn passed(&self) -> bool {
        self.answer.as_ref() == Ok(&self.expected)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "title": self.title,
            "expected": self.expected,
            "answer": self.answer.as_ref().ok(),
            "error": self.answer.as_ref().err(),
            "passed": self.passed(),
            "microseconds": u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
        })
    }

    fn line(&self) -> String {
        let sign = if self.passed() { "ok    " } else { "FAILED" };
        let answer = match &self.answer {
            Ok(answer) if self.passed() => answer.clone(),
            Ok(answer) => format!("{answer}, expected: {}", self.expected),
            Err(error) => error.clone(),
        };
        format!("{sign}  {:<46}  {answer}", self.title)
    }
}

/// What is tried: title, from where, to which address, and the answer that proves it.
type Trial = (String, &'static str, SocketAddr, String);

/// Makes every connection and tells about it.
pub(crate) fn run(stage: &Stage, output: Output) -> Result<Vec<Probe>, Failure> {
    let mut probes = Vec::new();
    for (title, from, to, expected) in trials(stage) {
        let begin = Instant::now();
        let answer = stage.sandbox(from).within(|| ask(to))?;
        let answer = answer.map_err(|error| error.to_string());
        let probe = Probe { title, expected, answer, took: begin.elapsed() };
        output.progress(&probe.line())?;
        probes.push(probe);
    }
    Ok(probes)
}

fn trials(stage: &Stage) -> Vec<Trial> {
    let [c1, c2] = CONTAINERS;
    let mut trials: Vec<Trial> = Vec::new();
    let mut push = |title: &str, from, ip: IpAddr, port, expected: String| {
        trials.push((title.to_owned(), from, SocketAddr::new(ip, port), expected));
    };
    for (family, name) in [(Family::V4, "IPv4"), (Family::V6, "IPv6")] {
        let (Some(first), Some(second)) = (address(stage, c1, family), address(stage, c2, family))
        else {
            continue;
        };
        push(
            &format!("container to container, {name}"),
            c1,
            second.ip,
            PORT,
            format!("{c2} sees {}", first.ip),
        );
        if let Some(gateway) = first.gateway {
            push(
                &format!("container to host, {name}"),
                c1,
                gateway,
                PORT,
                format!("host sees {}", first.ip),
            );
        }
    }
    let [host, outside] = UPLINK.map(uplink_address);
    let localhost = IpAddr::from([127, 0, 0, 1]);
    let gateway = address(stage, c1, Family::V4).and_then(|ip| ip.gateway).unwrap_or(localhost);
    push("container to outside, masqueraded", c1, outside, PORT, format!("outside sees {host}"));
    push("outside to published port", "outside", host, PUBLISHED, format!("{c2} sees {outside}"));
    push(
        "host to published port on 127.0.0.1",
        "host",
        localhost,
        PUBLISHED,
        format!("{c2} sees {gateway}"),
    );
    push(
        "container to its neighbour's published port",
        c1,
        host,
        PUBLISHED,
        format!("{c2} sees {gateway}"),
    );
    push(
        "container to its own published port",
        c2,
        host,
        PUBLISHED,
        format!("{c2} sees {gateway}"),
    );
    trials
}

fn address(stage: &Stage, container: &str, family: Family) -> Option<Given> {
    let result = stage.result(container);
    let ip = result.ips.iter().find(|ip| Family::of(ip.address.ip) == family)?;
    Some(Given { ip: ip.address.ip, gateway: ip.gateway })
}

/// A container's address and its gateway.
struct Given {
    ip: IpAddr,
    gateway: Option<IpAddr>,
}

fn uplink_address(prefix: &str) -> IpAddr {
    let text = prefix.split('/').next().unwrap_or_default();
    text.parse().unwrap_or(IpAddr::from([127, 0, 0, 1]))
}

fn ask(to: SocketAddr) -> io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&to, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}
