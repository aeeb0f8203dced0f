//! The document a runtime keeps for every attachment.
//!
//! It holds what CHECK and DEL need later: the final result, the list as it was, and
//! what the runtime passed. The format is libcni's, so that either can take over from
//! the other. It must never know where the file is.

use crate::error::{CniError, ErrorCode};
use crate::fields::Fields;
use crate::go_text::quote;
use crate::json::{decode, lookup};
use crate::ordered::Node;
use crate::request::config_version;
use crate::result::CniResult;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// The value of `kind` in documents of this format.
pub const KIND: &str = "cniCacheV1";

/// What is kept for one attachment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheEntry {
    /// The container's id.
    pub container_id: String,
    /// The text of the list that was used.
    pub config: Vec<u8>,
    /// The interface's name inside the container.
    pub if_name: String,
    /// The network's name.
    pub network_name: String,
    /// Path of the network namespace, empty when there was none.
    pub netns: String,
    /// The pairs of `CNI_ARGS`.
    pub cni_args: Vec<(String, String)>,
    /// Everything the runtime passed for capabilities, declared or not.
    pub capability_args: Map<String, Value>,
    /// The final result, in the list's version.
    pub result: Option<Value>,
}

/// The file name of an attachment in the folder of results.
pub fn file_name(network: &str, container_id: &str, ifname: &str) -> String {
    format!("{network}-{container_id}-{ifname}")
}

impl CacheEntry {
    /// The document: one line, keys in the order libcni writes them, empty ones omitted.
    pub fn to_json(&self) -> String {
        let mut pairs = Vec::new();
        let mut add = |key: &str, node| pairs.push((key.to_owned(), node));
        add("kind", Node::text(KIND));
        add("containerId", Node::text(&self.container_id));
        add("config", Node::text(STANDARD.encode(&self.config)));
        add("ifName", Node::text(&self.if_name));
        add("networkName", Node::text(&self.network_name));
        if !self.netns.is_empty() {
            add("netns", Node::text(&self.netns));
        }
        if !self.cni_args.is_empty() {
            let pair = |(key, value): &(String, String)| {
                Node::Array(vec![Node::text(key), Node::text(value)])
            };
            add("cniArgs", Node::Array(self.cni_args.iter().map(pair).collect()));
        }
        if !self.capability_args.is_empty() {
            add("capabilityArgs", Node::from(&Value::Object(self.capability_args.clone())));
        }
        if let Some(result) = &self.result {
            add("result", Node::from(result));
        }
        Node::Object(pairs).compact()
    }

    /// Reads a document of this format and no other.
    ///
    /// # Errors
    ///
    /// Code 999 `failed to unmarshal cached network "…" config: …` for broken text, and
    /// `read cached network "…" config has wrong kind: …` for another format.
    pub fn from_json(network: &str, bytes: &[u8]) -> Result<CacheEntry, CniError> {
        let broken = |reason: &str| {
            let network = quote(network);
            CniError::internal(format!(
                "failed to unmarshal cached network {network} config: {reason}"
            ))
        };
        let value = decode(bytes).map_err(|reason| broken(&reason))?;
        let fields = Fields::new(&value, "");
        let kind = fields.string("kind").unwrap_or_default();
        let entry = read(&fields);
        if let Err(errors) = fields.finish() {
            return Err(broken(&errors[0].to_string()));
        }
        if kind != KIND {
            let network = quote(network);
            let msg = format!("read cached network {network} config has wrong kind: {kind}");
            return Err(CniError::internal(msg));
        }
        Ok(entry)
    }

    /// The result as later plugins get it, whatever version it was kept in.
    ///
    /// # Errors
    ///
    /// As [`cached_result`].
    pub fn decoded_result(&self) -> Result<Option<CniResult>, CniError> {
        self.result.as_ref().map(decode_result).transpose()
    }
}

/// Reads the result out of a cache file in this format or the older one, where the file
/// is the bare result.
///
/// # Errors
///
/// Code 6 `decoding version from network config: …` for text that is not JSON, else what
/// is wrong with the result.
pub fn cached_result(bytes: &[u8]) -> Result<Option<CniResult>, CniError> {
    let value = decode(bytes).map_err(|reason| {
        let msg = format!("decoding version from network config: {reason}");
        CniError::new(ErrorCode::Decode, msg)
    })?;
    let object = value.as_object();
    let is_entry =
        object.and_then(|object| lookup(object, "kind")).is_some_and(|kind| kind == KIND);
    if !is_entry {
        return decode_result(&value).map(Some);
    }
    object.and_then(|object| lookup(object, "result")).map(decode_result).transpose()
}

fn decode_result(value: &Value) -> Result<CniResult, CniError> {
    CniResult::from_value(value, &config_version(value)?)
}

fn read(fields: &Fields) -> CacheEntry {
    let text = |key| fields.string(key).unwrap_or_default();
    let config = fields.parsed("config", |text| STANDARD.decode(text));
    CacheEntry {
        container_id: text("containerId"),
        config: config.unwrap_or_default(),
        if_name: text("ifName"),
        network_name: text("networkName"),
        netns: text("netns"),
        cni_args: read_pairs(fields),
        capability_args: read_capability_args(fields),
        result: fields.value("result").cloned(),
    }
}

fn read_pairs(fields: &Fields) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (path, element) in fields.array("cniArgs").unwrap_or_default() {
        let halves = fields.read_array(&path, element).unwrap_or_default();
        let mut texts = halves.iter().map(|(path, half)| fields.read_string(path, half));
        let mut next = || texts.next().flatten().unwrap_or_default();
        pairs.push((next(), next()));
    }
    pairs
}

fn read_capability_args(fields: &Fields) -> Map<String, Value> {
    let inner = fields.object("capabilityArgs");
    let value = inner.and_then(|_| fields.value("capabilityArgs")).and_then(Value::as_object);
    value.cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry() -> CacheEntry {
        let capability_args = json!({"mac": "02:00:00:00:00:01", "dns": {"b": 1, "a": 2}});
        CacheEntry {
            container_id: "c1".to_owned(),
            config: b"{\"name\":\"lan\"}".to_vec(),
            if_name: "eth0".to_owned(),
            network_name: "lan".to_owned(),
            netns: "/run/netns/c1".to_owned(),
            cni_args: vec![("IgnoreUnknown".to_owned(), "1".to_owned())],
            capability_args: capability_args.as_object().cloned().unwrap(),
            result: Some(json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24"}]})),
        }
    }

    #[test]
    fn a_full_document_has_libcnis_key_order() {
        let expected = concat!(
            r#"{"kind":"cniCacheV1","containerId":"c1","config":"eyJuYW1lIjoibGFuIn0=","#,
            r#""ifName":"eth0","networkName":"lan","netns":"/run/netns/c1","#,
            r#""cniArgs":[["IgnoreUnknown","1"]],"#,
            r#""capabilityArgs":{"dns":{"a":2,"b":1},"mac":"02:00:00:00:00:01"},"#,
            r#""result":{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}]}}"#,
        );
        assert_eq!(entry().to_json(), expected);
        assert_eq!(CacheEntry::from_json("lan", expected.as_bytes()), Ok(entry()));
        assert_eq!(file_name("lan", "c1", "eth0"), "lan-c1-eth0");
    }

    #[test]
    fn empty_parts_are_omitted() {
        let expected =
            r#"{"kind":"cniCacheV1","containerId":"","config":"","ifName":"","networkName":""}"#;
        assert_eq!(CacheEntry::default().to_json(), expected);
        assert_eq!(CacheEntry::from_json("x", expected.as_bytes()), Ok(CacheEntry::default()));
    }

    #[test]
    fn other_formats_are_refused_by_name() {
        for (text, expected) in [
            ("", r#"failed to unmarshal cached network "x" config: unexpected end of JSON input"#),
            (r#"{"kind": "v2"}"#, r#"read cached network "x" config has wrong kind: v2"#),
            ("{}", r#"read cached network "x" config has wrong kind: "#),
        ] {
            let error = CacheEntry::from_json("x", text.as_bytes()).unwrap_err();
            assert_eq!((error.code, error.msg.as_str()), (999, expected));
        }
        let broken = br#"{"kind": "cniCacheV1", "config": "*", "cniArgs": [5]}"#;
        assert!(CacheEntry::from_json("x", broken).is_err());
    }

    #[test]
    fn the_result_is_read_from_both_formats() {
        let result = entry().decoded_result().unwrap();
        assert_eq!(cached_result(entry().to_json().as_bytes()), Ok(result.clone()));
        let legacy = entry().result.unwrap().to_string();
        assert_eq!(cached_result(legacy.as_bytes()), Ok(result));
        let without = CacheEntry { result: None, ..entry() };
        assert_eq!(cached_result(without.to_json().as_bytes()), Ok(None));
    }

    #[test]
    fn a_corrupt_file_has_no_result() {
        let error = cached_result(b"").unwrap_err();
        let expected = "decoding version from network config: unexpected end of JSON input";
        assert_eq!((error.code, error.msg.as_str()), (6, expected));
        let error = cached_result(br#"{"cniVersion": "9.9.9"}"#).unwrap_err();
        assert_eq!(error.msg, r#"unsupported CNI result version "9.9.9""#);
    }
}
