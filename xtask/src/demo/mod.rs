//! `./x demo`: the main job end to end, on this machine, with nothing prepared.
//!
//! Everything lives in one directory that goes at the end, however the demo ends.

mod steps;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;
use creel_testkit::docker_registry::DockerRegistry;

use crate::debian;
use crate::run::is_root;
use crate::user::User;
use crate::{build, clean, interrupt, tools};
use steps::Steps;

/// What the container is to say about its system: a line of `/etc/os-release`.
const SYSTEM: &str = "VERSION_CODENAME=bookworm\n";

/// A program for the image's Python; it prints `{"sum": 5050, "uid": 0}`.
const PYTHON: &str =
    "import json, os; print(json.dumps({'sum': sum(range(101)), 'uid': os.getuid()}))";

/// Runs the demo.
pub(crate) fn run() -> anyhow::Result<()> {
    if !is_root() {
        bail!("the demo mounts and makes a user, which needs root: run `sudo ./x demo`");
    }
    tools::install_packages(&tools::FOR_DEMO)?;
    // Not in /tmp, which can be a tmpfs: images are kept on disk.
    let work = tempfile::Builder::new()
        .prefix("creel-demo-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in("/var/tmp")?;
    let told = tell(work.path());
    let cleaned = clean::remove(work);
    told.and(cleaned)
}

fn tell(work: &Path) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    let programs = steps.time("build creel", build::release)?;
    let creel = put_in_reach(&programs, work)?;
    let layout = work.join("layout");
    steps.time("make a Debian image", || debian::DEMO.make(&layout, "demo"))?;
    let registry =
        DockerRegistry::start_program(&tools::docker_registry()?, &work.join("registry"))?;
    let image = format!("{}/creel/demo:latest", registry.address());
    let user = User::create("creel-demo", &work.join("home"))?;

    let publisher = Person::root("publisher", &creel, work);
    publisher.push(&mut steps, &layout, &image)?;
    let root = Person::root("root", &creel, work);
    root.pull_and_run(&mut steps, &image, 0)?;
    let user = Person::user("user", &creel, &user);
    user.pull_and_run(&mut steps, &image, 0)?;
    steps.print();
    println!("\nThe demo is complete: every output was what it should be.");
    Ok(())
}

/// Copies the programs to where any user can run them: the sources may be in root's home.
fn put_in_reach(programs: &Path, work: &Path) -> anyhow::Result<PathBuf> {
    let directory = work.join("bin");
    fs::create_dir(&directory)?;
    for (program, _) in build::PROGRAMS {
        fs::copy(programs.join(program), directory.join(program))?;
    }
    Ok(directory.join("creel"))
}

/// Somebody with a store.
struct Person<'a> {
    name: &'static str,
    creel: &'a Path,
    user: Option<&'a User>,
    /// Store and run directory; a user has the usual ones.
    directories: Option<(PathBuf, PathBuf)>,
}

impl<'a> Person<'a> {
    fn root(name: &'static str, creel: &'a Path, work: &Path) -> Self {
        let own = work.join(name);
        let directories = Some((own.join("store"), own.join("run")));
        Self { name, creel, user: None, directories }
    }

    fn user(name: &'static str, creel: &'a Path, user: &'a User) -> Self {
        Self { name, creel, user: Some(user), directories: None }
    }

    fn creel(&self, arguments: &[&str]) -> Command {
        let mut command = match self.user {
            Some(user) => user.command(self.creel),
            None => Command::new(self.creel),
        };
        if let Some((store, run)) = &self.directories {
            command.env("CREEL_STORE", store).env("CREEL_RUN_DIR", run);
        }
        command.args(arguments);
        command
    }

    /// Runs a command as a step and returns its output.
    fn step(&self, steps: &mut Steps, arguments: &[&str]) -> anyhow::Result<String> {
        steps.run(self.name, self.creel(arguments))
    }

    fn push(&self, steps: &mut Steps, layout: &Path, image: &str) -> anyhow::Result<()> {
        let layout = format!("oci:{}:demo", layout.display());
        let id = self.step(steps, &["pull", "-q", &layout])?;
        self.step(steps, &["tag", id.trim(), image])?;
        self.step(steps, &["push", "--tls-verify=false", image])?;
        Ok(())
    }

    fn pull_and_run(&self, steps: &mut Steps, image: &str, uid: u32) -> anyhow::Result<()> {
        interrupt::check()?;
        self.step(steps, &["pull", "--tls-verify=false", image])?;
        let system = self.step(steps, &["run", "--rm", image, "cat", "/etc/os-release"])?;
        expect(&system, |said| said.contains(SYSTEM), SYSTEM)?;
        let sum = self.step(steps, &["run", "--rm", image, "python3", "-c", PYTHON])?;
        let right = format!("{{\"sum\": 5050, \"uid\": {uid}}}\n");
        expect(&sum, |said| said == right, &right)?;
        let images = self.step(steps, &["images"])?;
        expect(&images, |said| said.contains("creel/demo"), "creel/demo")?;
        self.step(steps, &["df"])?;
        Ok(())
    }
}

fn expect(said: &str, right: impl Fn(&str) -> bool, wanted: &str) -> anyhow::Result<()> {
    if right(said) { Ok(()) } else { bail!("expected {wanted:?}, got {said:?}") }
}
