//! Keys that several plugins read through the same functions of [`crate::config`] and
//! [`crate::feature`].

use super::{Key, Kind, flag, key};

/// A list of texts.
pub(crate) const TEXTS: Kind = Kind::List(&Kind::Text);

/// What is in a DNS object.
const DNS_KEYS: &[Key] = &[
    key("nameservers", TEXTS, "Addresses of name servers").example(r#"["10.7.0.1"]"#),
    key("domain", Kind::Text, "The domain of the container").example("example.org"),
    key("search", TEXTS, "Domains that short names are looked up in").example(r#"["example.org"]"#),
    key("options", TEXTS, "As in resolv.conf(5)").example(r#"["ndots:2"]"#),
];

/// DNS settings, with a meaning of the plugin's own.
pub(crate) const fn dns(meaning: &'static str) -> Key {
    key("dns", Kind::Object(DNS_KEYS), meaning)
}

/// What is in a route.
const ROUTE_KEYS: &[Key] = &[
    key("dst", Kind::Cidr, "Where the route leads")
        .required()
        .example("192.168.0.0/16")
        .refuses(&[("10.5.0.7", "invalid CIDR address: 10.5.0.7")]),
    key("gw", Kind::Address, "Through whom; of the destination's family")
        .absent("the gateway of the family, or none with a `scope` of the link")
        .example("10.7.0.1")
        .refuses(&[
            ("zz", "invalid gateway address: zz"),
            ("fd00::1", "route to 192.168.0.0/16 has a gateway of another family"),
        ]),
    key("mtu", Kind::U32, "Largest packet on this route, in bytes")
        .absent("the interface's")
        .example("1400"),
    key("advmss", Kind::U32, "Largest TCP segment to announce, in bytes")
        .absent("from the MTU")
        .example("1360"),
    key("priority", Kind::U32, "Of routes to one destination, the lowest counts")
        .absent("the kernel's")
        .example("100"),
    key("table", Kind::U32, "The routing table").absent("main").example("100"),
    key("scope", Kind::Integer(0, 255), "0 is everywhere, 253 the link, 254 the host")
        .absent("the kernel's")
        .example("0"),
];

/// A list of routes, with a meaning of the plugin's own.
pub(crate) const fn routes(meaning: &'static str) -> Key {
    key("routes", Kind::List(&Kind::Object(ROUTE_KEYS)), meaning)
}

const IPAM_KEYS: &[Key] = &[key("type", Kind::AddressPlugin, "The plugin that gives addresses")
    .absent("no addresses")
    .example("host-local")];

/// Who gives addresses.
pub(crate) const IPAM: Key = ipam(Kind::Object(IPAM_KEYS)).absent("no addresses");

const NEEDED_IPAM_KEYS: &[Key] =
    &[key("type", Kind::AddressPlugin, "The plugin that gives addresses")
        .required()
        .example("host-local")];

/// Who gives addresses to an interface that cannot be without.
pub(crate) const NEEDED_IPAM: Key = ipam(Kind::Object(NEEDED_IPAM_KEYS)).required();

const fn ipam(kind: Kind) -> Key {
    key(
    "ipam",
    kind,
    "`type` is the plugin that gives addresses, the rest is for that plugin. No addresses in its \
     answer: `IPAM plugin returned missing IP config`. Its own errors pass unchanged",
)
.example(r#"{"type": "host-local", "subnet": "10.7.0.0/24"}"#)
}

/// The largest packet, see [`crate::config::mtu`].
pub(crate) const fn mtu(meaning: &'static str) -> Key {
    key("mtu", Kind::U32, meaning).default("0").example("1400")
}

/// Whether routers are heard, see [`crate::layer3::Options`].
pub(crate) const ACCEPT_RA: Key = key(
    "acceptRA",
    Kind::Integer(0, 2),
    "Whether the interface configures itself by what IPv6 routers advertise: 0 never, 1 unless the \
     container forwards, 2 always (the sysctl `accept_ra`)",
)
.absent("as the kernel has it, which is 1")
.example("1")
.refuses(&[("3", "acceptRA is 3, must be 0, 1 or 2")]);
pub(crate) const WAIT_FOR_RA: Key = flag(
    "waitForRA",
    "ADD waits at most 10 seconds until a router has advertised a prefix and the address made of \
     it can be used; the result has it: `no router has advertised a prefix on eth0 within 10 \
     seconds`",
);

/// Whether to look for duplicates, see [`crate::layer3::Options`].
pub(crate) const DETECT_DUPLICATES: Key = flag(
    "enabledad",
    "Addresses that somebody else on the network has are refused. IPv6: duplicate address \
     detection runs, and is waited for at most 5 seconds: `failed to settle addresses for \
     \"eth0\": …`. IPv4: three probes (RFC 5227) within 0.3 seconds: `… 10.1.2.7 is in use by \
     02:…`. Otherwise addresses can be used at once",
);

/// Whether to masquerade, and who does; see [`crate::feature::masquerade`].
pub(crate) const MASQUERADE: Key = flag(
    "ipMasq",
    "What leaves the container's subnet, multicast apart, gets the host's address. Only with \
     `ipam`",
);
pub(crate) const MASQUERADE_BACKEND: Key =
    key("ipMasqBackend", Kind::Word(&["nftables", "iptables"]), "Who masquerades")
        .absent("nftables; iptables where the kernel has no nf_tables")
        .example("iptables")
        .refuses(&[("foo", r#"unknown ipmasq backend "foo""#)]);

/// The link that others stand on, see [`crate::interface::on_parent`].
pub(crate) const fn master(meaning: &'static str) -> Key {
    key("master", Kind::InterfaceName, meaning)
        .example("eth0")
        .refuses(&[("a/b", "interface name contains / or : or whitespace characters")])
}

/// The same, in the container.
pub(crate) const fn link_in_container(meaning: &'static str) -> Key {
    flag("linkInContainer", meaning)
}

/// The largest packet of a link that stands on another, which has the last word.
pub(crate) const LIMITED_MTU: Key = key(
    "mtu",
    Kind::NUMBER,
    "From 0 to the master's; 0 leaves it to the kernel, which takes the master's. `invalid MTU \
     9000, must be [0, master MTU(1500)]`",
)
.default("0")
.example("1400");

/// DNS where it goes before what IPAM gave.
pub(crate) const DNS: Key =
    dns("DNS for the result. If it says anything, it replaces what IPAM gave");

/// The hardware address of the container's interface, from whoever asks for it.
pub(crate) const fn mac(meaning: &'static str) -> Key {
    key("mac", Kind::Mac, meaning).example("02:00:00:00:00:07")
}

/// The same where the link is made with it, see [`crate::interface::single::mac`].
pub(crate) const LINK_MAC: Key = mac("The MAC of the interface")
    .absent("chosen by the kernel")
    .refuses(&[("zz", "invalid args zz for MAC addr: address zz: invalid MAC address")]);
