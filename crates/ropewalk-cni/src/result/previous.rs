//! The result of the plugin before, as it stands in a configuration.
//!
//! It must never be merged into another result here; that is a plugin's decision.

use super::decode::known_version;
use super::types::CniResult;
use crate::error::CniError;
use crate::go_text::{kind_name, plain_list, quote};
use crate::json::lookup;
use crate::request::config_version;
use serde_json::Value;

/// Reads `prevResult` from a configuration.
///
/// It is decoded with the configuration's `cniVersion`. Its own, when it has one, must
/// share the result schema.
///
/// # Errors
///
/// Code 7 `could not parse prevResult: …`.
pub fn prev_result(config: &Value) -> Result<Option<CniResult>, CniError> {
    let Some(value) = config.as_object().and_then(|object| lookup(object, "prevResult")) else {
        return Ok(None);
    };
    parse(value, config).map(Some).map_err(|error| {
        let msg = format!("could not parse prevResult: {}", error.msg);
        CniError::invalid_config(msg).with_details(error.details)
    })
}

fn parse(value: &Value, config: &Value) -> Result<CniResult, CniError> {
    let Some(object) = value.as_object() else {
        let kind = kind_name(value);
        let place = "field prevResult of type object";
        return Err(CniError::internal(format!("json: cannot unmarshal {kind} into {place}")));
    };
    let config_version = config_version(config)?;
    let own = lookup(object, "cniVersion").and_then(Value::as_str).unwrap_or_default();
    check_family(own, &config_version)?;
    CniResult::from_value(value, &config_version)
}

/// Checks that a result's own version, if it has one, shares the schema of the version
/// it is to be decoded with.
///
/// # Errors
///
/// Code 999 `unsupported CNI result version "…"` or `result type supports […] but
/// unmarshalled CNIVersion is "…"`.
pub fn check_family(result_version: &str, config_version: &str) -> Result<(), CniError> {
    let versions = known_version(config_version)?.family().versions();
    if result_version.is_empty() || versions.contains(&result_version) {
        return Ok(());
    }
    let (supported, found) = (plain_list(&versions), quote(result_version));
    Err(CniError::internal(format!(
        "result type supports {supported} but unmarshalled CNIVersion is {found}"
    )))
}
