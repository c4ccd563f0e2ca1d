//! Real images: Debian as mmdebstrap makes it, a layer for each group of packages.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use creel_testkit::image::Image;
use serde_json::json;

use crate::run::{run, target_directory};
use crate::tools;

/// The hook that writes the layers.
const LAYERS: &str = include_str!("layers.sh");

/// The stable release that images are made of.
const STABLE: &str = "bookworm";

/// An image to make.
pub(crate) struct Recipe<'a> {
    /// What is in each layer above the base system: packages separated by blanks.
    pub(crate) layers: &'a [&'a str],
}

/// The demo's image.
pub(crate) const DEMO: Recipe<'_> = Recipe { layers: &["python3"] };

/// The benches' image: at least 400 MB compressed, 3 layers and 40,000 files.
pub(crate) const BIG: Recipe<'_> = Recipe {
    layers: &[
        "python3 perl git gcc g++",
        "golang-go texlive-latex-base",
        "openjdk-17-jdk-headless libboost1.74-dev",
    ],
};

/// Shares most files with [`BIG`], in layers of its own.
pub(crate) const SIBLING: Recipe<'_> = Recipe {
    layers: &["golang-go python3 perl git gcc g++ texlive-latex-base", "libboost1.74-dev", "clang"],
};

/// An image to make.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which one
    #[arg(value_enum)]
    image: Named,
    /// Directory of the OCI layout, to which the image is added under its name
    layout: PathBuf,
}

/// The images that are made here.
#[derive(Clone, Copy, ValueEnum)]
enum Named {
    /// What `./x demo` runs
    Demo,
    /// What `./x bench` pulls
    Big,
    /// Shares 80 % of its files with it
    Sibling,
}

impl Named {
    const fn recipe(self) -> &'static Recipe<'static> {
        match self {
            Self::Demo => &DEMO,
            Self::Big => &BIG,
            Self::Sibling => &SIBLING,
        }
    }
}

/// Makes one of the images.
pub(crate) fn make(args: &Args) -> anyhow::Result<()> {
    let name = args.image.to_possible_value();
    let name = name.as_ref().map_or("image", |value| value.get_name());
    args.image.recipe().make(&args.layout, name)
}

/// Makes one of the images where it is missing, a layout of its own below the directory that is
/// returned.
pub(crate) fn prepare(name: &str) -> anyhow::Result<PathBuf> {
    let directory = target_directory().join("images");
    let layout = directory.join(name);
    if layout.join("index.json").exists() {
        return Ok(directory);
    }
    // Named at the end, so that half a layout is never taken for a whole one.
    let new = directory.join(format!("{name}.new"));
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    Named::from_str(name, false).map_err(anyhow::Error::msg)?.recipe().make(&new, name)?;
    fs::rename(new, layout)?;
    Ok(directory)
}

impl Recipe<'_> {
    /// Makes the image and adds it to the layout at `layout` under `name`.
    pub(crate) fn make(&self, layout: &Path, name: &str) -> anyhow::Result<()> {
        tools::install_packages(&tools::FOR_IMAGES)?;
        // Gigabytes: more than a `/tmp` in memory holds.
        let target = target_directory();
        fs::create_dir_all(&target)?;
        let work = tempfile::Builder::new().prefix("creel-image-").tempdir_in(target)?;
        let mut image = Image::new()
            .process(
                "Env",
                json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]),
            )
            .process("Cmd", json!(["bash"]));
        for tar in self.tars(work.path())? {
            image = image.layer_file(tar);
        }
        image.write(layout, name)?;
        Ok(())
    }

    fn tars(&self, work: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let hook = work.join("layers.sh");
        fs::write(&hook, LAYERS)?;
        let groups: String = self.layers.iter().map(|packages| format!(" '{packages}'")).collect();
        let script = format!("sh '{}' \"$1\" '{}'{groups}", hook.display(), work.display());
        bootstrap(
            Command::new("mmdebstrap")
                .args(["--variant=minbase", "--format=null"])
                .env("TMPDIR", work)
                .arg(format!("--customize-hook={script}")),
            STABLE,
            Path::new("/dev/null"),
        )?;
        Ok((1..=self.layers.len() + 1).map(|layer| work.join(format!("{layer}.tar"))).collect())
    }
}

/// Runs mmdebstrap with more options for one release, from the archive that this host's apt uses.
pub(crate) fn bootstrap(command: &mut Command, suite: &str, to: &Path) -> anyhow::Result<()> {
    let mut sources = tempfile::NamedTempFile::new()?;
    writeln!(sources, "deb {} {suite} main", archive()?)?;
    run(command.arg("--quiet").arg(suite).arg(to).arg(sources.path()).stdin(Stdio::null()))
}

/// Returns the address this host's apt uses for Debian's main archive.
fn archive() -> anyhow::Result<String> {
    let known = || -> anyhow::Result<Option<String>> {
        let output = Command::new("apt-get")
            .args(["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"])
            .output()
            .context("cannot start apt-get: the images and the peers are made on Debian only")?;
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().find_map(|line| line.strip_prefix("Debian ")).map(str::to_owned))
    };
    if let Some(archive) = known()? {
        return Ok(archive);
    }
    tools::update_packages()?;
    match known()? {
        Some(archive) => Ok(archive),
        None => bail!("apt knows no Debian archive: look into /etc/apt/sources.list"),
    }
}
