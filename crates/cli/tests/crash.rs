//! The program killed at random points: whatever it was doing, the store is whole afterwards and the
//! next pull succeeds.
//!
//! The points come from a fixed seed. `CREEL_CRASH_ROUNDS` sets how many kills each test makes.
#![allow(clippy::unwrap_used)] // in the helpers of tests

mod shared;

use std::process::Stdio;
use std::time::{Duration, Instant};

use creel_store::Backend;
use creel_testkit::random::Random;
use shared::Host;
use shared::source::Source;

const ROUNDS: u32 = 100;
const SEED: u64 = 0x5eed_cafe_2026_1124;

/// What is done and killed, time after time, on one store.
struct Trial {
    host: Host,
    source: Source,
    random: Random,
    /// What the image lists when nothing went wrong.
    expected: String,
    /// About how long an undisturbed pull takes: a machine with other work to do is not always as fast
    /// as it was.
    pull: Duration,
    killed: u32,
}

impl Trial {
    fn new(backend: Backend) -> Self {
        let host = Host::with(backend);
        let source = Source::new(&host);
        let before = Instant::now();
        host.runs(&["pull", "-q", &source.layout]);
        let pull = before.elapsed();
        let expected = host.runs(&["tree", "ls", "-R", "--format", "json", "app"]);
        let random = Random(SEED);
        Self { host, source, random, expected, pull, killed: 0 }
    }

    /// Runs a command and kills it at a random point of the time it may take.
    fn kill(&mut self, arguments: &[&str], time: Duration) {
        let wait = self.random.below(time.as_micros() as u64);
        let mut command = self.host.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(wait));
        child.kill().unwrap();
        let killed = !child.wait().unwrap().success();
        self.killed += u32::from(killed);
        self.pull = self.pull.mul_f32(if killed { 1.05 } else { 0.9 });
    }

    fn round(&mut self) {
        let remote = ["pull", "-q", "--tls-verify=false", &self.source.remote.clone()];
        let local = ["pull", "-q", &self.source.layout.clone()];
        let pull = self.pull.mul_f32(1.2);
        let what = self.random.below(10);
        if what < 8 && self.is_there() {
            self.remove();
            self.host.runs(&["prune"]);
        }
        match what {
            0..=3 => self.kill(&local, pull),
            4..=7 => self.kill(&remote, pull),
            8 => {
                self.remove();
                self.kill(&["prune"], pull / 2);
            }
            _ => self.kill(&["fsck", "--repair"], pull / 2),
        }
        assert_eq!(self.host.runs(&["fsck"]), "the store is whole\n");
        if self.random.below(4) == 0 {
            self.host.runs(&local);
            self.shows_the_image();
        }
    }

    fn is_there(&self) -> bool {
        self.host.output(&["inspect", "app"]).status.success()
    }

    fn remove(&self) {
        for name in ["app", &self.source.remote] {
            // It may not be there.
            self.host.output(&["rmi", "--force", name]);
        }
    }

    fn shows_the_image(&self) {
        let shown = self.host.runs(&["tree", "ls", "-R", "--format", "json", "app"]);
        assert!(shown == self.expected, "the image is another one after a crash");
    }
}

fn rounds() -> u32 {
    std::env::var("CREEL_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap())
}

fn survives(backend: Backend) {
    let mut trial = Trial::new(backend);
    for _ in 0..rounds() {
        trial.round();
    }
    // The points in time are worth nothing if the program had always ended by then.
    assert!(trial.killed * 4 > rounds(), "only {} kills hit", trial.killed);
    trial.host.runs(&["pull", "-q", &trial.source.layout]);
    trial.shows_the_image();
    trial.remove();
    trial.host.is_untouched();
}

#[test]
fn a_packed_store_survives_kills_at_any_point() {
    survives(Backend::Packed);
}

#[test]
fn privileged_a_loose_store_survives_kills_at_any_point() {
    survives(Backend::Loose);
}
