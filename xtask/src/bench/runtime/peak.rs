//! How much memory a runtime takes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::super::harness::measure;
use super::tool::Tool;

/// The memory controller of version 1, which keeps a record of the most.
const MEMORY: &str = "/sys/fs/cgroup/memory";

/// Returns the most bytes that were charged to a runtime's own processes in one run.
pub(super) fn of(tool: &Tool<'_>, bundle: &Path) -> anyhow::Result<f64> {
    let group = Path::new(MEMORY).join("bench-runtime");
    fs::create_dir(&group).with_context(|| format!("cannot make `{}`", group.display()))?;
    let run = tool.run(bundle);
    let mut entered = Command::new("sh");
    entered.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(group.join("cgroup.procs"));
    entered.arg(run.get_program()).args(run.get_args());
    let peak = measure(&mut entered).and_then(|_| {
        let text = fs::read_to_string(group.join("memory.max_usage_in_bytes"))?;
        Ok(text.trim().parse::<u64>()? as f64)
    });
    fs::remove_dir(&group)?;
    peak
}
