//! Parts of the kernel that configured networks need.

use alloc::{format, vec::Vec};

use super::{Lacking, checks::Fact, view::View};

/// A part of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its modules, any of which will do; the first is the one to load.
    pub modules: &'static [&'static str],
    /// Functions of theirs, by which a kernel without modules shows that it has the part.
    pub functions: &'static [&'static str],
    /// The kernel's option for it.
    pub option: &'static str,
}

const fn part(
    modules: &'static [&'static str],
    functions: &'static [&'static str],
    option: &'static str,
) -> Part {
    Part { modules, functions, option }
}

const VETH: Part = part(&["veth"], &["veth_setup"], "CONFIG_VETH");
const BRIDGE: Part = part(&["bridge"], &["br_dev_setup"], "CONFIG_BRIDGE");
const MACVLAN: Part = part(&["macvlan"], &["macvlan_setup"], "CONFIG_MACVLAN");
const IPVLAN: Part = part(&["ipvlan"], &["ipvlan_link_setup"], "CONFIG_IPVLAN");
const VLAN: Part = part(&["8021q"], &["vlan_setup"], "CONFIG_VLAN_8021Q");
const VRF: Part = part(&["vrf"], &["vrf_setup"], "CONFIG_NET_VRF");
const DUMMY: Part = part(&["dummy"], &["dummy_setup"], "CONFIG_DUMMY");
const TUN: Part = part(&["tun"], &["tun_setup"], "CONFIG_TUN");
const IFB: Part = part(&["ifb"], &["ifb_setup"], "CONFIG_IFB");
const TBF: Part = part(&["sch_tbf"], &["tbf_init"], "CONFIG_NET_SCH_TBF");
const INGRESS: Part = part(&["sch_ingress"], &["ingress_init"], "CONFIG_NET_SCH_INGRESS");
const MIRRED: Part = part(&["act_mirred"], &["tcf_mirred_init"], "CONFIG_NET_ACT_MIRRED");
const TRACKING: Part = part(&["nf_conntrack"], &["nf_conntrack_in"], "CONFIG_NF_CONNTRACK");
const FILTER: Part =
    part(&["nf_tables", "ip_tables"], &["nf_tables_newtable", "ipt_do_table"], "CONFIG_NF_TABLES");

/// What a plugin cannot do without.
pub fn needs(plugin: &str) -> &'static [Part] {
    match plugin {
        "bridge" => &[BRIDGE, VETH],
        "ptp" => &[VETH],
        "macvlan" => &[MACVLAN],
        "ipvlan" => &[IPVLAN],
        "vlan" => &[VLAN],
        "vrf" => &[VRF],
        "dummy" => &[DUMMY],
        "tap" => &[TUN],
        "bandwidth" => &[TBF, IFB, INGRESS, MIRRED],
        "portmap" => &[FILTER, TRACKING],
        "firewall" => &[FILTER],
        _ => &[],
    }
}

pub(super) fn lacking(view: &View<'_>) -> Vec<Fact> {
    let fact = |lacking: &Lacking| {
        let module = lacking.part.modules.first().copied().unwrap_or_default();
        Fact {
            object: format!("network {}", lacking.network),
            evidence: format!(
                "its plugin {} needs {module} ({}), which this kernel has not",
                lacking.plugin, lacking.part.option
            ),
            command: format!("modprobe {module}"),
            ..Fact::default()
        }
    };
    view.papers.lacking.iter().map(fact).collect()
}
