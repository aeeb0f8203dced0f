//! Files that are not what they were when we wrote them.

use std::{collections::HashSet, fs};

use ropewalk_testkit::fuzz;

use crate::{Holder, LeaseDirectory, StateFile};

#[test]
fn fuzz_leases() {
    let root = tempfile::tempdir().unwrap();
    let indices = root.path().join("indices");
    let directory = LeaseDirectory::new(root.path(), "lan").indexed_in(&indices);
    let (one, two) = (Holder::new("c1", "eth0"), Holder::new("c2", "eth0"));
    fuzz("lease", |bytes| {
        let leases = directory.lock().unwrap();
        let address = |text: &str| text.parse().unwrap();
        leases.held_by(&one).unwrap();
        leases.reserve(address("10.0.0.2"), &one).unwrap();
        leases.reserve(address("fd00::2"), &one).unwrap();
        leases.held_by(&one).unwrap();
        for name in ["10.0.0.2", "last_reserved_ip.0", "boot_id"] {
            fs::write(root.path().join("lan").join(name), bytes).unwrap();
        }
        for entry in fs::read_dir(&indices).into_iter().flatten().flatten() {
            fs::write(entry.path(), bytes).unwrap();
        }
        leases.held_by(&one).unwrap();
        leases.leases().unwrap();
        assert!(!leases.reserve(address("10.0.0.2"), &two).unwrap(), "it is one's");
        leases.last_reserved(0);
        leases.retain(&HashSet::from([one.clone()])).unwrap();
        leases.release_all(&one).unwrap();
        leases.retain(&HashSet::new()).unwrap();
        assert!(leases.leases().unwrap().is_empty());
        let _ = directory.is_of_earlier_boot("one");
        StateFile::new(&root.path().join("lan"), "boot_id", "x").read().unwrap();
    });
}
