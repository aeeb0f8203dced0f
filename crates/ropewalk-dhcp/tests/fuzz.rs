//! What may come over the wire, and over the socket between plugin and daemon.

use std::time::Duration;

use ropewalk_testkit::fuzz;

use ropewalk_dhcp::{Datagram, Grant, Lease, Message, arp, rpc, v6};

#[test]
fn fuzz_dhcp() {
    let station = "02:00:00:00:00:01".parse().unwrap();
    fuzz("dhcp", |bytes| {
        let payload = Datagram::parse(bytes).map(|datagram| datagram.payload);
        for bytes in [Some(bytes), payload].into_iter().flatten() {
            if let Ok(message) = Message::parse(bytes) {
                let _ = Lease::of(&message);
                let options = &message.options;
                let _ = (options.classful_routes(), options.search_domains());
                Message::parse(&message.to_bytes()).expect("what we write we read");
                let _ = Grant::new(message, station, Duration::ZERO);
            }
            if let Ok(message) = v6::Message::parse(bytes) {
                let _ = message.to_bytes();
                let _ = v6::Grant::new(message, Duration::ZERO);
            }
        }
        let _ = arp::answer(bytes, std::net::Ipv4Addr::LOCALHOST);
    });
}

#[test]
fn fuzz_calls() {
    fuzz("call", |bytes| {
        let mut daemon = rpc::Callee::default();
        daemon.push(bytes);
        while let Ok(Some(_)) = daemon.next_call() {}
        let mut plugin = rpc::Caller::default();
        plugin.push(bytes);
        while let Ok(Some(_)) = plugin.next_value() {}
    });
}
