//! What runtimes, plugins and disks may hand over, fed with bytes that none of them would write.

use ropewalk_testkit::fuzz;

use crate::{
    CacheEntry, CniResult, NetworkList, ValidAttachments, args, attachments, cache, json, list,
    parse_json, version,
};

/// Every error has a message and a code that can be written.
fn told<T>(answer: Result<T, crate::CniError>) -> Option<T> {
    answer.inspect_err(|error| assert!(parse_json(error.to_json().as_bytes()).is_ok())).ok()
}

#[test]
fn fuzz_results() {
    fuzz("result", |bytes| {
        let Some(value) = told(parse_json(bytes)) else { return };
        for config_version in ["0.2.0", "0.4.0", "1.1.0"] {
            let Some(result) = told(CniResult::from_value(&value, config_version)) else {
                continue;
            };
            for version in version::ALL {
                let Some(text) = told(result.to_json(*version)) else { continue };
                let again = parse_json(text.as_bytes()).expect("a result is JSON");
                CniResult::from_value(&again, config_version).expect("what we write we read");
            }
        }
    });
}

#[test]
fn fuzz_arguments() {
    fuzz("arguments", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        told(args::parse_args(&text, &["IP", "MAC"]));
        args::parse_args_leniently(&text);
        told(args::parse_args_for_runtime(&text));
    });
}

#[test]
fn fuzz_lists() {
    fuzz("list", |bytes| {
        let lists = [NetworkList::parse(bytes), NetworkList::parse_single(bytes)];
        for list in lists.into_iter().filter_map(told) {
            told(list.require_plugins());
            for plugin in &list.plugins {
                let valid = ValidAttachments::default();
                let text = list.gc_stdin(plugin, Some(&valid));
                assert!(json::decode(text.as_bytes()).is_ok(), "{text}");
            }
        }
        if let Ok(value) = json::decode(bytes) {
            told(attachments::valid_attachments(&value));
        }
        let _ = list::no_configurations("/etc/cni/net.d");
    });
}

#[test]
fn fuzz_records() {
    fuzz("record", |bytes| {
        if let Some(entry) = told(CacheEntry::from_json("net", bytes)) {
            told(entry.decoded_result());
            told(CacheEntry::from_json("net", entry.to_json().as_bytes()))
                .expect("what we write we read");
        }
        told(cache::cached_result(bytes));
    });
}
