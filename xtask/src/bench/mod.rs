//! `./x bench`: creel beside its peers, in the root with the peers, on this machine.
//!
//! The task runs twice: outside, where it builds and prepares, and again among the peers, where it
//! measures, so that no entering of namespaces is in any figure.

mod harness;
mod host;
mod isolation;
mod lists;
mod memory;
mod page_cache;
mod parallel;
mod pull;
mod remove;
mod report;
mod sibling;
mod size;
mod start;
mod stats;
mod who;

use std::env;
use std::fs;

use anyhow::bail;
use creel_testkit::peers::Peers;

use crate::run::{is_root, repository, run, target_directory};
use crate::{build, clean, debian, interrupt, peers};
use host::Host;
use report::Report;

/// Set where the measuring is done.
const INSIDE: &str = "CREEL_BENCH_INSIDE";

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Workloads to run; without any, all are
    workloads: Vec<String>,
    /// Runs of each tool that are counted, in place of each workload's own number
    #[arg(long, value_name = "NUMBER")]
    rounds: Option<usize>,
    /// List the workloads
    #[arg(long)]
    list: bool,
}

/// Something that is measured.
struct Workload {
    name: &'static str,
    what: &'static str,
    /// Runs that are counted, where nothing else is said.
    rounds: usize,
    run: fn(&Host, usize) -> anyhow::Result<Report>,
}

const WORKLOADS: [Workload; 11] = [
    Workload { name: "isolation", what: isolation::WHAT, rounds: 1, run: isolation::run },
    Workload { name: "lists", what: lists::WHAT, rounds: 30, run: lists::run },
    Workload { name: "memory", what: memory::WHAT, rounds: 5, run: memory::run },
    Workload { name: "page-cache", what: page_cache::WHAT, rounds: 3, run: page_cache::run },
    Workload { name: "parallel", what: parallel::WHAT, rounds: 10, run: parallel::run },
    Workload { name: "pull", what: pull::WHAT, rounds: 5, run: pull::run },
    Workload { name: "rmi", what: remove::WHAT, rounds: 3, run: remove::run },
    Workload { name: "sibling", what: sibling::WHAT, rounds: 3, run: sibling::run },
    Workload { name: "size", what: size::WHAT, rounds: 1, run: size::run },
    Workload { name: "start-root", what: start::WHAT_ROOT, rounds: 40, run: start::as_root },
    Workload { name: "start-user", what: start::WHAT_USER, rounds: 40, run: start::as_user },
];

/// Measures what was asked for.
pub(crate) fn run_all(args: &Args) -> anyhow::Result<()> {
    if args.list {
        WORKLOADS.iter().for_each(|workload| println!("{:<12} {}", workload.name, workload.what));
        return Ok(());
    }
    let unknown = args.workloads.iter().find(|name| WORKLOADS.iter().all(|w| w.name != **name));
    if let Some(name) = unknown {
        bail!("no workload is called `{name}`: run `./x bench --list`");
    }
    match env::var_os(INSIDE) {
        Some(_) => inside(args),
        None => outside(args),
    }
}

fn outside(args: &Args) -> anyhow::Result<()> {
    if !is_root() {
        bail!("benches mount and make users, which needs root: run `sudo ./x bench`");
    }
    let root = peers::ready()?;
    let built = build::release()?;
    let directory = target_directory().join("bench");
    let programs = directory.join("bin");
    fs::create_dir_all(&programs)?;
    for (program, _) in build::PROGRAMS {
        put(&built.join(program), &programs.join(program))?;
    }
    put(&env::current_exe()?, &programs.join("xtask"))?;
    debian::prepare_all()?;
    let session = Peers::new(root).enter(&[&repository(), &target_directory()])?;
    let mut command = session.command(&[programs.join("xtask")]);
    command.arg("bench").args(&args.workloads);
    if let Some(rounds) = args.rounds {
        command.arg("--rounds").arg(rounds.to_string());
    }
    command
        .env(INSIDE, "1")
        .env("CARGO_MANIFEST_DIR", repository().join("xtask"))
        .env("CARGO_TARGET_DIR", target_directory());
    run(&mut command)
}

/// Replaces a program, which can be running.
fn put(from: &std::path::Path, to: &std::path::Path) -> anyhow::Result<()> {
    let new = to.with_extension("new");
    fs::copy(from, &new)?;
    Ok(fs::rename(new, to)?)
}

fn inside(args: &Args) -> anyhow::Result<()> {
    let wanted = |workload: &&Workload| {
        args.workloads.is_empty() || args.workloads.iter().any(|name| name == workload.name)
    };
    let mut failed = Vec::new();
    for workload in WORKLOADS.iter().filter(wanted) {
        interrupt::check()?;
        eprintln!("\n== {}: {}", workload.name, workload.what);
        if let Err(error) = run_one(workload, args.rounds.unwrap_or(workload.rounds)) {
            eprintln!("x: {}: {error:#}", workload.name);
            failed.push(workload.name);
        }
    }
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    Ok(())
}

fn run_one(workload: &Workload, rounds: usize) -> anyhow::Result<()> {
    // A previous bench may have been killed.
    let directory = target_directory().join("bench/work");
    clean::unmount_below(&directory)?;
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    let host = Host::prepare(&directory)?;
    let report = (workload.run)(&host, rounds);
    drop(host);
    clean::unmount_below(&directory)?;
    fs::remove_dir_all(&directory)?;
    let report = Report { title: workload.what.into(), host: host::describe()?, ..report? };
    println!("{}", report.page());
    report::keep(workload.name, report)
}
