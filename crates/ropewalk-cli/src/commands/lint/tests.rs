//! What a person reads about broken files.

use super::*;

#[track_caller]
fn check(file: &str, text: &str, expected: &[&str]) {
    let path = Path::new(file);
    let text = as_text(&[(path, remarks(path, text.as_bytes()))]);
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_not_a_json_object_is_said_at_once() {
    check("a.conflist", "{", &["a.conflist: error: not JSON: unexpected end of JSON input"]);
    check("a.conf", "[]", &["a.conf: error: the file holds no JSON object"]);
}

#[test]
fn lists_are_checked_themselves() {
    check(
        "a.conflist",
        r#"{"name": "a b", "cniVersion": "9.9.9", "disablecheck": true, "plugins": []}"#,
        &[
            r#"a.conflist: error at name: invalid characters found in network name "a b""#,
            r#"a.conflist: error at cniVersion: there is no version "9.9.9" of the specification"#,
            "a.conflist: error: error parsing configuration list: no plugins in list",
            "a.conflist: unknown key at disablecheck: lists do not have this key; did you mean disableCheck?",
        ],
    );
    check(
        "a.conflist",
        r#"{"name": "a", "cniVersion": "1.0.0", "cniVersion": "1.0.0", "plugin": []}"#,
        &[
            "a.conflist: note: a key of the outermost object is there twice; the last one counts",
            r#"a.conflist: note at plugins: no plugins; they must come from a folder named "a""#,
            "a.conflist: unknown key at plugin: lists do not have this key; did you mean plugins?",
        ],
    );
}

#[test]
fn plugins_are_checked_with_their_place_in_the_list() {
    check(
        "a.conflist",
        r#"{"name": "a", "cniVersion": "1.0.0", "plugins": [{"type": "theirs"}, {"kind": "x"}]}"#,
        &[
            r#"a.conflist: note at plugins[0]: plugin "theirs" is not ours, its keys were not looked at"#,
            "a.conflist: error at plugins[1]: missing 'type'",
        ],
    );
}

#[test]
fn a_list_must_be_in_a_file_where_lists_are_looked_for() {
    check(
        "a.json",
        r#"{"name": "a", "cniVersion": "1.0.0", "plugins": [{"type": "theirs"}]}"#,
        &[
            "a.json: error at plugins: a list of plugins is only found in a file that ends in .conflist",
            r#"a.json: note at plugins[0]: plugin "theirs" is not ours, its keys were not looked at"#,
        ],
    );
}

#[test]
fn single_plugins_need_a_name_too() {
    check(
        "a.conf",
        r#"{"type": "theirs"}"#,
        &[
            "a.conf: error at name: missing network name",
            "a.conf: note at cniVersion: no version, which means 0.1.0; most plugins want 1.0.0",
            r#"a.conf: note: plugin "theirs" is not ours, its keys were not looked at"#,
        ],
    );
}
