//! The CNI protocol: requests, configurations, results, errors and versions.
//!
//! This crate is what both sides of CNI need to agree on, and nothing else: it turns
//! environment variables and standard input into a [`Request`], results and errors into
//! the text for standard output, and back again. It covers the specification versions
//! 0.1.0 to 1.1.0 in both directions.
//!
//! It must never touch the world: no files, sockets, processes or environment. The caller
//! reads and writes, and hands the text in.
//!
//! ```
//! use ropewalk_cni::{ALL, Command, Environment, Request};
//!
//! let environment = Environment::read(|name| match name {
//!     "CNI_COMMAND" => Some("DEL".to_owned()),
//!     "CNI_CONTAINERID" => Some("c1".to_owned()),
//!     "CNI_IFNAME" => Some("eth0".to_owned()),
//!     "CNI_PATH" => Some("/opt/cni/bin".to_owned()),
//!     _ => None,
//! });
//! let stdin = br#"{"cniVersion": "1.1.0", "name": "lan", "type": "bridge"}"#;
//! let request = Request::parse(environment, stdin, ALL)?;
//! assert_eq!(request.command, Command::Del);
//! assert_eq!(request.network, "lan");
//! # Ok::<(), ropewalk_cni::CniError>(())
//! ```

pub mod args;
pub mod attachments;
pub mod cache;
pub mod cidr;
pub mod delegate;
pub mod error;
pub mod fields;
pub mod json;
pub mod list;
pub mod names;
pub mod plugin;
pub mod probe;
pub mod request;
pub mod result;
pub mod version;

mod duplicates;
#[cfg(test)]
mod fuzz;
mod go_text;
mod ordered;

pub use args::{CniArgs, parse_args, parse_args_leniently};
pub use attachments::{AttachmentId, ValidAttachments, valid_attachments};
pub use cache::CacheEntry;
pub use cidr::Cidr;
pub use delegate::{ExitKind, find_plugin, interpret, interpret_quiet};
pub use error::{CniError, ErrorCode};
pub use fields::{FieldError, Fields, config_error};
pub use json::{duplicate_keys, parse_json};
pub use list::NetworkList;
pub use names::{
    check_container_id, check_interface_name, check_network_name, valid_container_id,
    valid_network_name,
};
pub use plugin::PluginConfig;
pub use request::{Command, Environment, Request, validate, wants_about};
pub use result::{CniResult, Dns, Interface, IpConfig, RouteConfig, prev_result};
pub use version::{ALL, Version, about, admit, version_document};
