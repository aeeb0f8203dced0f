//! Debian's three DHCP servers, alike.

use std::time::{Duration, Instant};

use ropewalk_e2e::{Lab, Process, Value, json};

use crate::stage::{BRIDGE, Daemon};

/// The program of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Software {
    Dnsmasq,
    Isc,
    Kea,
}

/// What a server says beyond addresses, in its own syntax.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<'a> {
    /// How long leases last; dnsmasq takes nothing below two minutes.
    pub(crate) seconds: u32,
    /// When they are renewed and rebound, T1 and T2 in seconds, where that is not to follow from how
    /// long they last. Only Kea can be told.
    pub(crate) tee_times: Option<(u32, u32)>,
    /// Lines of its configuration, or elements of Kea's `option-data`.
    pub(crate) options: &'a str,
}

impl Default for Settings<'_> {
    /// Leases of an hour.
    fn default() -> Self {
        Self { seconds: 3600, tee_times: None, options: "" }
    }
}

/// A running server for 10.7.0.100 to 10.7.0.149.
pub(crate) struct Server<'lab> {
    lab: &'lab Lab,
    software: Software,
    _process: Process,
}

/// Where a server's words go.
const LOG: &str = "/run/lab/server.log";
const CONFIGURATION: &str = "/run/lab/server.conf";
const LEASES: &str = "/run/lab/server.leases";

/// Starts a server with leases of an hour, and the daemon of the plugins under test.
pub(crate) fn serve(lab: &Lab, software: Software) -> (Server<'_>, Daemon<'_>) {
    (Server::start(lab, software), Daemon::start(lab))
}

impl<'lab> Server<'lab> {
    /// Starts a server with leases of an hour.
    pub(crate) fn start(lab: &'lab Lab, software: Software) -> Self {
        Self::start_with(lab, software, Settings::default())
    }

    /// Starts a server.
    pub(crate) fn start_with(lab: &'lab Lab, software: Software, settings: Settings<'_>) -> Self {
        let (package, words, ready) = match software {
            Software::Dnsmasq => dnsmasq(lab, settings),
            Software::Isc => isc(lab, settings),
            Software::Kea => kea(lab, settings),
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let server = Self { lab, software, _process: Process::start(lab, package, &words, LOG) };
        lab.wait_until(&format!("{software:?} is ready"), || {
            let log = server.log();
            assert!(!log.contains("exiting."), "{software:?} does not start: {log}");
            log.contains(ready)
        });
        server
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        self.lab.read(LOG)
    }

    /// How many messages of a kind it has received, `DHCPREQUEST` for one.
    pub(crate) fn received(&self, kind: &str) -> usize {
        let log = self.log();
        let is_received = |line: &&str| match self.software {
            Software::Dnsmasq => line.contains(&format!("{kind}(")),
            Software::Isc => line.contains(&format!("{kind} ")),
            Software::Kea => {
                line.contains("DHCP4_PACKET_RECEIVED") && line.contains(&format!("{kind} (type"))
            }
        };
        log.lines().filter(is_received).count()
    }

    /// Whether it has dropped the lease for an address because the client gave it back.
    pub(crate) fn has_dropped(&self, address: &str) -> bool {
        match self.software {
            Software::Dnsmasq => {
                self.received("DHCPRELEASE") > 0 && !self.lab.read(LEASES).contains(address)
            }
            Software::Isc => {
                let leases = self.lab.read(LEASES);
                let last = leases.rsplit_once(&format!("lease {address} {{"));
                let last = last.map_or("", |(_, last)| last);
                last.split('}').next().is_some_and(|last| last.contains("binding state free"))
            }
            Software::Kea => {
                let log = self.log();
                log.lines().any(|line| line.contains("DHCP4_RELEASE ") && line.contains(address))
            }
        }
    }

    /// Asserts that it drops the lease for an address, with a deadline.
    #[track_caller]
    pub(crate) fn drops(&self, address: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.has_dropped(address) {
            let (software, log) = (self.software, self.log());
            assert!(Instant::now() < deadline, "{software:?} has not dropped {address}: {log}");
        }
    }
}

type Start = (&'static str, Vec<String>, &'static str);

fn dnsmasq(lab: &Lab, settings: Settings<'_>) -> Start {
    let Settings { seconds, options, .. } = settings;
    lab.write(
        CONFIGURATION,
        &format!(
            "port=0\nno-ping\ndhcp-authoritative\ninterface={BRIDGE}\nbind-interfaces\nlog-dhcp\n\
             dhcp-leasefile={LEASES}\nuser=root\n\
             dhcp-range=10.7.0.100,10.7.0.149,255.255.255.0,{seconds}\n{options}\n"
        ),
    );
    let configuration = format!("--conf-file={CONFIGURATION}");
    let words = ["/usr/sbin/dnsmasq", "--no-daemon", &configuration];
    ("dnsmasq-base", words.map(str::to_owned).to_vec(), "DHCP, IP range")
}

fn isc(lab: &Lab, settings: Settings<'_>) -> Start {
    let Settings { seconds, options, .. } = settings;
    lab.write(LEASES, "");
    lab.write(
        CONFIGURATION,
        &format!(
            "authoritative; ping-check false; one-lease-per-client false;\n\
             default-lease-time {seconds}; max-lease-time {seconds}; min-lease-time {seconds};\n\
             subnet 10.7.0.0 netmask 255.255.255.0 {{\n\
             range 10.7.0.100 10.7.0.149; option routers 10.7.0.1;\n{options}\n}}\n"
        ),
    );
    let words = [
        "/usr/sbin/dhcpd",
        "-f",
        "-d",
        "-4",
        "--no-pid",
        "-cf",
        CONFIGURATION,
        "-lf",
        LEASES,
        BRIDGE,
    ];
    ("isc-dhcp-server", words.map(str::to_owned).to_vec(), "Server starting service")
}

fn kea(lab: &Lab, settings: Settings<'_>) -> Start {
    let Settings { seconds, tee_times, options } = settings;
    let extra: Value = serde_json::from_str(&format!("[{options}]")).expect("options are JSON");
    let mut data = vec![json!({ "name": "routers", "data": "10.7.0.1" })];
    data.extend(extra.as_array().into_iter().flatten().cloned());
    let mut configuration = json!({ "Dhcp4": {
        "interfaces-config": { "interfaces": [BRIDGE], "dhcp-socket-type": "raw" },
        "lease-database": { "type": "memfile", "persist": false },
        "valid-lifetime": seconds,
        "calculate-tee-times": true,
        "subnet4": [{
            "subnet": "10.7.0.0/24",
            "pools": [{ "pool": "10.7.0.100 - 10.7.0.149" }],
            "option-data": data,
        }],
        "loggers": [{
            "name": "kea-dhcp4", "severity": "DEBUG", "debuglevel": 50,
            "output_options": [{ "output": "stdout" }],
        }],
    }});
    if let Some((renewal, rebinding)) = tee_times {
        configuration["Dhcp4"]["renew-timer"] = json!(renewal);
        configuration["Dhcp4"]["rebind-timer"] = json!(rebinding);
    }
    lab.write(CONFIGURATION, &configuration.to_string());
    lab.sh("mkdir -p /run/kea /run/lock/kea");
    let words = [
        "/usr/bin/env",
        "KEA_PIDFILE_DIR=/run/kea",
        "KEA_LOCKFILE_DIR=/run/lock/kea",
        "/usr/sbin/kea-dhcp4",
        "-c",
        CONFIGURATION,
    ];
    ("kea-dhcp4-server", words.map(str::to_owned).to_vec(), "DHCP4_STARTED")
}
