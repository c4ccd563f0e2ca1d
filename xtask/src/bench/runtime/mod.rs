//! `creel oci` beside crun and runc, on the same bundle.

mod bundle;
mod least;
mod peak;
mod tool;

use std::path::Path;

use super::harness::{Contender, interleave};
use super::host::{self, Host};
use super::isolation;
use super::parallel::at_once;
use super::report::{Report, Unit};
use super::start::{bwrap, compile_floor};
use super::stats::quantile;
use super::who::Who;
use bundle::Bundles;
use tool::Tool;

pub(super) const WHAT: &str = "`creel oci`, crun and runc on the same bundle, as root";

/// Containers that start at once.
const AT_ONCE: usize = 100;
/// Rounds of what takes long, for one of the others.
const LONG: usize = 10;

pub(super) fn run(host: &Host, rounds: usize) -> anyhow::Result<Report> {
    host::require(&["oci"])?;
    let who = host.root();
    let bundles = Bundles::prepare(&who)?;
    let tools = Tool::all(&who);
    let mut report = Report::default();
    short_lives(&mut report, &who, &tools, &bundles, rounds)?;
    on_running(&mut report, &tools, &bundles.sleeping, rounds)?;
    many_at_once(&mut report, &tools, &bundles.plain, rounds.div_ceil(LONG))?;
    let limited = who.path("bundle-limited");
    for tool in &tools {
        let peaks = (0..rounds.div_ceil(LONG) + 2).map(|_| peak::of(tool, &bundles.plain));
        let peaks = peaks.collect::<anyhow::Result<Vec<_>>>()?;
        report.add("run: memory charged to the runtime", tool.name, Unit::Bytes, &peaks);
        let least = least::limit(tool, &bundles, &limited)?;
        report.add("smallest memory limit for `true`", tool.name, Unit::Bytes, &[least]);
    }
    report.notes.extend([NOTE.into(), from_inside(&tools, &bundles)?]);
    Ok(report)
}

const NOTE: &str = "All find the same root directory and the same `config.json`, crun's own default \
    with the process exchanged, and the same cgroups. The C floor makes the same namespaces, binds \
    the root, mounts `/proc`, pivots and executes `true`. With 350 rules: a seccomp profile that \
    allows one system call a rule. Memory charged: the most that the kernel charged to a group of \
    the runtime's own, where its processes are until they enter the container's; what is in the page \
    cache already, as the programs' files are, is not in it. All processes share a page only once.";

/// Containers that are made, run `true` and go.
fn short_lives(
    report: &mut Report,
    who: &Who<'_>,
    tools: &[Tool<'_>],
    bundles: &Bundles,
    rounds: usize,
) -> anyhow::Result<()> {
    let whole = |tool: &Tool<'_>| tool.create_start_delete(&bundles.plain);
    compare(report, "create, start, delete", tools, whole, rounds)?;
    let filtered = |tool: &Tool<'_>| vec![tool.run(&bundles.filtered)];
    compare(report, "run with 350 seccomp rules", tools, filtered, rounds)?;

    let floor = compile_floor(who)?;
    let root = bundles.plain.join("rootfs");
    let mut contenders: Vec<_> = tools
        .iter()
        .map(|tool| Contender::new(tool.name, || tool.run(&bundles.plain)))
        .chain([
            Contender::new("bwrap, prepared root", || bwrap(who, &root, &["true"])),
            Contender::new("C floor, prepared root", || {
                let mut command = who.command(&floor);
                command.arg(&root).arg("/bin/true");
                command
            }),
        ])
        .collect();
    let samples = interleave(rounds, &mut contenders)?;
    report.add_times("run", &contenders, &samples);
    report.add_costs("run", &contenders, &samples);
    Ok(())
}

/// Commands on a container that sleeps.
fn on_running(
    report: &mut Report,
    tools: &[Tool<'_>],
    bundle: &Path,
    rounds: usize,
) -> anyhow::Result<()> {
    let running = tools.iter().map(|tool| tool.start(bundle));
    let running = running.collect::<anyhow::Result<Vec<_>>>()?;
    compare(report, "exec", tools, |tool| vec![tool.exec(&["true"])], rounds)?;
    compare(report, "state", tools, |tool| vec![tool.state()], rounds)?;
    drop(running);
    Ok(())
}

fn compare(
    report: &mut Report,
    case: &str,
    tools: &[Tool<'_>],
    steps: impl Fn(&Tool<'_>) -> Vec<std::process::Command>,
    rounds: usize,
) -> anyhow::Result<()> {
    let steps = &steps;
    let mut contenders: Vec<_> =
        tools.iter().map(|tool| Contender::of_steps(tool.name, move || steps(tool))).collect();
    let samples = interleave(rounds, &mut contenders)?;
    report.add_times(case, &contenders, &samples);
    Ok(())
}

fn many_at_once(
    report: &mut Report,
    tools: &[Tool<'_>],
    bundle: &Path,
    rounds: usize,
) -> anyhow::Result<()> {
    let mut totals = vec![Vec::new(); tools.len()];
    let mut times = vec![Vec::new(); tools.len()];
    for _ in 0..rounds {
        for ((tool, totals), times) in tools.iter().zip(&mut totals).zip(&mut times) {
            let start = std::time::Instant::now();
            times.extend(at_once(AT_ONCE, &|number| tool.run_as(bundle, &format!("b{number}")))?);
            totals.push(start.elapsed().as_secs_f64());
        }
        eprint!(".");
    }
    eprintln!();
    for ((tool, totals), times) in tools.iter().zip(&totals).zip(&times) {
        report.add("100 at once: all", tool.name, Unit::Seconds, totals);
        let last = quantile(times, 0.99);
        report.add("100 at once: 99th percentile", tool.name, Unit::Seconds, &[last]);
    }
    Ok(())
}

/// A table of what a container of each tool sees of itself.
fn from_inside(tools: &[Tool<'_>], bundles: &Bundles) -> anyhow::Result<String> {
    let script = isolation::script()?;
    let answers = tools.iter().map(|tool| {
        let bundle = bundles.with_process(&["sh", "-c", &script])?;
        Ok((tool.name, isolation::answer(&mut tool.run(&bundle))?))
    });
    Ok(isolation::table("root", &answers.collect::<anyhow::Result<Vec<_>>>()?))
}
