//! The loopback interface of a new network namespace, which is down (`netdevice(7)`).

use super::call::{close, errno, fail, fd, ok};

/// Takes it up, which gives it its addresses.
pub(super) fn raise() -> Option<()> {
    // SAFETY: takes integers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    let socket = fd(socket.into())?;
    // SAFETY: ifreq is plain data, for which zero is valid; the call reads a name and flags of it.
    let done = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as _;
        request.ifr_name[1] = b'o' as _;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_LOOPBACK | libc::IFF_RUNNING) as _;
        ok(libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request).into())
    };
    let failed = errno();
    close(socket);
    done.or_else(|| fail(failed))
}
