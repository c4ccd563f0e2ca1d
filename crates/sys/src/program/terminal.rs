//! The container's terminal, made by the child inside its own devpts.

use std::os::fd::{OwnedFd, RawFd};

use super::call::{State, check_file_system, close, fd, ok, open};
use super::message;
use super::op::{LineEnds, Terminal};

const DEVPTS_MAGIC: i64 = 0x1cd1;

/// Makes the terminal, sends the master and returns the slave.
pub(super) fn make(state: &State, terminal: &Terminal) -> Option<RawFd> {
    let root = state.get(terminal.root)?;
    let resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS;
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let master = open(root, c"dev/pts/ptmx", flags, resolve)?;
    check_file_system(master, DEVPTS_MAGIC)?;
    let [rows, columns] = terminal.size;
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let unlock = 0;
    // SAFETY: each ioctl takes what is given: a pointer to an int, to a winsize, and open flags.
    let slave = unsafe {
        ok(libc::ioctl(master, libc::TIOCSPTLCK as _, &raw const unlock).into())?;
        ok(libc::ioctl(master, libc::TIOCSWINSZ as _, &raw const size).into())?;
        let peer = libc::ioctl(master, libc::TIOCGPTPEER as _, flags | libc::O_CLOEXEC);
        fd(peer.into())?
    };
    if terminal.line_ends == LineEnds::Kept {
        keep_line_ends(slave)?;
    }
    // SAFETY: takes integers; -1 leaves the group that devpts gave.
    ok(unsafe { libc::fchown(slave, terminal.uid, u32::MAX) }.into())?;
    send(state.get(terminal.socket)?, master)?;
    close(master);
    Some(slave)
}

fn keep_line_ends(slave: RawFd) -> Option<()> {
    // SAFETY: a termios of zeros is one, and both calls take a pointer to it.
    unsafe {
        let mut modes: libc::termios = std::mem::zeroed();
        ok(libc::tcgetattr(slave, &raw mut modes).into())?;
        modes.c_oflag &= !libc::ONLCR;
        ok(libc::tcsetattr(slave, libc::TCSANOW, &raw const modes).into())
    }
}

/// Makes the slave the controlling terminal and the three standard descriptors.
pub(super) fn take(slave: RawFd) -> Option<()> {
    // SAFETY: takes integers.
    unsafe {
        ok(libc::ioctl(slave, libc::TIOCSCTTY as _, 0).into())?;
        (0..3).try_for_each(|number| ok(libc::dup2(slave, number).into()))
    }
}

/// Sends a descriptor on a socket that is for one alone.
pub(super) fn send(socket: RawFd, sent: RawFd) -> Option<()> {
    message::send(socket, [0; 2], sent, [0; 3])
}

/// Receives the one descriptor that the child has sent.
pub(super) fn receive(socket: &OwnedFd) -> std::io::Result<OwnedFd> {
    let message = message::receive(socket, libc::MSG_DONTWAIT)?;
    message.and_then(|(_, sent)| sent).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}
