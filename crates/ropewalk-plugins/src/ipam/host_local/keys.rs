//! The keys of `host-local`, for documentation and editors.

use super::config;
use crate::describe::{Class, Description, Key, Kind, common, flag, key};

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    runtime: &[
        key("ips", ADDRESSES, WANTED).example(r#"["10.7.0.9"]"#).refuses(BAD_ADDRESSES),
        key("ipRanges", RANGES, "As `ranges`; these sets come first, then `subnet`, then `ranges`")
            .example(r#"[[{"subnet": "10.9.0.0/24"}]]"#),
    ],
    args: &[key("ips", ADDRESSES, WANTED).example(r#"["10.7.0.9"]"#).refuses(BAD_ADDRESSES)],
    variables: &[key(
        "IP",
        Kind::Text,
        "The same, separated by commas. `ARGS: error parsing value of pair \"IP=zz\": invalid IP \
         address zz`",
    )
    .example("10.7.0.9")],
    ..Description::new(
        "host-local",
        Class::Addresses,
        "gives addresses out of ranges, one host at a time",
        config::lint,
    )
};

const ADDRESSES: Kind = Kind::List(&Kind::AddressOrCidr);

const WANTED: &str = "Addresses that the interface wants, in addition to those from elsewhere";

const BAD_ADDRESSES: &[(&str, &str)] = &[(r#"["zz"]"#, "invalid IP address zz")];

const EXCLUDED: Kind = Kind::List(&Kind::Text);

const RANGES: Kind = Kind::List(&Kind::List(&Kind::Object(RANGE)));

const KEYS: &[Key] = &[
    key(
        "ranges",
        RANGES,
        "Each inner list is a set: the interface gets one address from it. A set's ranges are of \
         one family and are used one after the other. Neither this nor `subnet`, nor `ipRanges` \
         from the runtime: `no IP ranges specified`",
    )
    .example(
        r#"[[{"subnet": "10.7.0.0/24", "rangeStart": "10.7.0.9"}], [{"subnet": "fd00:7::/64"}]]"#,
    )
    .refuses(&[
        ("[[]]", "invalid range set 0: empty range set"),
        (
            r#"[[{"subnet": "10.7.0.0/24"}, {"subnet": "fd00:7::/64"}]]"#,
            "invalid range set 0: mixed address families",
        ),
        (
            r#"[[{"subnet": "10.7.0.0/24"}, {"subnet": "10.7.0.0/25"}]]"#,
            "invalid range set 0: subnets 10.7.0.1-10.7.0.254 and 10.7.0.1-10.7.0.126 overlap",
        ),
        (
            r#"[[{"subnet": "10.7.0.0/24"}], [{"subnet": "10.7.0.0/25"}]]"#,
            "range set 0 overlaps with 1",
        ),
    ]),
    key(
        "subnet",
        Kind::Cidr,
        "The older spelling: one more set, of this one range. The next four belong to it and \
         mean what they mean in a range",
    )
    .example("10.1.0.0/24")
    .refuses(&[("zz", "invalid CIDR address: zz")]),
    key("rangeStart", Kind::Address, "The first address of `subnet` to give").example("10.1.0.9"),
    key("rangeEnd", Kind::Address, "The last address of `subnet` to give").example("10.1.0.99"),
    key("gateway", Kind::Address, "The gateway of `subnet`").example("10.1.0.254"),
    key("exclude", EXCLUDED, "Addresses of `subnet` that are never given")
        .example(r#"["10.1.0.20-10.1.0.29"]"#),
    common::routes("Passed on into the result"),
    key(
        "resolvConf",
        Kind::Path,
        "File in the format of resolv.conf(5); `nameserver`, `domain`, `search` and `options` \
         become the result's `dns`. It cannot be read: `open /nope: no such file or directory`, \
         and nothing is leased",
    )
    .absent("no `dns`")
    .example("/etc/resolv.conf"),
    key("dataDir", Kind::Path, "Where leases are kept, in a folder of the network's name")
        .default("/var/lib/cni/networks")
        .example("/run/leases"),
    flag(
        "forgetOnReboot",
        "A lease ends with the boot in which it was given: the first call after a reboot drops \
         what is left over. The kernel's name of the boot is kept in the file `boot_id` in the \
         network's folder. Leases from before the key was set count for the boot in which it was. \
         All who lease from the folder should have the key; not for containers that live through \
         a reboot of this system (in virtual machines, restored checkpoints)",
    ),
];

const RANGE: &[Key] = &[
    key("subnet", Kind::Cidr, "The subnet of the range, at most a /30 or a /126")
        .required()
        .example("10.7.0.0/24")
        .refuses(&[
            (
                "10.7.0.9/24",
                "invalid range set 0: Network has host bits set. For a subnet mask of length 24 \
                 the network address is 10.7.0.0",
            ),
            ("10.7.0.0/31", "invalid range set 0: Network 10.7.0.0/31 too small to allocate from"),
        ]),
    key("rangeStart", Kind::Address, "The first address to give")
        .absent("the one behind the network's")
        .example("10.7.0.9")
        .refuses(&[(
            "10.8.0.1",
            "invalid range set 0: RangeStart 10.8.0.1 not in network 10.7.0.0/24",
        )]),
    key("rangeEnd", Kind::Address, "The last address to give, not before the first")
        .absent("the last but the broadcast address; IPv6: the last")
        .example("10.7.0.99")
        .refuses(&[(
            "10.8.0.1",
            "invalid range set 0: RangeEnd 10.8.0.1 not in network 10.7.0.0/24",
        )]),
    key(
        "gateway",
        Kind::Address,
        "Told in the result, and never leased. It may lie outside of the subnet",
    )
    .absent("the address behind the network's")
    .example("10.7.0.1"),
    key(
        "exclude",
        EXCLUDED,
        "Addresses, subnets and pairs `first-last` of the range's network that are never leased, \
         nor given when asked for",
    )
    .absent("none")
    .example(r#"["10.7.0.20", "10.7.0.32/28", "10.7.0.50-10.7.0.59"]"#)
    .refuses(&[
        (
            r#"["zz"]"#,
            "invalid range set 0: cannot exclude \"zz\": it is no address, subnet or pair \
             first-last",
        ),
        (
            r#"["10.2.0.1"]"#,
            "invalid range set 0: cannot exclude \"10.2.0.1\": it is not in network 10.7.0.0/24",
        ),
    ]),
];
