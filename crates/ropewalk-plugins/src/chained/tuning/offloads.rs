//! Offloads by the kernel's names, or by those that `ethtool -K` has for one or several of them.

use std::collections::BTreeMap;

use ropewalk_cni::Fields;
use ropewalk_netstate::resource::Offload;

/// Names of `ethtool`, short and long, and the kernel's. Of several, a link has some.
const ALIASES: &[(&str, &str, &[&str])] = &[
    ("rx", "rx-checksumming", &["rx-checksum"]),
    (
        "tx",
        "tx-checksumming",
        &[
            "tx-checksum-ipv4",
            "tx-checksum-ip-generic",
            "tx-checksum-ipv6",
            "tx-checksum-fcoe-crc",
            "tx-checksum-sctp",
        ],
    ),
    ("sg", "scatter-gather", &["tx-scatter-gather", "tx-scatter-gather-fraglist"]),
    (
        "tso",
        "tcp-segmentation-offload",
        &[
            "tx-tcp-segmentation",
            "tx-tcp-ecn-segmentation",
            "tx-tcp-mangleid-segmentation",
            "tx-tcp6-segmentation",
            "tx-tcp-accecn-segmentation",
        ],
    ),
    ("gso", "generic-segmentation-offload", &["tx-generic-segmentation"]),
    ("gro", "generic-receive-offload", &["rx-gro"]),
    ("lro", "large-receive-offload", &["rx-lro"]),
    ("rxvlan", "rx-vlan-offload", &["rx-vlan-hw-parse"]),
    ("txvlan", "tx-vlan-offload", &["tx-vlan-hw-insert"]),
    ("ntuple", "ntuple-filters", &["rx-ntuple-filter"]),
    ("rxhash", "receive-hashing", &["rx-hashing"]),
];

/// The offloads that an object names. The kernel's own names say more than others.
pub(super) fn read(fields: &Fields<'_>, key: &str) -> BTreeMap<String, Offload> {
    let Some(object) = fields.object(key) else { return BTreeMap::new() };
    let (mut general, mut exact) = (BTreeMap::new(), BTreeMap::new());
    for name in object.keys() {
        let Some(on) = object.bool(name) else { continue };
        match ALIASES.iter().find(|(short, long, _)| [*short, *long].contains(&name)) {
            Some((_, _, members)) => {
                let offload = Offload { on, optional: members.len() > 1 };
                general.extend(members.iter().map(|member| ((*member).to_owned(), offload)));
            }
            None => {
                exact.insert(name.to_owned(), Offload { on, optional: false });
            }
        }
    }
    general.extend(exact);
    general
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_of_ethtool_stands_for_all_that_it_switches_and_exact_names_win() {
        let config = json!({ "ethtool": { "tso": false, "tx-tcp6-segmentation": true } });
        let offloads = read(&Fields::new(&config, ""), "ethtool");
        assert_eq!(offloads.len(), 5);
        let tso = Offload { on: false, optional: true };
        assert_eq!(offloads["tx-tcp-segmentation"], tso);
        let exact = Offload { on: true, optional: false };
        assert_eq!(offloads["tx-tcp6-segmentation"], exact);
    }
}
