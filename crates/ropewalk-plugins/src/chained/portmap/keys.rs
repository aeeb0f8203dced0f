//! The keys of `portmap`, for documentation and editors.

use super::config;
use crate::describe::{Class, Description, Key, Kind, common::TEXTS, flag, key};

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    runtime: &[key(
        "portMappings",
        Kind::List(&Kind::Object(MAPPING)),
        "The ports to publish. Without any, nothing is made",
    )],
    ..Description::new(
        "portmap",
        Class::Chained,
        "makes ports of the host lead to the container",
        config::lint,
    )
};

const KEYS: &[Key] = &[
    key(
        "backend",
        Kind::Word(&["nftables", "iptables"]),
        "Who translates. One that does not fit the conditions: `iptables backend was requested \
         but configuration contains nftables-specific options [conditionsV4]`, and the other way \
         round",
    )
    .absent(
        "what the conditions are written for; iptables if `externalSetMarkChain` is there; else \
         nftables, or iptables where the kernel has no nf_tables",
    )
    .example("iptables")
    .refuses(&[("zz", r#"unrecognized backend "zz""#)]),
    flag(
        "snat",
        "Clients in the container's subnet and on the host itself get the host's address, so that \
         the answers come back through the host. Also sets `route_localnet`, which 127.0.0.1 needs",
    )
    .default("true")
    .example("false"),
    flag("masqAll", "All clients get it"),
    key(
        "markMasqBit",
        Kind::Integer(0, 31),
        "iptables: the bit of the packet mark that says \"masquerade\". nftables needs no mark",
    )
    .default("13")
    .example("14")
    .refuses(&[("32", "MasqMarkBit must be between 0 and 31")]),
    key(
        "conditionsV4",
        TEXTS,
        "More conditions on packets, for IPv4. Words that begin with `-` or `!` in first place are \
         iptables'. For nftables, as in `[\"ip\", \"saddr\", \"!=\", \"10.0.0.0/8\"]`: any number \
         of `ip saddr` and `ip daddr` with an address or subnet, and `iifname` with a name, each \
         with `!=` if wanted",
    )
    .example(r#"["!", "-s", "10.0.0.0/8"]"#)
    .refuses(&[(
        r#"["tcp", "dport", "80"]"#,
        "cannot use the condition \"tcp\" \"dport\": known are saddr, daddr and iifname; hint: \
         write it for iptables",
    )]),
    key("conditionsV6", TEXTS, "The same for IPv6, with `ip6 saddr` and `ip6 daddr`")
        .example(r#"["!", "-s", "fd00::/8"]"#),
    key(
        "externalSetMarkChain",
        Kind::Text,
        "iptables: the chain that sets the mark, instead of one of ours",
    )
    .example("KUBE-MARK-MASQ")
    .not_with(&[("markMasqBit", "Cannot specify externalSetMarkChain and markMasqBit")]),
];

const MAPPING: &[Key] = &[
    key("hostPort", Kind::PORT, "The port of the host")
        .required()
        .example("8080")
        .refuses(&[("0", "Invalid host port number: 0")]),
    key("containerPort", Kind::PORT, "The port of the container it leads to")
        .required()
        .example("80")
        .refuses(&[("70000", "Invalid container port number: 70000")]),
    key(
        "protocol",
        Kind::WordInAnyCase(&["tcp", "udp", "sctp", "dccp", "udplite"]),
        "The protocol, in any letter case",
    )
    .default("tcp")
    .example("udp")
    .refuses(&[("foo", r#"unknown protocol "foo"; known are tcp, udp, dccp, sctp, udplite"#)]),
    key(
        "range",
        Kind::Integer(0, 65535),
        "As many ports that follow each other, from `hostPort` to as many from `containerPort`; 0 \
         is 1",
    )
    .default("1")
    .example("10")
    .refuses(&[("65536", "Invalid port range: 65536 ports from 8080 end above 65535")]),
    key(
        "hostIP",
        Kind::Address,
        "Only on this address of the host. `0.0.0.0` and `::` are all of their family",
    )
    .absent("all")
    .example("192.0.2.1")
    .refuses(&[("zz", r#"invalid host IP address "zz""#)]),
];
