//! `./x demo`: the main job end to end, on this machine, with nothing prepared.

use anyhow::bail;

/// Runs the demo.
pub(crate) fn run() -> anyhow::Result<()> {
    let directory = crate::build::release()?;
    crate::run::run(std::process::Command::new(directory.join("creel")).arg("--version"))?;
    bail!("the demo is not whole yet: `creel pull` and `creel run` are being built")
}
