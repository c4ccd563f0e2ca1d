//! Starting a process in a running container.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use creel_sys::program::{Listen, Op, Slot, nobody};

use crate::cgroup::Cgroup;
use crate::error::SpawnError;
use crate::lower::{Child, Steps, lower_terminal};
use crate::parent;
use crate::plan::{Namespace, Process, Stdio};
use crate::process::{Groups, lower_process};
use crate::tuning::Bits;

/// A process that joins the namespaces of another. A new terminal is made in the `/dev/pts` there.
#[derive(Clone, Debug)]
pub struct Join {
    /// The pidfd of a process of the container.
    pub target: Arc<OwnedFd>,
    /// The namespaces joined.
    pub namespaces: Vec<Namespace>,
    /// Whether the container's user namespace denies `setgroups`.
    pub denies_setgroups: bool,
    /// The control group that the process starts in.
    pub cgroup: Option<Arc<Cgroup>>,
    /// Files by which the process comes into its class of caches and memory bandwidth
    /// ([`crate::resctrl`]).
    pub resctrl: Vec<Arc<OwnedFd>>,
    /// The program.
    pub process: Process,
}

impl Join {
    /// Starts the process and returns once it executes its program.
    ///
    /// # Errors
    /// Names the step that failed; no process remains then.
    pub fn spawn(&self) -> Result<Child, SpawnError> {
        if self.process.seccomp.listens {
            return Err(SpawnError::NoListener);
        }
        self.spawn_listening(&mut nobody)
    }

    /// Starts the process as [`Self::spawn`] does; `listen` gets the listener of its filter.
    ///
    /// # Errors
    /// Names the step that failed; no process remains then.
    pub fn spawn_listening(&self, listen: Listen<'_>) -> Result<Child, SpawnError> {
        let mut steps = Steps::new();
        let target = steps.program.give(Arc::clone(&self.target));
        steps.add("wait for the parent", Op::WaitForParent);
        let cgroup = self.cgroup.as_ref().map(|group| group.open()).transpose()?.flatten();
        // Where the process is made in its group it is never outside.
        let first = self.process.tuning.first_processors.as_ref().filter(|_| cgroup.is_none());
        if let Some(Bits(processors)) = first {
            steps.add("choose the first processors", Op::Affinity(processors.clone()));
        }
        steps.enter(self.cgroup.as_deref())?;
        steps.enter_class(&self.resctrl);
        // Before the namespaces: processes of the container must not inspect this one
        // (CVE-2016-9962).
        steps.add("forbid inspection", Op::NotDumpable);
        let flags = self.namespaces.iter().fold(0, |flags, one| flags | *one as i32);
        steps.add("join the container", Op::Join(target, flags));
        let slave = self.lower_terminal(&mut steps)?;
        let groups = if self.denies_setgroups { Groups::Denied } else { Groups::Allowed };
        lower_process(&self.process, &mut steps, slave, (groups, None))?;
        let mut attend = |pid, _| parent::begin(&self.process, self.cgroup.as_deref(), pid);
        let started = steps.program.start_attended(0, cgroup.as_ref(), &mut attend, listen);
        started.map_err(|failure| match parent::unreachable(self.cgroup.as_deref(), &failure) {
            Some(error) => error.into(),
            None => steps.explain(failure, &self.process),
        })
    }

    /// With the mount namespace the process has got the root there.
    fn lower_terminal(&self, steps: &mut Steps) -> Result<Option<Slot>, SpawnError> {
        if !matches!(self.process.stdio, Stdio::Terminal { .. }) {
            return Ok(None);
        }
        let root = steps.scratch.place;
        steps.add("open the container's root", Op::OpenHost(c"/".into(), root));
        lower_terminal(&self.process, steps, root)
    }
}
