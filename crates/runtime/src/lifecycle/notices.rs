//! What a container tells the service manager that has started it (`sd_notify(3)`).
//!
//! The manager knows the runtime, not the container's processes. So the container gets a socket of its
//! own, and what comes there is told again: that it is ready, and which process it is that is ready now.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::io::retry_on_intr;

use super::Runtime;
use super::console::send;
use super::directory::Directory;
use super::error::LifecycleError;
use super::id::ContainerId;
use super::start::open;
use crate::container::ContainerError;
use crate::spec::{Mount, Spec};

/// The directory of the socket, in that of the container's state and in the container.
const DIRECTORY: &str = "notify";
const INSIDE: &str = "/run/notify";
/// The socket in it.
const SOCKET: &str = "notify.sock";
/// The most that is read of a message; what systemd's own clients send is far shorter.
const MAX: usize = 4096;
/// How long the service manager may take to read what it was told (`sd_notify_barrier(3)`).
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// The socket on which a container says that it is ready.
#[derive(Debug)]
pub struct Notices {
    socket: UnixDatagram,
    pid: i32,
    process: OwnedFd,
}

impl Runtime {
    /// Listens to a container that was made to tell when it is ready ([`Create::notifies`]); none if it was
    /// not.
    ///
    /// # Errors
    /// [`LifecycleError::NoContainer`], or why there is no socket.
    ///
    /// [`Create::notifies`]: super::Create::notifies
    pub fn notices(&self, id: &ContainerId) -> Result<Option<Notices>, LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let record = directory.record()?;
        if !directory.has(DIRECTORY)? {
            return Ok(None);
        }
        let (socket, pid) = (directory.bind_notices()?, record.process.pid);
        let process = open(&record, &record.spec()?)?.pidfd().try_clone_to_owned();
        Ok(Some(Notices { socket, pid, process: process.map_err(ContainerError::Wait)? }))
    }
}

impl Notices {
    /// Waits until the container says that it is ready, or has ended, and tells `manager` (the value of
    /// `NOTIFY_SOCKET`) so; and that `main` is the service's process from now on, else the
    /// container's first one. Returns once that was read.
    ///
    /// # Errors
    /// Fails if the manager cannot be told.
    pub fn relay(&self, manager: &Path, main: Option<u32>) -> io::Result<()> {
        let Some(ready) = self.ready()? else { return Ok(()) };
        let host = UnixDatagram::unbound()?;
        host.connect_addr(&address(manager)?)?;
        host.send(&[&ready[..], b"\n"].concat())?;
        let main = main.map_or_else(|| self.pid.to_string(), |main| main.to_string());
        host.send(format!("MAINPID={main}\n").as_bytes())?;
        barrier(&host)
    }

    /// The line that says so; none if the container ends before. Whatever else it says is for nobody.
    fn ready(&self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let mut waits = [
                PollFd::new(&self.socket, PollFlags::IN),
                PollFd::new(&self.process, PollFlags::IN),
            ];
            retry_on_intr(|| poll(&mut waits, None))?;
            let [said, _] = waits.map(|wait| !wait.revents().is_empty());
            if !said {
                return Ok(None);
            }
            let mut message = [0; MAX];
            let length = self.socket.recv(&mut message)?;
            let message = message.get(..length).unwrap_or_default();
            let mut lines = message.split(|byte| *byte == b'\n');
            if let Some(line) = lines.find(|line| line.starts_with(b"READY=")) {
                return Ok(Some(line.to_vec()));
            }
        }
    }
}

/// Waits until the manager has read what came before: it closes a descriptor that it is sent then. One
/// that does not know that is given up on after a while.
fn barrier(host: &UnixDatagram) -> io::Result<()> {
    let (end, sent) = io::pipe()?;
    send(host.as_fd(), b"BARRIER=1", sent.as_fd())?;
    drop(sent);
    let mut wait = [PollFd::new(&end, PollFlags::IN)];
    retry_on_intr(|| poll(&mut wait, Some(&PATIENCE)))?;
    Ok(())
}

/// A path, or a name without one after `@`.
fn address(manager: &Path) -> io::Result<SocketAddr> {
    match manager.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(manager),
    }
}

impl Directory<'_> {
    /// Makes the place of the socket, and has the container see it and know it.
    pub(super) fn add_notices(&self, spec: &mut Spec) -> Result<(), LifecycleError> {
        // The container's root goes through it, whoever that is.
        self.make_directory(DIRECTORY, Mode::from_raw_mode(0o755))?;
        let options = ["bind", "nosuid", "noexec", "nodev", "ro"].map(String::from).to_vec();
        let destination = INSIDE.into();
        spec.mounts.push(Mount {
            destination,
            source: Some(self.path_of(DIRECTORY)),
            options,
            ..Mount::default()
        });
        if let Some(process) = &mut spec.process {
            process.env.push(format!("NOTIFY_SOCKET={INSIDE}/{SOCKET}"));
        }
        Ok(())
    }

    fn bind_notices(&self) -> Result<UnixDatagram, LifecycleError> {
        let path = self.path_of(DIRECTORY).join(SOCKET);
        let failed = |source| LifecycleError::Socket { path: path.clone(), source };
        let here = self.way_to(DIRECTORY).join(SOCKET);
        let socket = match UnixDatagram::bind(&here) {
            // Of a start that failed.
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                fs::remove_file(&here).and_then(|()| UnixDatagram::bind(&here))
            }
            bound => bound,
        }
        .map_err(failed)?;
        // Whoever in the container has something to say.
        fs::set_permissions(&here, fs::Permissions::from_mode(0o777)).map_err(failed)?;
        Ok(socket)
    }
}
