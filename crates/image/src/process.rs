//! What process an image's configuration and the options of a run make together.
//!
//! Source: OCI image specification 1.1, `conversion.md`; Docker's rules for `run` where it says
//! nothing.

use creel_base::hint::Hint;

use crate::document::Execution;
use crate::signal::{ParseSignalError, Signal};

/// The search path where neither the image nor the options set one.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Most environment variables: each is compared with all before it.
pub const MAX_VARIABLES: usize = 10_000;

/// What the options of a run change. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// In place of the image's entry point; the image's command is then dropped. An empty list
    /// means none.
    pub entrypoint: Option<Vec<String>>,
    /// In place of the image's command, if not empty.
    pub command: Vec<String>,
    /// Environment variables set (`Some`) or removed (`None`), in order.
    pub env: Vec<(String, Option<String>)>,
    /// In place of the image's working directory.
    pub cwd: Option<String>,
    /// In place of the image's user.
    pub user: Option<String>,
    /// In place of the image's stop signal.
    pub stop_signal: Option<Signal>,
}

/// A process to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The program and its arguments; at least the program.
    pub argv: Vec<String>,
    /// `NAME=VALUE`, each name once.
    pub env: Vec<String>,
    /// The working directory: absolute, without `.`, `..` and empty parts.
    pub cwd: String,
    /// `user[:group]`, to be looked up in the image; empty for root.
    pub user: String,
    /// What asks the process to end.
    pub stop_signal: Signal,
}

/// Why no process comes of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// Neither the image nor the options name a program.
    #[error("image has no command, and none was given")]
    NoCommand,
    /// A variable has no name, or no `=`.
    #[error("environment variable `{entry}` is not of the form `NAME=VALUE`")]
    Variable {
        /// The entry, cut to 64 characters.
        entry: String,
    },
    /// There are too many variables.
    #[error("environment has more than {MAX_VARIABLES} variables")]
    TooManyVariables,
    /// A text has a NUL byte, with which it cannot be handed over.
    #[error("{what} has a NUL byte")]
    Nul {
        /// Which text.
        what: &'static str,
    },
    /// The working directory of the options is not absolute.
    #[error("working directory `{path}` is not absolute")]
    RelativeDirectory {
        /// The path.
        path: String,
    },
    /// The image's stop signal is none.
    #[error("cannot read the image's stop signal")]
    StopSignal(#[from] ParseSignalError),
}

impl Hint for ProcessError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoCommand => Some("write the command after the image".into()),
            Self::StopSignal(_) => Some("set one with `--stop-signal`".into()),
            _ => None,
        }
    }
}

/// Puts the image's configuration and the options of a run together.
///
/// # Errors
/// [`ProcessError`].
pub fn process(image: &Execution, overrides: &Overrides) -> Result<Process, ProcessError> {
    Ok(Process {
        argv: argv(image, overrides)?,
        env: environment(&image.env, &overrides.env)?,
        cwd: directory(&image.working_dir, overrides.cwd.as_deref())?,
        user: overrides.user.as_ref().unwrap_or(&image.user).clone(),
        stop_signal: stop_signal(image, overrides)?,
    })
}

fn argv(image: &Execution, overrides: &Overrides) -> Result<Vec<String>, ProcessError> {
    let image_entrypoint = image.entrypoint.as_deref().unwrap_or_default();
    let image_command = image.cmd.as_deref().unwrap_or_default();
    let (entrypoint, command) = match &overrides.entrypoint {
        Some(entrypoint) => (entrypoint.as_slice(), &[][..]),
        None => (image_entrypoint, image_command),
    };
    let command = if overrides.command.is_empty() { command } else { overrides.command.as_slice() };
    let argv: Vec<String> = entrypoint.iter().chain(command).cloned().collect();
    match argv.first() {
        Some(program) if !program.is_empty() => {}
        _ => return Err(ProcessError::NoCommand),
    }
    argv.iter().try_for_each(|word| no_nul(word, "command"))?;
    Ok(argv)
}

/// The image's variables in their order, then the new ones; a name set again keeps its place.
fn environment(
    image: &[String],
    overrides: &[(String, Option<String>)],
) -> Result<Vec<String>, ProcessError> {
    let mut variables = vec![("PATH", DEFAULT_PATH)];
    for entry in image {
        let (name, value) = entry.split_once('=').ok_or_else(|| variable(entry))?;
        set(&mut variables, name, value)?;
    }
    for (name, value) in overrides {
        match value {
            Some(value) => set(&mut variables, name, value)?,
            None => variables.retain(|(known, _)| known != name),
        }
    }
    Ok(variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

fn set<'a>(
    variables: &mut Vec<(&'a str, &'a str)>,
    name: &'a str,
    value: &'a str,
) -> Result<(), ProcessError> {
    if name.is_empty() || name.contains('=') {
        return Err(variable(&format!("{name}={value}")));
    }
    no_nul(name, "environment variable")?;
    no_nul(value, "environment variable")?;
    let full = variables.len() >= MAX_VARIABLES;
    match variables.iter_mut().find(|(known, _)| *known == name) {
        Some(known) => known.1 = value,
        None if full => return Err(ProcessError::TooManyVariables),
        None => variables.push((name, value)),
    }
    Ok(())
}

fn variable(entry: &str) -> ProcessError {
    ProcessError::Variable { entry: entry.chars().take(64).collect() }
}

/// Images may have relative directories, which are below `/`; options may not.
fn directory(image: &str, chosen: Option<&str>) -> Result<String, ProcessError> {
    let path = match chosen {
        Some(path) if !path.starts_with('/') => {
            return Err(ProcessError::RelativeDirectory { path: path.to_owned() });
        }
        Some(path) => path,
        None => image,
    };
    no_nul(path, "working directory")?;
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

fn stop_signal(image: &Execution, overrides: &Overrides) -> Result<Signal, ProcessError> {
    match (overrides.stop_signal, image.stop_signal.as_deref()) {
        (Some(signal), _) => Ok(signal),
        (None, Some(text)) if !text.is_empty() => Ok(text.parse()?),
        _ => Ok(Signal::TERM),
    }
}

fn no_nul(text: &str, what: &'static str) -> Result<(), ProcessError> {
    if text.contains('\0') { Err(ProcessError::Nul { what }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
