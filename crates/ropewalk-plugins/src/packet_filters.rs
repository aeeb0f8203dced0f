//! Whether the host has the packet filters that a desired state is made with. It never chooses one:
//! that is done when the state is declared.

use ropewalk_addr::Family;
use ropewalk_cni::CniError;
use ropewalk_linux::Linux;
use ropewalk_netstate::{Desired, Item, Lifetime, Resource, resource::iptables};

const ONLY_NFTABLES: &str = "hint: load the kernel's module nf_tables, or leave out what nothing \
     else can do: \"backend\" or \"ipMasqBackend\" nftables, conditions in its words, macspoofchk";

const ONLY_IPTABLES: &str = "hint: install it, or leave out what nothing else can do: \"backend\" \
     or \"ipMasqBackend\" iptables, conditions in its words, externalSetMarkChain, \
     iptablesAdminChainName";

/// Refuses what the host's packet filters cannot serve: half of an ADD would be made before a kernel
/// or a program that is not there says no.
pub(crate) fn refuse_missing(kernel: &mut Linux, desired: &Desired) -> Result<(), CniError> {
    let is_made = |item: &&Item| item.lifetime != Lifetime::Predecessor;
    let made = || desired.items().iter().filter(is_made).map(|item| &item.resource);
    if made().any(is_of_nftables) && !kernel.nft_usable() {
        let message = "the configuration needs nf_tables, which this kernel does not have";
        return Err(CniError::internal(message).with_details(ONLY_NFTABLES));
    }
    match made().filter_map(iptables_family).find(|family| !Linux::iptables_usable(*family)) {
        Some(family) => {
            let program = iptables::program(family);
            let message = format!("exec: {program:?}: executable file not found in $PATH");
            Err(CniError::internal(message).with_details(ONLY_IPTABLES))
        }
        None => Ok(()),
    }
}

fn is_of_nftables(resource: &Resource) -> bool {
    resource.is_packet_filter() && iptables_family(resource).is_none()
}

fn iptables_family(resource: &Resource) -> Option<Family> {
    match resource {
        Resource::IptablesChain(chain) => Some(chain.family),
        Resource::IptablesRule(rule) => Some(rule.family),
        _ => None,
    }
}
