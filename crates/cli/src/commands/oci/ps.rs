//! `creel oci ps`

use std::process::{Command, ExitCode, Stdio};

use creel_runtime::lifecycle::Runtime;

use super::Id;
use crate::failure::Failure;
use crate::output::{self, Format};

/// List the processes of a container
///
/// As a table, by `ps` and its options; as JSON, their ids.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to print the list
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    id: Id,
    /// Options of `ps` [default: -ef]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    options: Vec<String>,
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let processes = runtime.processes(&args.id.parse()?)?;
    match args.format {
        Format::Json => {
            let text = serde_json::to_string(&processes);
            output::text(&(text.map_err(|error| Failure::output(&error.into()))? + "\n"))?;
        }
        Format::Table => output::text(&of_container(&all(&args.options)?, &processes)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What `ps` says of all processes of the machine.
fn all(options: &[String]) -> Result<String, Failure> {
    let mut command = Command::new("ps");
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    match options {
        [] => command.arg("-ef"),
        options => command.args(options),
    };
    let failed = |reason: &str| Failure::new(&format!("`ps` failed: {reason}"));
    let output = command.output().map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed(&output.status.to_string()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The head of the table, and the lines of some processes.
fn of_container(table: &str, processes: &[i32]) -> Result<String, Failure> {
    let mut lines = table.lines();
    let head = lines.next().unwrap_or_default();
    let column = head.split_whitespace().position(|title| title == "PID");
    let column =
        column.ok_or_else(|| Failure::new("`ps` has no column `PID` with these options"))?;
    let pid = |line: &&str| line.split_whitespace().nth(column).and_then(|pid| pid.parse().ok());
    let ours = lines.filter(|line| pid(line).is_some_and(|pid| processes.contains(&pid)));
    Ok(std::iter::once(head).chain(ours).flat_map(|line| [line, "\n"]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_processes_are_left_out() {
        let table = "USER  PID CMD\nroot    1 init 7\nroot    7 sh\nx 17 PID\n";
        assert_eq!(of_container(table, &[7]).unwrap(), "USER  PID CMD\nroot    7 sh\n");
        assert!(of_container("USER CMD\n", &[7]).is_err());
        assert!(of_container("", &[]).is_err());
    }
}
