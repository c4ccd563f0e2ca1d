//! `creel init`

use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::process::ExitCode;

use creel_base::hint::Hint;
use creel_init::Target;
use creel_init::pid1::ArgVec;

use crate::failure::Failure;

/// Run a command as the init of a container: forward signals, reap, and end with its status
///
/// What `creel run --init` starts in a container. Ends with the command's exit status, or 128 plus
/// the signal that ended it; 126 says that it cannot be executed, 127 that it was not found. As the
/// first process of its namespace it takes all others with it when the command ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Forward signals to the command's whole process group
    #[arg(short = 'g')]
    group: bool,
    /// Be a subreaper; always so, and taken for callers of other inits
    #[arg(short = 's')]
    subreaper: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// Why the command was not started.
#[derive(Debug, thiserror::Error)]
enum InitError {
    /// An argument cannot be passed on.
    #[error("an argument holds a null byte")]
    Argument(#[from] std::ffi::NulError),
    /// The process is not fit to be an init.
    #[error("cannot tell by `/proc/self/task` that this process has one thread")]
    Threads,
}

impl Hint for InitError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Argument(_) => None,
            Self::Threads => Some("mount `/proc`, or use the program `creel-init`".into()),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let words = args.command.iter().map(|word| CString::new(word.clone().into_vec()));
    let words = words.collect::<Result<Vec<_>, _>>().map_err(InitError::from)?;
    let words: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
    let mut room = vec![std::ptr::null(); words.len() + 1];
    let argv = ArgVec::from_strings(&words, &mut room).ok_or(InitError::Threads)?;
    let target = if args.group { Target::Group } else { Target::Process };
    Ok(ExitCode::from(creel_init::run(argv, target)))
}
