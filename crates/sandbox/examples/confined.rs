//! Runs a command with the host's programs, read-only, and nothing else of the host.
//!
//! `cargo run --example confined -- COMMAND [ARGUMENT…]`

use std::process::ExitCode;

use creel_sandbox::{Access, Change, Sandbox, SandboxError};

fn main() -> Result<ExitCode, SandboxError> {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else { return Ok(ExitCode::FAILURE) };
    let sandbox = Sandbox::isolated()
        .bind("/usr", "/usr", Access::ReadOnly)
        .link("usr/bin", "/bin")
        .link("usr/lib", "/lib")
        .link("usr/lib64", "/lib64")
        .with(Change::Proc { at: "/proc".into() })
        .with(Change::Dev { at: "/dev".into() })
        .run(std::path::Path::new("/usr/bin").join(program), words);
    let mut started = sandbox.plan()?.start()?;
    let code = started.wait().map_err(SandboxError::Start)?;
    Ok(ExitCode::from(code))
}
