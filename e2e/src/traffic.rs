//! Traffic between the namespaces of a laboratory: who reaches whom, and under which address.
//!
//! Sockets are opened by a thread that has entered the namespace; a socket stays in the namespace
//! where it was made. A closed port is as good as an open one to see that a host answers.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Lab, chain::packets, patience};

/// Long enough for neighbour discovery on a busy machine: a connection is begun anew after one second
/// and after three.
const ANSWER: Duration = Duration::from_secs(5);
/// Long enough to say that there is no answer: a first request is sent at once.
const SILENCE: Duration = Duration::from_millis(1500);

impl Lab {
    /// Runs a function in a named namespace, on a thread of its own: sockets made there stay there.
    pub fn inside<T: Send>(&self, netns: &str, function: impl FnOnce() -> T + Send) -> T {
        let path = self.outside(&Self::netns_path(netns));
        let namespace = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let body = move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("the namespace can be entered");
            function()
        };
        std::thread::scope(|scope| match scope.spawn(body).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Adds a namespace outside: a veth pair from the host (named as the namespace) to its `eth0`,
    /// with pairs of addresses (host, peer) with prefix lengths. The peer has no other routes, so
    /// it can answer its neighbour only: what it answers came from one of the host's addresses.
    pub fn outer_network(&self, netns: &str, addresses: &[(&str, &str)]) {
        self.netns(netns);
        self.sh(&format!(
            "ip link add {netns} type veth peer name eth0 netns {netns}
             ip link set {netns} up
             ip -n {netns} link set eth0 up"
        ));
        for (host, peer) in addresses {
            let nodad = if host.contains(':') { "nodad" } else { "" };
            self.sh(&format!(
                "ip addr add {host} dev {netns} {nodad}
                 ip -n {netns} addr add {peer} dev eth0 {nodad}"
            ));
        }
    }

    /// The source address that a listener at `destination` in namespace `to` sees when `from`
    /// connects to it; nothing if there is no connection.
    pub fn source_seen(&self, from: &str, to: &str, destination: &str) -> Option<IpAddr> {
        let address = parse(destination);
        let listener = packets::open(self, to, || TcpListener::bind(address));
        let client =
            self.inside(from, || TcpStream::connect_timeout(&address, patience(ANSWER))).ok()?;
        let (_server, peer) = listener.accept().expect("the connection was made");
        drop(client);
        Some(peer.ip())
    }

    /// How long it takes until `to`, listening at its address `destination`, has `bytes` from
    /// namespace `from`, counted from the connection.
    pub fn transfer(&self, from: &str, to: &str, destination: &str, bytes: usize) -> Duration {
        let ip: IpAddr = destination.parse().unwrap_or_else(|e| panic!("{destination}: {e}"));
        let listener = self
            .inside(to, || TcpListener::bind((ip, 0)))
            .unwrap_or_else(|error| panic!("cannot listen at {destination} in {to}: {error}"));
        let address = listener.local_addr().expect("a listener has an address");
        let mut client = self
            .inside(from, || TcpStream::connect_timeout(&address, ANSWER))
            .unwrap_or_else(|error| panic!("{from} does not reach {destination}: {error}"));
        let (mut server, _) = listener.accept().expect("the connection was made");
        let start = Instant::now();
        let sender = std::thread::spawn(move || client.write_all(&vec![0; bytes]));
        let received = std::io::copy(&mut server, &mut std::io::sink()).expect("it can be read");
        let duration = start.elapsed();
        sender.join().expect("no panic").expect("it can be sent");
        assert_eq!(usize::try_from(received).ok(), Some(bytes), "all of it arrived");
        duration
    }

    /// Whether `destination` (address and port) answers to `from`, be it by refusing.
    pub fn reaches(&self, from: &str, destination: &str) -> bool {
        answers(
            self.inside(from, || TcpStream::connect_timeout(&parse(destination), patience(ANSWER))),
        )
    }

    /// Whether `destination` stays silent to `from` for a while.
    pub fn does_not_reach(&self, from: &str, destination: &str) -> bool {
        !answers(self.inside(from, || TcpStream::connect_timeout(&parse(destination), SILENCE)))
    }
}

fn parse(destination: &str) -> SocketAddr {
    destination.parse().unwrap_or_else(|error| panic!("{destination}: {error}"))
}

fn answers(connection: std::io::Result<TcpStream>) -> bool {
    match connection {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionRefused,
    }
}
