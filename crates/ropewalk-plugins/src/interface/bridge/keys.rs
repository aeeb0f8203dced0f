//! The keys of `bridge`, for documentation and editors.

use super::config;
use crate::describe::{
    Class, Description, Key, Kind,
    common::{
        self, ACCEPT_RA, DETECT_DUPLICATES, DNS, IPAM, MASQUERADE, MASQUERADE_BACKEND, WAIT_FOR_RA,
    },
    flag, key,
};
use crate::feature::{big_packets::BIG_TCP, fast_path::FAST_PATH};

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    runtime: &[common::mac("The MAC of the container's interface; the strongest of the three")],
    args: &[common::mac("The same, unless the runtime has one")],
    variables: &[Key { name: "MAC", ..common::mac("The same, the weakest of the three") }],
    ..Description::new(
        "bridge",
        Class::Interface,
        "joins a container to a bridge of the host",
        config::lint,
    )
};

const KEYS: &[Key] = &[
    key(
        "bridge",
        Kind::InterfaceName,
        "The bridge. It is made if it is not there. Another kind of link of that name: `failed to \
         create bridge \"x\": \"x\" already exists but is not a bridge`",
    )
    .default("cni0")
    .example("lan0")
    .refuses(&[("a name that is long", "interface name is too long")]),
    flag(
        "isGateway",
        "The bridge gets the gateway's address in each subnet and the host forwards. An address \
         without a gateway gets the first one of its subnet",
    ),
    flag(
        "isDefaultGateway",
        "As `isGateway`, and the container gets a default route through it in each family, unless \
         IPAM gave one with a gateway. A default route of IPAM without a gateway gets this one",
    ),
    flag(
        "defaultRoute",
        "Off: default routes of IPAM are neither set nor told, as for a further network of a \
         container",
    )
    .default("true")
    .example("false")
    .not_with(&[("isDefaultGateway", "cannot be the default gateway without a default route")]),
    flag(
        "forceAddress",
        "Conflicting addresses of the bridge are removed instead of being an error. Conflicting \
         is every other IPv4 address, and an IPv6 address whose subnet overlaps: `failed to set \
         bridge addr: \"lan0\" already has an IP address different from 10.7.0.1/24`",
    ),
    MASQUERADE,
    MASQUERADE_BACKEND,
    common::mtu(
        "MTU of both ends of the pair, and of the bridge if it is made. 0 leaves it to the kernel",
    ),
    flag("hairpinMode", "Frames may leave through the port they came in"),
    flag("promiscMode", "The bridge device receives all frames").not_with(&[(
        "hairpinMode",
        "cannot set hairpin mode and promiscuous mode at the same time",
    )]),
    flag("portIsolation", "The container does not reach other isolated ports, only the host"),
    key("vlan", Kind::Integer(0, 4094), "VLAN of the container's untagged frames; 0 is none")
        .default("0")
        .example("100")
        .refuses(&[("4095", "invalid VLAN ID 4095 (must be between 0 and 4094)")]),
    key(
        "vlanTrunk",
        Kind::List(&Kind::Object(TRUNK)),
        "VLANs that reach the container tagged. Without `vlan`, untagged frames are in VLAN 1. An \
         empty list gives no VLAN, but makes the bridge filter",
    )
    .refuses(&[
        (r#"[{"minID": 9, "maxID": 5}]"#, "minID is greater than maxID in trunk parameter"),
        (
            r#"[{"minID": 5}]"#,
            "minID and maxID should be configured simultaneously, maxID is missing",
        ),
    ]),
    flag("preserveDefaultVlan", "The port also keeps VLAN 1, which it otherwise loses"),
    flag("macspoofchk", "Frames from another MAC than the container's are dropped"),
    BIG_TCP,
    FAST_PATH,
    DETECT_DUPLICATES,
    ACCEPT_RA,
    WAIT_FOR_RA,
    DNS,
    IPAM,
    flag("disableContainerInterface", "The container's interface stays down")
        .not_with(&[("ipam", "cannot use IPAM when DisableContainerInterface flag is set")]),
    key(
        "uplink",
        Kind::InterfaceName,
        "A link of the host that is a port of the bridge too: a network card, a bond, a tap. It is \
         set up. One with addresses is refused: `\"ens5\" cannot be a port of a bridge: it has the \
         address 10.0.0.5/24, which nobody would reach any more; hint: give it to the bridge`; one \
         that belongs to another bridge stays there: `… cannot be made: it is a port of lan1`",
    )
    .example("ens5"),
    key(
        "ports",
        Kind::List(&Kind::Object(PORT)),
        "Several such links, with VLANs of their own. Networks that share a bridge should tell the \
         same",
    ),
    flag(
        "removeUnused",
        "At DEL and GC, the bridge goes if this plugin has made it, it has no port and no link \
         stands on it; before, the interface `BRIDGE.VLAN` if no other port is in that VLAN. A \
         bridge with an uplink stays",
    ),
    flag(
        "chained",
        "The plugin stands behind another one in the list: the only interface of the host that \
         the previous result tells becomes the port, and no pair is made",
    )
    .not_with(&[
        ("ipam", "ipam cannot be used with chained"),
        ("isDefaultGateway", "isDefaultGateway cannot be used with chained"),
        ("macspoofchk", "macspoofchk cannot be used with chained"),
        ("disableContainerInterface", "disableContainerInterface cannot be used with chained"),
        ("bigTCP", "bigTCP cannot be used with chained"),
    ]),
];

const PORT: &[Key] = &[
    key("name", Kind::InterfaceName, "The link").required().example("ens6"),
    key("vlan", Kind::Integer(0, 4094), "VLAN of untagged frames (the native one); 0 is none")
        .default("0")
        .example("10")
        .refuses(&[("4095", "invalid VLAN ID 4095 (must be between 0 and 4094)")]),
    key(
        "vlanTrunk",
        Kind::List(&Kind::Object(TRUNK)),
        "VLANs that pass tagged. Without `vlan`, untagged frames are in VLAN 1; without both, the \
         port has the bridge's default",
    ),
    flag("preserveDefaultVlan", "The port also keeps VLAN 1, which it otherwise loses"),
];

const VLAN: Kind = Kind::Integer(1, 4094);

const TRUNK: &[Key] = &[
    key("minID", VLAN, "The first VLAN of a range")
        .example("100")
        .refuses(&[("0", "incorrect trunk minID parameter")]),
    key("maxID", VLAN, "The last VLAN of a range")
        .example("103")
        .refuses(&[("4095", "incorrect trunk maxID parameter")]),
    key("id", VLAN, "A single VLAN, with or without a range in the same object")
        .example("200")
        .refuses(&[("0", "incorrect trunk id parameter")]),
];
