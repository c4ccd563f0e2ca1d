//! The program's own file, out of reach of the containers it starts.
//!
//! Where a container's root is the file's owner, be that the host's root or a user, a process in it
//! could open this program's file through `/proc` and overwrite it (CVE-2019-5736). So this program
//! runs from a read-only mount of itself that is attached nowhere; as root that mount is also what
//! `--init` puts into a container.

use std::ffi::{CString, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;

use creel_manager::selfexe;

use crate::failure::Failure;

/// The variable by which this program tells itself the descriptor of the mount.
const PASSED: &str = "CREEL_SELF_MOUNT";

/// The variable by which a user's program tells itself where its file is.
const PATH: &str = "CREEL_SELF_PATH";

/// The commands that start a process in a container.
const STARTING: [&str; 4] = ["run", "start", "exec", "create"];

/// Does what [`ensure`] does before anything else is done where an argument looks like a command that
/// will ask for it: reading the command line takes longer than executing the program, and would be
/// done twice. What it cannot know, as options of these names, costs one execution and no more.
pub(crate) fn ensure_early(argv: &[OsString]) -> Result<(), Failure> {
    let starting = argv.iter().skip(1).any(|argument| STARTING.iter().any(|name| argument == name));
    if starting { ensure() } else { Ok(()) }
}

/// Makes sure that this program runs from a mount that cannot be written to, by executing it again
/// if need be: as root always, as a user where the user could change the file.
pub(crate) fn ensure() -> Result<(), Failure> {
    let argv = std::env::args_os().map(text).collect::<Option<_>>();
    let env = std::env::vars_os()
        .filter(|(name, _)| name != PASSED && name != PATH)
        .map(|(name, value)| text([name, value].join(&OsString::from("="))))
        .collect::<Option<_>>();
    // Neither can hold a NUL: the kernel gave them as C strings.
    let (Some(argv), Some(env)) = (argv, env) else { return Ok(()) };
    let done = match rustix::process::geteuid().is_root() {
        true => selfexe::protect_and_pass(argv, env, PASSED),
        false => selfexe::protect_as_user(argv, env, PATH),
    };
    done.map_err(|error| Failure::protection(&error))
}

/// Returns a mount of this program's file, if it runs from one. A user must have entered the user
/// namespace.
pub(crate) fn mount() -> Option<OwnedFd> {
    let passed = || selfexe::passed_mount(std::env::var(PASSED).ok()?.parse().ok()?);
    passed().or_else(|| selfexe::mount_at(std::env::var_os(PATH)?.into()))
}

fn text(text: OsString) -> Option<CString> {
    CString::new(text.into_vec()).ok()
}
