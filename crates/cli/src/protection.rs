//! The program's own file, out of reach of the containers it starts.
//!
//! Where a container's root is the file's owner, be that the host's root or a user, a process in it
//! could open this program's file through `/proc` and overwrite it (CVE-2019-5736). So this program
//! runs from a read-only mount of itself that is attached nowhere; as root that mount is also what
//! `--init` puts into a container.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use creel_manager::selfexe;
use creel_runtime::lifecycle::Bundle;

use crate::failure::Failure;
use crate::names;

/// The variable by which this program tells itself the descriptor of the mount.
const PASSED: &str = "CREEL_SELF_MOUNT";

/// The variable by which a user's program tells itself where its file is.
const PATH: &str = "CREEL_SELF_PATH";

/// The commands that start a process in a container. Those of `creel oci` begin with the second:
/// `creel oci start` only tells one to go on.
const STARTING: [&str; 4] = ["start", "run", "exec", "create"];

/// Does what [`ensure`] does before anything else is done where an argument looks like a command that
/// will ask for it: reading the command line takes longer than executing the program, and would be
/// done twice. What it cannot know, as options of these names, costs one execution and no more.
pub(crate) fn ensure_early(argv: &[OsString]) -> Result<(), Failure> {
    let oci = argv.iter().skip(1).any(|argument| argument == "oci") || names::is_oci(argv);
    let commands = if oci { &STARTING[1..] } else { &STARTING };
    let is_command = |argument: &&OsString| commands.iter().any(|name| *argument == name);
    match argv.iter().skip(1).find(is_command) {
        // The command asks once it knows the map.
        Some(command) if oci && command != "exec" && maps_ids(&bundle(argv)) => Ok(()),
        Some(_) => ensure(),
        None => Ok(()),
    }
}

/// Makes sure that this program is out of a container's reach, as [`ensure`] does unless its ids are
/// others than the owner's of the file.
pub(crate) fn ensure_for(bundle: &Bundle) -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() && bundle.maps_root_away() {
        let file = std::fs::metadata("/proc/self/exe");
        if file.is_ok_and(|file| file.uid() == 0 && file.mode() & 0o022 == 0) {
            return Ok(());
        }
    }
    ensure()
}

/// The bundle that the arguments name, the working directory if they do not.
fn bundle(argv: &[OsString]) -> PathBuf {
    let named = argv.iter().enumerate().find_map(|(index, argument)| {
        let text = argument.to_str()?.trim_start_matches('-');
        match text.split_once('=') {
            Some(("bundle", path)) => Some(PathBuf::from(path)),
            None if text == "bundle" || argument == "-b" => argv.get(index + 1).map(PathBuf::from),
            _ => None,
        }
    });
    named.unwrap_or_else(|| ".".into())
}

/// Whether a bundle may have id maps. Whoever is wrong about it executes once more than needed; what
/// is no file, or longer than a specification can be, is not read.
fn maps_ids(bundle: &Path) -> bool {
    let read = || {
        let file = File::options()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(bundle.join("config.json"))
            .ok()
            .filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()))?;
        let mut text = String::new();
        file.take(Bundle::MAX_SPEC).read_to_string(&mut text).ok()?;
        Some(text)
    };
    read().is_some_and(|text| text.contains("\"uidMappings\""))
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
    let given = || selfexe::passed_mount(passed()?);
    given().or_else(|| selfexe::mount_at(std::env::var_os(PATH)?.into()))
}

/// The number of the descriptor of the mount of this program's file, if it was passed.
pub(crate) fn passed() -> Option<i32> {
    std::env::var(PASSED).ok()?.parse().ok()
}

fn text(text: OsString) -> Option<CString> {
    CString::new(text.into_vec()).ok()
}
