//! The keys of `bandwidth`, for documentation and editors.

use super::config;
use crate::describe::{Class, Description, Key, Kind, key};

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    runtime: &[key(
        "bandwidth",
        Kind::Object(KEYS),
        "The same keys. The rates and bursts count if none of the four is in the configuration, \
         not even as 0; the lists if neither of the two is",
    )],
    ..Description::new(
        "bandwidth",
        Class::Chained,
        "limits how fast a container receives and sends",
        config::lint,
    )
};

/// The kernel counts a burst in 32 bits of bytes, and the last of these numbers is no burst.
const BURST: Kind = Kind::Integer(0, u32::MAX as u64 * 8 - 1);
const RATE: Kind = Kind::Integer(0, u64::MAX);
const SUBNETS: Kind = Kind::List(&Kind::Cidr);

const KEYS: &[Key] = &[
    key(
        "ingressRate",
        RATE,
        "What the container receives on average, in bits a second. Without a burst: `if rate is \
         set, burst must also be set`",
    )
    .absent("no limit")
    .example("8000000"),
    key(
        "ingressBurst",
        BURST,
        "What may arrive at once after a pause, in bits. Without a rate: `if burst is set, rate \
         must also be set`",
    )
    .example("800000")
    .refuses(&[("34359738360", "burst cannot be more than 4GB")]),
    key("egressRate", RATE, "What the container sends on average, in bits a second")
        .absent("no limit")
        .example("16000000"),
    key("egressBurst", BURST, "What may leave at once after a pause, in bits").example("1600000"),
    key("unshapedSubnets", SUBNETS, "Traffic with these peers is not limited")
        .absent("none")
        .example(r#"["10.0.0.0/8"]"#)
        .refuses(&[(
            r#"["10.0.0.0/33"]"#,
            "bad subnet \"10.0.0.0/33\": prefix length exceeds the address",
        )]),
    key("shapedSubnets", SUBNETS, "Traffic with these peers alone is limited")
        .absent("all")
        .example(r#"["192.0.2.0/24"]"#)
        .not_with(&[("unshapedSubnets", "unshapedSubnets and shapedSubnets exclude each other")]),
];
