//! Records in a temporary folder.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;

fn entry(network: &str, container_id: &str) -> CacheEntry {
    CacheEntry {
        container_id: container_id.to_owned(),
        config: b"{}".to_vec(),
        if_name: "eth0".to_owned(),
        network_name: network.to_owned(),
        result: Some(json!({ "cniVersion": "1.0.0" })),
        ..CacheEntry::default()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_record_is_one_private_file_in_a_private_folder() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path().join("cni"));
    cache.write(&entry("lan", "c1")).unwrap();
    cache.write(&entry("lan", "c1")).unwrap();
    let path = cache.path("lan", "c1", "eth0").unwrap();
    assert!(path.ends_with("cni/results/lan-c1-eth0"));
    assert_eq!((mode(&path), mode(cache.results_directory())), (0o600, 0o700));
    assert_eq!(fs::read_to_string(&path).unwrap(), entry("lan", "c1").to_json());
    assert_eq!(fs::read_dir(cache.results_directory()).unwrap().count(), 1);
}

#[test]
fn a_record_that_cannot_be_replaced_stays_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    cache.write(&entry("lan", "c1")).unwrap();
    let path = cache.path("lan", "c1", "eth0").unwrap();
    // A folder where the temporary file would be: even root cannot write there.
    fs::create_dir(temporary_name(&path)).unwrap();
    let error = cache.write(&entry("lan", "c1")).unwrap_err();
    let expected = format!("failed to write record {}: is a directory", path.display());
    assert_eq!(error.to_string(), expected);
    assert_eq!(fs::read_to_string(&path).unwrap(), entry("lan", "c1").to_json());
}

#[test]
fn a_record_that_cannot_be_put_in_place_leaves_no_other_file() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    let path = cache.path("lan", "c1", "eth0").unwrap();
    fs::create_dir_all(path.join("in the way")).unwrap();
    cache.write(&entry("lan", "c1")).unwrap_err();
    assert!(!temporary_name(&path).exists());
}

#[test]
fn removing_twice_is_fine() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    cache.write(&entry("lan", "c1")).unwrap();
    cache.remove("lan", "c1", "eth0").unwrap();
    cache.remove("lan", "c1", "eth0").unwrap();
    assert!(cache.read("lan", "c1", "eth0").unwrap().is_none());
}

#[test]
fn names_cannot_lead_out_of_the_folder() {
    let cache = Cache::new("/nowhere");
    for (network, id, ifname) in
        [("a/b", "c", "d"), ("a", "../c", "d"), ("a", "c", "d\0"), ("", "c", "d")]
    {
        assert_eq!(cache.path(network, id, ifname), None);
        cache.remove(network, id, ifname).unwrap();
    }
    let error = cache.write(&entry("lan", "../../etc/x")).unwrap_err();
    assert!(error.to_string().starts_with("failed to write record in /nowhere/results"), "{error}");
}

#[test]
fn all_records_are_listed_by_name_and_what_is_none_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    assert!(cache.records().unwrap().entries.is_empty());
    for (network, id) in [("lan", "c2"), ("lan", "c1"), ("dmz", "c1")] {
        cache.write(&entry(network, id)).unwrap();
    }
    let results = cache.results_directory();
    fs::write(results.join("empty"), "").unwrap();
    fs::write(results.join("bare"), r#"{"cniVersion": "1.0.0"}"#).unwrap();
    fs::write(results.join(".lan-c9-eth0.new"), entry("lan", "c9").to_json()).unwrap();
    fs::create_dir(results.join("folder")).unwrap();
    let records = cache.records().unwrap();
    let names: Vec<String> = records
        .entries
        .iter()
        .map(|entry| format!("{} {}", entry.network_name, entry.container_id))
        .collect();
    assert_eq!(names, ["dmz c1", "lan c1", "lan c2"]);
    let unreadable: Vec<&Path> =
        records.unreadable.iter().map(|(path, _)| path.as_path()).collect();
    assert_eq!(unreadable, [results.join("bare"), results.join("empty")]);
}
