//! The commands that build something: `demo`, `run` and `plan`.

use std::process::Command;

use ropewalk_e2e::{Lab, Outcome, command_path, json};

/// Runs a script in the lab with `$ropewalk`, plugins made of it, and a network called lan.
fn ropewalk(lab: &Lab, script: &str) -> Outcome {
    let plugins = [
        json!({ "type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true,
                "ipam": { "type": "host-local", "subnet": "10.1.2.0/24" } }),
        json!({ "type": "portmap", "capabilities": { "portMappings": true } }),
        json!({ "type": "tuning", "sysctl": { "net.core.somaxconn": "512" } }),
    ];
    let list = json!({ "cniVersion": "1.0.0", "name": "lan", "plugins": plugins });
    lab.write("/etc/cni/net.d/lan.conflist", &list.to_string());
    let binary = command_path();
    lab.try_sh(&format!(
        "ropewalk={0}; mkdir -p /run/lab/bin && $ropewalk install /run/lab/bin --from {0} >/dev/null\n\
         export CNI_PATH=/run/lab/bin\n{script}",
        binary.display()
    ))
}

#[test]
fn the_demo_shows_traffic_and_leaves_nothing() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let outcome = ropewalk(&lab, "unshare -m sh -c \"mount -t tmpfs t /run && $ropewalk demo\"");
    assert_eq!(outcome.code, 0, "{outcome}");
    for line in [
        "ok      container to container, IPv4                    c2 sees 10.89.0.2",
        "ok      container to outside, masqueraded               outside sees 198.51.100.1",
        "ok      outside to published port                       c2 sees 198.51.100.2",
        "ok      host to published port on 127.0.0.1             c2 sees 10.89.0.1",
        "CHECK   both attachments are as they were made",
        "PROOF   no interface, no lease, no record, no firewall element is left",
    ] {
        assert!(outcome.stdout.contains(line), "{line:?} is missing: {outcome}");
    }
    assert!(!outcome.stdout.contains("FAILED"), "{outcome}");
    lab.nothing_left(&before);
}

#[test]
fn a_demo_that_is_kept_can_be_explored_and_cleaned() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    let script = "unshare -m sh -c \"mount -t tmpfs t /run && mkdir /run/netns \
                  && $ropewalk demo --keep --json && ls /run/netns \
                  && nsenter --net=/run/netns/ropewalk-demo-host nft list map inet ropewalk ports4 \
                  && $ropewalk demo --clean && ls /run/netns /run\"";
    let outcome = ropewalk(&lab, script);
    assert_eq!(outcome.code, 0, "{outcome}");
    assert!(outcome.stdout.contains("\"passed\": true"), "{outcome}");
    assert!(outcome.stdout.contains("tcp . 8080"), "{outcome}");
    let (_, cleaned) = outcome.stdout.split_once("are gone").expect("it says what it did");
    assert!(!cleaned.contains("ropewalk-demo"), "{outcome}");
}

#[test]
fn a_demo_without_root_says_what_is_missing() {
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(readable_copy())
        .arg("demo")
        .output()
        .expect("setpriv is installed");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{complaint}");
    assert!(complaint.contains("needs root"), "{complaint}");
    assert!(complaint.contains("hint: "), "{complaint}");
}

/// The build directory need not be open to everybody.
fn readable_copy() -> std::path::PathBuf {
    let copy = std::env::temp_dir().join(format!("ropewalk-e2e-{}", std::process::id()));
    std::fs::copy(command_path(), &copy).expect("the temporary directory can be written");
    copy
}

#[test]
fn run_attaches_a_command_and_detaches_it_when_it_ends() {
    let lab = Lab::new();
    ropewalk(&lab, "$ropewalk run lan -- true");
    let before = lab.snapshot();
    let outcome = ropewalk(
        &lab,
        "$ropewalk run lan -- sh -c 'ip -4 -o address show eth0; ip route; \
         cat /proc/sys/net/core/somaxconn; exit 7'",
    );
    assert_eq!(outcome.code, 7, "{outcome}");
    for text in ["10.1.2.3/24", "default via 10.1.2.1 dev eth0", "512"] {
        assert!(outcome.stdout.contains(text), "{text:?} is missing: {outcome}");
    }
    assert!(lab.list("/run/netns").is_empty());
    assert!(lab.list("/var/lib/cni/results").is_empty());
    lab.nothing_left(&before);
}

#[test]
fn run_detaches_a_command_that_a_signal_ends() {
    let lab = Lab::new();
    ropewalk(&lab, "$ropewalk run lan -- true");
    let before = lab.snapshot();
    let script = "$ropewalk run lan -- sh -c 'kill -TERM $PPID; exec sleep 1000'";
    let outcome = ropewalk(&lab, script);
    assert_eq!(outcome.code, 128 + 15, "{outcome}");
    lab.nothing_left(&before);
}

#[test]
fn a_plan_tells_every_step_and_does_none() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    lab.netns("c1");
    let before = lab.snapshot();
    let ports = r#"{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}"#;
    let script = format!("CAP_ARGS='{ports}' $ropewalk plan lan /run/netns/c1");
    let text = ropewalk(&lab, &script);
    assert_eq!(text.code, 0, "{text}");
    for line in [
        "shared      create bridge br0 on the host",
        "dependent   create address 10.1.2.2/24 on eth0 in the sandbox",
        "borrowed    change sysctl net/core/somaxconn to 512 in the sandbox",
        "tcp.8080",
    ] {
        assert!(text.stdout.contains(line), "{line:?} is missing: {text}");
    }
    let planned = ropewalk(&lab, "$ropewalk --json plan lan /run/netns/c1").result();
    let of_bridge = planned["plugins"][0]["steps"].as_array().expect("the bridge has steps").len();
    assert!(of_bridge > 8, "{planned:#}");
    assert_eq!(lab.snapshot(), before);
    assert!(lab.leases("lan").is_empty());
    // What was planned is what happens, and then nothing shared is left to do.
    let after = ropewalk(
        &lab,
        "$ropewalk add lan /run/netns/c1 >/dev/null && $ropewalk del lan /run/netns/c1 \
         && $ropewalk --json plan lan /run/netns/c1",
    )
    .result();
    let left: Vec<_> = after["plugins"][0]["steps"].as_array().expect("steps").iter().collect();
    assert!(left.iter().all(|step| step["lifetime"] != "shared"), "{left:#?}");
}
