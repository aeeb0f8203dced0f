//! The program behind `cargo xtask bench`.

use std::{fs, process::ExitCode};

use ropewalk_bench::{
    Outcome,
    arguments::Arguments,
    console::{say, tell},
    failed, picture, run, sys, table,
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
    sys::end_when_asked();
    let report = run::run(&arguments)?;
    if let Some(file) = &arguments.svg {
        // The file is in the machine's own mounts, as all but a few directories here.
        fs::write(file, picture::draw(&report)).map_err(failed(file.display()))?;
    }
    say(&if arguments.is_json { format!("{:#}", report.to_json()) } else { table::text(&report) });
    Ok(())
}
