//! `creel doctor`

use std::process::ExitCode;

use creel_manager::Engine;
use creel_manager::doctor::{self, Finding, Severity};

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::settings::Globals;

/// Check what this machine offers, what each lack costs, and how to mend it
///
/// Looks at the kernel, user namespaces and subordinate ids, cgroups, EROFS, overlayfs, FUSE and
/// KVM. Exits with 1 when something that containers cannot do without is missing. With `--fix`, puts
/// away first what killed processes of creel have left.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// End and remove what runs that were killed have left, and half-made containers
    #[arg(long)]
    fix: bool,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    if args.fix {
        fix(&globals.engine()?)?;
    }
    let findings = doctor::examine();
    match args.format {
        Format::Json => output::json(&findings)?,
        Format::Table => output::text(&findings.iter().map(paragraph).collect::<String>())?,
    }
    let broken = findings.iter().any(|finding| finding.severity == Severity::Missing);
    Ok(ExitCode::from(u8::from(broken)))
}

/// Puts away what is left, and says what that was.
fn fix(engine: &Engine) -> Result<(), Failure> {
    let swept = engine.sweep_containers()?;
    for name in swept.names {
        output::note(&format!("put away container `{name}`, whose run was killed"));
    }
    let removed = engine.containers()?.sweep()?;
    if removed.count > 0 {
        output::note(&format!("removed {} remains of half-made containers", removed.count));
    }
    let mut failures: Vec<_> = removed.failed.into_iter().map(Failure::from).collect();
    for failure in swept.failed.into_iter().map(Failure::run) {
        // Both look at some of what is half-made.
        if !failures.contains(&failure) {
            failures.push(failure);
        }
    }
    // The others were put away all the same; the last failure is what the command ends with.
    let last = failures.pop();
    failures.iter().for_each(Failure::warn);
    last.map_or(Ok(()), Err)
}

fn paragraph(finding: &Finding) -> String {
    let mark = match finding.severity {
        Severity::Good => "ok     ",
        Severity::Limited => "limited",
        Severity::Missing => "missing",
    };
    let mut lines = format!("{mark}  {}: {}\n", finding.topic, finding.found);
    for (label, words) in [("costs", &finding.cost), ("mend", &finding.mend)] {
        if let Some(words) = words {
            lines.push_str(&format!("         {label}: {words}\n"));
        }
    }
    lines
}
