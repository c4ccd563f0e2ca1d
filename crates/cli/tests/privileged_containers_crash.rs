//! `creel commit` killed at random points: the store is whole afterwards, and the next one succeeds.
//!
//! The points come from a fixed seed. `CREEL_CRASH_ROUNDS` sets how many kills there are.
#![allow(clippy::unwrap_used)]

mod containers;

use std::process::Stdio;
use std::time::{Duration, Instant};

use containers::{Who, World};
use creel_testkit::random::Random;

const ROUNDS: u32 = 40;
const SEED: u64 = 0x5eed_cafe_2026_1125;
/// Files that are inlined, files that are not, a link, and something deleted.
const CHANGES: &str = "mkdir /new; for n in $(seq 200); do echo $n > /new/$n; done; \
    dd if=/dev/urandom of=/new/large bs=1M count=8 2>/dev/null; ln /new/large /new/link; rm /etc/group";

fn commit(world: &World) {
    world.runs(&["commit", "one", "new"]);
}

fn listing(world: &World) -> String {
    world.runs(&["tree", "ls", "-R", "--format", "json", "new"])
}

/// Removes what was made, so that the next commit has all to do again.
fn forget(world: &World) {
    // It may not have come so far.
    let _ = world.result(&["rmi", "new"]);
    world.runs(&["prune"]);
}

#[test]
fn privileged_a_commit_survives_kills_at_any_point() {
    let rounds = std::env::var("CREEL_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    let world = World::new(Who::Root);
    world.runs(&["run", "--name", "one", "box", "sh", "-c", CHANGES]);
    let before = Instant::now();
    commit(&world);
    let time = before.elapsed().mul_f32(1.2);
    let expected = listing(&world);
    let (mut random, mut killed) = (Random(SEED), 0);
    for round in 0..rounds {
        forget(&world);
        let mut child =
            world.command(&["commit", "one", "new"]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.below(time.as_micros() as u64)));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        assert_eq!(world.runs(&["fsck"]), "the store is whole\n", "round {round}");
        if round % 4 == 0 {
            commit(&world);
            assert!(listing(&world) == expected, "the image is another one after a crash");
        }
    }
    // The points in time are worth nothing if the program had always ended by then.
    assert!(killed * 4 > rounds, "only {killed} kills hit");
    world.runs(&["rm", "one"]);
    world.is_clean();
}
