//! The configuration of `tuning`.

use std::{collections::BTreeMap, path::PathBuf};

use ropewalk_addr::Mac;
use ropewalk_cni::{CniError, Fields, Request, duplicate_keys, parse_args};
use ropewalk_netstate::resource::Offload;
use serde_json::Value;

use super::offloads;
use crate::config;

/// The configuration, checked. `None` leaves an attribute as it is.
#[derive(Debug)]
pub(crate) struct Config {
    /// In the order in which they are set, no name twice.
    pub(crate) sysctls: Vec<(String, String)>,
    pub(crate) mac: Option<Mac>,
    pub(crate) promiscuous: Option<bool>,
    pub(crate) mtu: Option<u32>,
    pub(crate) all_multicast: Option<bool>,
    pub(crate) queue_length: Option<u32>,
    pub(crate) offloads: BTreeMap<String, Offload>,
    pub(crate) data_directory: PathBuf,
}

const DEFAULT_DATA_DIRECTORY: &str = "/run/cni/tuning";

impl Config {
    pub(crate) fn read(request: &Request) -> Result<Self, CniError> {
        if duplicate_keys(&request.stdin, &["sysctl"]) {
            return Err(CniError::invalid_config("duplicated sysctl keys are not allowed"));
        }
        let args = parse_args(&request.args, &["MAC"])?;
        config::read(request, "", |fields| Self::from_fields(fields, args.get("MAC")))
    }

    /// `args.cni` beats `runtimeConfig` beats `CNI_ARGS` beats the configuration.
    fn from_fields(fields: &Fields<'_>, requested_mac: Option<&str>) -> Self {
        let mut config = Self {
            sysctls: sysctls(fields),
            mac: None,
            promiscuous: fields.bool("promisc"),
            mtu: positive(fields, "mtu"),
            all_multicast: fields.bool("allmulti"),
            queue_length: fields.u32("txQLen"),
            offloads: offloads::read(fields, "ethtool"),
            data_directory: fields
                .text("dataDir")
                .unwrap_or_else(|| DEFAULT_DATA_DIRECTORY.to_owned())
                .into(),
        };
        let mut mac = fields.text("mac");
        mac = requested_mac.map(str::to_owned).filter(|mac| !mac.is_empty()).or(mac);
        mac = fields.object("runtimeConfig").and_then(|runtime| runtime.text("mac")).or(mac);
        if let Some(args) = config::nested(fields, "args.cni") {
            mac = args.text("mac").or(mac);
            for sysctl in sysctls(&args) {
                match config.sysctls.iter_mut().find(|known| are_one(&known.0, &sysctl.0)) {
                    Some(known) => *known = sysctl,
                    None => config.sysctls.push(sysctl),
                }
            }
            config.offloads.extend(offloads::read(&args, "ethtool"));
            config.promiscuous = args.bool("promisc").or(config.promiscuous);
            config.mtu = positive(&args, "mtu").or(config.mtu);
            config.all_multicast = args.bool("allmulti").or(config.all_multicast);
            config.queue_length = args.u32("txQLen").or(config.queue_length);
        }
        config.mac = mac.and_then(|text| {
            let parsed = text.parse();
            if parsed.is_err() {
                let message = format!("invalid args {text} for MAC addr: invalid MAC address");
                fields.report_at("mac", message);
            }
            parsed.ok()
        });
        for (key, _) in &config.sysctls {
            if let Err(error) = sysctl_path(key, "IFNAME") {
                fields.report_path(format!("sysctl.{key}"), error.msg);
            }
        }
        config
    }
}

/// An object, whose keys are set in alphabetical order since tools sort them; or a list of objects
/// with one key each, which are set in the order of the list.
fn sysctls(fields: &Fields<'_>) -> Vec<(String, String)> {
    if !fields.value("sysctl").is_some_and(Value::is_array) {
        return fields.string_map("sysctl").unwrap_or_default().into_iter().collect();
    }
    let mut sysctls: Vec<(String, String)> = Vec::new();
    for entry in fields.objects("sysctl").unwrap_or_default() {
        let [name] = entry.keys()[..] else {
            entry.report("an entry of sysctl must have one name");
            continue;
        };
        if sysctls.iter().any(|(known, _)| are_one(known, name)) {
            entry.report("duplicated sysctl keys are not allowed");
        }
        sysctls.extend(entry.string(name).map(|value| (name.to_owned(), value)));
    }
    sysctls
}

/// Whether two names mean the same sysctl.
fn are_one(left: &str, right: &str) -> bool {
    left.replace('.', "/") == right.replace('.', "/")
}

/// Reads everything, so that `lint` finds what is wrong without a request.
pub(crate) fn lint(fields: &Fields<'_>) {
    Config::from_fields(fields, None);
}

/// 0 stands for "as it is".
fn positive(fields: &Fields<'_>, key: &str) -> Option<u32> {
    fields.u32(key).filter(|number| *number != 0)
}

/// The path below `/proc/sys` that a key means: dots are slashes, the first `IFNAME` is the
/// interface. Only parameters of the network can be set, since only those belong to the sandbox.
pub(crate) fn sysctl_path(key: &str, ifname: &str) -> Result<String, CniError> {
    let invalid = || CniError::invalid_config(format!("invalid net sysctl key: {key:?}"));
    let path = key.replace('.', "/").replacen("IFNAME", ifname, 1);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let stays_inside = !key.contains("..") && parts.len() > 1;
    if parts.first() == Some(&"net") && stays_inside { Ok(parts.join("/")) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parameters_of_the_network_have_a_path() {
        let path = |key: &str| sysctl_path(key, "eth0.7").ok();
        assert_eq!(path("net.core.somaxconn").as_deref(), Some("net/core/somaxconn"));
        assert_eq!(
            path("net/ipv4/conf/IFNAME/arp_filter").as_deref(),
            Some("net/ipv4/conf/eth0.7/arp_filter")
        );
        assert_eq!(path("kernel.shmmax"), None);
        assert_eq!(path("net/../kernel/shmmax"), None);
        assert_eq!(path("net"), None);
    }
}
