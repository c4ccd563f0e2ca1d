//! `./x test`: every check, cheapest first, in tiers by what they need of the host.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use creel_testkit::{docker_registry, guest, image, peers as kit};

use crate::run::{capture, cargo, is_root, repository, run, target_directory};
use crate::{arrows, debian, guest as machine, interrupt, peers, tools};

/// Tests that need root have this in their module, file or function name.
const PRIVILEGED: &str = "test(/privileged/) | binary(/privileged/)";

/// And those that need other container tools have this too.
const PEERS: &str = "test(/peers/) | binary(/peers/)";

/// Tests that boot a guest have this, whatever else is in the name of their file.
const GUEST: &str = "test(/guest/)";

/// Makes cargo work on the fuzz targets.
const FUZZ: [&str; 2] = ["--manifest-path", "fuzz/Cargo.toml"];

/// What to test.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run one tier only
    #[arg(long)]
    tier: Option<Tier>,
}

/// What a group of tests needs of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tier {
    /// Formatting, lints, licences, crate arrows: nothing but the sources
    Static,
    /// Tests that any user can run
    User,
    /// Tests that mount, make namespaces and users: root
    Root,
    /// Tests against other container tools: root, and `./x peers`
    Peers,
    /// Tests in throw-away machines with control groups of version 2: root, for their disk
    Guest,
    /// Fuzz targets built, and their seeds replayed
    Fuzz,
}

impl Tier {
    const fn needs_root(self) -> bool {
        matches!(self, Self::Root | Self::Peers | Self::Guest)
    }

    fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Static => check_sources(),
            Self::User => nextest(&format!("not ({PRIVILEGED} | {GUEST})"), &mut cargo()),
            Self::Root => nextest(&format!("({PRIVILEGED}) - ({PEERS} | {GUEST})"), &mut cargo()),
            Self::Peers => {
                let root = peers::ready()?;
                let images = debian::prepare("demo")?;
                let mut cargo = cargo();
                cargo.env(kit::ROOT, root).env(image::REAL, images);
                nextest(&format!("({PRIVILEGED}) & ({PEERS})"), &mut cargo)
            }
            Self::Guest => nextest(GUEST, cargo().env(guest::DIRECTORY, machine::ready()?)),
            Self::Fuzz => replay_seeds(),
        }
    }
}

/// Runs the tiers that were asked for, all of them whatever fails, and says how each ended.
pub(crate) fn tiers(args: &Args) -> anyhow::Result<()> {
    let tiers: Vec<Tier> = match args.tier {
        Some(tier) => vec![tier],
        None => Tier::value_variants().to_vec(),
    };
    if tiers.iter().any(|tier| tier.needs_root()) && !is_root() {
        bail!(
            "the tests mount and make users, which needs root: run `sudo ./x test`, or `./x test --tier user`"
        );
    }
    tools::install_all()?;
    let mut ended = Vec::new();
    for tier in tiers {
        interrupt::check()?;
        ended.push(timed(tier));
    }
    println!();
    for (tier, time, result) in &ended {
        let words = result.as_ref().map_or_else(|e| format!("failed: {e:#}"), |()| "passed".into());
        println!("{:>7} s  {:<6} {words}", time.as_secs(), format!("{tier:?}").to_lowercase());
    }
    ended.into_iter().try_for_each(|(_, _, result)| result)
}

fn timed(tier: Tier) -> (Tier, Duration, anyhow::Result<()>) {
    println!("\n== tier {}", format!("{tier:?}").to_lowercase());
    let start = Instant::now();
    let result = tier.run();
    (tier, start.elapsed(), result)
}

fn check_sources() -> anyhow::Result<()> {
    arrows::check()?;
    // A workspace of its own, whose lock file is easily forgotten.
    capture(cargo().args(["metadata", "--locked", "--format-version=1"]).args(FUZZ))?;
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

/// Runs the tests that `filter` names. nextest prints their number.
fn nextest(filter: &str, cargo: &mut Command) -> anyhow::Result<()> {
    cargo.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]);
    // The names of hundreds of passed tests bury those of the failed ones.
    cargo.args(["--status-level", "slow", "--final-status-level", "fail", "-E", filter]);
    run(cargo.env(docker_registry::PROGRAM, tools::docker_registry()?))
}

/// Builds the fuzz targets without instrumentation, which the stable toolchain can, and runs each
/// over its seeds.
fn replay_seeds() -> anyhow::Result<()> {
    let fuzz = repository().join("fuzz");
    let built = target_directory().join("fuzz");
    run(cargo()
        .args(["build", "--release", "--locked"])
        .args(FUZZ)
        .env("CARGO_TARGET_DIR", &built)
        .env("RUSTFLAGS", "--cfg fuzzing"))?;
    let (mut targets, mut seeds) = (0, 0);
    for target in fs::read_dir(fuzz.join("fuzz_targets"))? {
        let path = target?.path();
        let name = path.file_stem().context("a fuzz target without a name")?.to_owned();
        let corpus = fuzz.join("seeds").join(&name);
        let program = built.join("release").join(&name);
        run(Command::new(program).arg("-runs=0").arg(&corpus))?;
        targets += 1;
        seeds += fs::read_dir(corpus)?.count();
    }
    println!("fuzz: {seeds} seeds of {targets} targets replayed");
    Ok(())
}
