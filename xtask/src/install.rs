//! `./x install`: the programs, their man pages and completions into a prefix.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::build;
use crate::run::{cargo, run};

/// Where to install to.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Directory to install below
    #[arg(default_value = "/usr/local")]
    prefix: PathBuf,
}

/// Each shell with the place, below the prefix, where it looks for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/creel"),
    ("zsh", "share/zsh/site-functions/_creel"),
    ("fish", "share/fish/vendor_completions.d/creel.fish"),
];

/// Builds and installs everything.
pub(crate) fn install(args: &Args) -> anyhow::Result<()> {
    let built = build::release()?;
    for (program, _) in build::PROGRAMS {
        // A running copy is replaced, not written into.
        put(&args.prefix.join("bin").join(program), |path| {
            fs::copy(built.join(program), path).map(drop)
        })?;
    }
    for (shell, place) in COMPLETIONS {
        let script =
            std::process::Command::new(built.join("creel")).args(["completion", shell]).output()?;
        put(&args.prefix.join(place), |path| fs::write(path, &script.stdout))?;
    }
    let pages = args.prefix.join("share/man/man1");
    run(cargo()
        .args(["run", "--quiet", "--locked", "-p", "creel-cli", "--example", "man", "--"])
        .arg(&pages))?;
    println!("installed below {}", args.prefix.display());
    Ok(())
}

/// Makes a file beside its place and moves it there.
fn put(place: &Path, make: impl Fn(&Path) -> std::io::Result<()>) -> anyhow::Result<()> {
    let directory = place.parent().context("a place without a directory")?;
    let made = place.with_extension("new");
    fs::create_dir_all(directory)
        .and_then(|()| make(&made))
        .and_then(|()| fs::rename(&made, place))
        .with_context(|| format!("cannot install `{}`", place.display()))
}
