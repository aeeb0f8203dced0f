//! Every message of section 1.12.

use super::*;

fn directories(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

#[track_caller]
fn check_find(name: &str, paths: &[&str], expected: Result<&str, (u32, &str)>) {
    let files = ["/b/bridge", "/c/bridge", "/c/tuning", "/bridge"];
    let found = find_plugin(name, &directories(paths), |path| files.contains(&path));
    let found = found.as_deref().map_err(|error| (error.code, error.msg.as_str()));
    assert_eq!(found, expected);
}

#[test]
fn the_first_directory_with_the_file_wins() {
    check_find("bridge", &["/a", "/b", "/c"], Ok("/b/bridge"));
    check_find("bridge", &["/c/", "/b"], Ok("/c/bridge"));
    check_find("tuning", &["/a", "/b", "/c"], Ok("/c/tuning"));
    check_find("bridge", &["/"], Ok("/bridge"));
}

#[test]
fn plugins_that_cannot_be_found_are_named() {
    check_find("", &["/b"], Err((7, "no plugin name provided")));
    check_find("a/b", &["/b"], Err((7, "invalid plugin name: a/b")));
    check_find("../bridge", &["/b"], Err((7, "invalid plugin name: ../bridge")));
    check_find("x", &[], Err((999, "no paths provided")));
    check_find("nope", &["/x"], Err((999, r#"failed to find plugin "nope" in path [/x]"#)));
    let expected = r#"failed to find plugin "x" in path [dir1 dir2]"#;
    check_find("x", &["dir1", "dir2"], Err((999, expected)));
}

#[track_caller]
fn refused(exit: &ExitKind, stdout: &str, stderr: &str, expected: &str) {
    let error = interpret(exit, stdout.as_bytes(), stderr.as_bytes(), "1.0.0").unwrap_err();
    assert_eq!(format!("{} {error}", error.code), expected);
    if *exit != ExitKind::Status(0) {
        let quiet = interpret_quiet(exit, stdout.as_bytes(), stderr.as_bytes());
        assert_eq!(quiet, Err(error));
    }
}

#[test]
fn an_error_object_passes_unchanged() {
    let stdout = r#"{"code": 11, "msg": "try", "details": "dd"}"#;
    refused(&ExitKind::Status(1), stdout, "noise", "11 try; dd");
    refused(&ExitKind::Status(3), r#"{"cniVersion": "1.0.0", "msg": "m"}"#, "", "0 m");
}

#[test]
fn a_failure_without_output_shows_standard_error_or_how_it_ended() {
    refused(&ExitKind::Status(1), "", "oh \"no\"\n", r#"0 netplugin failed: "oh \"no\"\n""#);
    let nothing = "0 netplugin failed with no error message";
    refused(&ExitKind::Status(3), "", "", &format!("{nothing}: exit status 3"));
    refused(&ExitKind::Signal(9), "", "", &format!("{nothing}: signal: killed"));
    refused(&ExitKind::Signal(40), "", "", &format!("{nothing}: signal: signal 40"));
    let reason = "fork/exec /b/x: permission denied";
    refused(&ExitKind::NotStarted(reason.to_owned()), "", "", &format!("{nothing}: {reason}"));
}

#[test]
fn a_failure_with_other_output_shows_it() {
    let prefix = "0 netplugin failed but error parsing its diagnostic message";
    refused(
        &ExitKind::Status(1),
        "oops",
        "",
        &format!(r#"{prefix} "oops": invalid character 'o' looking for beginning of value"#),
    );
    refused(
        &ExitKind::Status(1),
        "{\"code\"",
        "",
        &format!(r#"{prefix} "{{\"code\"": unexpected end of JSON input"#),
    );
    refused(
        &ExitKind::Status(1),
        "[]",
        "",
        &format!(
            r#"{prefix} "[]": json: cannot unmarshal array into Go value of type types.Error"#
        ),
    );
}

#[test]
fn success_without_a_result_is_an_error() {
    let prefix = "999 failed to unmarshal raw result";
    refused(&ExitKind::Status(0), "", "", &format!("{prefix}: unexpected end of JSON input"));
    let kind = "json: cannot unmarshal string into Go value of type map[string]interface {}";
    refused(&ExitKind::Status(0), "\"x\"", "", &format!("{prefix}: {kind}"));
    let expected = r#"999 unsupported CNI result version "7.0.0""#;
    refused(&ExitKind::Status(0), r#"{"cniVersion": "7.0.0"}"#, "", expected);
}

#[test]
fn a_result_is_read_with_its_own_version_or_the_configurations() {
    let success = ExitKind::Status(0);
    let read = |stdout: &str, version| interpret(&success, stdout.as_bytes(), b"log", version);
    let old = r#"{"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/24"}}"#;
    assert_eq!(read(old, "1.0.0").unwrap().ips[0].address.to_string(), "10.0.0.2/24");
    let unmarked = r#"{"ip4": {"ip": "10.0.0.2/24"}}"#;
    assert_eq!(read(unmarked, "0.2.0").unwrap().ips.len(), 1);
    assert_eq!(read(unmarked, "1.0.0").unwrap().ips.len(), 0);
    assert_eq!(read("null", "1.0.0"), Ok(CniResult::default()));
}

#[test]
fn output_after_a_quiet_command_does_not_matter() {
    assert_eq!(interpret_quiet(&ExitKind::Status(0), b"whatever", b""), Ok(()));
}
