//! Control groups that systemd makes: scopes, asked for over D-Bus.
//!
//! A scope begins with a process that is there already. So that a container can begin in its group as
//! it does everywhere else, that process is one that does nothing and goes once the container has
//! begun.
//!
//! Source: org.freedesktop.systemd1(5), systemd.scope(5), systemd.resource-control(5).

mod bus;

use std::fs;
use std::io;
use std::path::PathBuf;

use creel_base::hint::Hint;
use creel_codec::dbus::{Reader, Writer};
use creel_sys::program::{Failure, Op, Program};

use bus::Bus;
pub use creel_codec::dbus::Value;

/// Why systemd has not done what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SystemdError {
    /// Nobody says where it is.
    #[error("no systemd to make control groups")]
    NoBus,
    /// It does not answer.
    #[error("cannot reach systemd by `{}`", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The connection broke, or took too long.
    #[error("systemd does not answer")]
    Broken(#[source] io::Error),
    /// It says what is no message.
    #[error("systemd says what cannot be understood")]
    Garbled,
    /// It refuses a call.
    #[error("systemd refuses `{call}`: {said} ({name})")]
    Refused {
        /// The call.
        call: String,
        /// The name of the error.
        name: String,
        /// The words.
        said: String,
    },
    /// A job failed.
    #[error("systemd's job for `{call}` ended as `{result}`")]
    Job {
        /// The call.
        call: String,
        /// What the job said.
        result: String,
    },
    /// The process that a scope begins with.
    #[error("cannot begin a scope")]
    Begin(#[source] io::Error),
}

impl SystemdError {
    /// Whether there is no such unit.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if name.ends_with(".NoSuchUnit"))
    }
}

impl Hint for SystemdError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoBus | Self::Connect { .. } => {
                Some("leave out `--systemd-cgroup`, or log in to a session with systemd".into())
            }
            _ => None,
        }
    }
}

/// A scope, and by which socket it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The unit's name.
    pub unit: String,
    /// The socket of a bus, or of the manager.
    pub socket: PathBuf,
}

/// A property of a unit.
pub type Property = (String, Value);

impl Scope {
    /// One that has not begun, of the first of some sockets that answers.
    ///
    /// # Errors
    /// [`SystemdError::NoBus`], or why the first does not answer.
    pub fn new(sockets: &[PathBuf], unit: &str) -> Result<Self, SystemdError> {
        let (_, socket) = Bus::connect(sockets)?;
        Ok(Self { unit: unit.into(), socket })
    }

    /// Begins the scope, and calls `fill` with the name of its control group below the root of all. It is
    /// there as long as that takes, and afterwards as long as it has processes. What has the name and
    /// failed before is forgotten.
    ///
    /// # Errors
    /// What systemd says.
    pub fn begin<T>(
        &self,
        properties: &[Property],
        fill: impl FnOnce(String) -> T,
    ) -> Result<T, SystemdError> {
        let mut bus = self.connect()?;
        bus.watch(&self.unit)?;
        let properties = understood(&mut bus, properties);
        // It waits for a word that never comes, and ends with this process at the latest.
        let mut keeper = Program::default();
        keeper.push(Op::WaitForParent);
        let mut filled = None;
        let ended = keeper.start(0, None, |pid| {
            let begun = self.begin_with(&mut bus, pid, properties);
            filled = Some(begun.map(fill));
            Err(io::ErrorKind::Interrupted.into())
        });
        filled.unwrap_or_else(|| {
            let source = ended.map_or_else(Failure::into_source, |_| io::ErrorKind::Other.into());
            Err(SystemdError::Begin(source))
        })
    }

    /// Begins it with a process, and returns the name of its control group.
    fn begin_with(
        &self,
        bus: &mut Bus,
        pid: i32,
        mut properties: Vec<Property>,
    ) -> Result<String, SystemdError> {
        properties.push(("PIDs".into(), Value::Numbers(vec![pid.cast_unsigned()])));
        let mut body = Writer::default();
        body.text(&self.unit).text("replace").properties(&properties).no_units();
        let start = |bus: &mut Bus| bus.job("StartTransientUnit", "ssa(sv)a(sa(sv))", &body);
        match start(bus) {
            Err(SystemdError::Refused { name, .. }) if name.ends_with(".UnitExists") => {
                // Where it runs, the second try says so.
                let _ = bus.manager("ResetFailedUnit", "s", &self.named());
                start(bus)
            }
            started => started,
        }?;
        let group = group_of(pid);
        if group.is_none() {
            // Why there is no group is what counts.
            let _ = self.stop();
        }
        group.ok_or_else(|| SystemdError::Begin(io::ErrorKind::NotFound.into()))
    }

    /// Moves a process into the scope, from wherever it is: into its own group, or the named one below.
    ///
    /// # Errors
    /// What systemd says.
    pub fn fetch(&self, pid: i32, below: &str) -> Result<(), SystemdError> {
        let mut bus = self.connect()?;
        let mut body = self.named();
        let below = if below.is_empty() { String::new() } else { format!("/{below}") };
        body.text(&below).numbers(&[pid.cast_unsigned()]);
        bus.manager("AttachProcessesToUnit", "ssau", &body).map(drop)
    }

    /// The name of its control group below the root of all; none if it has none yet.
    ///
    /// # Errors
    /// [`SystemdError::is_gone`], or what systemd says.
    pub fn group(&self) -> Result<Option<String>, SystemdError> {
        let mut bus = self.connect()?;
        let reply = bus.manager("GetUnit", "s", &self.named())?;
        let unit = Reader::new(&reply.body).text().ok_or(SystemdError::Garbled)?.to_owned();
        let group = bus.property(&unit, "org.freedesktop.systemd1.Scope", "ControlGroup");
        let group = group.map(|group| group.trim_start_matches('/').to_owned());
        Ok(group.filter(|group| !group.is_empty()))
    }

    fn connect(&self) -> Result<Bus, SystemdError> {
        Bus::connect(std::slice::from_ref(&self.socket)).map(|(bus, _)| bus)
    }

    /// Changes properties until the scope ends.
    ///
    /// # Errors
    /// What systemd says.
    pub fn set(&self, properties: &[Property]) -> Result<(), SystemdError> {
        let mut bus = self.connect()?;
        let properties = understood(&mut bus, properties);
        let mut body = Writer::default();
        body.text(&self.unit).boolean(true).properties(&properties);
        bus.manager("SetUnitProperties", "sba(sv)", &body).map(drop)
    }

    /// Stops the scope and forgets it. One that is gone is no failure.
    ///
    /// # Errors
    /// What systemd says.
    pub fn stop(&self) -> Result<(), SystemdError> {
        let mut bus = self.connect()?;
        bus.watch(&self.unit)?;
        let mut body = self.named();
        body.text("replace");
        let stopped = match bus.job("StopUnit", "ss", &body) {
            Err(error) if error.is_gone() => Ok(()),
            stopped => stopped,
        };
        // It is there only if it had failed.
        let _ = bus.manager("ResetFailedUnit", "s", &self.named());
        stopped
    }

    fn named(&self) -> Writer {
        let mut body = Writer::default();
        body.text(&self.unit);
        body
    }
}

/// The name of the control group that a process is in.
fn group_of(pid: i32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Properties that older versions of systemd than these do not have (its `NEWS`).
const SINCE: [(&str, u32); 5] = [
    ("CPUQuotaPeriodUSec", 242),
    ("AllowedCPUs", 244),
    ("AllowedMemoryNodes", 244),
    ("MemoryZSwapMax", 253),
    ("OOMPolicy", 253),
];

/// The version in which the weight 0 stands for what runs only when nothing else does.
const IDLE_SINCE: u32 = 252;

fn since((name, value): &Property) -> u32 {
    match (name.as_str(), value) {
        ("CPUWeight", Value::Uint64(0)) => IDLE_SINCE,
        (name, _) => SINCE.iter().find(|(known, _)| *known == name).map_or(0, |(_, since)| *since),
    }
}

/// The properties that systemd has: one that does not know one of them would refuse all. What they stand
/// for is in the files in any case.
fn understood(bus: &mut Bus, properties: &[Property]) -> Vec<Property> {
    let newest = properties.iter().map(since).max().unwrap_or(0);
    let version = if newest > 0 { bus.version().unwrap_or(0) } else { 0 };
    properties.iter().filter(|one| since(one) <= version).cloned().collect()
}
