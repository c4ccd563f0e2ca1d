//! Stores on file systems that are full, or read-only.
#![allow(clippy::unwrap_used)] // in the helpers of tests

mod shared;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use creel_store::{Backend, Store};
use shared::source::Source;
use shared::{Host, creel};

/// The user that owns nothing.
const NOBODY: u32 = 65534;

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
        for command in [&["ps", "--all"][..], &["inspect", "app"]] {
            disk.runs(command);
        }
        disk.refuses(&["inspect", "nothing"], "no image `nothing`");
        disk.refuses(&["rm", "nothing"], "no container is called `nothing`");
        let layout = format!("oci:{}", host.path("out").display());
        disk.runs(&["push", "-q", "app", &layout]);
        let again = host.runs(&["pull", "-q", &layout]);
        assert!(disk.runs(&["images", "--quiet", "--no-trunc"]).contains(again.trim()));
        assert!(!disk.store().join("containers").exists());
        for command in
            [&["rmi", "app"][..], &["prune"], &["tag", "app", "x"], &["fsck", "--repair"]]
        {
            disk.refuses(command, "Read-only file system");
        }
    }
}

/// Who may not write to a store may still look at it, and takes part in the locks.
#[test]
fn privileged_a_store_of_another_is_read() {
    let host = Host::new();
    let source = Source::new(&host);
    host.runs(&["pull", "-q", &source.layout]);
    sh(&format!("chmod -R a+rX {}", host.store().parent().unwrap().display()));
    let run = tempfile::tempdir().unwrap();
    sh(&format!("chown nobody {}", run.path().display()));
    let out = format!("oci:{}/out", run.path().display());
    for command in [
        &["images"][..],
        &["ps", "--all"],
        &["inspect", "app"],
        &["fsck"],
        &["df"],
        &["prune", "--dry-run"],
        &["tree", "cat", "app", "small/05/5"],
        &["push", "-q", "app", &out],
    ] {
        let mut creel = creel(&host.store(), &run.path().join("run"), command);
        let output = creel.uid(NOBODY).gid(NOBODY).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {words}");
    }
    let mut creel = creel(&host.store(), &run.path().join("run"), &["rmi", "app"]);
    let output = creel.uid(NOBODY).gid(NOBODY).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"));
}

/// A file of another among a user's references.
#[test]
fn privileged_a_reference_that_cannot_be_read_is_named_and_stays() {
    let host = Host::new();
    let source = Source::new(&host);
    host.runs(&["pull", "-q", &source.layout]);
    let directory = host.store().parent().unwrap().to_owned();
    sh(&format!("chown -R nobody {}", directory.display()));
    let odd = host.store().join("refs/localhost%2fodd%3a1");
    sh(&format!("(umask 077; echo sha256: > {})", odd.display()));
    let run = |arguments: &[&str]| {
        let mut creel = host.command(arguments);
        let output = creel.uid(NOBODY).gid(NOBODY).output().unwrap();
        let words = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&words).into_owned())
    };
    let (code, words) = run(&["images"]);
    assert!(code == Some(0) && words.contains("app") && words.contains("odd"), "{words}");
    for mode in [&["fsck"][..], &["fsck", "--repair"]] {
        let (code, words) = run(mode);
        let expected = "reference localhost/odd:1 cannot be read, and stays: Permission denied";
        assert!(code == Some(1) && words.contains(expected), "{words}");
    }
    let (code, words) = run(&["prune"]);
    assert!(code == Some(125) && words.contains(odd.to_str().unwrap()), "{words}");
}
