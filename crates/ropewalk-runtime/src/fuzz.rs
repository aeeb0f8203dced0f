//! Folders of configurations and records that somebody has damaged.

use std::fs;

use ropewalk_testkit::fuzz;

use crate::{Cache, ConfigDir};

#[test]
fn fuzz_directories() {
    let root = tempfile::tempdir().unwrap();
    let folder = ConfigDir::new(root.path());
    fuzz("list", |bytes| {
        fs::write(root.path().join("10-a.conflist"), bytes).unwrap();
        fs::write(root.path().join("20-b.conf"), bytes).unwrap();
        let listing = folder.list();
        if let Err(error) = folder.find("net") {
            assert!(!error.to_string().is_empty());
        }
        drop(listing);
    });
}

#[test]
fn fuzz_caches() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::new(root.path());
    fuzz("record", |bytes| {
        let path = cache.path("net", "c1", "eth0").expect("it is a good name");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let _ = cache.read("net", "c1", "eth0");
        cache.records().unwrap();
        cache.remove("net", "c1", "eth0").unwrap();
    });
}
