//! Schemas and pages say what the descriptions say.

use std::fs;
use std::path::Path;

use ropewalk_plugins::describe::DESCRIPTIONS;
use serde_json::json;

use super::*;

/// What is between the marks of a page in `docs/plugins`.
fn generated(page: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plugins");
    let path = folder.join(format!("{page}.md"));
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let behind = text.split_once("<!-- generated: cargo xtask docs -->").map(|(_, rest)| rest);
    let part = behind.and_then(|rest| rest.split_once("<!-- end of generated -->"));
    part.unwrap_or_else(|| panic!("{page}.md lacks the marks of its generated part"))
        .0
        .trim()
        .to_owned()
}

#[test]
fn the_pages_are_as_generated() {
    let pages = DESCRIPTIONS.iter().map(|found| (found.plugin, markdown::keys(found)));
    let pages = pages.chain([("README", markdown::plugins())]);
    let old: Vec<&str> =
        pages.filter(|(page, text)| generated(page) != text.trim()).map(|(page, _)| page).collect();
    assert!(old.is_empty(), "run `cargo xtask docs`: out of date in docs/plugins are {old:?}");
}

#[test]
fn a_schema_says_what_a_key_may_be() {
    let bridge = document::of_plugin(find("bridge").unwrap());
    assert_eq!(bridge["title"], "bridge");
    let vlan = &bridge["properties"]["vlan"];
    let expected = json!({
        "type": "integer", "minimum": 0, "maximum": 4094, "default": 0, "examples": [100],
        "description": "VLAN of the container's untagged frames; 0 is none",
    });
    assert_eq!(*vlan, expected);
    let backend = &bridge["properties"]["ipMasqBackend"];
    assert_eq!(backend["enum"], json!(["nftables", "iptables"]));
    assert_eq!(bridge["properties"]["capabilities"]["properties"]["mac"]["type"], "boolean");
    assert_eq!(bridge["$defs"]["static"]["properties"]["ipam"]["type"], "object");
}

#[test]
fn references_of_schemas_lead_somewhere() {
    let plugins = DESCRIPTIONS.iter().map(document::of_plugin);
    for schema in plugins.chain([document::of_list()]) {
        let text = schema.to_string();
        for rest in text.split("\"$ref\":\"#").skip(1) {
            let pointer = rest.split('"').next().unwrap();
            assert!(schema.pointer(pointer).is_some(), "{pointer} leads nowhere in {schema:#}");
        }
    }
}

#[test]
fn tables_have_a_row_for_every_key() {
    let text = markdown::keys(find("static").unwrap());
    for row in [
        "| `\"addresses\": [{…}]` | list of objects | – | The addresses of the interface |",
        "| `\"gateway\": \"10.5.0.1\"` | address | none | The gateway of this subnet. Refused: \
         `invalid gateway address: zz` |",
    ] {
        assert!(text.lines().any(|line| line == row), "{row} is missing in\n{text}");
    }
    let text = markdown::keys(find("tuning").unwrap());
    assert!(text.contains("In `args.cni`, as above: `sysctl`, `mac`,"), "{text}");
}
