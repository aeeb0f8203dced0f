//! `ropewalk stats` against what the kernel counts in containers, a reader of OpenMetrics that is
//! not ours, and a program that speaks as switches do.
//!
//! The command runs where it sees the processes of its own host alone: those of other tests come
//! and go.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use ropewalk_e2e::{Lab, Outcome, Process, Value, command_path, json};

/// Debian's Python, whatever other may come first on `PATH`.
const PYTHON: &str = "/usr/bin/python3";

/// Reads OpenMetrics from standard input and tells the samples.
const READ: &str = r#"
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = text_string_to_metric_families(sys.stdin.read())
json.dump([
    {"name": s.name, "type": f.type, "unit": f.unit, "labels": s.labels, "value": s.value}
    for f in families for s in f.samples
], sys.stdout)
"#;

/// A host with two containers on a bridge, one of them a pod, and a link to the world.
fn host() -> Lab {
    let lab = Lab::new();
    let list = json!({ "cniVersion": "1.1.0", "name": "lan", "plugins": [{
        "type": "bridge", "bridge": "lan0", "isGateway": true, "ipMasq": true,
        "ipam": {
            "type": "host-local", "subnet": "10.1.0.0/24", "routes": [{ "dst": "0.0.0.0/0" }],
        },
    }] });
    lab.write("/etc/cni/net.d/10-lan.conflist", &list.to_string());
    for name in ["c1", "c2"] {
        lab.netns(name);
        let outcome = lab.try_sh(&format!(
            "CNI_PATH={} CNI_ARGS='IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-{name}' \
             {} add lan /run/netns/{name} --container-id {name}",
            lab.plugin_directory(),
            command_path().display(),
        ));
        assert_eq!(outcome.code, 0, "{outcome}");
    }
    lab.uplink();
    lab.sh("ip route add default via 10.9.0.2");
    lab
}

/// Statistics of a host that sees no processes but its own. Whoever ends it ends all of it.
fn apart(arguments: &str) -> String {
    format!(
        "unshare --pid --fork --kill-child --mount-proc {} stats {arguments}",
        command_path().display()
    )
}

fn command(arguments: &str) -> String {
    format!("timeout -k 1 60 {}", apart(arguments))
}

#[track_caller]
fn stats(lab: &Lab, arguments: &str) -> String {
    lab.sh(&command(arguments))
}

#[track_caller]
fn document(lab: &Lab, arguments: &str) -> Value {
    let text = stats(lab, &format!("--json {arguments}"));
    text.parse().unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Sends pings of a size from a container to beyond the host.
#[track_caller]
fn send(lab: &Lab, name: &str, count: u32) {
    lab.sh_in(name, &format!("ping -q -i 0.01 -c {count} -s 1000 10.9.0.2"));
}

#[track_caller]
fn row<'a>(document: &'a Value, key: &str, name: &str) -> &'a Value {
    let rows = document["interfaces"].as_array().expect("rows");
    let found = rows.iter().find(|row| row[key] == name);
    found.unwrap_or_else(|| panic!("{key} {name} is missing: {document:#}"))
}

/// What the kernel counts in a container: packets and bytes in, packets and bytes out.
#[track_caller]
fn counted(lab: &Lab, name: &str) -> [u64; 4] {
    let link = lab.ip_json_in(name, "-s link show dev eth0")[0]["stats64"].take();
    [("rx", "packets"), ("rx", "bytes"), ("tx", "packets"), ("tx", "bytes")]
        .map(|(direction, what)| link[direction][what].as_u64().expect("a number"))
}

#[test]
fn what_containers_receive_and_send_is_what_the_kernel_counts_in_them() {
    let lab = host();
    send(&lab, "c1", 20);
    // What is said of neighbours passes at any time.
    lab.wait_until("the same is counted before and after", || {
        let before = counted(&lab, "c1");
        let document = document(&lab, "");
        let row = row(&document, "container", "c1");
        let number = |direction: &str, what: &str| row[direction][what].as_u64().expect("it");
        let ours = [
            number("received", "packets"),
            number("received", "bytes"),
            number("sent", "packets"),
            number("sent", "bytes"),
        ];
        for (key, value) in
            [("network", "lan"), ("interface", "eth0"), ("namespace", "shop"), ("pod", "web-c1")]
        {
            assert_eq!(row[key], value, "{row:#}");
        }
        assert_eq!(row["uplinks"], json!(["uplink"]));
        assert!(ours[3] > 20_000, "{ours:?}");
        before == counted(&lab, "c1") && before == ours
    });
    let table = stats(&lab, "");
    for word in ["shop", "web-c1", "eth0", "lan", "RECEIVED", "uplink"] {
        assert!(table.contains(word), "{word}: {table}");
    }
}

#[test]
fn drops_are_told_once() {
    let lab = host();
    // Too large for the container: the kernel counts these at both ends.
    lab.sh("ip -n c1 link set eth0 mtu 1000");
    lab.try_sh("ping -q -i 0.01 -c 20 -s 1400 -W 1 10.1.0.2");
    let document = document(&lab, "");
    let told = row(&document, "container", "c1")["received"]["dropped"].as_u64().expect("it");
    assert!((20..40).contains(&told), "{document:#}");
}

/// A look loads no module of the kernel, but says which is missing; others load it.
fn make_connections_listable(lab: &Lab) {
    let outcome = lab.try_sh(&command("--connections"));
    if !outcome.stderr.is_empty() {
        assert!(outcome.stderr.contains("hint: modprobe nf_conntrack_netlink"), "{outcome}");
        lab.sh("conntrack -L");
    }
}

#[test]
fn rows_are_added_up() {
    let lab = host();
    send(&lab, "c1", 5);
    send(&lab, "c2", 5);
    for (by, key, name) in [
        ("network", "network", "lan"),
        ("namespace", "namespace", "shop"),
        ("pod", "pod", "web-c2"),
        ("container", "container", "c1"),
    ] {
        let sum = document(&lab, &format!("--by {by}"));
        let packets = row(&sum, key, name)["sent"]["packets"].as_u64().expect("it");
        let containers = if ["pod", "container"].contains(&by) { 1 } else { 2 };
        assert!(packets >= 5 * containers, "{by}: {sum:#}");
    }
    let uplinks = document(&lab, "")["uplinks"].take();
    assert_eq!(uplinks[0]["containers"], json!(["c1", "c2"]), "{uplinks:#}");
    if lab.lacks_nftables() {
        return;
    }
    make_connections_listable(&lab);
    // A ping is tracked for half a minute.
    send(&lab, "c1", 1);
    let connections = document(&lab, "--connections");
    assert!(row(&connections, "container", "c1")["connections"].as_u64() >= Some(1));
}

#[test]
fn rates_are_of_what_passed_in_the_meantime() {
    let lab = host();
    send(&lab, "c1", 50);
    let rates = document(&lab, "--interval 1 --count 1");
    let row = row(&rates, "container", "c1");
    let seconds = rates["seconds"].as_f64().expect("a number");
    assert!((1.0..10.0).contains(&seconds), "{rates:#}");
    let bytes = row["sentPerSecond"]["bytes"].as_f64().expect("a number");
    assert!(bytes < 5_000.0, "what was before does not count: {rates:#}");
    let script = format!(
        "nsenter --net=/run/netns/c1 ping -q -i 0.05 -s 1000 10.9.0.2 >/dev/null & ping=$!
         {}; kill $ping; wait",
        command("--json --interval 1 --count 1")
    );
    let rates: Value = lab.sh(&script).parse().expect("one line of JSON");
    let row = self::row(&rates, "container", "c1");
    let bytes = row["sentPerSecond"]["bytes"].as_f64().expect("a number");
    assert!(bytes > 5_000.0, "{rates:#}");
    let table = stats(&lab, "--interval 1 --count 2");
    assert_eq!(table.matches("RECEIVED").count(), 4, "two tables, each with uplinks: {table}");
    assert!(table.contains("B/s"), "{table}");
}

#[track_caller]
fn samples(text: &str) -> Vec<Value> {
    let mut python = Command::new(PYTHON);
    python.args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().expect("Python is installed");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, text.as_bytes()).expect("Python reads");
    drop(stdin);
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "is python3-prometheus-client installed? {text}");
    let answer: Value =
        String::from_utf8(output.stdout).expect("text").parse().expect("Python prints JSON");
    answer.as_array().expect("a list").clone()
}

/// The sample of a family and a container.
#[track_caller]
fn sample<'a>(samples: &'a [Value], name: &str, container: &str) -> &'a Value {
    let is_it = |one: &&Value| one["name"] == name && one["labels"]["container"] == container;
    samples.iter().find(is_it).unwrap_or_else(|| panic!("{name} of {container}: {samples:#?}"))
}

#[test]
fn metrics_are_served_to_those_who_collect_them() {
    let lab = host();
    send(&lab, "c1", 20);
    let words = format!("/usr/bin/{}", apart("--serve 127.0.0.1:0"));
    let words: Vec<&str> = words.split(' ').collect();
    let mut server = Process::start_piped(&lab, "util-linux", &words);
    let mut line = String::new();
    let stdout = server.child().stdout.take().expect("standard output is a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("it says where it is");
    let url = line.trim();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/metrics"), "{url}");
    let answer = lab.sh(&format!("curl -sS -D /run/lab/head {url}"));
    let head = lab.read("/run/lab/head").to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    let samples = samples(&format!("{answer}\n"));
    let sent = sample(&samples, "ropewalk_container_sent_bytes_total", "c1");
    assert_eq!((sent["type"].as_str(), sent["unit"].as_str()), (Some("counter"), Some("bytes")));
    assert!(sent["value"].as_f64() > Some(20_000.0), "{sent:#}");
    let labels = json!({
        "network": "lan", "container": "c1", "interface": "eth0", "namespace": "shop",
        "pod": "web-c1", "owner": "",
    });
    assert_eq!(sent["labels"], labels);
    let is_of_uplink = |one: &&Value| one["labels"]["uplink"] == "uplink";
    assert_eq!(samples.iter().filter(is_of_uplink).count(), 8);
    assert_eq!(lab.sh(&format!("curl -s -o /dev/null -w %{{http_code}} {url}x")), "404");
}

#[test]
fn metrics_are_printed_once_and_odd_names_are_escaped() {
    let lab = host();
    lab.sh(r#"ip netns add 'a"b\c' && ip link add odd type veth peer name e netns 'a"b\c'"#);
    if !lab.lacks_nftables() {
        make_connections_listable(&lab);
    }
    send(&lab, "c1", 1);
    let text = format!("{}\n", stats(&lab, "--openmetrics --connections"));
    let samples = samples(&text);
    sample(&samples, "ropewalk_container_received_packets_total", r#"a"b\c"#);
    assert!(text.ends_with("\n# EOF\n"));
    if !lab.lacks_nftables() {
        sample(&samples, "ropewalk_container_tracked_connections", "c1");
    }
}

#[test]
fn only_this_host_is_served_unless_somebody_says_otherwise() {
    let lab = Lab::new();
    for address in ["0.0.0.0:9110", "[::]:9110", "192.0.2.1:9110"] {
        let outcome: Outcome = lab.try_sh(&command(&format!("--serve {address}")));
        assert_eq!(outcome.code, 2, "{outcome}");
        assert!(outcome.stderr.contains("--expose"), "{outcome}");
    }
}

#[test]
fn the_switch_at_the_other_end_is_told() {
    let lab = host();
    // What speaks as a switch, at the other end of the uplink. It knows its settings before it says
    // anything: told later, it may keep to its own half minute between two frames.
    lab.sh("mkdir -p /run/lldpd");
    lab.write(
        "/run/lab/lldpd.conf",
        "configure lldp tx-interval 1\nconfigure system hostname sw-rack7\n",
    );
    let words = "/usr/bin/nsenter --net=/run/netns/uplink /usr/sbin/lldpd -d -I eth0 \
                 -u /run/lab/lldpd -O /run/lab/lldpd.conf -P Debian -S rack7";
    let words: Vec<&str> = words.split_whitespace().collect();
    let _switch = Process::start(&lab, "lldpd", &words, "/run/lab/lldpd.log");
    let heard = document(&lab, "--lldp 20");
    let switch = &heard["uplinks"][0]["switch"];
    assert_eq!(switch["name"], "sw-rack7", "{heard:#}\n{}", lab.read("/run/lab/lldpd.log"));
    let mac = lab.link_in("uplink", "eth0")["address"].take();
    assert_eq!(switch["port"], mac, "{switch:#}");
    let table = stats(&lab, "--lldp 20");
    assert!(table.contains("of sw-rack7"), "{table}");
    let tree = lab.sh(&format!("{} topology --lldp 20 uplink c1", command_path().display()));
    assert!(tree.contains("of sw-rack7"), "{tree}");
    let text = format!("{}\n", stats(&lab, "--openmetrics --lldp 20"));
    let samples = samples(&text);
    assert!(samples.iter().any(|one| one["labels"]["switch"] == "sw-rack7"), "{text}");
}

#[test]
fn a_look_that_takes_long_can_be_ended() {
    let lab = Lab::new();
    // It ends when a pipe among the records does, which is never.
    let outcome = lab.try_sh(&format!(
        "mkdir -p /var/lib/cni/results && mkfifo /var/lib/cni/results/lan-c1-eth0
         timeout -s KILL 30 {} stats & pid=$!
         exec 3>/var/lib/cni/results/lan-c1-eth0; kill $pid; wait $pid",
        command_path().display()
    ));
    assert_eq!(outcome.code, 143, "{outcome}");
}
