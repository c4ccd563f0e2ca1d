//! Stores on file systems that are full, or read-only.
#![allow(clippy::unwrap_used)] // in the helpers of tests

mod shared;

use std::path::{Path, PathBuf};
use std::process::Command;

use creel_store::{Backend, Store};
use shared::source::Source;
use shared::{Host, creel};

/// A file system in memory, with a store on it.
struct Disk {
    directory: tempfile::TempDir,
}

fn sh(command: &str) {
    assert!(Command::new("sh").args(["-ec", command]).status().unwrap().success(), "{command}");
}

impl Disk {
    fn new(size: &str, backend: Backend) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Self { directory };
        sh(&format!("mount -t tmpfs -o size={size} creel-test {}", disk.path().display()));
        Store::create(&disk.store(), &backend, Vec::new()).unwrap();
        disk
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    fn remount(&self, options: &str) {
        sh(&format!("mount -o remount,{options} {}", self.path().display()));
    }

    /// Runs the program and returns its exit code and words.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let run = self.path().join("../run-of-creel-disks");
        let output = creel(&self.store(), &run, arguments).output().unwrap();
        let words = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&words).into_owned())
    }

    fn runs(&self, arguments: &[&str]) -> String {
        let (code, words) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {words}");
        words
    }

    fn refuses(&self, arguments: &[&str], expected: &str) {
        let (code, words) = self.run(arguments);
        assert_eq!(code, Some(125), "{arguments:?}: {words}");
        assert!(words.contains(expected) && words.contains("\nhint: "), "{words}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

/// Pulls onto disks of many sizes: each pull succeeds or says what is wrong, and what it leaves is
/// whole. With more room the next one succeeds.
fn fills(backend: Backend) {
    let host = Host::new();
    let source = Source::new(&host);
    let pull = ["pull", "-q", &source.layout];
    let (mut full, mut room) = (0, 0);
    // In KiB: from no room at all to more than enough.
    for size in [64, 100, 150, 200, 300, 400, 600, 800, 1000, 1400, 2000, 3000, 8000] {
        let disk = Disk::new(&format!("{size}k"), backend);
        match disk.run(&pull) {
            (Some(0), _) => room += 1,
            (code, words) => {
                assert_eq!(code, Some(125), "{size} KiB: {words}");
                assert!(words.contains("No space left on device"), "{size} KiB: {words}");
                assert!(words.contains("hint: ") && words.contains("creel prune"), "{words}");
                full += 1;
            }
        }
        assert_eq!(disk.runs(&["fsck"]), "the store is whole\n", "{size} KiB");
        disk.remount("size=64m");
        disk.runs(&pull);
        assert_eq!(disk.runs(&["fsck"]), "the store is whole\n", "{size} KiB");
    }
    assert!(full > 3 && room > 0, "{full} disks were full, {room} had room");
}

#[test]
fn privileged_a_full_disk_leaves_a_packed_store_whole() {
    fills(Backend::Packed);
}

#[test]
fn privileged_a_full_disk_leaves_a_loose_store_whole() {
    fills(Backend::Loose);
}

#[test]
fn privileged_removing_needs_no_room() {
    for backend in [Backend::Packed, Backend::Loose] {
        let host = Host::new();
        let source = Source::new(&host);
        let disk = Disk::new("64m", backend);
        disk.runs(&["pull", "-q", &source.layout]);
        let filler = disk.path().join("filler");
        sh(&format!("dd if=/dev/zero of={} bs=64k 2>/dev/null || true", filler.display()));
        disk.runs(&["rmi", "app"]);
        disk.runs(&["prune"]);
        assert_eq!(disk.runs(&["fsck"]), "the store is whole\n");
        assert!(disk.runs(&["df"]).contains("prunable  0 B"));
        std::fs::remove_file(filler).unwrap();
        disk.runs(&["pull", "-q", &source.layout]);
    }
}

#[test]
fn privileged_a_read_only_disk_is_read_and_not_written() {
    for backend in [Backend::Packed, Backend::Loose] {
        let host = Host::new();
        let source = Source::new(&host);
        let disk = Disk::new("64m", backend);
        disk.runs(&["pull", "-q", &source.layout]);
        disk.remount("ro");
        assert_eq!(disk.runs(&["tree", "cat", "app", "small/05/5"]).len(), 35);
        assert_eq!(disk.runs(&["fsck"]), "the store is whole\n");
        for command in [&["images"][..], &["df"], &["history", "app"], &["prune", "--dry-run"]] {
            disk.runs(command);
        }
        for command in
            [&["rmi", "app"][..], &["prune"], &["tag", "app", "x"], &["fsck", "--repair"]]
        {
            disk.refuses(command, "Read-only file system");
        }
    }
}
