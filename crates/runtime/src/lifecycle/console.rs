//! Handing the master of a container's terminal to who asked for it.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::create::Console;
use super::error::LifecycleError;
use crate::container::Running;

/// What the message holds besides the descriptor: runc's callers get the terminal's name.
const NAME: &[u8] = b"/dev/pts/ptmx";

/// Likewise with a pidfd.
const PIDFD_NAME: &[u8] = b"pidfd";

/// Sends the terminal to who asked for it, if that is not the caller, and the pidfd.
pub(super) fn hand_over(
    console: &Console,
    pidfd_socket: Option<&Path>,
    running: &mut Running,
) -> Result<(), LifecycleError> {
    if let Some(path) = pidfd_socket {
        send_to(path, PIDFD_NAME, running.pidfd())
            .map_err(|source| LifecycleError::Pidfd { path: path.into(), source })?;
    }
    let Console::Socket(path) = console else { return Ok(()) };
    let Some(terminal) = running.take_terminal() else { return Ok(()) };
    send_to(path, NAME, terminal.as_fd())
        .map_err(|source| LifecycleError::Console { path: path.clone(), source })
}

fn send_to(path: &Path, name: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<()> {
    send(UnixStream::connect(path)?.as_fd(), name, descriptor)
}

/// Sends a text and a descriptor on a socket that is connected.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    text: &[u8],
    descriptor: BorrowedFd<'_>,
) -> io::Result<()> {
    let descriptors = [descriptor];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(text)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
