//! What callers hand through to the program: descriptors, by options and by the protocol of
//! `sd_listen_fds(3)`, and the socket that wants its pidfd.

use std::env::{self, VarError};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use creel_runtime::lifecycle::preserved;

use crate::failure::Failure;
use crate::protection;

/// What is handed through to the program.
#[derive(Debug, clap::Args)]
pub(super) struct Handed {
    /// Give the program this many descriptors from 3 on, after those of `LISTEN_FDS`
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    preserve_fds: u32,
    /// Listening socket that a pidfd of the program is sent to
    #[arg(long, value_name = "PATH")]
    pub(super) pidfd_socket: Option<PathBuf>,
}

/// Descriptors, and the variables that tell the program of them.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    pub(super) all: Vec<Arc<OwnedFd>>,
    pub(super) variables: Vec<String>,
}

impl Handed {
    pub(super) fn descriptors(&self) -> Result<Descriptors, Failure> {
        let listening = listening();
        let count = self.preserve_fds.saturating_add(listening);
        if count == 0 {
            return Ok(Descriptors::default());
        }
        let all = preserved(count, protection::passed())?;
        let mut variables = Vec::new();
        if listening > 0 {
            variables.extend([format!("LISTEN_FDS={listening}"), "LISTEN_PID=1".into()]);
            let names = env::var("LISTEN_FDNAMES");
            variables.extend(names.map(|names| format!("LISTEN_FDNAMES={names}")));
        }
        Ok(Descriptors { all, variables })
    }
}

/// How many sockets this process was started for. They are another's if so says `LISTEN_PID`.
fn listening() -> u32 {
    let number =
        |name: &str| env::var(name).and_then(|text| text.parse().map_err(|_| VarError::NotPresent));
    let own = number("LISTEN_PID").is_ok_and(|pid: u32| pid == std::process::id());
    if own { number("LISTEN_FDS").unwrap_or(0) } else { 0 }
}
