//! `creel oci list`

use std::process::ExitCode;

use creel_runtime::lifecycle::{Runtime, State};

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::table::Table;

/// List the containers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print ids only
    #[arg(short, long)]
    quiet: bool,
    /// How to print the list
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let states = runtime.list()?;
    match args.format {
        _ if args.quiet => {
            output::text(
                &states.iter().map(|state| format!("{}\n", state.id)).collect::<String>(),
            )?;
        }
        // In one line, as programs expect it that call runtimes.
        Format::Json => output::line(&states)?,
        Format::Table => output::text(&table(&states))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(states: &[State]) -> String {
    let mut table = Table::new(["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    for state in states {
        table.row([
            state.id.clone(),
            state.pid.to_string(),
            state.status.to_string(),
            state.bundle.display().to_string(),
            state.created.to_string(),
            state.owner.to_string(),
        ]);
    }
    table.render()
}
