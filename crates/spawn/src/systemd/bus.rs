//! A connection to systemd's manager, by the bus or straight.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use creel_codec::dbus::{Call, ERROR, HEAD, Message, REPLY, Reader, SIGNAL, Writer, lengths};

use super::SystemdError;

/// How long systemd may take for a call or a job; under load it takes many seconds.
const PATIENCE: Duration = Duration::from_secs(30);

const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// A connection.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    /// Whether others are on it too, so that signals come to those who ask for them.
    shared: bool,
    serial: u32,
    /// Ended jobs that nobody has asked for yet.
    ended: Vec<Job>,
}

/// A job that has ended.
#[derive(Debug)]
struct Job {
    path: String,
    result: String,
}

impl Bus {
    /// Connects to the first of some sockets that answers: a bus, or the manager's own, which is
    /// called `private`.
    pub(super) fn connect(sockets: &[PathBuf]) -> Result<(Self, PathBuf), SystemdError> {
        let mut failed = None;
        for path in sockets {
            match Self::to(path) {
                Ok(bus) => return Ok((bus, path.clone())),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or(SystemdError::NoBus))
    }

    fn to(path: &Path) -> Result<Self, SystemdError> {
        let failed = |source| SystemdError::Connect { path: path.into(), source };
        let stream = authenticate(path).map_err(failed)?;
        let shared = path.file_name().is_none_or(|name| name != "private");
        let mut bus = Self { stream, shared, serial: 0, ended: Vec::new() };
        if shared {
            bus.daemon("Hello", "", &Writer::default())?;
        }
        Ok(bus)
    }

    /// Calls the bus itself.
    fn daemon(&mut self, member: &str, signature: &str, body: &Writer) -> Result<(), SystemdError> {
        let call = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member,
            signature,
        };
        self.call(&call, body).map(drop)
    }

    /// Calls the manager.
    pub(super) fn manager(
        &mut self,
        member: &str,
        signature: &str,
        body: &Writer,
    ) -> Result<Message, SystemdError> {
        self.call(&of_systemd(MANAGER, member, signature), body)
    }

    /// The number of systemd's version; none if it does not say.
    pub(super) fn version(&mut self) -> Option<u32> {
        let text = self.property("/org/freedesktop/systemd1", MANAGER, "Version")?;
        let text = text.trim_start_matches('v');
        text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    /// A property of an object that is a text; none if it is not there.
    pub(super) fn property(&mut self, path: &str, interface: &str, name: &str) -> Option<String> {
        let mut body = Writer::default();
        body.text(interface).text(name);
        let get = of_systemd("org.freedesktop.DBus.Properties", "Get", "ss");
        let reply = self.call(&Call { path, ..get }, &body).ok()?;
        Reader::new(&reply.body).text_in_variant().map(str::to_owned)
    }

    /// Asks for the ends of a unit's jobs: those of all others come by the hundreds on a machine that
    /// starts many.
    pub(super) fn watch(&mut self, unit: &str) -> Result<(), SystemdError> {
        if !self.shared {
            return Ok(());
        }
        let mut rule = Writer::default();
        rule.text(&format!(
            "type='signal',interface='{MANAGER}',member='JobRemoved',arg2='{unit}'"
        ));
        self.daemon("AddMatch", "s", &rule)?;
        self.manager("Subscribe", "", &Writer::default()).map(drop)
    }

    /// Calls the manager for a job of a unit that is [watched](Self::watch), and waits for its end.
    pub(super) fn job(
        &mut self,
        member: &str,
        signature: &str,
        body: &Writer,
    ) -> Result<(), SystemdError> {
        let reply = self.manager(member, signature, body)?;
        let path = Reader::new(&reply.body).text().ok_or(SystemdError::Garbled)?.to_owned();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(index) = self.ended.iter().position(|job| job.path == path) {
                let job = self.ended.swap_remove(index);
                return match job.result.as_str() {
                    "done" => Ok(()),
                    _ => Err(SystemdError::Job { call: member.into(), result: job.result }),
                };
            }
            self.receive(deadline)?;
        }
    }

    fn call(&mut self, call: &Call<'_>, body: &Writer) -> Result<Message, SystemdError> {
        self.serial += 1;
        let serial = self.serial;
        let sent = self.stream.write_all(&call.message(serial, body));
        sent.map_err(SystemdError::Broken)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.receive(deadline)?;
            match (message.kind, message.reply_to) {
                (REPLY, Some(to)) if to == serial => return Ok(message),
                (ERROR, Some(to)) if to == serial => {
                    let said = Reader::new(&message.body).text().unwrap_or_default().to_owned();
                    let call = call.member.to_owned();
                    return Err(SystemdError::Refused { call, name: message.error, said });
                }
                _ => {}
            }
        }
    }

    /// Takes the next message, and notes a job that has ended.
    fn receive(&mut self, deadline: Instant) -> Result<Message, SystemdError> {
        let mut head = [0; HEAD];
        self.read(&mut head, deadline)?;
        let (fields, body) = lengths(head).ok_or(SystemdError::Garbled)?;
        let mut rest = vec![0; fields + body];
        self.read(&mut rest, deadline)?;
        let body = rest.split_off(fields);
        let message = Message::parse(head, &rest, body).ok_or(SystemdError::Garbled)?;
        if message.kind == SIGNAL && message.member == "JobRemoved" {
            self.ended.extend(ended(&message.body));
        }
        Ok(message)
    }

    fn read(&mut self, bytes: &mut [u8], deadline: Instant) -> Result<(), SystemdError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(SystemdError::Broken(ErrorKind::TimedOut.into()));
        }
        let read = self.stream.set_read_timeout(Some(left));
        read.and_then(|()| self.stream.read_exact(bytes)).map_err(SystemdError::Broken)
    }
}

fn of_systemd<'a>(interface: &'a str, member: &'a str, signature: &'a str) -> Call<'a> {
    Call {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface,
        member,
        signature,
    }
}

/// What `JobRemoved` says: number, path, unit and result.
fn ended(body: &[u8]) -> Option<Job> {
    let mut reader = Reader::new(body);
    reader.number()?;
    let path = reader.text()?.to_owned();
    reader.text()?;
    Some(Job { path, result: reader.text()?.to_owned() })
}

/// Who asks is what the kernel says of the socket, so that it holds in a user namespace too.
fn authenticate(path: &Path) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\n")?;
    // The answers to both, of which the second says whether it is enough.
    let answers = [line(&mut stream)?, line(&mut stream)?];
    if !answers.iter().any(|answer| answer.starts_with(b"OK ")) {
        return Err(ErrorKind::PermissionDenied.into());
    }
    stream.write_all(b"BEGIN\r\n")?;
    Ok(stream)
}

/// A line of what is said before messages; a refusal is an error.
fn line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        line.extend(byte);
        if line.len() > 1024 || line.starts_with(b"REJECTED") || line.starts_with(b"ERROR") {
            return Err(ErrorKind::PermissionDenied.into());
        }
    }
    Ok(line)
}
