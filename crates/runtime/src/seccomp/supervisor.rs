//! Whoever answers the notifications of a filter (`SCMP_ACT_NOTIFY`): the listener of the filter is
//! sent to its socket, together with a description of the process (`config-linux.md`, "The Container
//! Process State").

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use creel_base::hint::Hint;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, send, sendmsg, socket_with,
};

use crate::spec::{ProcessState, Seccomp, State};

/// How long the supervisor may take to accept a connection or to read what is sent.
const ACCEPT: Duration = Duration::from_secs(10);
/// How long the process may take to execute its program, which the supervisor may have a say in.
const EXECUTE: Duration = Duration::from_secs(60);

/// Why a supervisor has no listener.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// There is no such socket, or nobody accepts connections.
    #[error("failed to connect with seccomp agent, the supervisor of system calls, at `{}`", path.display())]
    Connect {
        /// The path of the socket.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The supervisor does not take what is sent.
    #[error("cannot send to the supervisor of system calls at `{}`", path.display())]
    Send {
        /// The path of the socket.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The state cannot be written as JSON.
    #[error("cannot describe the process to the supervisor of system calls")]
    Encode(#[from] serde_json::Error),
}

impl Hint for SupervisorError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Connect { path, .. } => Some(format!(
                "start the supervisor that listens at `{}`, or change `linux.seccomp.listenerPath`",
                path.display()
            )),
            Self::Send { .. } => Some("look at what the supervisor says".into()),
            Self::Encode(_) => None,
        }
    }
}

/// Whom the listener of a filter goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervisor {
    /// The path of its socket.
    pub path: PathBuf,
    /// Whatever the specification gives it.
    pub metadata: Option<String>,
    /// How long a process may take to execute its program once the supervisor has the listener: it
    /// may be asked about what comes before.
    pub patience: Duration,
}

impl Supervisor {
    /// The one that a specification names.
    #[must_use]
    pub fn of(profile: &Seccomp) -> Option<Self> {
        let path = profile.listener_path.clone()?;
        Some(Self { path, metadata: profile.listener_metadata.clone(), patience: EXECUTE })
    }

    /// Sends the listener of a process's filter, in a connection of its own.
    ///
    /// # Errors
    /// Fails if nobody accepts the connection, or takes what is sent, within ten seconds.
    pub fn send(
        &self,
        pid: i32,
        container: &State,
        listener: &OwnedFd,
    ) -> Result<(), SupervisorError> {
        let state = ProcessState {
            oci_version: container.oci_version.clone(),
            fds: vec!["seccompFd".into()],
            pid,
            metadata: self.metadata.clone(),
            state: container.clone(),
        };
        let text = serde_json::to_vec(&state)?;
        let path = || self.path.clone();
        let socket =
            open(&self.path).map_err(|source| SupervisorError::Connect { path: path(), source })?;
        transmit(socket.as_fd(), &text, listener.as_fd())
            .map_err(|source| SupervisorError::Send { path: path(), source })
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let kind = SocketType::STREAM;
    let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(ACCEPT))?;
    match SocketAddrUnix::new(path) {
        Ok(address) => connect(&socket, &address)?,
        // Addresses have 108 bytes, paths more.
        Err(_) => connect_through_directory(&socket, path)?,
    }
    Ok(socket)
}

fn connect_through_directory(socket: &OwnedFd, path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory = File::open(parent)?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    Ok(connect(socket, &SocketAddrUnix::new(short)?)?)
}

/// The descriptor goes with the first bytes.
fn transmit(socket: BorrowedFd<'_>, text: &[u8], listener: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sent = [listener];
    if !control.push(SendAncillaryMessage::ScmRights(&sent)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let mut done = sendmsg(socket, &[IoSlice::new(text)], &mut control, SendFlags::NOSIGNAL)?;
    while let Some(rest) = text.get(done..).filter(|rest| !rest.is_empty()) {
        done += send(socket, rest, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}
