//! The kernel modules that a test host can load, by the names of the kernel.
//!
//! What others depend on comes with them. A plugin that asks for a kind of link or rule that is not
//! here fails in the virtual machine alone: add the module.

use std::path::PathBuf;

/// What the first process needs to reach the machine's files.
const MACHINE: &[&str] = &["virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_net"];

/// Kinds of links.
const LINKS: &[&str] = &[
    "8021q", "bonding", "bridge", "dummy", "ifb", "ip_gre", "ipvlan", "ipvtap", "macvlan",
    "macvtap", "tap", "tun", "veth", "vrf", "vxlan",
];

/// Queueing disciplines, classifiers and actions.
const TRAFFIC_CONTROL: &[&str] = &[
    "act_gact",
    "act_mirred",
    "act_police",
    "cls_flower",
    "cls_fw",
    "cls_matchall",
    "cls_u32",
    "sch_fq_codel",
    "sch_htb",
    "sch_ingress",
    "sch_netem",
    "sch_tbf",
];

/// nftables, with what iptables-nft needs of it.
const NFTABLES: &[&str] = &[
    "nf_conntrack_bridge",
    "nf_conntrack_ftp",
    "nf_conntrack_netlink",
    "nf_flow_table_inet",
    "nf_tables",
    "nft_chain_nat",
    "nft_compat",
    "nft_connlimit",
    "nft_ct",
    "nft_fib_inet",
    "nft_fib_ipv4",
    "nft_fib_ipv6",
    "nft_flow_offload",
    "nft_hash",
    "nft_limit",
    "nft_log",
    "nft_masq",
    "nft_meta_bridge",
    "nft_nat",
    "nft_numgen",
    "nft_objref",
    "nft_quota",
    "nft_redir",
    "nft_reject_bridge",
    "nft_reject_inet",
    "nft_reject_ipv4",
    "nft_reject_ipv6",
    "nft_synproxy",
];

/// iptables' own tables, and the matches and targets that both kinds of iptables share.
const IPTABLES: &[&str] = &[
    "br_netfilter",
    "ip6t_REJECT",
    "ip6t_rpfilter",
    "ip6table_filter",
    "ip6table_mangle",
    "ip6table_nat",
    "ip6table_raw",
    "ipt_REJECT",
    "ipt_rpfilter",
    "iptable_filter",
    "iptable_mangle",
    "iptable_nat",
    "iptable_raw",
    "xt_CT",
    "xt_LOG",
    "xt_MASQUERADE",
    "xt_NETMAP",
    "xt_NFLOG",
    "xt_REDIRECT",
    "xt_TCPMSS",
    "xt_addrtype",
    "xt_comment",
    "xt_connmark",
    "xt_conntrack",
    "xt_iprange",
    "xt_limit",
    "xt_mac",
    "xt_mark",
    "xt_multiport",
    "xt_nat",
    "xt_owner",
    "xt_physdev",
    "xt_pkttype",
    "xt_sctp",
    "xt_set",
    "xt_state",
    "xt_statistic",
    "xt_tcpudp",
    "ip_set_hash_ip",
    "ip_set_hash_net",
];

/// What the kernel asks for under names that no module lists as its dependency.
const OTHERS: &[&str] = &["crc32c_generic", "af_packet", "unix_diag", "inet_diag", "tcp_diag"];

/// All of them.
pub(super) fn wanted() -> impl Iterator<Item = &'static str> {
    let groups = [MACHINE, LINKS, TRAFFIC_CONTROL, NFTABLES, IPTABLES, OTHERS];
    groups.into_iter().flatten().copied()
}

/// Reads what `modprobe --show-depends` prints: the files to load; what is built in has none.
pub(super) fn files(printed: &str) -> impl Iterator<Item = PathBuf> {
    let files = printed.lines().filter_map(|line| line.strip_prefix("insmod "));
    // Options of a module may follow its file.
    files.filter_map(|line| line.split_whitespace().next()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_module_is_wanted_twice() {
        let names: BTreeSet<&str> = wanted().collect();
        assert_eq!(names.len(), wanted().count());
    }

    #[test]
    fn files_are_read_and_what_is_built_in_is_passed_over() {
        let printed = "insmod /a/stp.ko \nbuiltin unix\ninsmod /a/bridge.ko option=1\n";
        let expected = [PathBuf::from("/a/stp.ko"), PathBuf::from("/a/bridge.ko")];
        assert_eq!(files(printed).collect::<Vec<_>>(), expected);
    }
}
