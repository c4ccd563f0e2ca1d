//! `creel login`

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use creel_manager::Engine;

use crate::failure::Failure;
use crate::settings::Globals;

/// Longest password read, in bytes.
const MAX_PASSWORD: u64 = 64 << 10;

/// Keep a user and a password for a registry
///
/// They are tried first, and kept in a file that Podman reads too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                        pass registry.example | creel login --username me --password-stdin registry.example")]
pub(crate) struct Args {
    /// The user
    #[arg(short, long)]
    username: String,
    /// Read the password from standard input
    #[arg(long, required_unless_present = "password")]
    password_stdin: bool,
    /// The password; others can see it while this runs
    #[arg(short, long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Insist on TLS with a trusted certificate; `false` allows any, and plain HTTP
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1,
          default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    tls_verify: bool,
    /// File to keep them in [default: `$REGISTRY_AUTH_FILE`, else Podman's]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// The registry: a host, or a host and a port
    #[arg(default_value = "docker.io")]
    registry: String,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let password = match &args.password {
        Some(password) => password.clone(),
        None => read_password()?,
    };
    let settings = globals.settings()?;
    let file = args.authfile.clone().or_else(|| settings.auth_files.first().cloned());
    let file = file.ok_or_else(|| Failure::new("there is no file to keep credentials in"))?;
    let engine = Engine::open(settings)?;
    engine.login(&args.registry, (&args.username, &password), args.tls_verify, &file)?;
    Ok(ExitCode::SUCCESS)
}

fn read_password() -> Result<String, Failure> {
    let mut password = String::new();
    let read = io::stdin().lock().take(MAX_PASSWORD).read_to_string(&mut password);
    read.map_err(|_| Failure::new("cannot read the password from standard input"))?;
    Ok(password.trim_end_matches(['\r', '\n']).to_owned())
}
