//! What users asked of the library and the command and never got: rows 1, 2, 23, 32 to 34 and 38.

mod command;

use std::process::{Child, Stdio};

use command::{Host, Tool, fails};
use ropewalk_e2e::chain::names_all;
use ropewalk_e2e::{Value, command_path, json};

/// Attaches a namespace of this name, made where it is missing.
fn attach(host: &Host, name: &str) -> Value {
    host.lab.sh(&format!("ip netns add {name} 2>/dev/null || true"));
    let netns = format!("/run/netns/{name}");
    tool(host).run(&["add", "lan", &netns, "--container-id", name]).result()
}

#[track_caller]
fn is_whole(host: &Host, name: &str) {
    let netns = format!("/run/netns/{name}");
    tool(host).run(&["check", "lan", &netns, "--container-id", name]).silent();
}

/// A host with a network `lan` of the plugins under test: a bridge and what is chained behind it.
fn with_network(chained: &[Value]) -> Host {
    let host = Host::new();
    let ipam = json!({ "type": "host-local", "subnet": "10.1.0.0/24" });
    let bridge = json!({
        "type": "bridge", "bridge": "lan0", "isGateway": true, "ipMasq": true, "ipam": ipam,
    });
    let plugins = [&[bridge], chained].concat();
    let list = json!({ "cniVersion": "1.1.0", "name": "lan", "plugins": plugins });
    host.configure("10-lan.conflist", &list.to_string());
    host
}

/// The command with the plugins under test, and with plugin `b` of the tests.
fn tool(host: &Host) -> Tool<'_> {
    let path = format!("{}:/run/lab/delegates", host.lab.plugin_directory());
    host.tool().variable("CNI_PATH", &path)
}

#[test]
fn row_02_leases_are_listed_and_released_by_hand() {
    let host = with_network(&[]);
    let (lab, tool) = (&host.lab, tool(&host));
    let run = |arguments: &[&str]| tool.run(&[&["leases"][..], arguments].concat());
    assert_eq!(run(&["list"]).stdout, "no leases\n");
    tool.run(&["add", "lan", "/run/netns/c1", "--container-id", "c1"]).result();
    let ipam = json!({ "type": "host-local", "subnet": "10.1.0.0/24" });
    let config = json!({ "cniVersion": "1.1.0", "name": "lan", "ipam": ipam });
    let leaked = lab.plugin("host-local").on("leaked").config(config);
    for ifname in ["eth0", "eth1"] {
        leaked.clone().ifname(ifname).add().result();
    }
    leaked.clone().key("name", &json!("dmz")).add().result();
    let expected = "NETWORK  ADDRESS   CONTAINER  INTERFACE  RECORD\n\
                    lan      10.1.0.2  c1         eth0       yes\n\
                    lan      10.1.0.3  leaked     eth0       no\n\
                    lan      10.1.0.4  leaked     eth1       no\n";
    assert_eq!(run(&["list", "lan"]).stdout, expected);
    let all: Value = run(&["list", "--json"]).stdout.parse().expect("JSON");
    assert_eq!(all.as_array().expect("a list").len(), 4);
    assert_eq!(all[0]["network"], "dmz");
    // Who releases says whose lease, and of which network.
    assert_eq!(run(&["release", "lan"]).code, 2);
    assert_eq!(run(&["release", "10.1.0.3"]).code, 2);
    fails(&run(&["release", "lan", "10.1.0.9"]), 1, "there is no such lease");
    fails(&run(&["release", "nope", "10.1.0.3"]), 1, "the network has no leases");
    fails(&run(&["release", "../lan", "10.1.0.3"]), 1, "invalid characters");
    assert!(!lab.exists("/var/lib/cni/networks/nope"), "asking makes nothing");
    fails(&run(&["release", "lan", "10.1.0.3", "--container-id", "c1"]), 1, "no such lease");
    let released = run(&["release", "lan", "10.1.0.3", "--json"]).result();
    assert_eq!(released["released"][0]["containerID"], "leaked");
    run(&["release", "lan", "--container-id", "leaked", "--ifname", "eth1"]).silent();
    assert_eq!(lab.leases("lan"), ["10.1.0.2"]);
    assert_eq!(lab.leases("dmz"), ["10.1.0.2"]);
}

#[test]
fn row_02_the_lease_of_an_attachment_on_record_is_released_by_force_only() {
    let host = with_network(&[]);
    let (lab, tool) = (&host.lab, tool(&host));
    tool.run(&["add", "lan", "/run/netns/c1", "--container-id", "c1"]).result();
    for damaged in [false, true] {
        if damaged {
            lab.write("/var/lib/cni/results/lan-c1-eth0", "");
        }
        for which in [&["10.1.0.2"][..], &["--container-id", "c1"]] {
            let arguments = [&["leases", "release", "lan"], which].concat();
            let outcome = tool.run(&arguments);
            fails(&outcome, 1, "10.1.0.2 is of eth0 of c1, which is on record");
            names_all(&outcome.stderr, &["ropewalk del lan", "--force"]);
        }
    }
    assert_eq!(lab.leases("lan"), ["10.1.0.2"]);
    tool.run(&["leases", "release", "lan", "10.1.0.2", "--force"]).silent();
    assert!(lab.leases("lan").is_empty());
}

/// Starts the command; it runs until it is waited for.
fn start(host: &Host, arguments: &[&str]) -> Child {
    let mut command = host.lab.enter();
    command.args(["--wd=/", "/usr/bin/timeout", "-k", "1", "60"]).arg(command_path());
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let path = format!("{}:/run/lab/delegates", host.lab.plugin_directory());
    command.env("CNI_PATH", path).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().expect("nsenter is installed")
}

/// A plugin that says so when its ADD has begun, and goes on when somebody writes to a pipe.
const SLOW: &str = r#"
input=$(cat)
if [ $CNI_COMMAND = ADD ]; then
    : >/run/lab/begun
    read line </run/lab/pipe
    printf '%s' "$input" | jq -c .prevResult
fi
"#;

#[test]
fn row_01_gc_waits_for_an_add_that_is_under_way() {
    let host = with_network(&[json!({ "type": "b" })]);
    host.lab.delegate("b", SLOW);
    host.lab.sh("mkfifo /run/lab/pipe");
    let mut add = start(&host, &["add", "lan", "/run/netns/c1", "--container-id", "c1"]);
    host.lab.wait_until("the ADD has begun", || host.lab.exists("/run/lab/begun"));
    assert_eq!(host.lab.leases("lan"), ["10.1.0.2"]);
    let mut gc = start(&host, &["gc", "lan", "--recorded"]);
    let is_waiting =
        r#"grep -q -- "-> FLOCK.*:$(stat -c %i /var/lib/cni/locks/lan.lock) " /proc/locks"#;
    host.lab.wait_until("GC waits", || host.lab.try_sh(is_waiting).code == 0);
    // Others do not wait for one that waits.
    tool(&host).run(&["del", "lan", "--container-id", "nobody"]).silent();
    host.lab.sh("echo >/run/lab/pipe");
    assert!(add.wait().expect("it ends").success());
    assert!(gc.wait().expect("it ends").success());
    is_whole(&host, "c1");
}

#[test]
fn row_01_what_was_attached_after_the_list_was_taken_stays() {
    let host = with_network(&[json!({ "type": "firewall" })]);
    let lab = &host.lab;
    attach(&host, "c1");
    lab.sh("touch -d '1 hour ago' /var/lib/cni/results/* /var/lib/cni/networks/lan/10*");
    let taken = lab.sh("date -d '1 minute ago' +%s.%N");
    attach(&host, "c2");
    // An attachment without a record, as another runtime has them.
    lab.netns("c3");
    attach(&host, "c3");
    lab.sh("rm /var/lib/cni/results/lan-c3-eth0");
    let gc = ["gc", "lan", "--valid", "c9/eth0", "--as-of", &taken, "--json"];
    let deleted = tool(&host).run(&gc).result();
    assert_eq!(deleted["deleted"], json!([{ "containerID": "c1", "ifname": "eth0" }]));
    is_whole(&host, "c2");
    assert_eq!(lab.leases("lan"), ["10.1.0.3", "10.1.0.4"]);
    lab.sh_in("c3", "ping -c1 -W2 10.1.0.1");
    tool(&host).run(&["gc", "lan", "--valid", "c2/eth0"]).silent();
    assert_eq!(lab.leases("lan"), ["10.1.0.3"]);
    assert!(!lab.has_link("c3", "eth0"));
    is_whole(&host, "c2");
    for wrong in ["-1", "x", "1e300"] {
        assert_eq!(tool(&host).run(&["gc", "lan", "--valid", "a/b", "--as-of", wrong]).code, 2);
    }
}

#[test]
fn row_38_gc_is_a_command_that_is_told_what_is_valid() {
    let portmap = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
    let host = with_network(&[portmap, json!({ "type": "firewall" })]);
    let lab = &host.lab;
    let ports = |port| json!({ "portMappings": [{ "hostPort": port, "containerPort": 80 }] });
    let before = lab.snapshot();
    for (name, port) in [("c1", 81), ("c2", 82)] {
        lab.sh(&format!("ip netns add {name} 2>/dev/null || true"));
        let tool = tool(&host).variable("CAP_ARGS", &ports(port).to_string());
        let netns = format!("/run/netns/{name}");
        tool.run(&["add", "lan", &netns, "--container-id", name]).result();
    }
    tool(&host).run(&["gc", "lan", "--valid", "c1/eth0"]).silent();
    assert_eq!(host.records(), ["lan-c1-eth0"]);
    assert_eq!(lab.leases("lan"), ["10.1.0.2"]);
    // Elements of sets expire within milliseconds.
    lab.wait_until("what c2 had in the packet filter is gone", || {
        !lab.sh("nft list table inet ropewalk").contains("lan/c2/eth0")
    });
    let check = tool(&host).variable("CAP_ARGS", &ports(81).to_string());
    check.run(&["check", "lan", "/run/netns/c1", "--container-id", "c1"]).silent();
    tool(&host).run(&["gc", "lan", "--none"]).silent();
    lab.nothing_left(&before);
}

#[test]
fn row_23_a_chain_that_fails_in_the_middle_leaves_nothing() {
    let portmap = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
    let tuning = json!({ "type": "tuning", "mtu": 1400 });
    let host =
        with_network(&[tuning, json!({ "type": "firewall" }), portmap, json!({ "type": "b" })]);
    let lab = &host.lab;
    let ports = json!({ "portMappings": [{ "hostPort": 81, "containerPort": 80 }] }).to_string();
    lab.delegate("b", "exit 0");
    let before = lab.snapshot();
    let add = || {
        let tool = tool(&host).variable("CAP_ARGS", &ports);
        tool.run(&["add", "lan", "/run/netns/c1", "--container-id", "c1"])
    };
    for failing in ["exit 1", "echo '{\"code\": 7, \"msg\": \"no\"}'; exit 1", "kill -9 $$"] {
        lab.delegate("b", &format!("[ $CNI_COMMAND = DEL ] && exit 0\n{failing}"));
        fails(&add(), 1, r#"plugin type="b" failed (add)"#);
        lab.nothing_left(&before);
        assert!(!lab.has_link("c1", "eth0"));
        assert!(host.records().is_empty());
    }
    // The next attempt finds nothing in its way.
    lab.delegate("b", "jq -c .prevResult");
    add().result();
}

#[test]
fn row_23_plugins_are_taken_back_last_first_with_what_they_were_told() {
    let host = Host::new();
    host.network("1.0.0", &["a", "b", "c"]);
    host.fail(&["ADD c", "DEL b"]);
    let outcome = host.run("add");
    fails(&outcome, 1, r#"plugin type="c" failed (add): told to; by the test"#);
    fails(&outcome, 1, r#"plugin type="b" failed (delete): told to; by the test"#);
    let calls = host.calls();
    let whats: Vec<&str> = calls.iter().map(|call| &*call.what).collect();
    assert_eq!(whats, ["ADD a", "ADD b", "ADD c", "DEL c", "DEL b", "DEL a"]);
    let result = json!([{ "name": "a" }, { "name": "b" }]);
    assert_eq!(calls[5].stdin["prevResult"]["interfaces"], result);
    assert!(calls.iter().all(|call| call.text.contains("\"name\":\"lan\"")));
    assert!(calls[5].variables.contains(&"CNI_NETNS=/run/netns/c1".to_owned()));
    assert!(host.records().is_empty());
    host.fail(&[]);
    host.run("add").result();
    assert_eq!(host.verbs(), ["ADD a", "ADD b", "ADD c"]);
}

#[test]
fn row_32_a_damaged_record_stops_nobody() {
    let host = with_network(&[json!({ "type": "firewall" })]);
    let lab = &host.lab;
    let record = "/var/lib/cni/results/lan-c1-eth0";
    for damage in ["", "{", "[]", "null", "{\"kind\": \"v9\"}", "\u{0}\u{0}\u{0}\u{0}"] {
        let before = lab.snapshot();
        attach(&host, "c1");
        lab.write(record, damage);
        let check = tool(&host).run(&["check", "lan", "/run/netns/c1", "--container-id", "c1"]);
        assert_eq!(check.code, 1, "{check}");
        // It is an attachment all the same.
        tool(&host).run(&["gc", "lan", "--recorded"]).silent();
        lab.sh_in("c1", "ping -c1 -W2 10.1.0.1");
        let shown = tool(&host).run(&["show", "attachments"]);
        assert_eq!(shown.stdout, "no attachments\n");
        names_all(&shown.stderr, &[record, "is no record"]);
        // Others are listed and served.
        attach(&host, "c2");
        is_whole(&host, "c2");
        tool(&host).run(&["del", "lan", "/run/netns/c2", "--container-id", "c2"]).silent();
        // DEL needs no record, nor a namespace.
        tool(&host).run(&["del", "lan", "--container-id", "c1"]).silent();
        assert!(!lab.exists(record));
        lab.nothing_left(&before);
    }
}

#[test]
fn row_33_a_plugin_has_two_minutes_or_what_it_is_given() {
    let host = Host::new();
    let help = host.tool().run(&["add", "--help"]).stdout;
    names_all(&help, &["--deadline <SECONDS>", "[default: 120]"]);
    // A hanging plugin has a child that hangs with its standard output.
    host.lab.delegate("b", "sleep 1000 & exec sleep 1000");
    host.network("1.1.0", &["b"]);
    for verb in ["add", "check", "del", "gc", "status"] {
        let arguments = [verb, "lan", "/run/netns/c1", "--deadline", "0.5"];
        fails(&host.tool().run(&arguments), 1, "did not finish within 500ms and was killed");
    }
    host.lab.sh("for pid in $(pidof sleep); do
                     [ /proc/$pid/ns/mnt -ef /proc/self/ns/mnt ] && kill $pid || true
                 done");
}

#[test]
fn row_34_bad_files_are_told_and_stop_no_other_network() {
    let host = with_network(&[]);
    let bad = [
        ("00-empty.conflist", ""),
        ("01-text.conf", "not JSON"),
        ("02-type.conflist", r#"{"cniVersion": "1.0.0", "name": "x", "plugins": [{}]}"#),
        (
            "03-name.conflist",
            r#"{"cniVersion": "1.0.0", "name": "../x", "plugins": [{"type": "a"}]}"#,
        ),
        ("04-list.json", "[]"),
        ("05-version.conflist", r#"{"cniVersion": 1, "name": "y", "plugins": [{"type": "a"}]}"#),
    ];
    for (file, text) in bad {
        host.configure(file, text);
    }
    host.lab.sh("ln -s /nowhere /etc/cni/net.d/06-link.conflist
                 mkdir /etc/cni/net.d/07-folder.conflist
                 mkfifo /etc/cni/net.d/08-pipe.conf.tmp");
    let add = tool(&host).run(&["add", "lan", "/run/netns/c1", "--container-id", "c1"]);
    add.result();
    let told = ["00-empty.conflist: ", "02-type.conflist: ", "05-version.conflist: ", "06-link"];
    names_all(&add.stderr, &told);
    is_whole(&host, "c1");
    let shown = tool(&host).run(&["show", "networks"]).stdout;
    names_all(&shown, &["00-empty.conflist ", "01-text.conf ", "04-list.json ", "06-link"]);
    assert_eq!(shown.matches(" broken: ").count(), 6, "{shown}");
    // The wanted network's own file is the reason.
    fails(&tool(&host).run(&["status", "x"]), 1, "02-type.conflist");
    tool(&host).run(&["del", "lan", "/run/netns/c1", "--container-id", "c1"]).silent();
}
