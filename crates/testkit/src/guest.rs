//! Throw-away machines for what the host does not have: another version of control groups, an older
//! kernel, devices of its own.
//!
//! `./x guest` makes a disk with the Debian release of the host and that release's kernel for
//! clouds; `./x test` tells the tests where they are. A [`Guest`] boots from them in about five
//! seconds under QEMU, which emulates the processor, so that no test depends on `/dev/kvm`. It has
//! an empty tree of control groups of version 2, root, and a `user` (1000) with subordinate ids.
//! What it writes is gone with it, and so is the guest when the process that booted it ends.

mod machine;

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use self::machine::{Size, end_in_time, machine};
use crate::cpio::Cpio;

/// Environment variable with the directory of the disk, the kernel and its modules.
pub const DIRECTORY: &str = "CREEL_GUEST";

/// Name of the disk in that directory: an ext4 file system.
pub const DISK: &str = "disk";

/// Name of the kernel in that directory.
pub const KERNEL: &str = "kernel";

/// The modules that the kernel needs to find the disk, as `NAME.ko` in the same directory.
pub const MODULES: [&str; 6] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_blk",
];

/// The user of the disk that is not root.
pub const USER: &str = "user";

/// The service that runs scripts where systemd is the first process.
const UNIT: &str = "/etc/systemd/system/guest.service";

/// What a guest is booted with.
#[derive(Debug, Default)]
pub struct Setup {
    files: Vec<(PathBuf, u32, Vec<u8>)>,
    size: Size,
}

impl Setup {
    /// Adds a file with a mode.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>, mode: u32, content: Vec<u8>) -> Self {
        self.files.push((path.into(), mode, content));
        self
    }

    /// Adds a program of the host at its own path. The guest has the host's release, so the
    /// libraries it is linked to are there.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn program(self, path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        Ok(self.file(path, 0o755, fs::read(path)?))
    }

    /// Has systemd as the first process, with a bus and sessions of users; booting takes about twenty
    /// seconds then.
    #[must_use]
    pub fn systemd(self) -> Self {
        // What is in `.wants` must be a link to be taken.
        let wants = b"[Unit]\nWants=guest.service\n".to_vec();
        self.file(UNIT, 0o644, include_bytes!("guest/guest.service").to_vec()).file(
            "/etc/systemd/system/multi-user.target.d/guest.conf",
            0o644,
            wants,
        )
    }

    /// Makes it larger than a test needs: `memory` in MiB, and how long it may live.
    #[must_use]
    pub fn large(mut self, memory: u32, processors: u32, life: Duration) -> Self {
        self.size = Size { life, memory, processors };
        self
    }

    /// Boots a guest and returns once it runs scripts.
    ///
    /// # Errors
    ///
    /// When it is not said where the disk is, since a test that needs a guest cannot be passed
    /// without, and when the guest does not come up; the error has what its console showed.
    pub fn boot(self) -> io::Result<Guest> {
        let directory = std::env::var_os(DIRECTORY).map(PathBuf::from).ok_or_else(|| {
            let words =
                "run it by `./x test --tier guest`, or make its disk by `./x guest` and set";
            io::Error::other(format!("this test needs a guest: {words} {DIRECTORY}"))
        })?;
        self.boot_from(&directory)
    }

    /// Boots a guest from what is in a directory, as [`Setup::boot`] does.
    ///
    /// # Errors
    ///
    /// As [`Setup::boot`].
    pub fn boot_from(self, directory: &Path) -> io::Result<Guest> {
        let scratch = tempfile::Builder::new().prefix("creel-guest").tempdir()?;
        let size = self.size;
        fs::write(scratch.path().join("first"), self.first_root(directory)?)?;
        Guest::start(directory, scratch, size)
    }

    /// What the kernel unpacks before it has a disk.
    fn first_root(self, directory: &Path) -> io::Result<Vec<u8>> {
        let mut archive = Cpio::default();
        for name in ["bin", "modules", "files"] {
            archive.directory(name);
        }
        archive.file("bin/busybox", 0o755, &fs::read(crate::busybox::PROGRAM)?);
        archive.file("init", 0o755, include_bytes!("guest/first.sh"));
        for name in MODULES.map(|name| format!("{name}.ko")) {
            let module = fs::read(directory.join(&name))?;
            archive.file(&format!("modules/{name}"), 0o644, &module);
        }
        archive.file("files/guest.sh", 0o644, include_bytes!("guest/serve.sh"));
        for (path, mode, content) in self.files {
            let name = format!("files/{}", path.display().to_string().trim_start_matches('/'));
            archive.directory(name.rsplit_once('/').map_or("", |(parent, _)| parent));
            archive.file(&name, mode, &content);
        }
        Ok(archive.finish())
    }
}

/// A machine that runs.
#[derive(Debug)]
pub struct Guest {
    scratch: TempDir,
    life: Duration,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Dropping it ends the machine.
    _end: Sender<()>,
}

impl Guest {
    fn start(directory: &Path, scratch: TempDir, size: Size) -> io::Result<Self> {
        let console = scratch.path().join("console");
        let mut machine = machine(directory, &scratch.path().join("first"), &console, size)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(scratch.path().join("errors"))?)
            .spawn()
            .map_err(|error| {
                let words = "cannot start QEMU: run `apt-get install qemu-system-x86`";
                io::Error::new(error.kind(), format!("{words}: {error}"))
            })?;
        let (Some(input), Some(output)) = (machine.stdin.take(), machine.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let (end, ended) = channel();
        let life = size.life;
        thread::spawn(move || end_in_time(machine, &ended, life));
        let mut guest = Self { scratch, life, input, output: BufReader::new(output), _end: end };
        match guest.line()?.as_str() {
            "ready" => Ok(guest),
            other => Err(guest.broken(&format!("said `{other}`"))),
        }
    }

    /// Runs a script by `sh` as root and returns how it ended and what it wrote.
    ///
    /// # Errors
    ///
    /// When the guest is gone; the error has what its console showed.
    pub fn output(&mut self, script: &str) -> io::Result<Output> {
        self.output_as("root", script)
    }

    /// As [`Guest::output`] for another user, such as [`USER`], from its home.
    ///
    /// # Errors
    ///
    /// As [`Guest::output`].
    pub fn output_as(&mut self, user: &str, script: &str) -> io::Result<Output> {
        let sent = write!(self.input, "{} {user}\n{script}", script.len());
        if sent.and_then(|()| self.input.flush()).is_err() {
            return Err(self.broken("takes no script"));
        }
        let line = self.line()?;
        let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let &[code, out, err] = numbers.as_slice() else {
            return Err(self.broken(&format!("said `{line}`")));
        };
        let (stdout, stderr) = (self.take(out)?, self.take(err)?);
        let code = i32::try_from(code).unwrap_or(i32::MAX);
        Ok(Output { status: ExitStatus::from_raw((code & 0xff) << 8), stdout, stderr })
    }

    /// Runs a script as root, which must succeed, and returns what it wrote to standard output.
    ///
    /// # Errors
    ///
    /// When it fails; the error has what it wrote.
    pub fn run(&mut self, script: &str) -> io::Result<String> {
        let Output { status, stdout, stderr } = self.output(script)?;
        let [stdout, stderr] =
            [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if status.success() {
            return Ok(stdout);
        }
        Err(io::Error::other(format!("`{script}` failed in the guest: {status}\n{stdout}{stderr}")))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(_) if line.ends_with('\n') => Ok(line.trim_end().to_owned()),
            _ => Err(self.broken("does not answer")),
        }
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        match self.output.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(self.broken("broke off")),
        }
    }

    fn broken(&self, what: &str) -> io::Error {
        let read = |name| fs::read(self.scratch.path().join(name)).unwrap_or_default();
        let [console, errors] = ["console", "errors"].map(read);
        let shown = [console, errors].concat();
        let shown = String::from_utf8_lossy(&shown);
        io::Error::other(format!("the guest {what} (it may live {:?}): {shown}", self.life))
    }
}

/// Runs tests of the calling test program again in a guest, as root: those whose names contain one
/// of `names`. `programs` are what they need beside it, each at the host's path.
///
/// # Errors
///
/// When one fails or none was run; the error has what the program wrote.
pub fn repeat(names: &[&str], programs: &[&Path]) -> io::Result<()> {
    let own = std::env::current_exe()?;
    let mut setup = Setup::default().program(&own)?;
    for program in programs {
        setup = setup.program(program)?;
    }
    let script = format!("{} --test-threads 1 {}", own.display(), names.join(" "));
    let written = setup.boot()?.run(&script)?;
    if written.contains("running 0 tests") {
        return Err(io::Error::other(format!("no test is called like one of {names:?}")));
    }
    Ok(())
}
