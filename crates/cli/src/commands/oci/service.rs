//! The service manager that has started this program, if it waits to be told that the service is ready
//! (`sd_notify(3)`).

use std::path::PathBuf;

use creel_runtime::container::Running;
use creel_runtime::lifecycle::{ContainerId, Create, Deletion, Notices, Runtime};

use crate::failure::Failure;

/// The manager's socket.
pub(super) fn manager() -> Option<PathBuf> {
    std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// What a container says, for the manager.
#[derive(Debug)]
pub(super) struct Service {
    manager: PathBuf,
    notices: Notices,
}

impl Service {
    /// Listens to a container that is about to be started, if anybody waits for what it says.
    pub(super) fn of(runtime: &Runtime, id: &ContainerId) -> Result<Option<Self>, Failure> {
        let Some(manager) = manager() else { return Ok(None) };
        Ok(runtime.notices(id)?.map(|notices| Self { manager, notices }))
    }

    /// Waits until the container is ready or has ended, and hands the service over to its first process.
    pub(super) fn hand_over(&self) -> Result<(), Failure> {
        self.relay(None)
    }

    /// The same in the background, for a service that stays with this process.
    pub(super) fn keep(self) {
        std::thread::spawn(move || {
            if let Err(error) = self.relay(Some(std::process::id())) {
                error.warn();
            }
        });
    }

    fn relay(&self, main: Option<u32>) -> Result<(), Failure> {
        let relayed = self.notices.relay(&self.manager, main);
        let said = || format!("cannot tell `{}` that the service is ready", self.manager.display());
        relayed.map_err(|error| Failure::new(&format!("{}: {error}", said())))
    }
}

/// Makes a container and executes its program. Nothing remains where that fails.
pub(super) fn run(
    runtime: &Runtime,
    id: &ContainerId,
    create: &Create,
) -> Result<(Running, Option<Service>), Failure> {
    if !create.notifies {
        return Ok((runtime.run(id, create)?, None));
    }
    // It may say something at once.
    let running = runtime.create(id, create)?;
    let started = Service::of(runtime, id).and_then(|service| {
        runtime.start(id)?;
        Ok(service)
    });
    if started.is_err() {
        // The first error says more.
        let _ = runtime.delete(id, Deletion::Forced);
    }
    Ok((running, started?))
}
