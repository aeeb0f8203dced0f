//! The only place that writes to standard output and standard error.

use std::io::{self, Write};

/// Prints a line. Whoever closed the other end has read enough.
pub fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}");
    let _ = stdout.flush();
}

/// Prints a line beside the output, for tasks whose output is for machines.
pub fn tell(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
