//! The program behind `cargo xtask bench`.

use std::{fs::File, io::Write, process::ExitCode};

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

/// Waits until no other benchmark runs on this machine. Two of them, each before all others, would
/// leave the kernel's own threads no processor.
fn turn() -> Outcome<File> {
    const EVERYBODYS: &str = "/";
    let file = File::open(EVERYBODYS).map_err(failed(EVERYBODYS))?;
    if file.try_lock().is_err() {
        tell("waiting for another benchmark to end");
        file.lock().map_err(failed("wait"))?;
    }
    Ok(file)
}

fn bench() -> Outcome<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let _turn = turn()?;
    sys::end_when_asked();
    // Opened before the machine's directories are out of sight.
    let picture = arguments.svg.as_ref().map(|file| {
        File::create(file).map_err(failed(file.display())).map(|opened| (file, opened))
    });
    let picture = picture.transpose()?;
    let report = run::run(&arguments)?;
    if let Some((file, mut opened)) = picture {
        let svg = picture::draw(&report);
        opened.write_all(svg.as_bytes()).map_err(failed(file.display()))?;
    }
    say(&if arguments.is_json { format!("{:#}", report.to_json()) } else { table::text(&report) });
    match report.failures.len() {
        0 => Ok(()),
        count => Err(format!("{count} parts failed, see above")),
    }
}
