//! The fast path, `fastPath`: what containers on one bridge send to each other does not pass it.
//!
//! It must never get a packet past something that somebody relies on: what it would bypass is
//! refused beside it.

use ropewalk_addr::{Family, IfName, Mac};
use ropewalk_cni::{CniError, Fields};
use ropewalk_linux::Linux;
use ropewalk_netstate::{Desired, Lifetime, Owner, Place, resource::FastPath};

use crate::{
    describe::{Key, Kind, key},
    device::{Attachment, Given},
    feature::bridged_packets,
    names,
};

/// The key, for documentation and editors.
pub(crate) const FAST_PATH: Key = key(
    "fastPath",
    Kind::Word(&["ebpf"]),
    "What containers on the bridge that have it send to each other goes past the bridge, by an \
     eBPF program at the host's end of each pair. The interface gets a MAC that begins with \
     `0e:72`; one that is asked for is refused. It needs Linux 5.10 and a build that has it, and is refused where packets that stay \
     on the bridge pass a packet filter: `fastPath: \"cni0\" passes packets through iptables \
     (br_netfilter), which would not see them; hint: set net.bridge.bridge-nf-call-iptables and \
     -ip6tables to 0`",
)
.absent("no fast path")
.example("ebpf")
.refuses(&[("xdp", r#"unknown fast path "xdp""#)])
.not_with(&[
    ("promiscMode", "promiscMode cannot be used with fastPath, which it would not see"),
    ("portIsolation", "portIsolation cannot be used with fastPath, which it would not see"),
    ("vlan", "vlan cannot be used with fastPath, which it would not see"),
    ("vlanTrunk", "vlanTrunk cannot be used with fastPath, which it would not see"),
    ("macspoofchk", "macspoofchk cannot be used with fastPath, which it would not see"),
    ("chained", "fastPath cannot be used with chained"),
]);

/// The same key where there can be none.
pub(crate) const NO_FAST_PATH: Key = key(
    "fastPath",
    Kind::Word(&["ebpf"]),
    "What `bridge` has, and what cannot be here. ADD is refused: `fastPath: what containers of ptp \
     send to each other passes the host's packet filters and address translation, which would not \
     see it; hint: bridge has a fast path`",
)
.absent("no fast path")
.example("ebpf")
.refuses(&[("xdp", r#"unknown fast path "xdp""#)]);

/// Reads the key.
pub(crate) fn read(fields: &Fields<'_>) -> bool {
    match fields.text("fastPath").as_deref() {
        None => false,
        Some("ebpf") => true,
        Some(other) => {
            fields.report_at("fastPath", format!("unknown fast path {other:?}"));
            false
        }
    }
}

/// The end of the MAC, which follows from the attachment.
fn key_of(owner: &Owner) -> [u8; 4] {
    let hash = owner.hash();
    [0, 2, 4, 6].map(|at| u8::from_str_radix(&hash[at..at + 2], 16).unwrap_or_default())
}

/// The MAC of an attachment's interface.
pub(crate) fn mac(owner: &Owner) -> Mac {
    FastPath::mac(key_of(owner))
}

/// Whether the host can have one past this bridge.
pub(crate) fn possible(kernel: &mut Linux, bridge: &IfName) -> Result<(), String> {
    if let Some(obstacle) = kernel.fast_path_obstacle(bridge) {
        return Err(format!("fastPath: {obstacle}"));
    }
    let is_filtered = |family| bridged_packets::are_filtered(kernel, family);
    if [Family::V4, Family::V6].into_iter().any(is_filtered) {
        return Err(format!(
            "fastPath: {:?} passes packets through iptables (br_netfilter), which would not see \
             them; hint: set net.bridge.bridge-nf-call-iptables and -ip6tables to 0",
            &**bridge
        ));
    }
    Ok(())
}

/// Whether something of a container can be that would look at packets where its fast path has
/// already taken them away.
pub(crate) fn beside(kernel: &mut Linux, host_end: &IfName, what: &str) -> Result<(), String> {
    if kernel.has_fast_path(host_end) {
        let (host_end, what) = (&**host_end, what);
        return Err(format!(
            "{what} would not see what containers send on the fast path of {host_end:?}; hint: \
             leave fastPath out of the bridge plugin's configuration, or {what}"
        ));
    }
    Ok(())
}

/// Says why it cannot be.
pub(crate) fn refuse(given: &Given) -> Result<(), CniError> {
    let reason = given.facts.fast_path.as_ref();
    reason.map_err(|reason| CniError::invalid_config(reason.clone())).copied()
}

/// The program knows a container by its MAC.
pub(crate) fn refused_mac() -> CniError {
    CniError::invalid_config(
        "fastPath gives the interface a MAC of its own, so that none can be asked for",
    )
}

/// Whoever routes has filters and translations that others rely on.
pub(crate) fn refused_routing() -> CniError {
    CniError::invalid_config(
        "fastPath: what containers of ptp send to each other passes the host's packet filters and \
         address translation, which would not see it; hint: bridge has a fast path",
    )
}

/// Declares that of an attachment's pair, behind the pair.
pub(crate) fn declare(
    desired: &mut Desired,
    attachment: &Attachment,
    given: &Given,
    bridge: &IfName,
) -> Result<(), CniError> {
    if given.deleting {
        // It goes with the pair.
        return Ok(());
    }
    refuse(given)?;
    let link = names::host_interface(&attachment.owner);
    let path = FastPath::new(link, bridge.clone(), key_of(&attachment.owner));
    desired.push(Place::Host, Lifetime::Dependent, path);
    Ok(())
}

#[cfg(all(test, not(feature = "ebpf")))]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_it_says_which_one_has_it() {
        let bridge = "cni0".parse().expect("a valid name");
        let reason = possible(&mut Linux::host_only(), &bridge).unwrap_err();
        assert_eq!(
            reason,
            "fastPath: this build has no eBPF; hint: `cargo xtask dist --ebpf` makes one that has"
        );
    }
}
