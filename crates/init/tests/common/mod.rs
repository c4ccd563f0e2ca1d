//! A started init and what `/proc` says of a process.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// The program under test. `CREEL_INIT` names another build, such as the one to be released: cargo
/// gives tests one that unwinds and has `std`.
pub(crate) fn init() -> String {
    let built = || env!("CARGO_BIN_EXE_creel-init").to_owned();
    std::env::var("CREEL_INIT").unwrap_or_else(|_| built())
}

/// A child that does not outlive its test.
pub(crate) struct Started(pub(crate) Child);

impl Started {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        for pid in children(self.pid()) {
            send(pid, 9);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal if the process still exists.
pub(crate) fn send(pid: u32, signal: i32) {
    let script = format!("kill -{signal} {pid}");
    let _ = Command::new("sh").args(["-c", &script]).output().unwrap();
}

/// Polls for at most ten seconds.
pub(crate) fn wait_for<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < end, "timed out");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

pub(crate) fn name(pid: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned())
}

pub(crate) fn state(pid: u32) -> Option<char> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    status.rsplit(") ").next()?.chars().next()
}

pub(crate) fn descriptors(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<u32> = names.map(|name| name.parse().unwrap()).collect();
    found.sort_unstable();
    found
}

/// How often a process has slept, and how often it was made to wait.
pub(crate) fn counters(pid: u32) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().filter(|line| line.contains("ctxt_switches")).map(str::to_owned).collect()
}
