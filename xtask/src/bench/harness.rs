//! Measuring commands beside one another.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};
use wait4::Wait4 as _;

use crate::interrupt;
use crate::run::show;

/// What one run of a command cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Seconds from before the start of the process to its end.
    pub(super) wall: f64,
    /// Seconds of processor time of the process and all it waited for.
    pub(super) cpu: f64,
    /// Most bytes that one process among them had resident.
    pub(super) peak: u64,
}

/// Something that can be done in several ways: one of the ways.
pub(super) struct Contender<'a> {
    /// Its name in tables.
    pub(super) name: String,
    /// Done before each run, not measured.
    pub(super) prepare: Box<dyn FnMut() -> anyhow::Result<()> + 'a>,
    /// What is measured: one after the other, as one.
    pub(super) steps: Box<dyn Fn() -> Vec<Command> + 'a>,
}

impl<'a> Contender<'a> {
    /// Makes one that needs no preparing.
    pub(super) fn new(name: &str, command: impl Fn() -> Command + 'a) -> Self {
        Self::of_steps(name, move || vec![command()])
    }

    /// Makes one of several commands, which needs no preparing.
    pub(super) fn of_steps(name: &str, steps: impl Fn() -> Vec<Command> + 'a) -> Self {
        Self { name: name.into(), prepare: Box::new(|| Ok(())), steps: Box::new(steps) }
    }

    /// Sets what is done before each run.
    pub(super) fn prepared(mut self, prepare: impl FnMut() -> anyhow::Result<()> + 'a) -> Self {
        self.prepare = Box::new(prepare);
        self
    }
}

/// Runs all contenders one after the other, so many times over, so that a disturbance meets all; a
/// first round warms up and is not counted.
pub(super) fn interleave(
    rounds: usize,
    contenders: &mut [Contender<'_>],
) -> anyhow::Result<Vec<Vec<Sample>>> {
    let mut samples = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..=rounds {
        for (contender, samples) in contenders.iter_mut().zip(&mut samples) {
            interrupt::check()?;
            (contender.prepare)()?;
            let steps = (contender.steps)();
            let sample =
                sum(steps).with_context(|| format!("in the part of {}", contender.name))?;
            if round > 0 {
                samples.push(sample);
            }
        }
        eprint!(".");
    }
    eprintln!();
    Ok(samples)
}

/// Runs commands one after the other and sums up what they cost.
fn sum(steps: Vec<Command>) -> anyhow::Result<Sample> {
    let mut sum = Sample { wall: 0.0, cpu: 0.0, peak: 0 };
    for mut step in steps {
        let Sample { wall, cpu, peak } = measure(&mut step)?;
        sum = Sample { wall: sum.wall + wall, cpu: sum.cpu + cpu, peak: sum.peak.max(peak) };
    }
    Ok(sum)
}

/// Runs a command; it must succeed, and its output is thrown away.
pub(super) fn measure(command: &mut Command) -> anyhow::Result<Sample> {
    let complaint = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaint.try_clone()?);
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot start `{}`", show(command)))?;
    let used = child.wait4()?;
    let wall = start.elapsed().as_secs_f64();
    if !used.status.success() {
        bail!("`{}` failed: {}: {}", show(command), used.status, text(complaint)?.trim());
    }
    let cpu = used.rusage.utime + used.rusage.stime;
    Ok(Sample { wall, cpu: cpu.as_secs_f64(), peak: used.rusage.maxrss })
}

fn text(mut file: std::fs::File) -> anyhow::Result<String> {
    use std::io::{Read as _, Seek as _};
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}
