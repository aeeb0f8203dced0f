//! The keys of `sql`, for documentation and editors.

use super::config;
use crate::describe::{Class, Description, Key, Kind, common, flag, key};

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    runtime: &[key("ips", ADDRESSES, WANTED).example(r#"["10.7.0.9"]"#).refuses(BAD_ADDRESSES)],
    args: &[
        key("ips", ADDRESSES, WANTED).example(r#"["10.7.0.9"]"#).refuses(BAD_ADDRESSES),
        key(
            "labels",
            Kind::List(&Kind::Object(LABEL)),
            "The pod's labels, for pools with `labels`",
        )
        .example(r#"[{"key": "app", "value": "web"}]"#),
        key("owner", Kind::Text, "Whom the pod belongs to, for pools with `owners`")
            .example("team-red"),
    ],
    variables: &[
        key(
            "IP",
            Kind::Text,
            "The same as `ips`, separated by commas. `ARGS: error parsing value of pair \
             \"IP=zz\": invalid IP address zz`",
        )
        .example("10.7.0.9"),
        key(
            "K8S_POD_NAME",
            Kind::Text,
            "The pod, told in the lease. With its namespace it is the name that addresses are \
             reserved and kept for: `prod/web-0`",
        )
        .example("web-0"),
        key("K8S_POD_NAMESPACE", Kind::Text, "The pod's namespace").example("prod"),
        key("K8S_POD_INFRA_CONTAINER_ID", Kind::Text, "Not used").example("0123"),
        key("K8S_POD_UID", Kind::Text, "Not used").example("0123"),
    ],
    ..Description::new(
        "sql",
        Class::Addresses,
        "gives addresses out of pools that a database has for one host or many",
        config::lint,
    )
};

const ADDRESSES: Kind = Kind::List(&Kind::AddressOrCidr);

const WANTED: &str = "Addresses that the interface wants, in addition to those from elsewhere";

const BAD_ADDRESSES: &[(&str, &str)] = &[(r#"["zz"]"#, "invalid IP address zz")];

const LABEL: &[Key] = &[
    key("key", Kind::Text, "The label's name").example("app"),
    key("value", Kind::Text, "The label's value").example("web"),
];

const KEYS: &[Key] = &[
    key(
        "database",
        Kind::Text,
        "Where the books are: `sqlite:///path`, a file that is made if it is missing, or \
         `postgres://user@host:5432/database`, see [Databases](#databases)",
    )
    .required()
    .example("sqlite:///var/lib/ropewalk/ipam.db")
    .refuses(&[(
        "mysql://db",
        "unknown kind of database: expected sqlite:///… or postgres://…",
    )]),
    key(
        "pools",
        Kind::List(&Kind::Object(POOL)),
        "An attachment gets one address of each group of pools, out of the first pool that is for \
         it and has a free one. No pool is for it: `no pool is for this attachment`",
    )
    .required()
    .example(
        r#"[{"name": "lan", "subnet": "10.7.0.0/16", "blockSize": 26}, {"subnet": "fd00:7::/64"}]"#,
    )
    .refuses(&[
        ("[]", "no pools given"),
        (
            r#"[{"subnet": "10.7.0.0/24"}, {"subnet": "10.7.0.0/24"}]"#,
            "there are two pools named 10.7.0.0/24",
        ),
    ]),
    key(
        "space",
        Kind::Text,
        "The name of the space in which no address is given twice. Networks that share addresses \
         name the same",
    )
    .absent("the network's name")
    .example("campus"),
    key("host", Kind::Text, "The name of this host in the books")
        .absent("the system's")
        .example("node-1"),
    key(
        "cooldown",
        Kind::U32,
        "How many seconds an address rests that was given back, while there are others",
    )
    .default("60")
    .example("300"),
    key(
        "keepFor",
        Kind::U32,
        "How many seconds an address that was given back is kept for the pod of the same name and \
         namespace, which gets it again. Only if pods have names, see `K8S_POD_NAME`",
    )
    .default("0")
    .example("86400"),
    key("deadline", Kind::Integer(1, 100), "How many seconds a verb waits for the database")
        .default("10")
        .example("5")
        .refuses(&[("0", "deadline is 0, must be from 1 to 100 seconds")]),
    key(
        "passwordFile",
        Kind::Path,
        "A file with the password for PostgreSQL: one line, or lines as in `.pgpass`",
    )
    .absent("the password in `database`, or none")
    .example("/etc/ropewalk/ipam.password"),
    flag(
        "sync",
        "SQLite: a lease is on the disk before it is told, for half a millisecond and more. \
         Without it a lease outlives every crash of a process, but a power cut may take the last \
         ones, and damage the file",
    ),
    common::routes("Passed on into the result"),
    key(
        "resolvConf",
        Kind::Path,
        "File in the format of resolv.conf(5) that becomes the result's `dns`, as with `host-local`",
    )
    .absent("no `dns`")
    .example("/etc/resolv.conf"),
];

const SELECTOR: Kind = Kind::List(&Kind::Text);

const POOL: &[Key] = &[
    key("name", Kind::Text, "The pool's name in the database").absent("the subnet").example("lan"),
    key(
        "group",
        Kind::Text,
        "Pools of one group are alternatives. An attachment that needs two addresses of one \
         family gets them from two groups",
    )
    .absent("`IPv4` or `IPv6`")
    .example("storage"),
    key("subnet", Kind::Cidr, "The subnet of the pool, at most a /30 or a /126")
        .required()
        .example("10.7.0.0/24")
        .refuses(&[
            (
                "10.7.0.9/24",
                "invalid pool: Network has host bits set. For a subnet mask of length 24 the \
                 network address is 10.7.0.0",
            ),
            ("10.7.0.0/31", "invalid pool: Network 10.7.0.0/31 too small to allocate from"),
        ]),
    key("rangeStart", Kind::Address, "The first address to give")
        .absent("the one behind the network's")
        .example("10.7.0.9")
        .refuses(&[("10.8.0.1", "invalid pool: RangeStart 10.8.0.1 not in network 10.7.0.0/24")]),
    key("rangeEnd", Kind::Address, "The last address to give, not before the first")
        .absent("the last but the broadcast address; IPv6: the last")
        .example("10.7.0.99")
        .refuses(&[("10.8.0.1", "invalid pool: RangeEnd 10.8.0.1 not in network 10.7.0.0/24")]),
    key("gateway", Kind::Address, "Told in the result, and never leased")
        .absent("the address behind the network's")
        .example("10.7.0.1"),
    key(
        "exclude",
        Kind::List(&Kind::Text),
        "Addresses, subnets and pairs `first-last` that are never leased, nor given when asked for",
    )
    .absent("none")
    .example(r#"["10.7.0.20", "10.7.0.32/28"]"#)
    .refuses(&[(
        r#"["zz"]"#,
        "invalid pool: cannot exclude \"zz\": it is no address, subnet or pair first-last",
    )]),
    key(
        "reservations",
        Kind::Names,
        "Names of pods, as `namespace/name`, with the address that they alone get",
    )
    .absent("none")
    .example(r#"{"prod/web-0": "10.7.0.10"}"#)
    .refuses(&[(
        r#"{"prod/web-0": "10.8.0.1"}"#,
        "cannot reserve \"10.8.0.1\": it is no address of 10.7.0.9-10.7.0.99",
    )]),
    key("networks", SELECTOR, "Networks that the pool is for").absent("all").example(r#"["lan"]"#),
    key("namespaces", SELECTOR, "Namespaces that the pool is for")
        .absent("all, and those without")
        .example(r#"["prod"]"#),
    key("owners", SELECTOR, "Owners that the pool is for, see `args.cni.owner`")
        .absent("all, and those without")
        .example(r#"["team-red"]"#),
    key("labels", Kind::Names, "Labels that a pod must have, all of them")
        .absent("none")
        .example(r#"{"app": "web"}"#),
    key(
        "blockSize",
        Kind::NUMBER,
        "Hosts take blocks of this prefix length and give addresses out of their own. From the \
         subnet's length to the one before the family's whole length",
    )
    .absent("no blocks: all hosts give addresses out of the whole pool")
    .example("26")
    .refuses(&[("16", "blockSize is 16, must be from 24 to 31")]),
    key("maxBlocks", Kind::Integer(1, u32::MAX as u64), "How many blocks one host may have")
        .absent("no limit")
        .example("4")
        .refuses(&[("0", "maxBlocks is 0, must be at least 1")]),
    key(
        "borrow",
        Kind::Bool,
        "Whether a host that can have no more blocks gives addresses out of other hosts' blocks",
    )
    .default("true"),
];
