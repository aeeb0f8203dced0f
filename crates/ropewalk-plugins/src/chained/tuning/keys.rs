//! The keys of `tuning`, for documentation and editors.

use super::config;
use crate::describe::{Class, Description, Key, Kind, common, key};

pub(crate) const DESCRIPTION: Description = Description {
    keys: &[SYSCTL, MAC, MTU, PROMISC, ALLMULTI, QUEUE, ETHTOOL, DATA_DIRECTORY],
    runtime: &[MAC],
    args: &[SYSCTL, MAC, MTU, PROMISC, ALLMULTI, QUEUE, ETHTOOL],
    variables: &[Key { name: "MAC", ..MAC }],
    ..Description::new(
        "tuning",
        Class::Chained,
        "sets sysctls of the container, and attributes and offloads of its interface",
        config::lint,
    )
};

const AS_IT_IS: &str = "as it is";

const SYSCTL: Key = key(
    "sysctl",
    Kind::Names,
    "Names of sysctls, with dots or slashes, and their values. The first `IFNAME` in a name stands \
     for the interface. Only names below `net`. No such name: `open /proc/sys/net/core/nope: no \
     such file or directory`. The same name twice: `duplicated sysctl keys are not allowed`. A \
     list is set in its order, an object in that of its names, since tools sort them",
)
.absent(AS_IT_IS)
.example(r#"{"net.ipv4.conf.IFNAME.arp_filter": "1"}"#)
.refuses(&[(r#"{"kernel.shmmax": "1"}"#, r#"invalid net sysctl key: "kernel.shmmax""#)]);

const MAC: Key = common::mac("The MAC of the interface")
    .absent(AS_IT_IS)
    .refuses(&[("zz", "invalid args zz for MAC addr: invalid MAC address")]);

const MTU: Key = key("mtu", Kind::U32, "Largest packet, in bytes; 0 leaves it as it is")
    .default("0")
    .example("1400");

const PROMISC: Key =
    key("promisc", Kind::Bool, "The interface receives all frames").absent(AS_IT_IS);

const ALLMULTI: Key =
    key("allmulti", Kind::Bool, "The interface receives all multicast frames").absent(AS_IT_IS);

const QUEUE: Key = key("txQLen", Kind::U32, "Length of the transmit queue, in packets")
    .absent(AS_IT_IS)
    .example("500");

const ETHTOOL: Key = key(
    "ethtool",
    Kind::Switches,
    "Offloads to be switched on or off, by the names that are listed below",
)
.absent("as they are")
.example(r#"{"tso": false}"#);

const DATA_DIRECTORY: Key = key("dataDir", Kind::Path, "Where what was there before is kept")
    .default("/run/cni/tuning")
    .example("/run/backups");
