//! PID 1 for containers: starts one command, forwards every signal to it, reaps every orphan and
//! ends with the command's status. It sleeps in the kernel in between and never polls.
//!
//! When the command is gone the init ends at once. As PID 1 it takes all other processes of the
//! namespace with it (`pid_namespaces(7)`); otherwise they go to the next subreaper above.
//!
//! # Unsafe code
//!
//! All of it is in `creel-sys`' file `pid1.rs`, which is compiled in here (`Cargo.toml` says why it
//! is not linked). The lint is `deny` and not `forbid`, which would not let that one module allow
//! it. The entry point that its macro adds to the program carries its own `allow` and proof.
#![no_std]
#![deny(unsafe_code)]

#[allow(unsafe_code)]
#[path = "../../sys/src/pid1.rs"]
pub mod pid1;

use core::ffi::CStr;
use pid1::{ArgVec, Signals};

/// The exit code for mistakes of the init's own caller, and for a fork that fails.
pub const FAILURE: u8 = 125;
/// The one signal that is the init's own business and not forwarded.
const SIGCHLD: i32 = libc::SIGCHLD;

/// Who gets the signals that the init is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Target {
    /// The command alone.
    #[default]
    Process,
    /// The command's process group (`-g`).
    Group,
}

/// Runs `argv`, returning its exit status, or 128 plus the signal that ended it.
///
/// 127 says the command was not found, 126 that it cannot be executed. Closes every descriptor
/// above 2 of the calling process and changes its signal mask for good.
#[must_use]
pub fn run(argv: ArgVec<'_>, target: Target) -> u8 {
    let before = Signals::take();
    pid1::become_subreaper();
    let Some(main) = pid1::start(argv, before) else {
        pid1::report(c"creel-init: cannot fork\n");
        return FAILURE;
    };
    pid1::close_others(argv);
    supervise(main, target)
}

fn supervise(main: i32, target: Target) -> u8 {
    let recipient = match target {
        Target::Process => main,
        Target::Group => -main,
    };
    loop {
        match pid1::next_signal() {
            SIGCHLD => {
                if let Some(code) = reap_all(main) {
                    return code;
                }
            }
            signal => pid1::send(recipient, signal),
        }
    }
}

/// Reaps all there is; the code of `main` if it was among them.
fn reap_all(main: i32) -> Option<u8> {
    let mut code = None;
    while let Some(gone) = pid1::reap() {
        if gone.pid == main {
            code = Some(gone.code);
        }
    }
    code
}

/// Runs `creel-init [-s] [-g] [--] COMMAND [ARGUMENT…]`, program name included in `argv`.
///
/// `-s` (be a subreaper) is always in effect and accepted for callers of other inits.
#[must_use]
pub fn main(argv: ArgVec<'_>) -> u8 {
    let mut argv = argv.rest();
    let mut target = Target::Process;
    while let Some(word) = argv.first().map(CStr::to_bytes) {
        match word {
            b"-s" => {}
            b"-g" | b"-sg" | b"-gs" => target = Target::Group,
            b"--" => {
                argv = argv.rest();
                break;
            }
            [b'-', ..] => return usage(),
            _ => break,
        }
        argv = argv.rest();
    }
    if argv.first().is_none() {
        return usage();
    }
    run(argv, target)
}

fn usage() -> u8 {
    pid1::report(c"usage: creel-init [-s] [-g] [--] COMMAND [ARGUMENT...]\n");
    FAILURE
}
