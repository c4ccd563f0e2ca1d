//! The options of a process, in a new container as in a running one.

use std::path::PathBuf;

use creel_manager::containers::{Stdio, options};

use crate::attach;
use crate::env_file;
use crate::failure::Failure;

/// What the process is like.
#[derive(Debug, clap::Args)]
pub(crate) struct ProcessArgs {
    /// Pass standard input on to the command
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the command a terminal of its own
    #[arg(short, long)]
    tty: bool,
    /// Set an environment variable; `NAME` alone takes the value it has here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read environment variables from a file, one `NAME=VALUE` a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Set the working directory
    #[arg(short, long, value_name = "PATH")]
    workdir: Option<String>,
    /// Run as a user and group of the container, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,
}

impl ProcessArgs {
    /// Returns the variables that are set (`Some`) or removed (`None`), in order.
    pub(crate) fn environment(&self) -> Result<Vec<(String, Option<String>)>, Failure> {
        let mut env = Vec::new();
        if self.tty {
            env.push(("TERM".to_owned(), Some("xterm".to_owned())));
        }
        for file in &self.env_file {
            env.extend(env_file::read(file)?);
        }
        env.extend(self.env.iter().filter_map(|text| env_file::variable(text)));
        Ok(env)
    }

    /// Returns the working directory that was asked for.
    pub(crate) fn directory(&self) -> Result<Option<String>, Failure> {
        Ok(self.workdir.as_deref().map(options::working_directory).transpose()?)
    }

    /// Returns the rows and columns of the terminal that the process gets, if it gets one.
    pub(crate) fn terminal(&self) -> Option<[u16; 2]> {
        self.tty.then(attach::terminal_size)
    }

    /// Returns what the process has for standard input, output and error without a terminal.
    pub(crate) const fn stdio(&self) -> Stdio {
        if self.interactive { Stdio::Inherit } else { Stdio::NoInput }
    }
}
