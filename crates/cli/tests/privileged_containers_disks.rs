//! Containers whose store is on a disk that fills up.
#![allow(clippy::unwrap_used)]

mod containers;

use std::path::{Path, PathBuf};
use std::process::Command;

use containers::{Who, World, sh};

/// Enough for the image, a few containers, and not for two of what a full one holds.
const SIZE: &str = "24m";

/// A disk that is mounted, until it is dropped.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        // Images on it are still mounted.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn in_memory(at: &Path) {
    sh(&format!("mkdir {0} && mount -t tmpfs -o size={SIZE} none {0}", at.display()));
}

/// Packed, as stores on real disks are.
fn on_disk(at: &Path) {
    let disk = at.with_extension("image");
    let make = format!("truncate -s {SIZE} {0} && mkfs.ext4 -q {0}", disk.display());
    sh(&format!("{make} && mkdir {1} && mount -o loop {0} {1}", disk.display(), at.display()));
}

/// What a container writes does not fit, then what is made of it does not; neither harms anything.
fn fills(mount: fn(&Path)) {
    let mut world = World::new(Who::Root);
    world.store = world.path("disk");
    mount(&world.store);
    let _disk = Disk(world.store.clone());
    world.import();
    // Without room to write down how it ended, that is told all the same.
    let fill = "dd if=/dev/urandom of=/fill bs=64k 2>&1; echo code $?; \
        dd if=/dev/zero bs=1 of=/more 2>/dev/null; exit 3";
    let (code, said, error) = world.result(&["run", "--name", "full", "box", "sh", "-c", fill]);
    assert_eq!(code, 3, "{error}");
    assert!(said.contains("No space left on device") && said.ends_with("code 1\n"), "{said}");
    world
        .refuses(&["commit", "full", "new"], &["No space left on device", "hint: ", "creel prune"]);
    assert_eq!(world.runs(&["fsck"]), "the store is whole\n");
    assert!(!world.runs(&["images"]).contains("new"));
    assert_eq!(world.runs(&["rm", "full"]), "full\n");
    world.runs(&["prune"]);
    world.runs(&["run", "--name", "small", "box", "sh", "-c", "echo small > /made"]);
    world.runs(&["commit", "small", "new"]);
    assert_eq!(world.runs(&["run", "--rm", "new", "cat", "/made"]), "small\n");
    world.runs(&["rm", "small"]);
    assert_eq!(world.ids(), Vec::<String>::new());
}

#[test]
fn privileged_a_container_fills_the_disk_of_a_packed_store() {
    fills(on_disk);
}

#[test]
fn privileged_a_container_fills_the_disk_of_a_loose_store() {
    fills(in_memory);
}
