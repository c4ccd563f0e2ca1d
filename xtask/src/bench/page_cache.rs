//! The page cache that running containers of one base hold.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use creel_testkit::image::Image;
use creel_testkit::tar::{Entry, Tar};

use rustix::process::{Pid, Signal, kill_process};

use super::host::{self, Host};
use super::report::{Report, Unit};
use super::who::Who;
use crate::run::{capture, target_directory};

pub(super) const WHAT: &str = "page cache of ten running images on one base, all files read";

/// Images, each the base and a layer of its own.
const IMAGES: usize = 10;

/// Reads every file of the image, says so, and stays.
const READ_ALL: &str =
    "find / -xdev -type f -exec cat {} + > /dev/null 2>&1; echo ready; sleep 1000";

pub(super) fn run(host: &Host, rounds: usize) -> anyhow::Result<Report> {
    host::require(&["pull", "run"])?;
    let who = host.root();
    let names = make_images(&who)?;
    let load = |mut command: Command| Ok(capture(&mut command)?.trim().to_owned());
    let ours: Vec<String> = names
        .iter()
        .map(|name| load(who.creel(&["pull", "-q", name])))
        .collect::<anyhow::Result<_>>()?;
    let theirs: Vec<String> = names
        .iter()
        .map(|name| load(who.podman(&["pull", "-q", name])))
        .collect::<anyhow::Result<_>>()?;
    let creel = |id: &str| who.creel(&words(id));
    let podman = |id: &str| who.podman(&words(id));
    let mut held = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        held[0].push(held_by(&ours, &creel)?);
        held[1].push(held_by(&theirs, &podman)?);
    }
    let mut report = Report::default();
    for (name, held) in ["creel", "podman"].into_iter().zip(&held) {
        report.add("ten containers", name, Unit::Bytes, held);
    }
    report.notes.push(NOTE.into());
    Ok(report)
}

const fn words(id: &str) -> [&str; 9] {
    ["run", "--rm", "--network", "none", "--init", id, "sh", "-c", READ_ALL]
}

const NOTE: &str = "Growth of `Cached` and `Buffers` in `/proc/meminfo` after the page cache was \
    dropped; other processes of the machine are in it.";

/// Adds a layer of its own to the demo's image, ten times over.
fn make_images(who: &Who<'_>) -> anyhow::Result<Vec<String>> {
    let base = Image::based_on(&target_directory().join("images/demo"))?;
    let layout = who.path("ten");
    (0..IMAGES)
        .map(|number| {
            let own = Tar::new().with(Entry::file("own", number.to_string())).finish();
            base.clone().layer(own).write(&layout, &format!("image-{number}"))?;
            Ok(format!("oci:{}:image-{number}", layout.display()))
        })
        .collect()
}

/// Runs one container of each image and returns by how many bytes the page cache grew.
fn held_by(ids: &[String], run: &dyn Fn(&str) -> Command) -> anyhow::Result<f64> {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "1")?;
    let before = cached()?;
    let mut running = Vec::new();
    for id in ids {
        running.push(Running::start(&mut run(id))?);
    }
    thread::sleep(Duration::from_millis(500));
    Ok(cached()? - before)
}

/// A container that goes when this is dropped.
struct Running(Child);

impl Running {
    /// Starts it and waits until it has read everything.
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take();
        let running = Self(child);
        let mut line = String::new();
        BufReader::new(output.context("no output")?).read_line(&mut line)?;
        anyhow::ensure!(line == "ready\n", "the container did not start");
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both tools pass it on to the container's init, and that to the shell.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

/// Bytes in the page cache.
fn cached() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let kilobytes = ["Cached:", "Buffers:"].into_iter().filter_map(|key| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().strip_suffix(" kB")?.parse::<f64>().ok()
    });
    Ok(kilobytes.sum::<f64>() * 1024.0)
}
