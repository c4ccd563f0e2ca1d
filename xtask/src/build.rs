//! The release build, and the sizes it promises.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::run::{cargo, run, target_directory};

/// The one platform that is released.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-musl";

/// Each program and the most bytes it may have (SPECIFICATION.md, "binary").
pub(crate) const PROGRAMS: [(&str, u64); 2] = [("creel", 10_000_000), ("creel-init", 100_000)];

/// Builds both programs and returns the directory they are in.
pub(crate) fn release() -> anyhow::Result<PathBuf> {
    run(cargo().args(["build", "--release", "--locked", "--target", TARGET]))?;
    let directory = target_directory().join(TARGET).join("release");
    for (program, limit) in PROGRAMS {
        let path = directory.join(program);
        let size = fs::metadata(&path).with_context(|| format!("no `{}`", path.display()))?.len();
        println!("{program}: {size} bytes (at most {limit})");
        if size > limit {
            bail!("{program} has outgrown its promise of {limit} bytes");
        }
    }
    Ok(directory)
}
