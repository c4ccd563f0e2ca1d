//! The container's terminal, made by the child inside its own devpts.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::call::{State, check_file_system, close, errno, fail, fd, ok, open};
use super::op::Terminal;

const DEVPTS_MAGIC: i64 = 0x1cd1;

/// A message of one byte with room for one descriptor.
struct Message {
    byte: u8,
    // cmsg_space(4) is 24 bytes on 64-bit Linux; u64 gives the alignment of cmsghdr.
    control: [u64; 3],
}

impl Message {
    /// Calls `act` with a header that points into this message.
    fn with<T>(&mut self, act: impl FnOnce(*mut libc::msghdr) -> T) -> T {
        let mut part = libc::iovec { iov_base: (&raw mut self.byte).cast(), iov_len: 1 };
        // SAFETY: msghdr is plain data, for which zero is valid.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = self.control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&self.control) as _;
        act(&raw mut header)
    }
}

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
    // SAFETY: takes integers; -1 leaves the group that devpts gave.
    ok(unsafe { libc::fchown(slave, terminal.uid, u32::MAX) }.into())?;
    send(state.get(terminal.socket)?, master)?;
    close(master);
    Some(slave)
}

/// Makes the slave the controlling terminal and the three standard descriptors.
pub(super) fn take(slave: RawFd) -> Option<()> {
    // SAFETY: takes integers.
    unsafe {
        ok(libc::ioctl(slave, libc::TIOCSCTTY as _, 0).into())?;
        (0..3).try_for_each(|number| ok(libc::dup2(slave, number).into()))
    }
}

pub(super) fn send(socket: RawFd, sent: RawFd) -> Option<()> {
    let mut message = Message { byte: 0, control: [0; 3] };
    // SAFETY: the control buffer holds one cmsghdr with one descriptor, which CMSG_* stays inside.
    let done = message.with(|header| unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        (*control).cmsg_level = libc::SOL_SOCKET;
        (*control).cmsg_type = libc::SCM_RIGHTS;
        (*control).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(control).cast::<RawFd>().write_unaligned(sent);
        libc::sendmsg(socket, header, libc::MSG_NOSIGNAL)
    });
    if done == 1 { Some(()) } else { fail(errno()) }
}

/// Receives the one descriptor that the child has sent.
pub(super) fn receive(socket: &OwnedFd) -> std::io::Result<OwnedFd> {
    let mut message = Message { byte: 0, control: [0; 3] };
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    // SAFETY: the kernel fills the control buffer, and the header says how much; a descriptor it
    // installed is new and nothing else owns it.
    message.with(|header| unsafe {
        if libc::recvmsg(socket.as_raw_fd(), header, flags) < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let control = libc::CMSG_FIRSTHDR(header);
        if control.is_null() || (*control).cmsg_type != libc::SCM_RIGHTS {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let raw = libc::CMSG_DATA(control).cast::<RawFd>().read_unaligned();
        Ok(OwnedFd::from_raw_fd(raw))
    })
}
