//! Messages of two numbers between a child and its parent, with a descriptor or without one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::syscall;

use super::call::{errno, fail};

/// The bytes of a message.
const SIZE: usize = 8;

struct Message {
    words: [i32; 2],
    // cmsg_space(4) is 24 bytes on 64-bit Linux; u64 gives the alignment of cmsghdr.
    control: [u64; 3],
}

impl Message {
    const fn of(words: [i32; 2]) -> Self {
        Self { words, control: [0; 3] }
    }

    /// Calls `act` with a header that points into this message.
    fn with<T>(&mut self, act: impl FnOnce(*mut libc::msghdr) -> T) -> T {
        let mut part = libc::iovec { iov_base: self.words.as_mut_ptr().cast(), iov_len: SIZE };
        // SAFETY: msghdr is plain data, for which zero is valid.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = self.control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&self.control) as _;
        act(&raw mut header)
    }
}

/// Sends a descriptor. `unread` are the last three arguments of the call, which the kernel does not
/// read; a filter may.
pub(super) fn send(socket: RawFd, words: [i32; 2], sent: RawFd, unread: [u64; 3]) -> Option<()> {
    let [a, b, c] = unread;
    // SAFETY: the control buffer holds one cmsghdr with one descriptor, which CMSG_* stays inside.
    let done = Message::of(words).with(|header| unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        (*control).cmsg_level = libc::SOL_SOCKET;
        (*control).cmsg_type = libc::SCM_RIGHTS;
        (*control).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(control).cast::<RawFd>().write_unaligned(sent);
        syscall(libc::SYS_sendmsg, socket, header, libc::MSG_NOSIGNAL, a, b, c)
    });
    if done == SIZE as i64 { Some(()) } else { fail(errno()) }
}

/// Receives a message, and the descriptor that came with it; nothing where all senders have closed
/// the socket.
pub(super) fn receive(
    socket: impl AsFd,
    flags: libc::c_int,
) -> io::Result<Option<([i32; 2], Option<OwnedFd>)>> {
    let socket = socket.as_fd().as_raw_fd();
    let mut message = Message::of([0; 2]);
    // SAFETY: the kernel fills both buffers, and the header says how much; a descriptor it
    // installed is new and nothing else owns it.
    let (got, sent) = message.with(|header| unsafe {
        let got = loop {
            let got = libc::recvmsg(socket, header, flags | libc::MSG_CMSG_CLOEXEC);
            if got >= 0 || errno() != libc::EINTR {
                break got;
            }
        };
        let control = libc::CMSG_FIRSTHDR(header);
        if got < 0 || control.is_null() || (*control).cmsg_type != libc::SCM_RIGHTS {
            return (got, None);
        }
        let raw = libc::CMSG_DATA(control).cast::<RawFd>().read_unaligned();
        (got, Some(OwnedFd::from_raw_fd(raw)))
    });
    match usize::try_from(got) {
        Ok(SIZE) => Ok(Some((message.words, sent))),
        Ok(0) => Ok(None),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}
