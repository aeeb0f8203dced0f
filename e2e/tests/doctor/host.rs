//! A private host to make ill, and what the doctor says of it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use ropewalk_e2e::{Lab, Outcome, Value, command_path, json};

/// What the command says of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: String,
    pub(crate) object: String,
    pub(crate) evidence: String,
    pub(crate) command: String,
    pub(crate) fixable: bool,
}

/// A host.
pub(crate) struct Sick {
    pub(crate) lab: Lab,
}

impl Sick {
    pub(crate) fn new(lab: Lab) -> Self {
        Self { lab }
    }

    /// Configures a network of a bridge with both families, ports and a firewall.
    pub(crate) fn configure(&self, name: &str, bridge: &str, v4: &str, v6: &str) {
        let plugins = json!([
            bridge_plugin(bridge, v4, v6),
            { "type": "portmap", "capabilities": { "portMappings": true } },
            { "type": "firewall" },
        ]);
        self.write(name, &plugins);
    }

    /// The network `lan` without a firewall.
    pub(crate) fn without_firewall(&self) {
        self.write("lan", &json!([bridge_plugin("lan0", "10.1.0", "fd00:1")]));
    }

    /// The same in a VLAN.
    pub(crate) fn in_vlan(&self, id: u16) {
        let mut plugin = bridge_plugin("lan0", "10.1.0", "fd00:1");
        plugin["vlan"] = json!(id);
        self.write("lan", &json!([plugin]));
    }

    /// The network `lan` with addresses from a database.
    pub(crate) fn with_database(&self) {
        let ipam = json!({
            "type": "sql", "database": "sqlite:///var/lib/ropewalk/ipam.db",
            "pools": [{ "subnet": "10.1.0.0/24" }], "routes": [{ "dst": "0.0.0.0/0" }],
        });
        self.write("lan", &json!([
            { "type": "bridge", "bridge": "lan0", "isGateway": true, "ipMasq": true, "ipam": ipam },
        ]));
    }

    fn write(&self, name: &str, plugins: &Value) {
        let list = json!({ "cniVersion": "1.1.0", "name": name, "plugins": plugins });
        self.lab.write(&format!("/etc/cni/net.d/10-{name}.conflist"), &list.to_string());
    }

    /// Attaches a container to `lan`, with a published port of its own.
    #[track_caller]
    pub(crate) fn attach(&self, name: &str) {
        self.lab.netns(name);
        let number: u16 = name.bytes().map(u16::from).sum();
        let ports = json!({ "portMappings": [
            { "hostPort": 8000 + number, "containerPort": 80, "protocol": "tcp" },
        ] });
        let outcome = self.command(
            &format!("add lan /run/netns/{name} --container-id {name}"),
            &format!("CAP_ARGS='{ports}'"),
        );
        assert_eq!(outcome.code, 0, "{outcome}");
        // An address that is still being looked for elsewhere is no one's yet.
        self.lab.wait_until("addresses are settled", || {
            !self.lab.sh_in(name, "ip address").contains("tentative")
        });
    }

    #[track_caller]
    pub(crate) fn detach(&self, name: &str) {
        self.run(&format!("del lan /run/netns/{name} --container-id {name}"));
        self.lab.sh(&format!("ip netns del {name}"));
    }

    /// Leases an address of `lan` to a container that is not there.
    #[track_caller]
    pub(crate) fn lease(&self, name: &str) {
        let config = json!({
            "cniVersion": "1.0.0", "name": "lan",
            "ipam": { "type": "host-local", "subnet": "10.1.0.0/24" },
        });
        self.lab.plugin("host-local").on(name).config(config).add().result();
    }

    /// Deletes a container's namespace behind everybody's back, and waits until its link is gone.
    pub(crate) fn end(&self, name: &str) {
        let pairs = || self.lab.sh("ip -br link show type veth").lines().count();
        let before = pairs();
        self.lab.sh(&format!("ip netns del {name}"));
        self.lab.wait_until("the link is gone", || pairs() < before);
    }

    /// Runs the command, which succeeds.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &str) {
        let outcome = self.command(arguments, "");
        assert_eq!(outcome.code, 0, "{outcome}");
    }

    fn command(&self, arguments: &str, variables: &str) -> Outcome {
        self.lab.try_sh(&format!(
            "CNI_PATH={} {variables} {} {arguments}",
            self.lab.plugin_directory(),
            command_path().display()
        ))
    }

    /// Runs the doctor.
    pub(crate) fn doctor(&self, arguments: &str) -> Outcome {
        self.apart(&format!("{} doctor {arguments}", command_path().display()))
    }

    /// Runs the doctor, and does something when it has said its first line.
    pub(crate) fn doctor_meanwhile(&self, arguments: &str, act: impl FnOnce()) -> String {
        let script = format!("{} doctor {arguments}", command_path().display());
        let mut command = self.prepare(&script);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("nsenter is installed");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let mut text = String::new();
        lines.read_line(&mut text).expect("it says something");
        act();
        lines.read_to_string(&mut text).expect("it prints UTF-8");
        child.wait().expect("our own child can be waited for");
        text
    }

    fn prepare(&self, script: &str) -> Command {
        let mut command = self.lab.enter();
        command.args(["--wd=/", "/usr/bin/timeout", "-k", "1", "60"]);
        command.args(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["sh", "-c", script]);
        command
    }

    /// Runs a shell script that sees no processes but its own.
    pub(crate) fn apart(&self, script: &str) -> Outcome {
        let mut command = self.prepare(script);
        let output = command.output().expect("nsenter is installed");
        Outcome {
            what: script.to_owned(),
            code: output.status.code().expect("timeout ends by itself"),
            stdout: String::from_utf8(output.stdout).expect("the command prints UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("the command prints UTF-8"),
        }
    }

    /// What the doctor finds.
    #[track_caller]
    pub(crate) fn findings(&self) -> Vec<Finding> {
        Self::read(&self.doctor("--json"))
    }

    /// What the doctor finds while a process runs in a container.
    #[track_caller]
    pub(crate) fn findings_beside_a_process(&self, name: &str) -> Vec<Finding> {
        let netns = format!("/run/netns/{name}");
        let command = command_path();
        let script = format!(
            "nsenter --net={netns} tail -f /dev/null &
             until [ $(stat -Lc %i /proc/$!/ns/net) = $(stat -Lc %i {netns}) ]; do :; done
             {} doctor --json",
            command.display()
        );
        Self::read(&self.apart(&script))
    }

    #[track_caller]
    fn read(outcome: &Outcome) -> Vec<Finding> {
        assert_eq!(outcome.stderr, "", "{outcome}");
        let all: Value =
            outcome.stdout.parse().unwrap_or_else(|error| panic!("{error}: {outcome}"));
        let all: Vec<Finding> = all.as_array().expect("a list").iter().map(read).collect();
        assert_eq!(outcome.code, if all.is_empty() { 0 } else { 5 }, "{outcome}");
        all
    }

    /// The only thing that the doctor finds.
    #[track_caller]
    pub(crate) fn one(&self, check: &str) -> Finding {
        let found = self.findings();
        match &found[..] {
            [one] if one.check == check => one.clone(),
            _ => panic!("should find one {check}: {found:#?}"),
        }
    }

    /// How a ping from a container to beyond the host ends.
    pub(crate) fn reach(&self, name: &str) -> i32 {
        if self.lab.try_sh("ip link show outer").code != 0 {
            self.lab.sh("ip netns add beyond
                         ip link add outer type veth peer name inner netns beyond
                         ip address add 10.77.0.1/24 dev outer && ip link set outer up
                         ip -n beyond address add 10.77.0.2/24 dev inner
                         ip -n beyond link set inner up");
        }
        self.lab.try_sh_in(name, "ping -q -c 1 -w 2 10.77.0.2").code
    }
}

fn bridge_plugin(bridge: &str, v4: &str, v6: &str) -> Value {
    json!({
        "type": "bridge", "bridge": bridge, "isGateway": true, "ipMasq": true,
        "ipam": {
            "type": "host-local",
            "ranges": [[{ "subnet": format!("{v4}.0/24") }], [{ "subnet": format!("{v6}::/64") }]],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
        },
    })
}

fn read(value: &Value) -> Finding {
    let text =
        |key: &str| value[key].as_str().unwrap_or_else(|| panic!("{key}: {value}")).to_owned();
    for key in ["severity", "meaning", "consequence"] {
        assert_ne!(text(key), "", "{value}");
    }
    Finding {
        check: text("check"),
        object: text("object"),
        evidence: text("evidence"),
        command: text("command"),
        fixable: value["fixable"].as_bool().expect("it is told"),
    }
}

/// A host with containers on a bridge, with published ports, behind a firewall.
pub(crate) fn host() -> Sick {
    let sick = Sick::new(Lab::new());
    sick.configure("lan", "lan0", "10.1.0", "fd00:1");
    sick
}

/// As [`host`], with two containers, of which one runs.
pub(crate) fn with_containers() -> Sick {
    let sick = host();
    sick.attach("c1");
    sick.attach("c2");
    sick
}

/// The kinds of findings.
pub(crate) fn names(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|one| one.check.as_str()).collect()
}
