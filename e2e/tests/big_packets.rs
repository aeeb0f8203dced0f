//! Packets that are many segments in one, `bigTCP`. The reference plugins have no such thing.
//!
//! That they are bigger than any other packet is seen from the host's counters, which does not
//! depend on how fast the machine is.

use ropewalk_e2e::{Lab, Plugin, Value, json};

const NOT_KNOWN: &str = "it does not know the key";
const BYTES: usize = 64 << 20;
/// As large as an ordinary packet can be, with its headers.
const ORDINARY: f64 = 65_700.0;

/// Two containers on a network of some type, `c1` and `c2`.
struct Stage<'lab> {
    lab: &'lab Lab,
    plugin: Plugin<'lab>,
}

impl<'lab> Stage<'lab> {
    fn new(lab: &'lab Lab, kind: &str, value: &Value) -> Self {
        lab.netns("c1");
        lab.netns("c2");
        let ipam = json!({
            "type": "host-local",
            "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
        });
        let plugin = lab.plugin(kind).on("c1").config(json!({
            "cniVersion": "1.0.0", "name": "net", "type": kind, "bigTCP": value, "ipam": ipam,
        }));
        Self { lab, plugin }
    }

    /// Adds both, and answers the name of the host's end of `c1`.
    fn add(&self) -> (Value, String) {
        let result = self.plugin.add().result();
        self.plugin.clone().on("c2").add().result();
        let ends = result["interfaces"].as_array().expect("interfaces");
        let host = ends[ends.len() - 2]["name"].as_str().expect("a name").to_owned();
        (result, host)
    }

    /// How large packets were on average that brought many bytes from `c1` to an address of `c2`.
    fn mean_packet(&self, host: &str, destination: &str) -> f64 {
        let counted = || {
            let links = self.lab.ip_json(&format!("-s link show dev {host}"));
            let count = |what: &str| links[0]["stats64"]["rx"][what].as_f64().expect(what);
            (count("bytes"), count("packets"))
        };
        let before = counted();
        self.lab.transfer("c1", "c2", destination, BYTES);
        let after = counted();
        (after.0 - before.0) / (after.1 - before.1)
    }
}

/// Whether this kernel is older than they are.
fn is_old(lab: &Lab) -> bool {
    let release = lab.sh("uname -r");
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).flat_map(str::parse::<u32>);
    (numbers.next(), numbers.next()) < (Some(6), Some(3))
}

/// Whether this kernel lacks them; says so.
fn lacks_big_packets(lab: &Lab) -> bool {
    let is_old = is_old(lab);
    if is_old {
        lab.not_here("packets of more than 64 KB");
    }
    is_old
}

#[test]
fn big_packets_pass_from_container_to_container() {
    for kind in ["bridge", "ptp"] {
        let lab = Lab::new();
        if lab.reference_fails(NOT_KNOWN) || lacks_big_packets(&lab) {
            return;
        }
        let stage = Stage::new(&lab, kind, &json!(true));
        let (result, host) = stage.add();
        // TCP makes smaller ones while it is slow, as on a machine that has much else to do.
        let are_big = || stage.mean_packet(&host, "10.1.2.3") > ORDINARY;
        lab.wait_until("packets are on average bigger than any ordinary one", are_big);
        // They would be too big for the MTU where they are routed.
        let mean = stage.mean_packet(&host, "fd00:1::3");
        assert!(mean < ORDINARY, "{kind}: packets of IPv6 had {mean} bytes");
        stage.plugin.check(&result).silent();
        stage.plugin.del(&result).silent();
    }
}

#[test]
fn without_the_key_packets_are_of_ordinary_size() {
    let lab = Lab::new();
    let stage = Stage::new(&lab, "bridge", &json!(false));
    if lab.reference_fails("its interfaces have random names") {
        return;
    }
    let (_, host) = stage.add();
    let mean = stage.mean_packet(&host, "10.1.2.3");
    assert!(mean < ORDINARY, "packets had {mean} bytes");
}

#[test]
fn check_notices_each_size_that_was_changed() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) || lacks_big_packets(&lab) {
        return;
    }
    let stage = Stage::new(&lab, "bridge", &json!(true));
    // The kernel lowers the size for IPv4 with the other.
    for end in 0..3 {
        for size in ["gso_max_size", "gro_max_size"] {
            let result = stage.plugin.add().result();
            let host = result["interfaces"][1]["name"].as_str().expect("a name").to_owned();
            let (namespace, link) = [("-n c1", "eth0"), ("", &*host), ("", "cni0")][end];
            stage.plugin.check(&result).silent();
            lab.sh(&format!("ip {namespace} link set {link} {size} 65000"));
            let message = stage.plugin.check(&result).failure();
            assert!(message.contains("packet size") && message.contains(link), "{message}");
            stage.plugin.del(&result).silent();
        }
    }
}

/// A default route through a link that takes packets of 65536 bytes.
fn small_uplink(lab: &Lab) {
    lab.sh("ip tuntap add up0 mode tap && ip link set up0 up
            ip address add 192.0.2.1/24 dev up0 && ip route add default via 192.0.2.2");
}

#[test]
fn what_leaves_the_host_through_a_lesser_link_is_not_made_big() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) || lacks_big_packets(&lab) {
        return;
    }
    small_uplink(&lab);
    let stage = Stage::new(&lab, "bridge", &json!(true));
    let before = lab.snapshot();
    let message = stage.plugin.add().invalid_config();
    let expected = "bigTCP: \"up0\" takes packets of at most 65536 bytes (tso_max_size), so that \
                    larger ones would be cut up by the processor; hint: \"auto\" keeps to its limit";
    assert_eq!(message, expected);
    lab.nothing_left(&before);
    let plugin = stage.plugin.clone().key("bigTCP", &json!("auto"));
    let result = plugin.add().result();
    let message = stage.plugin.check(&result).failure();
    assert!(message.contains("packet size"), "the sizes are ordinary: {message}");
    plugin.check(&result).silent();
}

#[test]
fn a_port_of_the_bridge_limits_them_too() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) || lacks_big_packets(&lab) {
        return;
    }
    lab.sh("ip link add br7 type bridge && ip tuntap add port0 mode tap
            ip link set port0 master br7 && ip link set port0 up");
    let stage = Stage::new(&lab, "bridge", &json!(true));
    let plugin = stage.plugin.clone().key("bridge", &json!("br7"));
    assert!(
        plugin
            .add()
            .invalid_config()
            .starts_with("bigTCP: \"port0\" takes packets of at most 65536")
    );
    // An empty bridge says 65536, too, but means nothing by it.
    lab.sh("ip link add br8 type bridge");
    let plugin = stage.plugin.clone().key("bridge", &json!("br8"));
    let result = plugin.add().result();
    plugin.check(&result).silent();
}

#[test]
fn an_old_kernel_refuses_them_or_does_without() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    let stage = Stage::new(&lab, "ptp", &json!(true));
    if !is_old(&lab) {
        lab.not_here("a kernel before Linux 6.3");
        return;
    }
    assert!(stage.plugin.add().invalid_config().contains("(Linux 6.3 has)"));
    stage.plugin.clone().key("bigTCP", &json!("auto")).add().result();
}
