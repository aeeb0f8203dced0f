//! The attachments a runtime declares valid when it asks for GC.
//!
//! Section "GC" of the CNI specification. Everything else of a network is removed, so
//! a list that cannot be understood must never pass for an empty one.

use crate::error::CniError;
use crate::fields::{Fields, config_error};
use crate::ordered::Node;
use serde_json::Value;
use std::time::Duration;

/// The key of the list.
pub const VALID_ATTACHMENTS: &str = "cni.dev/valid-attachments";

/// The key as the first implementation misspelled it; runtimes send both.
pub const ATTACHMENTS: &str = "cni.dev/attachments";

/// The key of the moment from which on the list tells nothing, in milliseconds since 1970. It is
/// ours; the specification has none.
pub const VALID_ATTACHMENTS_TIME: &str = "cni.dev/valid-attachments-time";

/// One attachment: a container and its interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachmentId {
    /// The container's id.
    pub container_id: String,
    /// The interface's name inside the container.
    pub ifname: String,
}

/// What a runtime knows about the attachments of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidAttachments {
    /// Those that are valid.
    pub attachments: Vec<AttachmentId>,
    /// From this moment on the list tells nothing, as the time since 1970: what was begun then or
    /// later is not to be collected. `None`: it tells everything.
    pub until: Option<Duration>,
}

impl AttachmentId {
    pub(crate) fn to_node(&self) -> Node {
        Node::Object(vec![
            ("containerID".to_owned(), Node::text(&self.container_id)),
            ("ifname".to_owned(), Node::text(&self.ifname)),
        ])
    }

    /// The attachment as it stands in the list.
    pub fn to_value(&self) -> Value {
        self.to_node().into_value()
    }
}

/// Reads what a configuration tells about valid attachments.
///
/// `None` means there is no list, so nothing is known and nothing may be removed. A list
/// that is `null` is empty: nothing is valid.
///
/// # Errors
///
/// Code 7 when the list is malformed.
pub fn valid_attachments(config: &Value) -> Result<Option<ValidAttachments>, CniError> {
    let Some(object) = config.as_object() else { return Ok(None) };
    let spelled = [VALID_ATTACHMENTS, ATTACHMENTS].into_iter().find_map(|spelling| {
        object.keys().find(|key| key.eq_ignore_ascii_case(spelling)).map(|_| spelling)
    });
    let Some(key) = spelled else { return Ok(None) };
    let fields = Fields::new(config, "");
    let elements = fields.objects(key).unwrap_or_default();
    let attachments = elements.iter().map(read).collect();
    let until = fields.u64(VALID_ATTACHMENTS_TIME).map(Duration::from_millis);
    match fields.finish() {
        Ok(()) => Ok(Some(ValidAttachments { attachments, until })),
        Err(errors) => Err(config_error("invalid list of valid attachments", &errors)),
    }
}

fn read(element: &Fields) -> AttachmentId {
    let required = |key| {
        let text = element.string(key).unwrap_or_default();
        if text.is_empty() {
            element.report_at(key, format!("missing {key}"));
        }
        text
    };
    AttachmentId { container_id: required("containerID"), ifname: required("ifname") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(container_id: &str, ifname: &str) -> AttachmentId {
        AttachmentId { container_id: container_id.to_owned(), ifname: ifname.to_owned() }
    }

    #[test]
    fn without_the_key_nothing_is_known() {
        assert_eq!(valid_attachments(&json!({"name": "lan"})), Ok(None));
        assert_eq!(valid_attachments(&json!(null)), Ok(None));
    }

    #[test]
    fn null_and_an_empty_list_mean_that_nothing_is_valid() {
        for list in [json!(null), json!([])] {
            let config = json!({"cni.dev/valid-attachments": list});
            assert_eq!(valid_attachments(&config), Ok(Some(ValidAttachments::default())));
        }
    }

    #[test]
    fn attachments_are_read_in_order_and_written_the_same_way() {
        let list = json!([
            {"containerID": "c1", "ifname": "eth0"},
            {"containerID": "c2", "ifname": "eth1", "extra": 1},
        ]);
        for key in [VALID_ATTACHMENTS, ATTACHMENTS] {
            let found = valid_attachments(&json!({key: list})).unwrap().unwrap();
            assert_eq!(found.attachments, [id("c1", "eth0"), id("c2", "eth1")]);
        }
        assert_eq!(id("c1", "eth0").to_value(), list[0]);
    }

    #[test]
    fn the_time_is_a_number_of_milliseconds() {
        let until = |time| {
            let config = json!({VALID_ATTACHMENTS: [], VALID_ATTACHMENTS_TIME: time});
            valid_attachments(&config).map(|valid| valid.unwrap_or_default().until)
        };
        assert_eq!(until(json!(1500)), Ok(Some(Duration::from_millis(1500))));
        assert_eq!(until(json!(null)), Ok(None));
        for wrong in [json!("now"), json!(-1), json!(1.5)] {
            assert_eq!(until(wrong).unwrap_err().code, 7);
        }
        let alone = json!({VALID_ATTACHMENTS_TIME: 1500});
        assert_eq!(valid_attachments(&alone), Ok(None));
    }

    #[test]
    fn a_malformed_list_is_an_error_and_never_empty() {
        for (list, place) in [
            (json!("x"), "cni.dev/valid-attachments"),
            (json!({}), "cni.dev/valid-attachments"),
            (json!(["c1"]), "cni.dev/valid-attachments[0]"),
            (json!([null]), "cni.dev/valid-attachments[0].containerID"),
            (json!([{"containerID": "c1"}]), "cni.dev/valid-attachments[0].ifname"),
            (json!([{"containerID": 5, "ifname": "a"}]), "cni.dev/valid-attachments[0]"),
        ] {
            let config = json!({"cni.dev/valid-attachments": list});
            let error = valid_attachments(&config).unwrap_err();
            assert_eq!(error.code, 7);
            assert!(error.to_string().contains(place), "{error}");
        }
    }
}
