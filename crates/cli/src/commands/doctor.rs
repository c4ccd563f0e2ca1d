//! `creel doctor`

use std::process::ExitCode;

use creel_manager::doctor::{self, Finding, Severity};

use crate::failure::Failure;
use crate::output::{self, Format};

/// Check what this machine offers, what each lack costs, and how to mend it
///
/// Looks at the kernel, user namespaces and subordinate ids, cgroups, EROFS, overlayfs, FUSE and
/// KVM. Exits with 1 when something that containers cannot do without is missing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to print the findings
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let findings = doctor::examine();
    match args.format {
        Format::Json => output::json(&findings)?,
        Format::Table => output::text(&findings.iter().map(paragraph).collect::<String>())?,
    }
    let broken = findings.iter().any(|finding| finding.severity == Severity::Missing);
    Ok(ExitCode::from(u8::from(broken)))
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
