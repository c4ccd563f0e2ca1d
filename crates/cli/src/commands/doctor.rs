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
    for name in engine.sweep_containers()? {
        output::note(&format!("put away container `{name}`, whose run was killed"));
    }
    match engine.containers()?.sweep()? {
        0 => {}
        count => output::note(&format!("removed {count} remains of half-made containers")),
    }
    Ok(())
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
