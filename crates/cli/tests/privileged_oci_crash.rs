//! `creel oci create` and `run` killed at random points: `delete --force` removes whatever they have left.
//!
//! The points come from a fixed seed. `CREEL_CRASH_ROUNDS` sets how many kills there are.
#![allow(clippy::unwrap_used)]

mod oci;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use creel_testkit::guest;
use creel_testkit::random::Random;
use oci::Bundle;

const ROUNDS: u32 = 30;
const SEED: u64 = 0x5eed_cafe_2026_1126;

/// The control groups of a bundle's container.
fn groups(bundle: &Bundle) -> Vec<PathBuf> {
    let mount = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(mount).unwrap().map(|entry| entry.unwrap().path());
    let all = hierarchies.chain([mount.into()]);
    all.map(|base| base.join("creel-test").join(bundle.id())).filter(|path| path.exists()).collect()
}

/// The processes that are in them, or were: the names of removed groups stay.
fn processes(bundle: &Bundle) -> Vec<PathBuf> {
    let name = format!("/creel-test/{}", bundle.id());
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let inside = |path: &PathBuf| {
        fs::read_to_string(path.join("cgroup")).is_ok_and(|text| text.contains(&name))
    };
    all.filter(inside).collect()
}

/// Returns once the killed command's container has no process but the one that its record names.
fn settled(bundle: &Bundle) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !bundle.path("states").join(bundle.id()).join("container.json").exists()
        && !processes(bundle).is_empty()
    {
        assert!(Instant::now() < deadline, "{:?} remain", processes(bundle));
    }
}

#[test]
fn privileged_what_a_killed_create_leaves_is_deleted_by_force() {
    let rounds = std::env::var("CREEL_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    let bundle = Bundle::new("exec sleep 60");
    let id = &bundle.id();
    let before = Instant::now();
    bundle.runs(&["create", id]);
    let mut time = before.elapsed();
    bundle.runs(&["delete", "--force", id]);
    let (mut random, mut unfinished, mut with_group) = (Random(SEED), 0, 0);
    for round in 0..rounds {
        let words: &[&str] = if round % 3 == 0 { &["run", "-d"] } else { &["create"] };
        let mut command = bundle.command(words);
        command.arg(id).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.below(time.as_micros() as u64 + 1)));
        child.kill().unwrap();
        // The points follow how fast the machine is now.
        time = time.mul_f32(if child.wait().unwrap().success() { 0.9 } else { 1.05 });
        let state = bundle.path("states").join(id);
        if state.exists() && !state.join("container.json").exists() {
            unfinished += 1;
            with_group += u32::from(!groups(&bundle).is_empty());
            bundle.fails(1, &["state", id], "does not exist");
            bundle.fails(1, &["delete", id], "does not exist");
            bundle.fails(1, &["create", id], &format!("creel oci delete --force {id}"));
        }
        settled(&bundle);
        bundle.runs(&["delete", "--force", id]);
        bundle.is_clean();
        let left = [groups(&bundle), processes(&bundle)].concat();
        assert!(left.is_empty(), "round {round}: {left:?}");
    }
    // The points in time are worth nothing if they never hit what this is about.
    let hit = format!("{unfinished} of {rounds} unfinished, {with_group} with a group");
    assert!(with_group > 0, "{hit}");
    println!("{hit}");
    bundle.runs(&["create", id]);
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
}

/// A group that somebody else uses, which a killed `create` had only noted.
#[test]
fn privileged_a_noted_group_of_others_is_left_alone() {
    let (one, other) = (Bundle::new("exec sleep 60"), Bundle::new("exec sleep 60"));
    let id = &one.id();
    one.runs(&["run", "-d", id]);
    let states = other.path("states");
    fs::create_dir_all(states.join("left")).unwrap();
    let noted = one.path("states").join(id).join("group.json");
    fs::copy(&noted, states.join("left/group.json")).unwrap();
    other.runs(&["delete", "--force", "left"]);
    assert!(!states.join("left").exists());
    assert_eq!(one.status(), "running");
    // What was cut off while it was written had no group after it.
    fs::create_dir_all(states.join("cut")).unwrap();
    fs::write(states.join("cut/group.json"), "{\"version\": 2, \"ba").unwrap();
    other.runs(&["delete", "--force", "cut"]);
    one.runs(&["delete", "--force", id]);
    one.is_clean();
}

#[test]
fn guest_repeats_them_with_version_2() {
    let programs = [env!("CARGO_BIN_EXE_creel")].map(Path::new);
    guest::repeat(&["privileged_"], &programs).unwrap();
}
