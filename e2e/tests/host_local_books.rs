//! HL 242 to 250: what host-local reads and writes, release, CHECK, and many at once.

use ropewalk_e2e::{Lab, Plugin, Value, json};

const DIRECTORY: &str = "/var/lib/cni/networks/net";

fn host_local<'lab>(lab: &'lab Lab, ipam: &Value) -> Plugin<'lab> {
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": ipam });
    lab.plugin("host-local").config(config)
}

fn first_address(plugin: &Plugin<'_>, container: &str) -> Value {
    plugin.clone().on(container).add().result()["ips"][0]["address"].take()
}

#[test]
fn hl_242_name_servers_are_read_from_a_file() {
    let lab = Lab::new();
    lab.write(
        "/run/lab/resolv.conf",
        "# comment\n; another\nnameserver 10.9.0.1\nnameserver fd00::53\ndomain first.example\n\
         domain last.example\nsearch a.example b.example\noptions ndots:2 rotate\nother x\n",
    );
    let ipam = json!({ "subnet": "10.0.0.0/24", "resolvConf": "/run/lab/resolv.conf" });
    let result = host_local(&lab, &ipam).on("c1").add().result();
    assert_eq!(
        result["dns"],
        json!({
            "nameservers": ["10.9.0.1", "fd00::53"], "domain": "last.example",
            "search": ["a.example", "b.example"], "options": ["ndots:2", "rotate"],
        })
    );
}

#[test]
fn hl_242_without_the_file_nothing_is_allocated() {
    let lab = Lab::new();
    let ipam = json!({ "subnet": "10.0.0.0/24", "resolvConf": "/run/lab/nope" });
    let message = host_local(&lab, &ipam).on("c1").add().refused();
    assert_eq!(message, "open /run/lab/nope: no such file or directory");
    assert!(lab.leases("net").is_empty());
}

#[test]
fn hl_243_the_directory_of_the_books_can_be_chosen() {
    let lab = Lab::new();
    let ipam = json!({ "subnet": "10.0.0.0/24", "dataDir": "/run/lab/books" });
    let plugin = host_local(&lab, &ipam).on("c1");
    let result = plugin.add().result();
    let expected = ["10.0.0.2", "last_reserved_ip.0", "lock"];
    assert_eq!(lab.list("/run/lab/books/net"), expected);
    assert!(!lab.exists("/var/lib/cni/networks"));
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    assert_eq!(lab.list("/run/lab/books/net"), ["last_reserved_ip.0", "lock"]);
}

#[test]
fn hl_244_a_file_has_the_canonical_name_of_its_address_and_the_last_address_counts() {
    let lab = Lab::new();
    let ipam = json!({
        "subnet": "fd00:0:0:1::/64", "rangeStart": "fd00:0:0:1:ffff:ffff:ffff:ffff",
    });
    let address = first_address(&host_local(&lab, &ipam), "c1");
    assert_eq!(address, "fd00::1:ffff:ffff:ffff:ffff/64");
    let ipam = json!({ "subnet": "fd00:0:0:2::/126", "rangeStart": "FD00:0:0:2:0:0:0:3" });
    assert_eq!(first_address(&host_local(&lab, &ipam), "c2"), "fd00:0:0:2::3/126");
    assert_eq!(lab.leases("net"), ["fd00:0:0:2::3", "fd00::1:ffff:ffff:ffff:ffff"]);
}

#[test]
fn hl_245_del_releases_what_it_finds_and_is_content_with_nothing() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" }));
    let unknown = plugin.clone().on("unknown");
    unknown.del_without_result().silent();
    for (container, ifname) in [("c1", "eth0"), ("c1", "eth1"), ("c2", "eth0")] {
        plugin.clone().on(container).ifname(ifname).add().result();
    }
    unknown.del_without_result().silent();
    assert_eq!(lab.leases("net").len(), 3);
    let first = plugin.on("c1");
    first.clone().without("CNI_NETNS").del_without_result().silent();
    assert_eq!(lab.leases("net"), ["10.0.0.3", "10.0.0.4"]);
    first.del_without_result().silent();
    assert_eq!(lab.leases("net"), ["10.0.0.3", "10.0.0.4"]);
}

#[test]
fn hl_245_del_finds_addresses_outside_the_configured_ranges() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" })).on("c1");
    plugin.add().result();
    let other = plugin.key("ipam", &json!({ "subnet": "10.7.0.0/24" }));
    other.del_without_result().silent();
    assert!(lab.leases("net").is_empty());
}

#[test]
fn hl_245_del_removes_the_file_of_an_old_release_with_the_container_only() {
    let lab = Lab::new();
    lab.write(&format!("{DIRECTORY}/10.0.0.5"), "c1");
    lab.write(&format!("{DIRECTORY}/10.0.0.6"), "c1\n");
    lab.write(&format!("{DIRECTORY}/10.0.0.7"), "c2");
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" })).on("c1");
    assert_eq!(
        plugin.add().failure(),
        "failed to allocate for range 0: 10.0.0.5 has been allocated to c1, duplicate allocation \
         is not allowed"
    );
    plugin.del_without_result().silent();
    assert_eq!(lab.leases("net"), ["10.0.0.7"]);
}

#[test]
fn hl_245_a_file_of_an_old_release_stays_when_there_is_a_newer_one() {
    let lab = Lab::new();
    lab.write(&format!("{DIRECTORY}/10.0.0.5"), "c1");
    lab.write(&format!("{DIRECTORY}/10.0.0.6"), "c1\r\neth0");
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" })).on("c1");
    plugin.del_without_result().silent();
    assert_eq!(lab.leases("net"), ["10.0.0.5"]);
}

#[test]
fn hl_245_del_with_an_invalid_configuration_is_an_error() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({})).on("c1");
    assert_eq!(plugin.del_without_result().invalid_config(), "no IP ranges specified");
}

#[test]
fn hl_246_check_needs_the_reservation() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" })).on("cx");
    let expected = "host-local: Failed to find address added by container cx";
    let previous = json!({ "cniVersion": "1.0.0", "ips": [{ "address": "10.0.0.2/24" }] });
    assert_eq!(plugin.check(&previous).failure(), expected);
    let result = plugin.add().result();
    plugin.check(&result).silent();
    assert_eq!(plugin.clone().ifname("eth1").check(&result).failure(), expected);
    plugin.del(&result).silent();
    assert_eq!(plugin.check(&result).failure(), expected);
    lab.write(&format!("{DIRECTORY}/10.0.0.9"), "cx");
    plugin.check(&result).silent();
}

#[test]
fn hl_247_add_waits_for_the_lock() {
    let lab = Lab::new();
    lab.write(&format!("{DIRECTORY}/lock"), "");
    let lock = std::fs::File::open(lab.outside(&format!("{DIRECTORY}/lock"))).expect("the lock");
    lock.lock().expect("nobody holds it");
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" }));
    let mut waiting = plugin.on("c1").command("ADD").start();
    // The kernel lists a process that waits for a lock with an arrow.
    lab.wait_until("the plugin waits for the lock", || {
        let locks = lab.sh("cat /proc/locks");
        locks.lines().any(|line| line.contains("-> FLOCK") && line.contains(&waits_for(&lab)))
    });
    assert!(!waiting.has_ended());
    assert!(lab.leases("net").is_empty());
    lock.unlock().expect("it was held");
    assert_eq!(waiting.finish().result()["ips"][0]["address"], "10.0.0.2/24");
}

/// How `/proc/locks` names the lock file: the inode at the end of device and inode.
fn waits_for(lab: &Lab) -> String {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(lab.outside(&format!("{DIRECTORY}/lock"))).expect("the lock");
    let device = metadata.dev();
    format!("{:02x}:{:02x}:{} ", device >> 8, device & 0xff, metadata.ino())
}

#[test]
fn hl_248_sixty_at_once_get_sixty_addresses() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" }));
    let running: Vec<_> = (0..60)
        .map(|number| plugin.clone().on(&format!("c{number}")).command("ADD").start())
        .collect();
    let mut addresses: Vec<String> = running
        .into_iter()
        .map(|running| running.finish().result()["ips"][0]["address"].to_string())
        .collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 60);
    assert_eq!(lab.list(DIRECTORY).len(), 62);
    assert_eq!(lab.leases("net").len(), 60);
}

#[test]
fn hl_249_a_spoilt_note_of_the_last_address_does_no_harm() {
    for note in ["garbage", "", "10.99.0.1", "fd00::1", "10.0.0.300"] {
        let lab = Lab::new();
        lab.write(&format!("{DIRECTORY}/last_reserved_ip.0"), note);
        let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" }));
        assert_eq!(first_address(&plugin, "c1"), "10.0.0.2/24", "{note:?}");
        assert_eq!(lab.read(&format!("{DIRECTORY}/last_reserved_ip.0")), "10.0.0.2");
    }
}

#[test]
fn hl_250_when_one_range_has_no_address_the_others_are_given_back() {
    let lab = Lab::new();
    let ipam = json!({ "ranges": [[{ "subnet": "10.0.0.0/24" }], [{ "subnet": "10.0.1.0/30" }]] });
    let plugin = host_local(&lab, &ipam);
    assert_eq!(first_address(&plugin, "c1"), "10.0.0.2/24");
    assert_eq!(
        plugin.clone().on("c2").add().failure(),
        "failed to allocate for range 1: no IP addresses available in range set: \
         10.0.1.1-10.0.1.2"
    );
    assert_eq!(lab.leases("net"), ["10.0.0.2", "10.0.1.2"]);
    let args = plugin.on("c2").key("ipam", &json!({ "subnet": "10.0.0.0/24" }));
    args.args("IP=10.9.0.1").add().failure();
    assert_eq!(lab.leases("net"), ["10.0.0.2", "10.0.1.2"]);
}
