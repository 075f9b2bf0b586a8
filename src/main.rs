//! The binary: see `cli.rs` for its commands.

fn main() -> std::process::ExitCode {
    laurel::cli::main()
}
