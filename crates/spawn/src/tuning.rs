//! How the kernel treats a process: its turn, its memory, its labels.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

use creel_sys::program::Op;
use rustix::fs::{OFlags, fstat, fstatfs};

pub use creel_sys::program::Scheduler;

use crate::error::SpawnError;
use crate::lower::Steps;

const PROC_SUPER_MAGIC: i64 = 0x9fa0;
/// `PROC_ROOT_INO` of the kernel.
const PROC_ROOT: u64 = 1;

/// A set of processors or of memory nodes as bits, the first word being the lowest 64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits(pub Vec<u64>);

/// Where the memory of a process comes from (`set_mempolicy(2)`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryPolicy {
    /// `MPOL_*`, with `MPOL_F_*`.
    pub mode: i32,
    /// The nodes.
    pub nodes: Bits,
}

/// What security modules take for the program to be executed, or for what it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// A file in `/proc/PID/attr`: `exec`, `apparmor/exec`, `keycreate`.
    pub file: String,
    /// What is written there.
    pub text: String,
}

/// How the kernel treats a process; what is not said is as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// When it runs (`sched_setattr(2)`).
    pub scheduler: Option<Scheduler>,
    /// The turn of it and its group at disks: class and level as `ioprio_set(2)` has them.
    pub io_priority: Option<u16>,
    /// The execution domain, `PER_*` (`personality(2)`).
    pub personality: Option<u32>,
    /// Where its memory comes from.
    pub memory_policy: Option<MemoryPolicy>,
    /// The processors that it runs on until it is in its control group.
    pub first_processors: Option<Bits>,
    /// Those that it runs on then.
    pub processors: Option<Bits>,
    /// Labels, in order.
    pub labels: Vec<Label>,
}

impl Tuning {
    /// What comes before a key is made: labels.
    pub(crate) fn lower_labels(&self, steps: &mut Steps) -> Result<(), SpawnError> {
        if self.labels.is_empty() {
            return Ok(());
        }
        let procfs = steps.program.give(Arc::new(procfs()?));
        for Label { file, text } in &self.labels {
            let path = CString::new(format!("attr/{file}"))?;
            let op = Op::WriteOwn(procfs, path, text.clone().into_bytes());
            steps.add(format!("set the label `{text}` (/proc/self/attr/{file})"), op);
        }
        Ok(())
    }

    /// What takes rights that the process is about to lose.
    pub(crate) fn lower(&self, steps: &mut Steps) {
        if let Some(domain) = self.personality {
            steps.add("set the execution domain", Op::Personality(domain));
        }
        if let Some(MemoryPolicy { mode, nodes: Bits(nodes) }) = &self.memory_policy {
            steps.add("set the memory policy", Op::MemoryPolicy(*mode, nodes.clone()));
        }
        if let Some(Bits(processors)) = &self.processors {
            steps.add("choose processors", Op::Affinity(processors.clone()));
        }
        if let Some(scheduler) = self.scheduler {
            steps.add("set the scheduler", Op::Scheduler(scheduler));
        }
        if let Some(value) = self.io_priority {
            steps.add("set the priority at disks", Op::IoPriority(value));
        }
    }
}

/// The host's procfs. Its root, and not something else that is mounted there: labels that went
/// elsewhere would not be missed (CVE-2019-16884, CVE-2025-52881).
fn procfs() -> Result<OwnedFd, SpawnError> {
    let flags = (OFlags::PATH | OFlags::DIRECTORY).bits() as i32;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open("/proc");
    let opened = OwnedFd::from(opened.map_err(SpawnError::Procfs)?);
    let is_root = || {
        Ok::<_, rustix::io::Errno>(
            fstatfs(&opened)?.f_type as i64 == PROC_SUPER_MAGIC
                && fstat(&opened)?.st_ino == PROC_ROOT,
        )
    };
    match is_root() {
        Ok(true) => Ok(opened),
        Ok(false) => Err(SpawnError::Procfs(std::io::ErrorKind::NotFound.into())),
        Err(error) => Err(SpawnError::Procfs(error.into())),
    }
}
