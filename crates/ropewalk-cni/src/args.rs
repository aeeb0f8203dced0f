//! `CNI_ARGS`: pairs like `IgnoreUnknown=1;MAC=02:00:00:00:00:01`.
//!
//! Section "CNI_ARGS" of the conventions. Three readers exist because three parties read
//! it differently: plugins strictly, the dhcp plugin leniently, and runtimes that only
//! pass it on. It must never know what a value means, except for `IgnoreUnknown`.

use crate::error::CniError;
use crate::go_text::{quote, quote_list};

/// The pairs of `CNI_ARGS` in the order they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CniArgs {
    pairs: Vec<(String, String)>,
}

impl CniArgs {
    /// The value of a key; of several, the last. Keys are case-sensitive.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.pairs.iter().rev().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// All pairs.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }
}

/// Reads `CNI_ARGS` as plugins do that recognise some keys.
///
/// `IgnoreUnknown` is always recognised. Empty text has no pairs.
///
/// # Errors
///
/// Code 999, all messages beginning with `ARGS: `: a piece that does not contain exactly
/// one `=`, a value of `IgnoreUnknown` that is not a boolean, or keys that are neither
/// known nor ignored.
pub fn parse_args(text: &str, known: &[&str]) -> Result<CniArgs, CniError> {
    let mut args = CniArgs::default();
    let mut unknown = Vec::new();
    let mut ignores_unknown = false;
    for piece in pieces(text) {
        let Some((key, value)) = split_pair(piece) else {
            return Err(CniError::internal(format!("ARGS: invalid pair {}", quote(piece))));
        };
        if key == "IgnoreUnknown" {
            ignores_unknown = parse_bool(value).map_err(|reason| invalid_value(piece, &reason))?;
        } else if !known.contains(&key) {
            unknown.push(piece);
        }
        args.pairs.push((key.to_owned(), value.to_owned()));
    }
    if unknown.is_empty() || ignores_unknown {
        return Ok(args);
    }
    Err(CniError::internal(format!("ARGS: unknown args {}", quote_list(&unknown))))
}

/// Reads `CNI_ARGS` without complaint: what is not a pair is left out, and a value may
/// contain `=`.
pub fn parse_args_leniently(text: &str) -> CniArgs {
    let pairs = pieces(text).filter_map(|piece| piece.split_once('='));
    CniArgs { pairs: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect() }
}

/// Reads `CNI_ARGS` as a runtime's command line does, for passing it on.
///
/// # Errors
///
/// Code 999 `invalid CNI_ARGS pair "…"` for a piece without exactly one `=`, or with
/// nothing on either side of it.
pub fn parse_args_for_runtime(text: &str) -> Result<Vec<(String, String)>, CniError> {
    let pair = |piece| match split_pair(piece) {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err(CniError::internal(format!("invalid CNI_ARGS pair {}", quote(piece)))),
    };
    pieces(text).map(pair).collect()
}

/// Joins pairs to the value of `CNI_ARGS`.
pub fn format_args(pairs: &[(String, String)]) -> String {
    let joined: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    joined.join(";")
}

/// The error for a known key whose value is malformed; `pair` is `KEY=value`.
pub fn invalid_value(pair: &str, reason: &str) -> CniError {
    CniError::internal(format!("ARGS: error parsing value of pair {}: {reason}", quote(pair)))
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').filter(move |_| !text.is_empty())
}

fn split_pair(piece: &str) -> Option<(&str, &str)> {
    piece.split_once('=').filter(|(_, value)| !value.contains('='))
}

fn parse_bool(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(format!("boolean unmarshal error: invalid input {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[(&str, &str)], &str>) {
        let args = parse_args(text, &["IP", "GATEWAY", "MAC"]);
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        match expected {
            Ok(pairs) => assert_eq!(args.unwrap().pairs(), owned(pairs), "{text}"),
            Err(msg) => {
                let error = args.unwrap_err();
                assert_eq!((error.code, error.msg.as_str()), (999, msg), "{text}");
            }
        }
    }

    #[test]
    fn known_keys_are_read_in_order() {
        check("", Ok(&[]));
        check("MAC=02:00:00:00:00:01", Ok(&[("MAC", "02:00:00:00:00:01")]));
        check("IP=10.0.0.1;GATEWAY=", Ok(&[("IP", "10.0.0.1"), ("GATEWAY", "")]));
    }

    #[test]
    fn unknown_keys_are_refused_together_unless_they_are_ignored() {
        check("K8S_POD_NAME=x", Err(r#"ARGS: unknown args ["K8S_POD_NAME=x"]"#));
        check("a=1;MAC=x;b=2", Err(r#"ARGS: unknown args ["a=1" "b=2"]"#));
        check("ignoreunknown=1;a=1", Err(r#"ARGS: unknown args ["ignoreunknown=1" "a=1"]"#));
        check("mac=x", Err(r#"ARGS: unknown args ["mac=x"]"#));
        check("a=1;IgnoreUnknown=0", Err(r#"ARGS: unknown args ["a=1"]"#));
        for yes in ["1", "true", "True"] {
            let text = format!("a=1;IgnoreUnknown={yes}");
            check(&text, Ok(&[("a", "1"), ("IgnoreUnknown", yes)]));
        }
    }

    #[test]
    fn what_is_not_a_pair_is_refused() {
        check("K8S", Err(r#"ARGS: invalid pair "K8S""#));
        check("MAC=x;", Err(r#"ARGS: invalid pair """#));
        check("MAC=x=y", Err(r#"ARGS: invalid pair "MAC=x=y""#));
        check("IgnoreUnknown=1;K8S", Err(r#"ARGS: invalid pair "K8S""#));
    }

    #[test]
    fn ignore_unknown_must_be_a_boolean() {
        let reason = "boolean unmarshal error: invalid input yes";
        let msg = format!(r#"ARGS: error parsing value of pair "IgnoreUnknown=yes": {reason}"#);
        check("IgnoreUnknown=yes", Err(&msg));
        check("IgnoreUnknown=False;MAC=x", Ok(&[("IgnoreUnknown", "False"), ("MAC", "x")]));
    }

    #[test]
    fn of_several_values_the_last_counts() {
        let args = parse_args("IP=1;IP=2", &["IP"]).unwrap();
        assert_eq!((args.get("IP"), args.get("MAC")), (Some("2"), None));
    }

    #[test]
    fn the_lenient_reader_takes_what_it_can() {
        let args = parse_args_leniently("K8S;a=1=2;;b=");
        assert_eq!((args.get("a"), args.get("b")), (Some("1=2"), Some("")));
        assert_eq!(args.pairs().len(), 2);
    }

    #[test]
    fn a_runtime_refuses_halves_of_pairs() {
        for piece in ["a", "a=", "=a", "a=b=c", ""] {
            let error = parse_args_for_runtime(&format!("x=1;{piece}")).unwrap_err();
            assert_eq!(error.msg, format!("invalid CNI_ARGS pair \"{piece}\""));
        }
        let pairs = parse_args_for_runtime("a=1;b=2").unwrap();
        assert_eq!(format_args(&pairs), "a=1;b=2");
        assert_eq!(parse_args_for_runtime("").unwrap(), []);
    }
}
