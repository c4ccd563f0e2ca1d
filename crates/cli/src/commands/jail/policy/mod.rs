//! `creel jail policy`

mod check;
mod compile;
mod explain;
pub(super) mod files;
mod from_strace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use creel_sandbox::policy::bpf::arch::Arch;
use creel_sandbox::policy::bpf::policy::Action;
use creel_sandbox::policy::{self, Meaning, Rules, Settings};

use crate::failure::Failure;

/// Read, check and compile policies for system calls
///
/// The language is minijail's: lines such as `read: 1`, `openat: arg2 & O_CREAT; return EACCES` or `mmap:
/// arg2 in ~PROT_EXEC || arg2 in ~PROT_WRITE`. What a policy does not name ends the process.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Compile(compile::Args),
    Check(check::Args),
    Explain(explain::Args),
    FromStrace(from_strace::Args),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.command {
        Command::Compile(args) => compile::run(args),
        Command::Check(args) => check::run(args),
        Command::Explain(args) => explain::run(args),
        Command::FromStrace(args) => from_strace::run(args),
    }
}

/// How a policy is read.
#[derive(Debug, clap::Args)]
struct Reading {
    /// Architecture that the policy is for [default: this machine's]
    #[arg(long, value_enum, value_name = "ARCH")]
    arch: Option<Machine>,
    /// Whose reading of `EXPRESSION; return ERRNO` counts
    #[arg(long, value_enum, default_value_t, value_name = "READER")]
    reader: Reader,
    /// What a call that is not allowed ends
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    kill: Kill,
    /// Log calls that are not allowed and let them through; leave out calls that do not exist
    #[arg(long)]
    log: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Machine {
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    #[value(name = "aarch64", alias = "arm64")]
    Aarch64,
    Riscv64,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Reader {
    /// minijail0: the error is for calls for which the expression does not hold
    #[default]
    Minijail0,
    /// minijail's compile_seccomp_policy.py: the error is for calls for which it holds
    Compiler,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Kill {
    #[default]
    Process,
    Thread,
}

impl Reading {
    fn settings(&self) -> Result<Settings, Failure> {
        let arch = match self.arch {
            Some(Machine::X86_64) => Some(Arch::X86_64),
            Some(Machine::Aarch64) => Some(Arch::Aarch64),
            Some(Machine::Riscv64) => Some(Arch::Riscv64),
            None => Settings::native().map(|settings| settings.arch),
        };
        let arch = arch.ok_or_else(|| {
            Failure::new("there are no policies for this machine: name one with `--arch`")
        })?;
        let meaning = match self.reader {
            Reader::Minijail0 => Meaning::Launcher,
            Reader::Compiler => Meaning::Compiler,
        };
        let kill = match self.kill {
            Kill::Process => Action::KillProcess,
            Kill::Thread => Action::KillThread,
        };
        Ok(Settings { meaning, kill, log: self.log, ..Settings::of(arch) })
    }

    /// The rules of a file.
    fn rules(&self, path: &Path) -> Result<Rules, Failure> {
        let settings = self.settings()?;
        let text = files::text(path)?;
        let name = path.display().to_string();
        Ok(policy::read(&name, &text, &settings, &mut files::Disk(settings.meaning))?)
    }
}

/// The file of a policy.
#[derive(Debug, clap::Args)]
struct PolicyFile {
    /// File with the policy; `-` is standard input
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
}
