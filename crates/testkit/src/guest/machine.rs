//! QEMU's command line, and its end.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::{DISK, KERNEL};

/// What the machine has and how long it may live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) life: Duration,
    /// In MiB.
    pub(super) memory: u32,
    pub(super) processors: u32,
}

impl Default for Size {
    /// The life is several times of what a test takes on a busy machine.
    fn default() -> Self {
        Self { life: Duration::from_secs(300), memory: 1024, processors: 1 }
    }
}

/// The machine: one disk whose changes are kept in memory or a nameless file, a serial line for what
/// the kernel says, and a port for scripts. It does not outlive the thread that starts it.
pub(super) fn machine(directory: &Path, first: &Path, console: &Path, size: Size) -> Command {
    let with = |before: &str, path: &Path, after: &str| -> OsString {
        let mut word = OsString::from(before);
        word.push(path);
        word.push(after);
        word
    };
    let disk =
        with("file=", &directory.join(DISK), ",if=virtio,format=raw,snapshot=on,cache=unsafe");
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
        .args(["-M", "q35", "-accel", "tcg", "-cpu", "max"])
        .args(["-m", &size.memory.to_string(), "-smp", &size.processors.to_string()])
        .args(["-nodefaults", "-display", "none", "-no-reboot"])
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .arg("-kernel")
        .arg(directory.join(KERNEL))
        .arg("-initrd")
        .arg(first)
        .arg("-drive")
        .arg(disk)
        .arg("-serial")
        .arg(with("file:", console, ""))
        .args(["-device", "virtio-serial-pci", "-chardev", "stdio,id=port,signal=off"])
        .args(["-device", "virtserialport,chardev=port"]);
    command
}

/// Ends the machine when its guest is dropped or has lived too long.
pub(super) fn end_in_time(mut machine: Child, ended: &Receiver<()>, life: Duration) {
    if let Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) =
        ended.recv_timeout(life)
    {
        let _ = machine.kill();
    }
    let _ = machine.wait();
}
