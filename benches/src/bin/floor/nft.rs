//! Elements of sets and maps, which are all that a container costs the packet filter.
//!
//! A transaction that deletes or fails makes its sender wait for milliseconds. So it must never
//! delete: elements that are to go expire. Rules, which all containers share, are made by the
//! program `nft` when the first element finds no table.

use std::{
    io::{self, Write},
    net::Ipv4Addr,
    process::{Command, Stdio},
};

use crate::{
    Outcome, failed,
    message::{ACK, CREATE, EXCLUSIVE, Messages},
    socket::Socket,
};

const TABLE: &str = "floor";

// From `linux/netfilter/nfnetlink.h` and `linux/netfilter/nf_tables.h`.
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEW_ELEMENT: u16 = SUBSYSTEM * 256 + 12;
const GET_ELEMENT: u16 = SUBSYSTEM * 256 + 13;
const INET: u8 = 1;
const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const ELEMENT: u16 = 1;
const KEY: u16 = 1;
const DATA: u16 = 2;
const TIMEOUT: u16 = 4;
const EXPIRATION: u16 = 5;
const VALUE: u16 = 1;
const VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
const JUMP: i32 = -3;
const TCP: u8 = 6;

/// Long enough for one tick of any kernel; 0 would be for ever.
const LAST_MOMENTS_MS: u64 = 10;

/// The rules that all containers share. Networks that come later find them as they were.
const SHARED: &str = "
table inet floor {
    map sources { type ipv4_addr : verdict; flags timeout; }
    map ports { type inet_proto . inet_service : ipv4_addr . inet_service; flags timeout; }
    set accepted { type ipv4_addr; flags timeout; }
    chain leaving { type nat hook postrouting priority srcnat; }
    chain arriving { type nat hook prerouting priority dstnat; }
    chain local { type nat hook output priority -100; }
    chain forwarded { type filter hook forward priority filter; }
}
flush chain inet floor leaving
flush chain inet floor arriving
flush chain inet floor local
flush chain inet floor forwarded
table inet floor {
    chain leaving { ip saddr vmap @sources; }
    chain arriving { fib daddr type local dnat ip to meta l4proto . th dport map @ports; }
    chain local { fib daddr type local dnat ip to meta l4proto . th dport map @ports; }
    chain forwarded {
        ct state established,related accept
        ip saddr @accepted accept
        ip daddr @accepted accept
    }
}
";

/// An element: the set it is in, its key, and what the key leads to.
pub(crate) struct Element {
    set: &'static str,
    key: Vec<u8>,
    leads_to: Target,
}

enum Target {
    Nothing,
    /// The chain of a network, which masquerades what leaves its subnet.
    Chain {
        name: String,
        subnet: String,
    },
    Bytes(Vec<u8>),
}

impl Element {
    /// A container whose packets leave under the host's address.
    pub(crate) fn masquerade(address: Ipv4Addr, network: &str, subnet: &str) -> Self {
        let leads_to = Target::Chain { name: format!("of-{network}"), subnet: subnet.to_owned() };
        Self { set: "sources", key: address.octets().to_vec(), leads_to }
    }

    /// A port of the host that leads to one of a container.
    pub(crate) fn port(host: u16, address: Ipv4Addr, port: u16) -> Self {
        let [host, port] = [host.to_be_bytes(), port.to_be_bytes()];
        let key = vec![TCP, 0, 0, 0, host[0], host[1], 0, 0];
        let [a, b, c, d] = address.octets();
        let leads_to = Target::Bytes(vec![a, b, c, d, port[0], port[1], 0, 0]);
        Self { set: "ports", key, leads_to }
    }

    /// A container whose packets are forwarded.
    pub(crate) fn accepted(address: Ipv4Addr) -> Self {
        Self { set: "accepted", key: address.octets().to_vec(), leads_to: Target::Nothing }
    }

    fn put_key(&self, element: &mut Messages) {
        element.nest(KEY, |key| _ = key.attribute(VALUE, &self.key));
    }

    fn put_data(&self, element: &mut Messages) {
        match &self.leads_to {
            Target::Nothing => element,
            Target::Bytes(bytes) => element.nest(DATA, |data| _ = data.attribute(VALUE, bytes)),
            Target::Chain { name, .. } => element.nest(DATA, |data| {
                data.nest(VERDICT, |verdict| {
                    verdict.attribute(VERDICT_CODE, &JUMP.to_be_bytes()).text(VERDICT_CHAIN, name);
                });
            }),
        };
    }
}

/// Adds an element; the shared rules are made if it is the first.
pub(crate) fn add(element: &Element) -> Outcome<()> {
    let socket = Socket::netfilter().map_err(failed("netfilter"))?;
    let messages = transaction(element, CREATE | EXCLUSIVE, |_| ());
    match socket.ask(&messages) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            make_rules(element)?;
            // The socket still holds answers to the transaction that failed.
            let socket = Socket::netfilter().map_err(failed("netfilter"))?;
            socket.ask(&messages).map_err(failed(element.set)).map(drop)
        }
        other => other.map_err(failed(element.set)).map(drop),
    }
}

/// Lets an element go within milliseconds.
pub(crate) fn expire(element: &Element) -> Outcome<()> {
    let socket = Socket::netfilter().map_err(failed("netfilter"))?;
    let messages = transaction(element, CREATE, |element| {
        element
            .attribute(TIMEOUT, &LAST_MOMENTS_MS.to_be_bytes())
            .attribute(EXPIRATION, &LAST_MOMENTS_MS.to_be_bytes());
    });
    socket.ask(&messages).map_err(failed(element.set)).map(drop)
}

/// Fails if an element is not there.
pub(crate) fn check(element: &Element) -> Outcome<()> {
    let socket = Socket::netfilter().map_err(failed("netfilter"))?;
    let mut messages = Messages::new();
    listed(&mut messages, GET_ELEMENT, 0, element, |item| element.put_key(item));
    socket.ask(&messages).map_err(failed(element.set)).map(drop)
}

fn transaction(element: &Element, flags: u16, more: impl FnOnce(&mut Messages)) -> Messages {
    let mut messages = Messages::new();
    let border = [0, 0, 0, SUBSYSTEM.to_be_bytes()[1]];
    messages.begin(BATCH_BEGIN, 0, &border);
    listed(&mut messages, NEW_ELEMENT, flags | ACK, element, |item| {
        element.put_key(item);
        element.put_data(item);
        more(item);
    });
    messages.begin(BATCH_END, 0, &border);
    messages
}

fn listed(
    messages: &mut Messages,
    kind: u16,
    flags: u16,
    element: &Element,
    fill: impl FnOnce(&mut Messages),
) {
    messages
        .begin(kind, flags, &[INET, 0, 0, 0])
        .text(LIST_TABLE, TABLE)
        .text(LIST_SET, element.set)
        .nest(LIST_ELEMENTS, |list| _ = list.nest(ELEMENT, fill));
}

/// Makes what all containers share, and the chain that an element leads to.
fn make_rules(element: &Element) -> Outcome<()> {
    nft(SHARED).map_err(failed("shared rules"))?;
    let Target::Chain { name, subnet } = &element.leads_to else { return Ok(()) };
    let chain = format!(
        "table inet {TABLE} {{
            chain {name} {{
                ct status dnat ip saddr {subnet} ip daddr {subnet} masquerade
                ip daddr {{ {subnet}, 224.0.0.0/4 }} return
                masquerade
            }}
        }}"
    );
    nft(&chain).map_err(failed("rules of the network"))
}

fn nft(rules: &str) -> io::Result<()> {
    let mut child = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(rules.as_bytes())?;
    }
    if child.wait()?.success() { Ok(()) } else { Err(io::Error::other("nft failed")) }
}
