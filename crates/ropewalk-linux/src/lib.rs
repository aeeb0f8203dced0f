//! The Linux kernel as seen by Ropewalk: netlink, nftables, namespaces, sysctls.
