//! The rules of the tree hold for the tree.

#[test]
fn the_tree_keeps_every_rule() {
    let violations = xtask::tidy::check(&xtask::Workspace::root()).unwrap();
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}
