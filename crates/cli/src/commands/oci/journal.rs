//! The log file, by which shims learn why something failed.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use clap::ValueEnum;
use creel_base::path::{Action, PathError};
use jiff::Timestamp;
use serde::Serialize;

use crate::failure::Failure;

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines of `key=value`
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

/// Where failures are written besides standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Journal<'a> {
    pub(super) file: Option<&'a Path>,
    pub(super) format: LogFormat,
}

/// A line of the log, with the keys that containerd's shim reads.
#[derive(Debug, Serialize)]
struct Line {
    level: &'static str,
    msg: String,
    time: Timestamp,
}

impl Journal<'_> {
    /// Writes a failure.
    pub(super) fn error(&self, failure: &Failure) -> Result<(), Failure> {
        let Some(path) = self.file else { return Ok(()) };
        let line = Line { level: "error", msg: failure.message(), time: Timestamp::now() };
        let text = match self.format {
            LogFormat::Json => {
                serde_json::to_string(&line).map_err(|e| Failure::output(&e.into()))?
            }
            LogFormat::Text => {
                format!("time=\"{}\" level={} msg={:?}", line.time, line.level, line.msg)
            }
        };
        let written = File::options()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()));
        written.map_err(|error| PathError::new(Action::Write, path, error).into())
    }
}
