//! What users asked of firewalld and never got: row 11. A reload takes what firewalld was told; what
//! is in a table of our own stays, and the rest is made again on request.

#[expect(dead_code, reason = "plugins that write down their calls are for tests of the library")]
mod command;
mod services;

use command::{Host, fails};
use ropewalk_e2e::chain::OUTSIDE;
use ropewalk_e2e::chain::packets::{Server, passes};
use ropewalk_e2e::{Lab, json};
use services::{Bus, Firewalld};

/// A host with the network `lan` of all plugins, and somebody outside.
fn host() -> Host {
    let host = Host::new();
    let ipam = json!({
        "type": "host-local", "subnet": "10.1.2.0/24", "routes": [{ "dst": "0.0.0.0/0" }],
    });
    let plugins = json!([
        { "type": "bridge", "bridge": "lan0", "isGateway": true, "ipMasq": true, "ipam": ipam },
        { "type": "portmap", "capabilities": { "portMappings": true } },
        { "type": "firewall" },
    ]);
    let list = json!({ "cniVersion": "1.1.0", "name": "lan", "plugins": plugins });
    host.configure("10-lan.conflist", &list.to_string());
    host.lab.outer_network("outer", &OUTSIDE);
    host.lab.sh("ip netns attach host $$");
    host
}

fn run(host: &Host, arguments: &[&str]) -> ropewalk_e2e::Outcome {
    let ports = json!({ "portMappings": [{ "hostPort": 8080, "containerPort": 80 }] });
    let tool = host.tool().variable("CNI_PATH", host.lab.plugin_directory());
    let tool =
        if arguments[0] == "repair" { tool } else { tool.variable("CAP_ARGS", &ports.to_string()) };
    tool.run(arguments)
}

const ATTACHMENT: [&str; 4] = ["lan", "/run/netns/c1", "--container-id", "c1"];

fn out(lab: &Lab, expected: bool) {
    passes(lab, "c1", "10.99.0.2:7000", Server("outer", 7000), expected);
}

#[test]
fn row_11_what_a_reload_of_firewalld_takes_is_made_again() {
    let host = host();
    let lab = &host.lab;
    let _bus = Bus::start(lab);
    let daemon = Firewalld::start(lab);
    run(&host, &[&["add"][..], &ATTACHMENT].concat()).result();
    let published = || passes(lab, "outer", "10.99.0.1:8080", Server("c1", 80), true);
    out(lab, true);
    published();
    for _ in 0..2 {
        daemon.command("--reload");
        assert!(daemon.sources("trusted").is_empty());
        // Ports and masquerading are in our own table.
        published();
        out(lab, false);
        let check = run(&host, &[&["check"][..], &ATTACHMENT].concat());
        fails(&check, 1, "of firewalld's zone \"trusted\" is missing");
        let repaired = run(&host, &["repair", "lan"]);
        assert_eq!((repaired.code, &*repaired.stdout), (0, "eth0 of c1: firewall\n"), "{repaired}");
        out(lab, true);
        run(&host, &["repair", "lan"]).silent();
    }
    run(&host, &[&["del"][..], &ATTACHMENT].concat()).silent();
    assert!(daemon.sources("trusted").is_empty());
}

#[test]
fn row_11_tables_that_somebody_flushed_are_made_again() {
    let host = host();
    let lab = &host.lab;
    run(&host, &[&["add"][..], &ATTACHMENT].concat()).result();
    lab.sh("nft flush set inet ropewalk accepted4; nft flush map inet ropewalk ports4");
    lab.write("/var/lib/cni/results/lan-c9-eth0", "");
    let outcome = run(&host, &["repair", "lan", "--json"]);
    assert!(outcome.stderr.contains("skipped /var/lib/cni/results/lan-c9-eth0"), "{outcome}");
    let repaired = outcome.result();
    assert_eq!(repaired["repaired"][0]["plugins"], json!(["portmap", "firewall"]));
    passes(lab, "outer", "10.99.0.1:8080", Server("c1", 80), true);
    run(&host, &[&["check"][..], &ATTACHMENT].concat()).silent();
    // An interface is not replaced under a running container.
    lab.sh("ip -n c1 addr del 10.1.2.2/24 dev eth0");
    fails(&run(&host, &["repair", "lan"]), 1, "failed to repair eth0 of c1 on network \"lan\"");
    assert!(lab.has_link("c1", "eth0"));
}
