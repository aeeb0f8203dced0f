//! The program behind `cargo xtask bench`.

use std::process::ExitCode;

use ropewalk_bench::{
    Outcome,
    arguments::Arguments,
    console::{say, tell},
    run, table,
};

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Outcome<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let report = run::run(&arguments)?;
    say(&if arguments.is_json { format!("{:#}", report.to_json()) } else { table::text(&report) });
    Ok(())
}
