//! Parts of desired state that more than one plugin declares.

pub(crate) mod big_packets;
pub(crate) mod bridged_packets;
pub(crate) mod fast_path;
pub(crate) mod forward_accept;
pub(crate) mod iptables;
pub(crate) mod masquerade;
pub(crate) mod spoof_check;
