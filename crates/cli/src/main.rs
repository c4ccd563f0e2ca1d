//! The `creel` program. Everything is in the library, so that tests and documents can use it.
#![forbid(unsafe_code)]

// musl's allocator takes one lock for all threads, which a pull of many layers feels; see
// ARCHITECTURE.md, "The static binary".
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    creel_cli::main()
}
