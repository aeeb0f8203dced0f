//! Whether packets that stay on a bridge pass the host's packet filters as routed ones do
//! (`br_netfilter`). A host that cannot be asked filters none.

use ropewalk_addr::{Family, IfName};
use ropewalk_linux::Linux;
use ropewalk_netstate::{Kernel, Place, Probe, Resource, resource::Sysctl};

/// Whether packets of a family do.
pub(crate) fn are_filtered(kernel: &mut Linux, family: Family) -> bool {
    let parameter = match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    };
    let path = format!("net/bridge/bridge-nf-call-{parameter}");
    let wanted: Resource = Sysctl::optional(path, "1").into();
    let probe = Probe { place: Place::Host, resource: &wanted };
    let observed = kernel.observe(&[probe]).unwrap_or_default();
    let found = observed.find(Place::Host, &wanted.key());
    found.is_some_and(|found| wanted.compare(found).is_empty())
}

/// The port of a bridge that the container's interface is joined to.
pub(crate) fn port(kernel: &mut Linux, ifname: &IfName) -> Option<IfName> {
    kernel.host_port(ifname).ok().flatten()
}
