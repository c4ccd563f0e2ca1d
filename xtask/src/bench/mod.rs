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
mod runtime;
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
    /// Images it needs.
    images: &'static [&'static str],
    /// Runs that are counted, where nothing else is said.
    rounds: usize,
    run: Run,
}

/// Measures so many rounds.
type Run = fn(&Host, usize) -> anyhow::Result<Report>;

/// All of them. Each row: name, what it measures, images, rounds, and the function.
static WORKLOADS: [Workload; 12] = [
    workload("isolation", isolation::WHAT, &["demo"], 1, isolation::run),
    workload("lists", lists::WHAT, &["demo"], 30, lists::run),
    workload("memory", memory::WHAT, &["demo"], 5, memory::run),
    workload("page-cache", page_cache::WHAT, &["demo"], 3, page_cache::run),
    workload("parallel", parallel::WHAT, &["demo"], 10, parallel::run),
    workload("pull", pull::WHAT, &["big"], 5, pull::run),
    workload("rmi", remove::WHAT, &["big", "demo"], 3, remove::run),
    workload("runtime", runtime::WHAT, &["demo"], 40, runtime::run),
    workload("sibling", sibling::WHAT, &["big", "sibling"], 3, sibling::run),
    workload("size", size::WHAT, &[], 1, size::run),
    workload("start-root", start::WHAT_ROOT, &["demo"], 40, start::as_root),
    workload("start-user", start::WHAT_USER, &["demo"], 40, start::as_user),
];

const fn workload(
    name: &'static str,
    what: &'static str,
    images: &'static [&'static str],
    rounds: usize,
    run: Run,
) -> Workload {
    Workload { name, what, images, rounds, run }
}

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

/// The workloads that were asked for.
fn wanted(args: &Args) -> impl Iterator<Item = &'static Workload> {
    let asked = |name: &str| args.workloads.is_empty() || args.workloads.iter().any(|n| n == name);
    WORKLOADS.iter().filter(move |workload| asked(workload.name))
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
    for image in wanted(args).flat_map(|workload| workload.images) {
        debian::prepare(image)?;
    }
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
    let mut failed = Vec::new();
    for workload in wanted(args) {
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
