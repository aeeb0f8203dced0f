//! The configuration of `dhcp`, read by the plugin and, out of what the plugin passes on, by the
//! daemon.

use std::path::PathBuf;

use ropewalk_addr::Family;
use ropewalk_cni::{CniArgs, CniError, Fields, Request, parse_args_leniently};
use ropewalk_dhcp::option;
use serde_json::Value;

use crate::config;

/// Where the daemon listens unless told otherwise.
pub(super) const DEFAULT_SOCKET: &str = "/run/cni/dhcp.sock";

/// What is asked for besides what the configuration names. Routes with masks come before those
/// that they replace (RFC 3442).
const WANTED: [u8; 10] = [
    option::SUBNET_MASK,
    option::CLASSLESS_ROUTES,
    option::ROUTERS,
    option::STATIC_ROUTES,
    option::NAME_SERVERS,
    option::DOMAIN_NAME,
    option::DOMAIN_SEARCH,
    option::INTERFACE_MTU,
    option::RENEWAL_TIME,
    option::REBINDING_TIME,
];

/// The longest value of a provided option.
const LONGEST: usize = 255;

/// The configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// Where the daemon listens.
    pub(super) socket: PathBuf,
    /// The priority of all routes.
    pub(super) priority: Option<u32>,
    /// Options of our messages.
    pub(super) provided: Vec<(u8, Vec<u8>)>,
    /// Options that are asked for.
    pub(super) wanted: Vec<u8>,
    /// Who we say we are.
    pub(super) identifier: Identifier,
    /// The families of which an address is leased, in this order.
    pub(super) families: Vec<Family>,
    /// Whether answers must be broadcast; by default where the link needs it.
    pub(super) broadcast: Option<bool>,
}

/// What a server knows a client by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identifier {
    /// Container, network and interface, as with the reference plugin.
    Attachment,
    /// The hardware address, as most other clients do.
    Mac,
}

impl Config {
    /// The configuration of a request.
    pub(super) fn of(request: &Request) -> Result<Self, CniError> {
        Self::read(&request.raw, &request.args)
    }

    /// The configuration out of its JSON and `CNI_ARGS`.
    pub(super) fn read(raw: &Value, args: &str) -> Result<Self, CniError> {
        let fields = Fields::new(raw, "");
        let config = read(&fields, &parse_args_leniently(args));
        config::finish(&fields, "")?;
        Ok(config)
    }
}

/// Reads everything, so that `lint` finds what is wrong without a request.
pub(crate) fn lint(fields: &Fields<'_>) {
    if let Some(ipam) = fields.object("ipam") {
        ipam.allow(&["type"]);
    }
    read(fields, &CniArgs::default());
}

fn read(fields: &Fields<'_>, args: &CniArgs) -> Config {
    let mut config = Config {
        socket: PathBuf::from(DEFAULT_SOCKET),
        priority: None,
        provided: Vec::new(),
        wanted: WANTED.to_vec(),
        identifier: Identifier::Attachment,
        families: vec![Family::V4],
        broadcast: None,
    };
    let Some(ipam) = fields.object("ipam") else { return config };
    if let Some(path) = ipam.text("daemonSocketPath") {
        config.socket = path.into();
    }
    config.priority = ipam.u32("priority").filter(|priority| *priority != 0);
    config.broadcast = ipam.bool("broadcast");
    if let Some(identifier) = ipam.parsed("clientId", parse_identifier) {
        config.identifier = identifier;
    }
    if let Some(families) = families(&ipam) {
        config.families = families;
    }
    let provided = ipam.objects("provide").unwrap_or_default();
    config.provided = provided.iter().flat_map(|entry| provide(entry, args)).collect();
    config.wanted = wanted(&ipam);
    config
}

fn parse_identifier(text: &str) -> Result<Identifier, String> {
    match text {
        "" | "attachment" => Ok(Identifier::Attachment),
        "mac" => Ok(Identifier::Mac),
        _ => Err(format!("invalid clientId {text:?} (must be \"attachment\" or \"mac\")")),
    }
}

fn families(ipam: &Fields<'_>) -> Option<Vec<Family>> {
    let mut families = Vec::new();
    for (index, name) in ipam.strings("families")?.iter().enumerate() {
        let family = match &**name {
            "ipv4" => Family::V4,
            "ipv6" => Family::V6,
            _ => {
                let path = format!("{}[{index}]", ipam.path_of("families"));
                let message = format!("invalid family {name:?} (must be \"ipv4\" or \"ipv6\")");
                ipam.report_path(path, message);
                continue;
            }
        };
        if !families.contains(&family) {
            families.push(family);
        }
    }
    if families.is_empty() {
        ipam.report_at("families", "must name \"ipv4\", \"ipv6\" or both");
    }
    Some(families)
}

/// The option of an entry with its values: the configured one, then the one of `CNI_ARGS`, which
/// wins.
fn provide(entry: &Fields<'_>, args: &CniArgs) -> Vec<(u8, Vec<u8>)> {
    let name = entry.string("option").unwrap_or_default();
    let code = option_of(entry, &name);
    let own = entry.text("value");
    let key = entry.string("fromArg").unwrap_or_default();
    let from_argument = args.get(&key).filter(|_| !key.is_empty()).map(str::to_owned);
    if own.as_ref().is_some_and(|value| value.len() > LONGEST) {
        let value = own.clone().unwrap_or_default();
        entry.report_at("value", format!("value too long for option {name:?}: {value:?}"));
    }
    if from_argument.as_ref().is_some_and(|value| value.len() > LONGEST) {
        let message = format!("value too long for option {name:?} from CNI_ARGS {key:?}");
        entry.report_at("fromArg", message);
    }
    let values = own.into_iter().chain(from_argument);
    values.filter_map(|value| Some((code?, value.into_bytes()))).collect()
}

fn wanted(ipam: &Fields<'_>) -> Vec<u8> {
    let mut codes = Vec::new();
    let mut skips_default = false;
    for entry in ipam.objects("request").unwrap_or_default() {
        let skips = entry.bool("skipDefault") == Some(true);
        skips_default |= skips;
        let name = entry.string("option").unwrap_or_default();
        // An entry may do nothing but turn the default off.
        if !(skips && name.is_empty()) {
            codes.extend(option_of(&entry, &name));
        }
    }
    if !skips_default {
        codes.extend(WANTED);
    }
    let mut unique = Vec::new();
    for code in codes {
        if !unique.contains(&code) {
            unique.push(code);
        }
    }
    unique
}

/// An option by its name or number, in the words of the reference plugin.
fn option_of(entry: &Fields<'_>, name: &str) -> Option<u8> {
    let number = || {
        let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        let reason = if is_number { "value out of range" } else { "invalid syntax" };
        let number = name.parse().ok().filter(|_| is_number);
        if number.is_none() {
            let reason = format!("strconv.ParseUint: parsing {name:?}: {reason}");
            entry.report_at("option", format!("Can not parse option {name:?}: {reason}"));
        }
        number
    };
    option::named(name).or_else(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn config(ipam: &Value, args: &str) -> Config {
        Config::read(&json!({ "ipam": ipam }), args).unwrap()
    }

    #[track_caller]
    fn message(ipam: &Value) -> String {
        Config::read(&json!({ "ipam": ipam }), "").unwrap_err().msg
    }

    #[test]
    fn options_have_names_and_numbers() {
        let provide = json!({ "provide": [
            { "option": "host-name", "value": "web" },
            { "option": "60", "fromArg": "CLASS", "value": "x" },
            { "option": "77", "fromArg": "NOBODY" },
        ] });
        let provided = config(&provide, "IgnoreUnknown=1;CLASS=y").provided;
        assert_eq!(provided, [(12, b"web".to_vec()), (60, b"x".to_vec()), (60, b"y".to_vec())]);
        let bad = |option: &str| message(&json!({ "provide": [{ "option": option }] }));
        assert_eq!(
            bad("hostname"),
            r#"Can not parse option "hostname": strconv.ParseUint: parsing "hostname": invalid syntax"#
        );
        assert!(bad("256").ends_with(r#"parsing "256": value out of range"#));
        assert!(bad("").ends_with(r#"parsing "": invalid syntax"#));
        let long = "x".repeat(256);
        let long = json!({ "provide": [{ "option": "12", "value": long }] });
        assert!(message(&long).starts_with(r#"value too long for option "12": "#));
    }

    #[test]
    fn the_default_options_are_asked_for_unless_they_are_skipped() {
        let wanted = |request: &Value| config(&json!({ "request": request }), "").wanted;
        assert_eq!(wanted(&json!([])), WANTED);
        assert_eq!(wanted(&json!([{ "option": "42" }]))[..2], [42, 1]);
        let skipped = json!([{ "option": "routers" }, { "option": "1", "skipDefault": true }]);
        assert_eq!(wanted(&skipped), [3, 1]);
        assert_eq!(wanted(&json!([{ "skipDefault": true }])), [0; 0]);
    }

    #[test]
    fn families_are_named_and_ipv4_is_the_default() {
        let families = |names: &Value| config(&json!({ "families": names }), "").families;
        assert_eq!(config(&json!({}), "").families, [Family::V4]);
        assert_eq!(families(&json!(["ipv6"])), [Family::V6]);
        assert_eq!(families(&json!(["ipv6", "ipv4", "ipv6"])), [Family::V6, Family::V4]);
        let bad = |names: &Value| message(&json!({ "families": names }));
        assert!(bad(&json!(["ip"])).starts_with("invalid family \"ip\" (must be"));
        assert_eq!(bad(&json!([])), "must name \"ipv4\", \"ipv6\" or both");
    }

    #[test]
    fn the_rest_has_defaults() {
        let config = config(&json!({ "priority": 0, "daemonSocketPath": "" }), "");
        assert_eq!((config.priority, config.broadcast), (None, None));
        assert_eq!(config.socket, PathBuf::from(DEFAULT_SOCKET));
        assert_eq!(
            message(&json!({ "clientId": "duid" })),
            "invalid clientId \"duid\" (must be \"attachment\" or \"mac\")"
        );
    }
}
