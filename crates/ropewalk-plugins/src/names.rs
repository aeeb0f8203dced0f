//! Names that stand for an attachment, so that DEL needs to know nothing else; and the names the
//! reference plugins derive, which tools and older DELs know.

use std::fmt::Write as _;

use ropewalk_addr::IfName;
use ropewalk_netstate::Owner;
use sha2::{Digest, Sha512};

/// The host end of an attachment's veth pair: `veth` and 44 bits of the attachment's hash.
pub(crate) fn host_interface(owner: &Owner) -> IfName {
    format!("veth{}", &owner.hash()[..11]).parse().expect("15 plain characters are a name")
}

/// The first `length` hexadecimal digits of the SHA-512 digest of the parts joined.
pub(crate) fn sha512_hex(parts: &[&str], length: usize) -> String {
    let digest = Sha512::digest(parts.concat());
    let mut text = String::with_capacity(128);
    for byte in digest {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.truncate(length);
    text
}

/// The reference plugins' masquerade chain of a container on a network.
pub(crate) fn masquerade_chain(owner: &Owner) -> String {
    format!("CNI-{}", sha512_hex(&[&owner.network, &owner.container], 24))
}

/// The reference plugins' port mapping chain of a container on a network.
pub(crate) fn port_chain(owner: &Owner) -> String {
    format!("CNI-DN-{}", sha512_hex(&[&owner.network, &owner.container], 21))
}

/// The reference plugins' link for what a container on a network sends, whatever the interface.
pub(crate) fn shaper(owner: &Owner) -> IfName {
    shaper_of(&sha512_hex(&[&owner.network, &owner.container], 12))
}

/// The link for what an interface sends. `eth0` has the reference plugins' name, so that either DEL
/// finds it; other interfaces of the container have their own. Names cannot contain NUL.
pub(crate) fn own_shaper(owner: &Owner) -> IfName {
    if owner.interface == "eth0" {
        return shaper(owner);
    }
    shaper_of(&sha512_hex(&[&owner.network, "\0", &owner.container, "\0", &owner.interface], 12))
}

fn shaper_of(hash: &str) -> IfName {
    format!("bwp{hash}").parse().expect("15 plain characters are a name")
}

/// The start of the comment on the reference plugins' nftables masquerade rules.
pub(crate) fn masquerade_comment(owner: &Owner) -> String {
    let network = sha512_hex(&[&owner.network], 16);
    let attachment = sha512_hex(&[&owner.interface, ":", &owner.container], 16);
    format!("{network}-{attachment}")
}

/// The comment on the reference plugins' iptables rules.
pub(crate) fn rule_comment(owner: &Owner) -> String {
    let Owner { network, container, .. } = owner;
    format!("name: \"{network}\" id: \"{container}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_depend_on_the_attachment_alone() {
        let owner = |interface: &str| Owner {
            network: "lan".into(),
            container: "c1".into(),
            interface: interface.into(),
        };
        assert_eq!(host_interface(&owner("eth0")), host_interface(&owner("eth0")));
        assert_ne!(host_interface(&owner("eth0")), host_interface(&owner("eth1")));
        assert_eq!(&*own_shaper(&owner("eth0")), "bwp78be48db7a08");
        assert_eq!(shaper(&owner("eth1")), own_shaper(&owner("eth0")));
        assert_ne!(own_shaper(&owner("eth1")), own_shaper(&owner("eth0")));
        assert_eq!(masquerade_chain(&owner("eth0")).len(), 28);
        assert_eq!(port_chain(&owner("eth0")).len(), 28);
    }
}
