//! The keys of `firewall`, for documentation and editors.

use super::config;
use crate::describe::{Class, Description, Key, Kind, flag, key};

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    ..Description::new(
        "firewall",
        Class::Chained,
        "lets container traffic pass, and keeps bridges apart",
        config::lint,
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
    flag(
        "dropInvalid",
        "Drop what the container sends or is sent and what the kernel counts to no connection \
         (conntrack state INVALID), before anything is accepted. Such packets pass by all \
         translation: one that comes late to a published port, or leaves a masqueraded container, \
         carries the wrong address, and who gets it resets the connection. It is off because a \
         host that sees one direction of its connections only, as with asymmetric routes, takes \
         all of them for invalid",
    ),
    key(
        "firewalldZone",
        Kind::Text,
        "firewalld: the zone that containers' addresses are put into. At most 255 bytes: \
         `invalid firewalld zone: …`",
    )
    .default("trusted")
    .example("home"),
];
