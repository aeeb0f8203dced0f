//! What a verb may ask of the kernel: see BUDGETS.md. Counted by strace with the release build,
//! and with one container there already, so that nothing has to be made for the first time.

use xtask::bench;

/// List of plugins, verb, and the most system calls and netlink sends.
const BUDGETS: [(&str, &str, u64, u64); 9] = [
    ("bridge", "ADD", 57, 5),
    ("bridge", "CHECK", 45, 5),
    ("bridge", "DEL", 57, 3),
    ("masquerade", "ADD", 65, 8),
    ("masquerade", "CHECK", 51, 7),
    ("masquerade", "DEL", 60, 4),
    ("chain", "ADD", 216, 28),
    ("chain", "CHECK", 161, 23),
    ("chain", "DEL", 178, 14),
];

#[test]
fn no_verb_asks_more_of_the_kernel_than_its_budget() {
    let report = bench::counts().expect("the benchmark counts");
    let counted = report.as_array().expect("a list of counts");
    for (list, verb, calls, sends) in BUDGETS {
        let entry = counted.iter().find(|entry| {
            entry["contestant"] == "ropewalk" && entry["scenario"] == list && entry["verb"] == verb
        });
        let counts = &entry.unwrap_or_else(|| panic!("{list} {verb} was not counted"))["counts"];
        let most = |what: &str, limit: u64| {
            let number = counts[what].as_u64().unwrap_or_else(|| panic!("no {what}: {counts}"));
            assert!(number <= limit, "{verb} of {list}: {number} {what}, at most {limit}");
        };
        most("programs", 0);
        // A deletion waits in a child for what is nobody's business; each plugin of a list is counted.
        most("children", u64::from(verb == "DEL"));
        most("calls", calls);
        most("netlink", sends);
    }
}
