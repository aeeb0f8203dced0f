//! The page of findings says what the table of checks says.

use ropewalk_topology::doctor::{CHECKS, Check};

#[test]
fn the_page_has_every_finding_as_the_table_of_checks_has_it() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/doctor.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let table: String = CHECKS.iter().map(row).collect();
    let heading = "| Finding | Severity | What is wrong | What comes of it | Cure |\n\
                   |---|---|---|---|---|\n";
    assert!(page.contains(&format!("{heading}{table}\n")), "the page needs:\n{heading}{table}");
}

fn row(check: &Check) -> String {
    let fix = if check.is_mended { " (`--fix`)" } else { "" };
    format!(
        "| `{}`{fix} | {} | {} | {} | {} |\n",
        check.name,
        check.severity.name(),
        capitalised(check.meaning),
        check.consequence.trim_end_matches('.'),
        capitalised(check.cure),
    )
}

fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
