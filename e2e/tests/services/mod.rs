//! A system bus and firewalld, run for one private host: nothing of theirs is the machine's.
//!
//! Both are Debian's programs (packages `dbus-daemon` and `firewalld`). They end with this process
//! however that ends, and before the private host does.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use ropewalk_e2e::{Lab, Process, patience};

/// Where a system bus listens unless the environment says otherwise.
pub(crate) const SOCKET: &str = "/run/dbus/system_bus_socket";

/// A bus that lets root do everything and starts no services.
const CONFIGURATION: &str = r#"
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// A running bus.
pub(crate) struct Bus {
    _process: Process,
}

impl Bus {
    /// Starts a bus where every system has one.
    pub(crate) fn start(lab: &Lab) -> Self {
        Self::start_at(lab, SOCKET)
    }

    /// Starts a bus that listens at this path.
    pub(crate) fn start_at(lab: &Lab, socket: &str) -> Self {
        lab.sh(&format!("mkdir -p $(dirname {socket}); rm -f {socket}"));
        let path = "/run/lab/bus.conf";
        lab.write(path, &CONFIGURATION.replace("SOCKET", socket));
        let configuration = format!("--config-file={path}");
        let words =
            ["/usr/bin/dbus-daemon", &configuration, "--nofork", "--nopidfile", "--print-address"];
        let mut process = Process::start_piped(lab, "dbus-daemon", &words);
        let stdout = process.child().stdout.take().expect("standard output is a pipe");
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address).expect("the bus can be read");
        assert!(address.starts_with("unix:path="), "the bus did not start: {address:?}");
        Self { _process: process }
    }
}

/// A running firewalld.
pub(crate) struct Firewalld<'lab> {
    lab: &'lab Lab,
    _process: Process,
}

impl<'lab> Firewalld<'lab> {
    /// Starts firewalld on a bus that runs, with Debian's configuration.
    pub(crate) fn start(lab: &'lab Lab) -> Self {
        let words = [
            "/usr/sbin/firewalld",
            "--nofork",
            "--nopid",
            "--system-config=/run/lab/firewalld",
            "--log-target=file",
            "--log-file=/run/lab/firewalld.log",
        ];
        lab.sh("cp -r /etc/firewalld /run/lab/");
        let process = Process::start(lab, "firewalld", &words, "/run/lab/firewalld.out");
        let deadline = Instant::now() + patience(Duration::from_mins(1));
        while lab.try_sh("firewall-cmd --state").code != 0 {
            let log = lab.try_sh("cat /run/lab/firewalld.log").stdout;
            assert!(Instant::now() < deadline, "firewalld does not start: {log}");
        }
        Self { lab, _process: process }
    }

    /// The sources of a zone, sorted.
    #[track_caller]
    pub(crate) fn sources(&self, zone: &str) -> Vec<String> {
        let text = self.command(&format!("--zone={zone} --list-sources"));
        let mut sources: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        sources.sort();
        sources
    }

    /// What `firewall-cmd` answers.
    #[track_caller]
    pub(crate) fn command(&self, arguments: &str) -> String {
        self.lab.sh(&format!("firewall-cmd {arguments}"))
    }
}
