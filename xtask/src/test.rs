//! `./x test`: every check, cheapest first, in tiers by what they need of the host.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use crate::run::{cargo, is_root, repository, run, target_directory};
use crate::{arrows, tools};

/// Tests that need root have this in their module, file or function name.
const PRIVILEGED: &str = "test(/privileged/) | binary(/privileged/)";

/// What to test.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run one tier only
    #[arg(long)]
    tier: Option<Tier>,
}

/// What a group of tests needs of the host.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tier {
    /// Formatting, lints, licences, crate arrows: nothing but the sources
    Static,
    /// Tests that any user can run
    User,
    /// Tests that mount, make namespaces and users: root
    Root,
    /// Fuzz targets built, and their seeds replayed
    Fuzz,
}

/// Runs the tiers that were asked for.
pub(crate) fn tiers(args: &Args) -> anyhow::Result<()> {
    let tiers = match args.tier {
        Some(tier) => vec![tier],
        None => vec![Tier::Static, Tier::User, Tier::Root, Tier::Fuzz],
    };
    if tiers.contains(&Tier::Root) && !is_root() {
        bail!(
            "the tests mount and make users, which needs root: run `sudo ./x test`, or `./x test --tier user`"
        );
    }
    tools::install_all()?;
    tiers.into_iter().try_for_each(|tier| match tier {
        Tier::Static => check_sources(),
        Tier::User => nextest(&format!("not ({PRIVILEGED})")),
        Tier::Root => nextest(PRIVILEGED),
        Tier::Fuzz => replay_seeds(),
    })
}

fn check_sources() -> anyhow::Result<()> {
    arrows::check()?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    run(cargo().args(["deny", "--log-level", "error", "check", "licenses", "bans", "sources"]))
}

fn nextest(filter: &str) -> anyhow::Result<()> {
    run(cargo().args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "-E", filter]))
}

/// Builds the fuzz targets without instrumentation, which the stable toolchain can, and runs each
/// over its seeds.
fn replay_seeds() -> anyhow::Result<()> {
    let fuzz = repository().join("fuzz");
    let built = target_directory().join("fuzz");
    run(cargo()
        .args(["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml"])
        .env("CARGO_TARGET_DIR", &built)
        .env("RUSTFLAGS", "--cfg fuzzing"))?;
    let mut replayed = 0;
    for target in fs::read_dir(fuzz.join("fuzz_targets"))? {
        let path = target?.path();
        let name = path.file_stem().context("a fuzz target without a name")?.to_owned();
        let seeds = fuzz.join("seeds").join(&name);
        let program = built.join("release").join(&name);
        run(Command::new(program).arg("-runs=0").arg(&seeds))?;
        replayed += 1;
    }
    println!("fuzz seeds: {replayed} targets replayed");
    Ok(())
}
