//! The `ropewalk` command, which is also every plugin under whose name it is started.

fn main() -> std::process::ExitCode {
    ropewalk_cli::main()
}
