//! `creel ps`

use std::process::ExitCode;

use creel_manager::containers::{Catalog, Container, State};
use jiff::Timestamp;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::settings::Globals;
use crate::table::Table;
use crate::when;

/// List containers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// List those that do not run too
    #[arg(short, long)]
    all: bool,
    /// Print ids only
    #[arg(short, long)]
    quiet: bool,
    /// How to print the list
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A container as programs see it.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    name: String,
    image: String,
    command: Vec<String>,
    created: Timestamp,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// Since when it has been in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let engine = globals.engine()?;
    let rows = match engine.existing_containers()? {
        Some(catalog) => rows(&catalog, args.all)?,
        None => Vec::new(),
    };
    match args.format {
        _ if args.quiet => {
            output::text(&rows.iter().map(|r| format!("{}\n", r.id)).collect::<String>())?
        }
        Format::Json => output::json(&rows)?,
        Format::Table => output::text(&table(&rows))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(catalog: &Catalog, all: bool) -> Result<Vec<Row>, Failure> {
    let (containers, broken) = catalog.list()?;
    let mut rows = Vec::new();
    for container in &containers {
        let state = catalog.state(container)?;
        if all || state.is_active() {
            rows.push(row(container, state));
        }
    }
    broken.into_iter().map(Failure::from).for_each(|failure| failure.warn());
    Ok(rows)
}

fn row(container: &Container, state: State) -> Row {
    let record = &container.record;
    let (pid, exit_code, since) = match state {
        State::Running(process) => (Some(process.pid), None, Some(process.started)),
        State::Exited(exit) => (None, Some(exit.code), Some(exit.ended)),
        State::Lost(process) => (process.map(|process| process.pid), None, None),
        State::Created | State::Busy => (None, None, None),
    };
    Row {
        id: record.id.to_string(),
        name: record.name.clone(),
        image: record.root.to_string(),
        command: record.command().to_vec(),
        created: record.created,
        state: state.word(),
        pid,
        exit_code,
        since,
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(["CONTAINER", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAME"]);
    let now = Timestamp::now();
    for row in rows {
        table.row([
            row.id.chars().take(creel_base::id::SHORT).collect(),
            row.image.clone(),
            cut(&row.command.join(" ")),
            when::ago(row.created, now),
            status(row, now),
            row.name.clone(),
        ]);
    }
    table.render()
}

fn status(row: &Row, now: Timestamp) -> String {
    let since = row.since.map(|since| when::span(since, now));
    match (row.state, row.exit_code, since) {
        ("running", _, Some(since)) => format!("running for {since}"),
        (_, Some(code), Some(since)) => format!("exited with {code}, {since} ago"),
        ("lost", _, _) => match row.pid {
            Some(pid) => format!("lost, but process {pid} runs"),
            None => "lost".to_owned(),
        },
        (state, _, _) => state.to_owned(),
    }
}

/// A command as it fits a column.
fn cut(command: &str) -> String {
    const WIDTH: usize = 30;
    match command.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", command.get(..end).unwrap_or_default()),
        None => command.to_owned(),
    }
}
