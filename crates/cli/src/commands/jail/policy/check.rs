//! `creel jail policy check`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use creel_sandbox::policy;

use super::Reading;
use crate::failure::Failure;
use crate::output;

/// Say what is wrong with policies, and what in them does not do what it looks like
///
/// Exits with 1 if a policy cannot be compiled, and with `--strict` if there is anything to say.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files with policies; `-` is standard input
    #[arg(required = true, value_name = "POLICY")]
    policies: Vec<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// Fail where there is a remark too
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut failed = false;
    for path in &args.policies {
        match remarks(&args.reading, path) {
            Ok(remarks) => {
                failed |= args.strict && !remarks.is_empty();
                output::text(&remarks)?;
            }
            Err(failure) => {
                failure.warn();
                failed = true;
            }
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

fn remarks(reading: &Reading, path: &Path) -> Result<String, Failure> {
    let rules = reading.rules(path)?;
    policy::compile(&rules)?;
    Ok(rules.remarks.iter().map(|remark| format!("{remark}\n")).collect())
}
