//! Handing the master of a container's terminal to who asked for it.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::create::Console;
use super::error::LifecycleError;
use crate::container::Running;

/// What the message holds besides the descriptor: runc's callers get the terminal's name.
const NAME: &[u8] = b"/dev/pts/ptmx";

/// Sends the terminal to who asked for it, if that is not the caller.
pub(super) fn hand_over(console: &Console, running: &mut Running) -> Result<(), LifecycleError> {
    let Console::Socket(path) = console else { return Ok(()) };
    let Some(terminal) = running.take_terminal() else { return Ok(()) };
    let sent = UnixStream::connect(path).and_then(|stream| send(&stream, terminal.as_fd()));
    sent.map_err(|source| LifecycleError::Console { path: path.clone(), source })
}

fn send(stream: &UnixStream, terminal: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [terminal];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(stream.as_fd(), &[IoSlice::new(NAME)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
