//! Processes that are made ready and wait for their start.

use std::os::fd::AsFd;

use creel_sys::program::{Failure, Listen, released};

use crate::error::SpawnError;
use crate::lower::Steps;
use crate::plan::Process;

/// What a held process does once it is let go: what another process needs to tell why it failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// The steps; the last one executes the program.
    pub steps: Vec<String>,
    /// How many come before them.
    pub done: usize,
    /// The program's name.
    pub program: String,
}

impl Rest {
    pub(crate) fn of(steps: &Steps, process: &Process) -> Self {
        let done = steps.held_at.map_or(steps.names.len(), |at| at + 1);
        let program = process.argv.first().cloned().unwrap_or_default();
        Self { steps: steps.names.get(done..).unwrap_or_default().to_vec(), done, program }
    }

    /// Waits, on a connection to the socket of its plan, until the process executes its program.
    /// `listen` gets the listener of its filter, with the id of the process that is given.
    ///
    /// # Errors
    /// Names the step that failed; the process has ended then. With [`SpawnError::Listener`] it has
    /// not, and waits for answers that may never come.
    pub fn release(
        &self,
        connection: impl AsFd,
        pid: i32,
        listen: Listen<'_>,
    ) -> Result<(), SpawnError> {
        let (index, source) = match released(connection, pid, listen) {
            Ok(()) => return Ok(()),
            Err(Failure::Parent(source)) => return Err(SpawnError::Start(source)),
            Err(Failure::Listener(source)) => return Err(SpawnError::Listener(source)),
            Err(Failure::Hook(index, failed)) => {
                let step = index.checked_sub(self.done).and_then(|index| self.steps.get(index));
                let hook = step.cloned().unwrap_or_default();
                return Err(SpawnError::Hook { hook, source: failed.into() });
            }
            Err(Failure::Child(index, source) | Failure::Obstructed(index, source, _)) => {
                (index.checked_sub(self.done), source)
            }
        };
        let step = index.and_then(|index| self.steps.get(index));
        match step {
            Some(step) if Some(step) != self.steps.last() => {
                Err(SpawnError::Step { step: step.clone(), source })
            }
            _ => Err(SpawnError::Execute { program: self.program.clone(), source }),
        }
    }
}
