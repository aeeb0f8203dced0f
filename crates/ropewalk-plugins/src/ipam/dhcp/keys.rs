//! The keys of `dhcp`, for documentation and editors.

use super::config;
use crate::describe::{Class, Description, Key, Kind, flag, key};

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    ..Description::new(
        "dhcp",
        Class::Addresses,
        "gives addresses from the DHCP servers of the interface's network",
        config::lint,
    )
};

const KEYS: &[Key] = &[
    key("daemonSocketPath", Kind::Path, "Where the daemon listens")
        .default("/run/cni/dhcp.sock")
        .example("/run/dhcp/lan.sock"),
    key(
        "priority",
        Kind::U32,
        "The priority of all routes in the result; 0 leaves it to the kernel",
    )
    .default("0")
    .example("100"),
    key("provide", Kind::List(&Kind::Object(PROVIDED)), "Options that are told to the server"),
    key(
        "request",
        Kind::List(&Kind::Object(REQUESTED)),
        "Options that the server is asked for, besides those that are asked for by default",
    ),
    key(
        "clientId",
        Kind::Word(&["attachment", "mac"]),
        "What the server knows the client by: container, network and interface, or the hardware \
         address, as most other clients do",
    )
    .default("attachment")
    .example("mac")
    .refuses(&[("duid", "invalid clientId \"duid\" (must be \"attachment\" or \"mac\")")]),
    key(
        "families",
        Kind::List(&Kind::Word(&["ipv4", "ipv6"])),
        "The families of which an address is leased, `ipv6` by DHCPv6",
    )
    .default("[\"ipv4\"]")
    .example("[\"ipv4\", \"ipv6\"]")
    .refuses(&[
        ("[\"ipv5\"]", "invalid family \"ipv5\" (must be \"ipv4\" or \"ipv6\")"),
        ("[]", "must name \"ipv4\", \"ipv6\" or both"),
    ]),
    key("broadcast", Kind::Bool, "The server must broadcast its answers")
        .absent("where the link needs it"),
];

const OPTION: Key = key(
    "option",
    Kind::Text,
    "A number from 0 to 255, or `dhcp-client-identifier`, `subnet-mask`, `routers`, `host-name`, \
     `user-class`, `vendor-class-identifier`",
)
.example("host-name")
.refuses(&[(
    "hostname",
    "Can not parse option \"hostname\": strconv.ParseUint: parsing \"hostname\": invalid syntax",
)]);

const PROVIDED: &[Key] = &[
    OPTION.required(),
    key("value", Kind::Text, "Its value, at most 255 bytes").example("web"),
    key(
        "fromArg",
        Kind::Text,
        "The key of `CNI_ARGS` whose value it has; that goes before `value`",
    )
    .example("K8S_POD_NAME"),
];

const REQUESTED: &[Key] =
    &[Key { example: "42", ..OPTION }, flag("skipDefault", "Nothing is asked for by default")];
