//! One plugin's configuration, as far as the runtime side understands it.
//!
//! Sections "Plugin configuration objects" and "Deriving execution configuration from
//! plugin configuration" of the CNI specification. It must never understand the keys
//! that belong to a plugin.

use crate::error::CniError;
use crate::fields::Fields;
use crate::go_text::quote;
use crate::json::decode;
use crate::ordered::Node;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One plugin object of a list, or a whole single-plugin file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PluginConfig {
    /// The name of the executable.
    pub plugin_type: String,
    /// Its own `name`, empty when it has none; lists give theirs to every plugin.
    pub name: String,
    /// Its own `cniVersion`, empty when it has none.
    pub cni_version: String,
    /// The capabilities it declares, also those declared as `false`.
    pub capabilities: BTreeMap<String, bool>,
    /// The type of its IPAM plugin, empty when it has none.
    pub ipam_type: String,
    /// The whole object.
    pub raw: Map<String, Value>,
}

impl PluginConfig {
    /// Reads a plugin object from text.
    ///
    /// # Errors
    ///
    /// Code 7 `error parsing configuration: …`, for example with `missing 'type'`.
    pub fn parse(bytes: &[u8]) -> Result<PluginConfig, CniError> {
        PluginConfig::from_value(&decode(bytes).map_err(|reason| invalid(&reason))?)
    }

    /// Reads a plugin object.
    ///
    /// # Errors
    ///
    /// As [`PluginConfig::parse`].
    pub fn from_value(value: &Value) -> Result<PluginConfig, CniError> {
        let fields = Fields::new(value, "");
        let text = |fields: &Fields, key| fields.string(key).unwrap_or_default();
        let ipam = fields.object("ipam");
        let plugin = PluginConfig {
            plugin_type: text(&fields, "type"),
            name: text(&fields, "name"),
            cni_version: text(&fields, "cniVersion"),
            capabilities: fields
                .object("capabilities")
                .map(|map| booleans(&map))
                .unwrap_or_default(),
            ipam_type: ipam.map(|ipam| text(&ipam, "type")).unwrap_or_default(),
            raw: value.as_object().cloned().unwrap_or_default(),
        };
        match fields.finish() {
            Err(errors) => Err(invalid(&errors[0].to_string())),
            Ok(()) if plugin.plugin_type.is_empty() => Err(invalid("missing 'type'")),
            Ok(()) => Ok(plugin),
        }
    }

    /// The capabilities declared as `true`.
    pub fn enabled_capabilities(&self) -> impl Iterator<Item = &str> {
        self.capabilities.iter().filter(|(_, enabled)| **enabled).map(|(name, _)| name.as_str())
    }

    /// How error messages name this plugin: `type="x"`, or `type="x" name="y"` when the
    /// object has a name of its own.
    pub fn describe(&self) -> String {
        let plugin = format!("plugin type={}", quote(&self.plugin_type));
        if self.name.is_empty() {
            return plugin;
        }
        format!("{plugin} name={}", quote(&self.name))
    }

    /// The error a runtime reports when this plugin failed; `verb` is `add` or `delete`.
    #[must_use]
    pub fn failure(&self, verb: &str, error: CniError) -> CniError {
        error.prefixed(format_args!("{} failed ({verb})", self.describe()))
    }

    /// The object with some keys replaced, on one line with sorted keys.
    pub(crate) fn with(&self, injected: impl IntoIterator<Item = (String, Value)>) -> String {
        let mut object = self.raw.clone();
        object.extend(injected);
        Node::from(&Value::Object(object)).compact()
    }
}

fn invalid(reason: &str) -> CniError {
    CniError::invalid_config(format!("error parsing configuration: {reason}"))
}

fn booleans(map: &Fields) -> BTreeMap<String, bool> {
    let pairs = map.keys().into_iter();
    pairs.filter_map(|key| Some((key.to_owned(), map.bool(key)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_keys_a_runtime_needs_are_read_and_the_rest_is_kept() {
        let value = json!({
            "Type": "bridge", "name": "own", "bridge": "b0", "ipam": {"type": "host-local"},
            "capabilities": {"mac": true, "ips": false},
        });
        let plugin = PluginConfig::from_value(&value).unwrap();
        assert_eq!(
            (plugin.plugin_type.as_str(), plugin.ipam_type.as_str()),
            ("bridge", "host-local")
        );
        assert_eq!(plugin.enabled_capabilities().collect::<Vec<_>>(), ["mac"]);
        assert_eq!(plugin.raw["bridge"], "b0");
    }

    #[test]
    fn malformed_objects_are_refused() {
        for (text, expected) in [
            ("{}", "missing 'type'"),
            (r#"{"type": ""}"#, "missing 'type'"),
            ("", "unexpected end of JSON input"),
            ("[]", "json: cannot unmarshal array into Go value of type object"),
            (r#"{"type": 5}"#, "json: cannot unmarshal number into field type of type string"),
            (
                r#"{"type": "x", "capabilities": {"mac": "yes"}}"#,
                "json: cannot unmarshal string into field capabilities.mac of type bool",
            ),
        ] {
            let error = PluginConfig::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.code, 7);
            assert_eq!(error.msg, format!("error parsing configuration: {expected}"));
        }
    }

    #[test]
    fn failures_name_the_plugin_and_its_own_name_if_it_has_one() {
        let failure = |value: Value| {
            let error = CniError::internal("must be called as chained plugin").with_details("dd");
            PluginConfig::from_value(&value).unwrap().failure("add", error).to_string()
        };
        assert_eq!(
            failure(json!({"type": "portmap"})),
            r#"plugin type="portmap" failed (add): must be called as chained plugin; dd"#
        );
        assert_eq!(
            failure(json!({"type": "portmap", "name": "s"})),
            r#"plugin type="portmap" name="s" failed (add): must be called as chained plugin; dd"#
        );
    }
}
