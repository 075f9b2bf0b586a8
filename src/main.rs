//! The binary: see `cli.rs` for its commands.

/// A request allocates some hundred small pieces and frees them on another thread, which is what the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    laurel::cli::main()
}
