//! Signals to processes that this one has no rights over, but could be of the same user as.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use creel_sys::program::{Failure, Op, Program};

/// Sends a signal through a pidfd as another user, whom this process may become. A child does it.
///
/// # Errors
/// Fails as `setresuid` and `pidfd_send_signal` do.
pub fn signal_as(user: u32, process: Arc<OwnedFd>, signal: i32) -> io::Result<()> {
    let mut program = Program::default();
    let process = program.give(process);
    program.push(Op::User(user));
    // It ends then: nothing follows.
    program.push(Op::Signal(process, signal));
    let child = program.start(0, None, |_| Ok(())).map_err(Failure::into_source)?;
    child.wait().map(drop)
}
