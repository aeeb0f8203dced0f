//! The multi-call plugin binary: the name it is started under chooses the plugin.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
