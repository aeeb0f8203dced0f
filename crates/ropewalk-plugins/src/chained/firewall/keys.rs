//! The keys of `firewall`, for documentation and editors.

use crate::describe::{Class, Description, Key, Kind, key};

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    ..Description::new(
        "firewall",
        Class::Chained,
        "lets container traffic pass, and keeps bridges apart",
    )
};

const KEYS: &[Key] = &[
    key(
        "backend",
        Kind::KnownWord(&["iptables", "firewalld"]),
        "Who lets pass. Every other word means automatic",
    )
    .absent("automatic, see below")
    .example("firewalld"),
    key(
        "ingressPolicy",
        Kind::Word(&["open", "same-bridge", "isolated"]),
        "`same-bridge`: other bridges with a policy do not reach these containers. `isolated`: nor \
         do the containers of the bridge reach each other",
    )
    .default("open")
    .example("same-bridge")
    .refuses(&[("zz", r#"unknown ingress policy: "zz""#)]),
    key(
        "iptablesAdminChainName",
        Kind::Text,
        "A chain that iptables asks before the containers' rules. It is made if it is not there, \
         and yours to fill. Naming one chooses the back end `iptables`, unless another is named",
    )
    .absent("`CNI-ADMIN`")
    .example("MY-RULES"),
    key(
        "firewalldZone",
        Kind::Text,
        "firewalld: the zone that containers' addresses are put into. At most 255 bytes: \
         `invalid firewalld zone: …`",
    )
    .default("trusted")
    .example("home"),
];
