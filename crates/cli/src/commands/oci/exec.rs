//! `creel oci exec`

use std::path::PathBuf;
use std::process::ExitCode;

use creel_base::path::{Action, PathError};
use creel_runtime::lifecycle::{Below, Console, Exec, Ids, Joining, LifecycleError, Runtime};
use creel_runtime::spec::{Capabilities, Process};

use super::Id;
use super::handed::Handed;
use crate::attach;
use crate::failure::Failure;
use crate::foreground::{self, Plain};
use crate::output;
use crate::protection;

/// Run a further program in a container
///
/// Ends with the exit code of the program, or 128 plus the signal that ended it; 255 says that it was
/// not started.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Specification of the process, as in `config.json`
    #[arg(short, long, value_name = "FILE")]
    process: Option<PathBuf>,
    /// Working directory
    #[arg(long, value_name = "PATH")]
    cwd: Option<String>,
    /// Environment variable to add, as `NAME=VALUE`
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Give the program a terminal of its own
    #[arg(short, long)]
    tty: bool,
    /// User and group, by number
    #[arg(short, long, value_name = "UID[:GID]")]
    user: Option<Ids>,
    /// Supplementary group to add, by number
    #[arg(short = 'g', long, value_name = "GID")]
    additional_gids: Vec<u32>,
    /// Capability to add, such as `CAP_NET_RAW`
    #[arg(short, long, value_name = "NAME")]
    cap: Vec<String>,
    /// Forbid new privileges
    #[arg(long)]
    no_new_privs: bool,
    /// AppArmor profile of the program
    #[arg(long, value_name = "PROFILE")]
    apparmor: Option<String>,
    /// SELinux label of the program
    #[arg(long, value_name = "LABEL")]
    process_label: Option<String>,
    #[command(flatten)]
    handed: Handed,
    /// Return once the program is executed
    #[arg(short, long)]
    detach: bool,
    /// File that the process id is written to
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Listening socket that the terminal is sent to
    #[arg(long, value_name = "PATH")]
    console_socket: Option<PathBuf>,
    /// Group below the container's to start in; with version 1, `CONTROLLER,…:PATH` for some controllers
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<String>,
    /// Go into a paused container, where the program waits until that is resumed
    #[arg(long)]
    ignore_paused: bool,
    #[command(flatten)]
    id: Id,
    /// Program and arguments
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required_unless_present = "process"
    )]
    command: Vec<String>,
}

/// What this program itself failing ends with, as in runc.
pub(super) const FAILED: u8 = 255;

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    protection::ensure()?;
    let id = args.id.parse()?;
    let container = runtime.join(&id)?;
    let mut process = process(args, &container)?;
    let handed = args.handed.descriptors()?;
    process.env.extend(handed.variables);
    let signals = attach::gather_signals().map_err(|error| Failure::terminal(&error))?;
    let console = match &args.console_socket {
        Some(path) => Console::Socket(path.clone()),
        None if process.terminal && !args.detach => Console::Caller,
        None => Console::None,
    };
    let running = container.exec(
        &process,
        &Exec {
            console,
            ignore_paused: args.ignore_paused,
            groups: below(&args.cgroup)?,
            preserved: handed.all,
            pidfd_socket: args.handed.pidfd_socket.clone(),
            warn: Some(Failure::remark),
            ..Exec::default()
        },
    )?;
    if let Some(file) = &args.pid_file {
        output::pid_file(file, running.pid())?;
    }
    if args.detach {
        return Ok(ExitCode::SUCCESS);
    }
    foreground::run_plain(Plain::Joined(running), &signals)
}

/// Groups by `--cgroup`, as runc takes them.
fn below(given: &[String]) -> Result<Option<Below>, Failure> {
    let mut below = Below::default();
    for one in given {
        let wrong = |why: &str| Failure::new(&format!("invalid --cgroup argument: {one} ({why})"));
        let Some((controllers, path)) = one.split_once(':') else {
            if given.len() > 1 {
                return Err(wrong("missing <controller>: prefix"));
            }
            below.all.clone_from(one);
            continue;
        };
        for controller in controllers.split(',') {
            if controller.is_empty() {
                return Err(wrong("empty <controller> prefix"));
            }
            if below.some.insert(controller.into(), path.into()).is_some() {
                return Err(wrong("controller specified multiple times"));
            }
        }
    }
    Ok((!given.is_empty()).then_some(below))
}

/// What is run: what a file says, or something like the container's first process.
fn process(args: &Args, container: &Joining<'_>) -> Result<Process, Failure> {
    let mut process = match &args.process {
        Some(path) => read(path)?,
        None => Process { terminal: false, ..container.process() },
    };
    if !args.command.is_empty() {
        process.args.clone_from(&args.command);
    }
    process.terminal |= args.tty;
    process.no_new_privileges |= args.no_new_privs;
    process.env.extend(args.env.iter().cloned());
    process.user.additional_gids.extend(&args.additional_gids);
    if let Some(profile) = &args.apparmor {
        process.apparmor_profile = Some(profile.clone());
    }
    if let Some(label) = &args.process_label {
        process.selinux_label = Some(label.clone());
    }
    if let Some(cwd) = &args.cwd {
        process.cwd.clone_from(cwd);
    }
    if let Some(ids) = args.user {
        process.user.uid = ids.uid;
        process.user.gid = ids.gid;
    }
    add_capabilities(&mut process, &args.cap);
    Ok(process)
}

/// Nothing is added to the inheritable set (CVE-2022-29162). Where the container has one, what is in it
/// becomes ambient too, so that programs of other users than root have it.
fn add_capabilities(process: &mut Process, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let sets = process.capabilities.get_or_insert_with(Capabilities::default);
    for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
        set.extend(names.iter().cloned());
    }
    if !sets.inheritable.is_empty() {
        sets.ambient.extend(names.iter().cloned());
    }
}

fn read(path: &PathBuf) -> Result<Process, Failure> {
    let text = std::fs::read(path).map_err(|error| PathError::new(Action::Read, path, error))?;
    let parsed = serde_json::from_slice(&text);
    Ok(parsed.map_err(|source| LifecycleError::document(path, &text, source))?)
}
