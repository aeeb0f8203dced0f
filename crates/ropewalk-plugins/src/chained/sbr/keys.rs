//! The keys of `sbr`, for documentation and editors.

use super::config;
use crate::describe::{Class, Description, Key, Kind, flag, key};

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    ..Description::new(
        "sbr",
        Class::Chained,
        "lets each interface of a container answer for itself",
        config::lint,
    )
};

const KEYS: &[Key] = &[
    key(
        "table",
        Kind::U32,
        "Rules lead to this table, which somebody else fills; no route is moved or made. 0 is none",
    )
    .default("0")
    .example("100"),
    key("gateways", Kind::List(&Kind::Address), "The default gateway of each family, one at most")
        .absent("those of the previous result")
        .example(r#"["10.1.0.1", "fd00:1::1"]"#)
        .refuses(&[
            (r#"["router"]"#, "invalid gateway address: router"),
            (
                r#"["10.1.0.1", "10.1.0.3"]"#,
                "gateways list contains multiple IPv4 addresses: 10.1.0.1 and 10.1.0.3",
            ),
            (
                r#"["10.1.0.1", "fd00:1::1", "10.1.0.3"]"#,
                "gateways list cannot contain more than 2 entries (one IPv4, one IPv6)",
            ),
        ]),
    flag(
        "addSourceHints",
        "The main table keeps the way to the interface's own subnets, with the source address to \
         use, so that programs that choose none reach the neighbours",
    ),
    flag("keepMain", "The main table keeps all its routes"),
];
