//! Every CNI plugin of Ropewalk. A plugin is one pure function from configuration and attachment
//! to desired state ([`device`]); the verbs are the same for all of them.
//!
//! It must never write anything but the protocol to standard output.

mod chained;
mod config;
pub mod describe;
pub mod device;
mod feature;
#[cfg(test)]
mod fuzz;
mod hand_over;
mod interface;
mod ipam;
mod layer3;
mod link_first;
mod lint;
mod names;
mod owned;
mod packet_filters;
mod preview;
mod program;
pub mod table;
mod texts;
mod verbs;

pub use hand_over::{Form, hand_over, preview_hand_over};
pub use ipam::{
    Gate, IpamPlugin, SlowIpam, dhcp::run_daemon as run_dhcp_daemon, host_local::ranges::Range, sql,
};
pub use lint::{Remark, RemarkKind, lint, suggestion};
pub use owned::{forget, owned, owner_of_chain};
pub use preview::{Preview, preview};
pub use program::{is_plugin, main, multi_call, names};
