//! What becomes of leases while containers live, and while the daemon does not.

use std::time::{Duration, Instant};

use ropewalk_e2e::{Lab, json};

use crate::servers::{Server, Settings, Software, serve};
use crate::stage::{
    BRIDGE, Daemon, SOCKET, address, bridge, configuration, direct, lab_with_bridge, link,
};

/// ISC's server gives leases as short as one likes.
fn short_leases(lab: &Lab, seconds: u32) -> Server<'_> {
    Server::start_with(lab, Software::Isc, Settings { seconds, ..Settings::default() })
}

/// Leases of an hour, so that a busy machine may take its time, that are to be renewed and rebound
/// right away.
fn early_renewals(lab: &Lab, renewal: u32, rebinding: u32) -> Server<'_> {
    let settings = Settings { tee_times: Some((renewal, rebinding)), ..Settings::default() };
    Server::start_with(lab, Software::Kea, settings)
}

fn has_address(lab: &Lab, address: &str) -> bool {
    lab.sh_in("c1", "ip -4 address show eth0").contains(&format!("inet {address}/"))
}

#[test]
fn row_06_a_lease_is_renewed_again_and_again() {
    let lab = lab_with_bridge();
    let server = early_renewals(&lab, 1, 3000);
    let daemon = Daemon::start(&lab);
    if lab.reference_fails("it has other words for it") {
        return;
    }
    let plugin = bridge(&lab, &json!({}));
    let result = plugin.add().result();
    daemon.says("renewed", 3);
    assert!(server.received("DHCPREQUEST") >= 4, "{}", server.log());
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    server.drops(&address(&result));
}

#[test]
fn row_06_where_the_server_does_not_hear_us_any_server_is_asked() {
    let lab = lab_with_bridge();
    let _server = early_renewals(&lab, 1, 3);
    let daemon = Daemon::start(&lab);
    if lab.reference_fails("it has other words for it") {
        return;
    }
    let plugin = bridge(&lab, &json!({}));
    // Renewals are unicast and do not arrive; what is broadcast does.
    lab.sh("nft add table bridge deaf; \
         nft 'add chain bridge deaf input { type filter hook input priority 0; }'; \
         nft add rule bridge deaf input ether daddr != ff:ff:ff:ff:ff:ff udp dport 67 drop");
    let begin = Instant::now();
    let result = plugin.add().result();
    daemon.says("renewed", 1);
    assert!(begin.elapsed() >= Duration::from_secs(3), "not before T2: {:?}", begin.elapsed());
    plugin.check(&result).silent();
}

#[test]
fn row_06_an_address_whose_lease_has_ended_is_not_used_any_more() {
    let lab = lab_with_bridge();
    let server = short_leases(&lab, 4);
    let daemon = Daemon::start(&lab);
    if lab.reference_fails("it has other words for it") {
        return;
    }
    let plugin = bridge(&lab, &json!({}));
    let result = plugin.add().result();
    assert!(has_address(&lab, &address(&result)));
    drop(server);
    daemon.says("c1/lan/eth0: the lease has expired", 1);
    assert!(!has_address(&lab, &address(&result)));
    assert_eq!(lab.ip_json_in("c1", "link show eth0")[0]["operstate"], "DOWN");
    let message = plugin.check(&result).failure();
    assert!(message.contains("no lease is held for c1/lan/eth0"), "{message}");
    assert_eq!(lab.list("/var/lib/cni/dhcp"), [""; 0]);
    plugin.del(&result).silent();
}

#[test]
fn row_06_a_server_that_forgot_the_lease_takes_the_address_away() {
    let lab = lab_with_bridge();
    let server = short_leases(&lab, 4);
    let daemon = Daemon::start(&lab);
    if lab.reference_fails("it has other words for it") {
        return;
    }
    let plugin = bridge(&lab, &json!({}));
    let result = plugin.add().result();
    drop(server);
    lab.sh(&format!(
        "ip address replace 10.8.0.1/24 dev {BRIDGE}; ip address del 10.7.0.1/24 dev {BRIDGE}"
    ));
    lab.write(
        "/run/lab/other.conf",
        "authoritative; subnet 10.8.0.0 netmask 255.255.255.0 { range 10.8.0.5 10.8.0.9; }",
    );
    lab.write("/run/lab/other.leases", "");
    let words = [
        "/usr/sbin/dhcpd",
        "-f",
        "-d",
        "-4",
        "--no-pid",
        "-cf",
        "/run/lab/other.conf",
        "-lf",
        "/run/lab/other.leases",
        BRIDGE,
    ];
    let _other =
        ropewalk_e2e::Process::start(&lab, "isc-dhcp-server", &words, "/run/lab/other.log");
    daemon.says("c1/lan/eth0: the ", 1);
    assert!(!has_address(&lab, &address(&result)));
}

#[test]
fn row_06_a_daemon_that_was_killed_goes_on_where_it_stopped() {
    let lab = lab_with_bridge();
    let (server, daemon) = serve(&lab, Software::Dnsmasq);
    if lab.reference_fails("a restart loses leases") {
        return;
    }
    let plugin = bridge(&lab, &json!({}));
    let result = plugin.add().result();
    let requests = server.received("DHCPREQUEST");
    drop(daemon);
    assert!(lab.exists(SOCKET), "a killed daemon leaves its socket");
    let daemon = Daemon::start(&lab);
    daemon.says(&format!("c1/lan/eth0: still has {}", address(&result)), 1);
    plugin.check(&result).silent();
    assert_eq!(server.received("DHCPREQUEST"), requests, "nobody need be asked yet");
    plugin.del(&result).silent();
    server.drops(&address(&result));
    assert_eq!(lab.list("/var/lib/cni/dhcp"), [""; 0]);
}

#[test]
fn row_06_a_daemon_that_comes_late_asks_whether_the_lease_still_holds() {
    let lab = lab_with_bridge();
    let server = early_renewals(&lab, 2, 3000);
    let daemon = Daemon::start(&lab);
    if lab.reference_fails("a restart loses leases") {
        return;
    }
    let plugin = bridge(&lab, &json!({}));
    let result = plugin.add().result();
    daemon.terminate();
    let begin = Instant::now();
    assert!(!lab.exists(SOCKET), "a daemon that ends takes its socket along");
    lab.wait_until("the lease should have been renewed", || {
        lab.sh("true");
        begin.elapsed() > Duration::from_secs(2)
    });
    let [requests, searches] = ["DHCPREQUEST", "DHCPDISCOVER"].map(|kind| server.received(kind));
    let daemon = Daemon::start(&lab);
    daemon.says("renewed", 1);
    assert!(server.received("DHCPREQUEST") > requests, "{}", server.log());
    assert_eq!(server.received("DHCPDISCOVER"), searches, "{}", server.log());
    plugin.check(&result).silent();
    daemon.says("renewed", 2);
}

#[test]
fn row_06_a_daemon_that_ends_keeps_its_leases_and_takes_its_files_along() {
    let lab = lab_with_bridge();
    if lab.reference_fails("version 1.1.1 leaves its files") {
        return;
    }
    let server = Server::start(&lab, Software::Dnsmasq);
    let pid_file = "/run/lab/dhcp.pid";
    let daemon = Daemon::start_with(&lab, &["--pidfile", pid_file]);
    let plugin = direct(&lab, &json!({}));
    let result = plugin.add().result();
    assert!(lab.read(pid_file).parse::<u32>().is_ok(), "{}", lab.read(pid_file));
    daemon.terminate();
    assert!(!lab.exists(SOCKET) && !lab.exists(pid_file));
    assert!(!server.has_dropped(&address(&result)));
}

#[test]
fn row_06_a_lease_is_kept_alive_in_the_namespace_that_asked_last() {
    let lab = lab_with_bridge();
    let _server = early_renewals(&lab, 1, 3000);
    let daemon = Daemon::start(&lab);
    if lab.reference_fails("it asks in the namespace that vanished") {
        return;
    }
    let mac = "02:00:00:00:00:07";
    link(&lab);
    lab.sh_in("c1", &format!("ip link set eth0 address {mac}"));
    let first = direct(&lab, &json!({})).add().result();
    lab.sh("ip netns del c1; ip netns add c2");
    lab.sh(&format!(
        "ip link add other type veth peer name eth0 address {mac} netns c2; \
         ip link set other master {BRIDGE} up"
    ));
    let again = lab.plugin("dhcp").on("c2").container("c1").config(configuration(&json!({})));
    assert_eq!(address(&again.add().result()), address(&first));
    // The server answers to the address.
    lab.sh_in("c2", &format!("ip address add {}/24 dev eth0", address(&first)));
    daemon.says("renewed", 2);
}

#[test]
fn row_06_records_are_private() {
    let lab = lab_with_bridge();
    let _server = Server::start(&lab, Software::Dnsmasq);
    if lab.reference_fails("it keeps none") {
        return;
    }
    let _daemon = Daemon::start_with(&lab, &["-leasedir", "/run/lab/leases"]);
    direct(&lab, &json!({})).add().result();
    let names = lab.list("/run/lab/leases");
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(lab.mode("/run/lab/leases"), 0o700);
    assert_eq!(lab.mode(&format!("/run/lab/leases/{}", names[0])), 0o600);
}

#[test]
fn row_06_a_socket_that_was_opened_for_the_daemon_is_used() {
    let lab = lab_with_bridge();
    let _server = Server::start(&lab, Software::Dnsmasq);
    let program = format!("{}/dhcp", lab.plugin_directory());
    let words = ["/usr/bin/systemd-socket-activate", "-l", SOCKET, &program, "daemon"];
    let _daemon = Daemon::start_words(&lab, &words, SOCKET);
    let plugin = direct(&lab, &json!({}));
    let result = plugin.add().result();
    plugin.del(&result).silent();
}

#[test]
fn row_06_a_second_daemon_does_not_take_the_socket_of_the_first() {
    let lab = lab_with_bridge();
    let pid_file = "/run/lab/dhcp.pid";
    let _daemon = Daemon::start_with(&lab, &["-pidfile", pid_file]);
    // It is written when the daemon listens already.
    let is_written = || lab.exists(pid_file) && !lab.read(pid_file).is_empty();
    lab.wait_until("the process id is told", is_written);
    let pid = lab.read(pid_file);
    let again = format!("timeout 10 {}/dhcp daemon -pidfile {pid_file}", lab.plugin_directory());
    let outcome = lab.try_sh(&again);
    assert_eq!(outcome.code, 1, "{outcome}");
    assert!(lab.read(pid_file) == pid || lab.reference_fails("it takes the file"));
    assert!(outcome.stderr.contains("address already in use") || ropewalk_e2e::reference());
    let flags = format!("{}/dhcp daemon -pidfile here", lab.plugin_directory());
    let outcome = lab.try_sh(&format!("timeout 10 {flags}"));
    assert!(outcome.stderr.contains("path not absolute"), "{outcome}");
}

#[test]
fn row_06_the_command_runs_the_same_daemon() {
    let lab = lab_with_bridge();
    let _server = Server::start(&lab, Software::Dnsmasq);
    let command = ropewalk_e2e::command_path();
    let command = command.to_str().expect("the path is text");
    let _daemon = Daemon::start_words(&lab, &[command, "dhcp-daemon", "-timeout", "5s"], SOCKET);
    let plugin = direct(&lab, &json!({}));
    let result = plugin.add().result();
    plugin.del(&result).silent();
    let help = lab.try_sh(&format!("{command} dhcp-daemon --help"));
    assert!(help.code == 0 && help.stderr.contains("-resendtimeout"), "{help}");
}

#[test]
fn row_05_without_its_namespace_a_lease_is_given_back_from_the_host() {
    let lab = lab_with_bridge();
    let (server, _daemon) = serve(&lab, Software::Dnsmasq);
    if lab.reference_fails("it cannot send its release") {
        return;
    }
    let plugin = bridge(&lab, &json!({}));
    let result = plugin.add().result();
    lab.sh("ip netns del c1");
    plugin.del(&result).silent();
    server.drops(&address(&result));
}
