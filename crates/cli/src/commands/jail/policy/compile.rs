//! `creel jail policy compile`

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use creel_base::path::{Action, PathError};
use creel_sandbox::policy;

use super::{PolicyFile, Reading};
use crate::failure::Failure;
use crate::output;

/// Compile a policy to a program that the kernel loads
///
/// The file is what `minijail0 --seccomp-bpf-binary` and `bwrap --seccomp` take.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyFile,
    #[command(flatten)]
    reading: Reading,
    /// File to write the program to [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let rules = args.reading.rules(&args.policy.policy)?;
    for remark in &rules.remarks {
        Failure::remark(&remark.to_string());
    }
    let program = policy::bytes(&policy::compile(&rules)?);
    match &args.output {
        Some(path) => {
            fs::write(path, program).map_err(|error| PathError::new(Action::Write, path, error))?;
        }
        None if io::stdout().is_terminal() => {
            return Err(Failure::new("a program is nothing for a terminal: name a file with `-o`"));
        }
        None => output::bytes(&program)?,
    }
    Ok(ExitCode::SUCCESS)
}
