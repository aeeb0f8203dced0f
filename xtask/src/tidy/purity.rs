//! Pure crates do not reach the world, and only one crate of the product holds unsafe code.

use super::Violation;
use crate::source::{Source, has_word, numbered};

/// The crate that talks to the kernel, and the benchmarks, which are no part of the product.
const SYSTEM: [&str; 2] = ["crates/ropewalk-linux/", "benches/"];

/// Crates without the standard library.
const NO_STD: [&str; 4] = [
    "crates/ropewalk-addr/",
    "crates/ropewalk-dhcp/",
    "crates/ropewalk-netstate/",
    "crates/ropewalk-topology/",
];

/// The crate that has the standard library, but none of the modules that reach the world.
const NO_WORLD: &str = "crates/ropewalk-cni/";

/// Words behind `std::` that reach the world.
const WORLD: [&str; 10] = [
    "env",
    "fs",
    "process",
    "thread",
    "os",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "Instant",
    "SystemTime",
];

/// Who may open sockets: the crate that talks to the kernel, and tests.
const SOCKETS: [&str; 2] = ["rustix::net", "libc::socket"];

pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        violations.extend(check_unsafe(source));
        violations.extend(check_no_std(source));
        violations.extend(check_world(source));
        violations.extend(check_sockets(source));
    }
    violations
}

fn is_system(source: &Source) -> bool {
    SYSTEM.iter().any(|directory| source.path.starts_with(directory))
}

fn check_unsafe(source: &Source) -> Vec<Violation> {
    if is_system(source) {
        return Vec::new();
    }
    let lines = numbered(&source.code).filter(|(_, line)| has_word(line, "unsafe"));
    let advice = "only ropewalk-linux holds unsafe code; put a safe function there";
    lines.map(|(line, _)| Violation::new(&source.path, line, "unsafe", advice)).collect()
}

fn check_no_std(source: &Source) -> Vec<Violation> {
    let Some(directory) = NO_STD.iter().find(|directory| source.path.starts_with(**directory))
    else {
        return Vec::new();
    };
    let violation = |line, advice| Violation::new(&source.path, line, "no_std", advice);
    let mut violations = Vec::new();
    let is_root = source.path == format!("{directory}src/lib.rs");
    if is_root && !source.code.lines().any(|line| line == "#![no_std]") {
        violations.push(violation(1, "put `#![no_std]` below the first comment"));
    }
    let uses = source.product_lines().filter(|(_, line)| has_word(line, "std"));
    let uses = uses.filter(|(_, line)| line.contains("std::") || line.contains("crate std"));
    let advice = "this crate is pure; use core and alloc, and let the caller bring the rest";
    violations.extend(uses.map(|(line, _)| violation(line, advice)));
    violations
}

fn check_world(source: &Source) -> Vec<Violation> {
    if !source.path.starts_with(NO_WORLD) {
        return Vec::new();
    }
    let mut violations = Vec::new();
    let mut in_use_of_std = false;
    for (number, line) in source.product_lines() {
        in_use_of_std |= has_word(line, "use") && line.contains("std::");
        let reached = WORLD.iter().find(|word| {
            let path = format!("std::{word}");
            has_word(line, &path) || in_use_of_std && has_word(line, word)
        });
        if let Some(word) = reached {
            let advice = format!(
                "ropewalk-cni must not reach the world through std's {word}; let the caller do it \
                 and hand over the answer"
            );
            violations.push(Violation::new(&source.path, number, "purity", advice));
        }
        in_use_of_std &= !line.contains(';');
    }
    violations
}

fn check_sockets(source: &Source) -> Vec<Violation> {
    if is_system(source) {
        return Vec::new();
    }
    let opens = |line: &str| SOCKETS.iter().any(|path| line.contains(path));
    let lines = source.product_lines().filter(|(_, line)| opens(line));
    let advice = "only ropewalk-linux makes network system calls; ask it";
    lines.map(|(line, _)| Violation::new(&source.path, line, "sockets", advice)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let violations = check(&[Source::new(path, text)]);
        violations.iter().map(|violation| (violation.line, violation.rule)).collect()
    }

    #[test]
    fn unsafe_code_has_one_home() {
        let text = "//! A.\n\nfn a() {\n    unsafe { b() } // unsafe\n}\n";
        assert_eq!(rules("crates/ropewalk-store/src/a.rs", text), [(4, "unsafe")]);
        assert_eq!(rules("crates/ropewalk-linux/src/a.rs", text), []);
        assert_eq!(rules("benches/src/a.rs", text), []);
    }

    #[test]
    fn pure_crates_have_no_standard_library() {
        let root = "crates/ropewalk-addr/src/lib.rs";
        assert_eq!(rules(root, "//! A.\n#![no_std]\n"), []);
        assert_eq!(rules(root, "//! A.\n"), [(1, "no_std")]);
        let module = "crates/ropewalk-addr/src/mac.rs";
        assert_eq!(rules(module, "//! A.\nuse std::fmt;\n"), [(2, "no_std")]);
        assert_eq!(rules(module, "//! A.\n#[cfg(test)]\nuse std::fmt;\n"), []);
    }

    #[test]
    fn the_protocol_crate_does_not_reach_the_world() {
        let path = "crates/ropewalk-cni/src/a.rs";
        assert_eq!(rules(path, "use std::{\n    fmt,\n    fs,\n};\n"), [(3, "purity")]);
        assert_eq!(rules(path, "fn a() { std::env::var(NAME); }\n"), [(1, "purity")]);
        assert_eq!(rules(path, "use std::net::{IpAddr, TcpStream};\n"), [(1, "purity")]);
        assert_eq!(rules(path, "use std::net::IpAddr;\nlet env = 1;\n"), []);
        assert_eq!(rules("crates/ropewalk-runtime/src/a.rs", "use std::fs;\n"), []);
    }

    #[test]
    fn sockets_are_opened_in_one_crate_and_in_tests() {
        let text = "use rustix::net::socket;\n";
        assert_eq!(rules("crates/ropewalk-cli/src/a.rs", text), [(1, "sockets")]);
        assert_eq!(rules("crates/ropewalk-linux/src/a.rs", text), []);
        assert_eq!(rules("e2e/src/traffic.rs", text), []);
    }
}
