//! Disks that are full or read-only: what is there stays, and nothing is left half done.

use super::{LEASES, TUNING, bridge, lab_with_containers, mtu, plugin, tuned, unchanged};
use ropewalk_e2e::chain::names_all;
use ropewalk_e2e::{Lab, Plugin, json};

/// Mounts a file system of 16 pages with so many of them free.
fn nearly_full(lab: &Lab, directory: &str, free: u32) {
    lab.sh(&format!(
        "umount {directory} 2>/dev/null || true
         mkdir -p {directory} && mount -t tmpfs -o size=64k,mode=755 tmpfs {directory}
         dd if=/dev/zero of={directory}/full bs=4k count={} status=none",
        16 - free
    ));
}

/// The bridge with addresses of both families.
fn dual_stack(lab: &Lab) -> Plugin<'_> {
    let ranges = json!([[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]]);
    bridge(lab, &json!({ "type": "host-local", "ranges": ranges }))
}

#[test]
fn on_a_full_disk_nothing_is_leased_and_nothing_is_left() {
    let lab = lab_with_containers();
    if lab.reference_fails("it leaves an empty reservation") {
        return;
    }
    let plugin = dual_stack(&lab);
    let before = lab.settled(&plugin);
    let mut failures = 0;
    for free in 0..=5 {
        nearly_full(&lab, "/var/lib/cni/networks", free);
        let full = lab.snapshot();
        let outcome = plugin.add();
        if outcome.code == 0 {
            plugin.del(&outcome.result()).silent();
        } else {
            failures += 1;
            let expected = [
                "failed to allocate for range ",
                "/var/lib/cni/networks/net/",
                "no space left on device",
                "hint: free space",
            ];
            names_all(&outcome.failure(), &expected);
            unchanged(&lab, &full);
            plugin.del_without_result().silent();
        }
        assert_eq!(lab.leases("net"), [] as [&str; 0], "{free} pages were free");
        assert!(!lab.has_link("c1", "eth0"));
        lab.sh("rm /var/lib/cni/networks/full");
        let result = plugin.add().result();
        plugin.check(&result).silent();
        plugin.del(&result).silent();
        lab.nothing_left(&before);
    }
    assert!((2..=5).contains(&failures), "{failures} of 6 failed");
}

#[test]
fn on_a_full_disk_leases_of_others_stay_and_can_be_released() {
    let lab = lab_with_containers();
    nearly_full(&lab, "/var/lib/cni/networks", 4);
    let plugin = dual_stack(&lab);
    let result = plugin.add().result();
    let books = || lab.sh(&format!("cd {LEASES}; grep -r . . | sort"));
    let before = books();
    assert_eq!(before.lines().count(), 6, "two leases of two lines, two last addresses: {before}");
    names_all(&plugin.clone().on("c2").add().failure(), &["no space left on device"]);
    if lab.reference_fails("it leaves an empty reservation") {
        return;
    }
    assert_eq!(books(), before);
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    lab.sh("rm /var/lib/cni/networks/full");
    plugin.on("c2").add().result();
}

#[test]
fn without_inodes_nothing_is_leased() {
    let lab = lab_with_containers();
    // One for the mount, and two for the network's directory and its lock.
    lab.sh("mkdir -p /var/lib/cni/networks
            mount -t tmpfs -o nr_inodes=3 tmpfs /var/lib/cni/networks");
    let plugin = plugin(&lab, "host-local");
    let message = plugin.add().failure();
    names_all(&message, &["/var/lib/cni/networks/net/10.1.2.2", "no space left on device"]);
    assert!(lab.leases("net").is_empty());
}

#[test]
fn on_a_full_disk_tuning_changes_nothing_and_keeps_what_it_has() {
    let lab = lab_with_containers();
    if lab.reference_fails("it has changed the interface before") {
        return;
    }
    lab.sh("mkdir -p /run/cni");
    nearly_full(&lab, "/run/cni", 0);
    let plugin = tuned(&lab);
    let before = lab.snapshot();
    let words = ["/run/cni/tuning/c1_eth0.json", "no space left on device", "hint: free space"];
    names_all(&plugin.add().failure(), &words);
    assert_eq!(mtu(&lab), 1500);
    unchanged(&lab, &before);
    lab.sh("rm /run/cni/full");
    plugin.add().result();
    let backup = lab.read(&format!("{TUNING}/c1_eth0.json"));
    lab.sh("dd if=/dev/zero of=/run/cni/full bs=4k count=15 status=none");
    // A second ADD that changes more has to remember more.
    let second = plugin.clone().key("txQLen", &json!(77));
    names_all(&second.add().failure(), &words);
    assert_eq!(lab.read(&format!("{TUNING}/c1_eth0.json")), backup);
    assert_eq!(lab.list(TUNING), ["c1_eth0.json"]);
    plugin.command("DEL").run().silent();
    assert_eq!(mtu(&lab), 1500);
    assert!(lab.list(TUNING).is_empty());
}

#[test]
fn on_a_read_only_disk_add_does_nothing_and_del_goes_as_far_as_it_can() {
    let lab = lab_with_containers();
    if lab.reference_fails("its texts are others") {
        return;
    }
    let plugin = dual_stack(&lab);
    let before = lab.settled(&plugin);
    lab.sh("mount -t tmpfs tmpfs /var/lib/cni/networks");
    let result = plugin.add().result();
    let with_first = lab.snapshot();
    lab.sh("mount -o remount,ro /var/lib/cni/networks");
    let words = ["/var/lib/cni/networks/net/", "read-only file system", "hint: "];
    let second = plugin.clone().on("c2");
    names_all(&second.add().failure(), &words);
    unchanged(&lab, &with_first);
    assert!(!lab.has_link("c2", "eth0"));
    second.del_without_result().silent();
    plugin.check(&result).silent();
    names_all(&plugin.del(&result).failure(), &words);
    assert!(!lab.has_link("c1", "eth0"), "what can be removed is removed");
    assert_eq!(lab.leases("net").len(), 2);
    lab.sh("mount -o remount,rw /var/lib/cni/networks");
    plugin.del(&result).silent();
    lab.nothing_left(&before);
}

#[test]
fn on_a_read_only_disk_tuning_changes_nothing_and_del_gives_back_what_it_can() {
    let lab = lab_with_containers();
    if lab.reference_fails("its texts are others") {
        return;
    }
    lab.sh(&format!(
        "mkdir -p {TUNING}; mount -t tmpfs tmpfs {TUNING}; mount -o remount,ro {TUNING}"
    ));
    let plugin = tuned(&lab);
    let words = ["/run/cni/tuning/c1_eth0.json", "read-only file system", "hint: "];
    names_all(&plugin.add().failure(), &words);
    assert_eq!(mtu(&lab), 1500);
    plugin.clone().command("DEL").run().silent();
    lab.sh(&format!("mount -o remount,rw {TUNING}"));
    plugin.add().result();
    lab.sh(&format!("mount -o remount,ro {TUNING}"));
    names_all(&plugin.clone().command("DEL").run().failure(), &words);
    assert_eq!(mtu(&lab), 1500, "the value is given back all the same");
    lab.sh(&format!("mount -o remount,rw {TUNING}"));
    plugin.command("DEL").run().silent();
    assert!(lab.list(TUNING).is_empty());
}
