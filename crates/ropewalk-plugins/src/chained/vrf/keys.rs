//! The keys of `vrf`, for documentation and editors.

use super::lint;
use crate::describe::{Class, Description, Key, Kind, key};

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    ..Description::new(
        "vrf",
        Class::Chained,
        "keeps the routes of interfaces apart in a domain of their own",
        lint,
    )
};

const KEYS: &[Key] = &[
    key("vrfname", Kind::InterfaceName, "The domain's name")
        .required()
        .example("blue")
        .refuses(&[("", "configuration is expected to have a valid vrf name")]),
    key(
        "table",
        Kind::U32,
        "The domain's table; 0 takes that of a domain that is there, else the lowest number that \
         no rule and no route uses",
    )
    .default("0")
    .example("10"),
];
