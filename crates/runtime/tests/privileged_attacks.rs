//! Attacks of a container on the host, each named after what was found in other runtimes; needs
//! root and a static `/bin/busybox`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{code, options, root, spec};
use creel_runtime::lower::lower;
use tempfile::TempDir;

/// A copy of a runtime, and the container that attacks it.
struct Victim {
    root: TempDir,
    program: PathBuf,
    before: Vec<u8>,
}

impl Victim {
    fn new() -> Self {
        let root = root();
        let test = std::env::current_exe().unwrap();
        let example = test.parent().unwrap().parent().unwrap().join("examples/protected");
        let program = root.path().join("runtime");
        fs::copy(example, &program).unwrap();
        let before = fs::read(&program).unwrap();
        Self { root, program, before }
    }

    /// Runs the copy, which starts the container and joins it; gives the container time for what it
    /// does once the copy has ended, and ends it.
    fn meets(&self, script: &str, options: &[&str]) {
        let mut run = Command::new(&self.program);
        run.arg(self.root.path()).args(["2000", script]).args(options);
        let mut runtime = run.stdout(Stdio::piped()).spawn().unwrap();
        // One line: the container goes on, and has the pipe too.
        let mut pid = String::new();
        BufReader::new(runtime.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        assert!(runtime.wait().unwrap().success());
        for _ in 0..30 {
            if !self.wrote("won") {
                sleep(Duration::from_millis(100));
            }
        }
        let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        assert!(self.wrote("seen"), "the container never saw the program");
    }

    fn wrote(&self, name: &str) -> bool {
        self.root.path().join(name).exists()
    }

    fn is_intact(&self) -> bool {
        fs::read(&self.program).unwrap() == self.before
    }
}

/// CVE-2019-5736: a process of the container opens `/proc/PID/exe` of one that joins, keeps it open
/// and writes once it can. With every capability nothing but the read-only mount is in the way.
const CVE_2019_5736: &str = "while :; do for p in /proc/[2-9]* /proc/[1-9][0-9]*; do \
    (exec 9<$p/exe && case $(readlink /proc/self/fd/9) in */busybox) ;; *) echo > /seen; \
    while :; do echo evil > /proc/self/fd/9 && echo > /won; sleep .1; done ;; esac) 2>/dev/null & \
    done; wait; done";

#[test]
fn privileged_cve_2019_5736_the_program_stays_intact() {
    let victim = Victim::new();
    victim.meets(CVE_2019_5736, &[]);
    assert!(!victim.wrote("won"));
    assert!(victim.is_intact(), "the program was overwritten");
}

/// The attack is a real one: without the protection it succeeds.
#[test]
fn privileged_cve_2019_5736_works_without_the_protection() {
    let victim = Victim::new();
    victim.meets(CVE_2019_5736, &["bare"]);
    assert!(victim.wrote("won"));
    assert!(!victim.is_intact(), "the program was not overwritten");
}

/// The same with the mounted program of `--init`.
#[test]
fn privileged_cve_2019_5736_no_way_through_the_init() {
    let victim = Victim::new();
    let script = "[ -x /dev/init ] && echo > /seen; \
        while :; do (echo evil > /dev/init) 2>/dev/null && echo > /won; sleep 1; done";
    victim.meets(script, &[]);
    assert!(!victim.wrote("won"));
    assert!(victim.is_intact(), "the program was overwritten");
}

/// CVE-2019-19921 and its kin, CVE-2026-41579: links where file systems and nodes go.
#[test]
fn privileged_links_for_proc_sys_and_dev_are_refused() {
    for name in ["proc", "sys", "dev"] {
        let (root, host) = (root(), tempfile::tempdir().unwrap());
        symlink(host.path(), root.path().join(name)).unwrap();
        let inside = tempfile::tempdir_in(root.path()).unwrap();
        for target in [host.path(), inside.path()] {
            let link = root.path().join(name);
            let _ = fs::remove_file(&link);
            symlink(Path::new("/").join(target.file_name().unwrap()), &link).unwrap();
            let refused = lower(&spec("exit 0"), &options(&root)).unwrap().spawn();
            assert!(refused.is_err(), "{name}");
        }
        assert_eq!(fs::read_dir(host.path()).unwrap().count(), 0);
    }
}

/// CVE-2024-21626: a working directory that leads out through a descriptor.
#[test]
fn privileged_cve_2024_21626_no_descriptor_leads_out() {
    let root = root();
    let leaked = fs::File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    for number in 3..40 {
        let mut spec = spec("ls /etc/passwd");
        spec.process.as_mut().unwrap().cwd = format!("/proc/self/fd/{number}");
        let started = lower(&spec, &options(&root)).unwrap().spawn();
        assert!(started.is_err() || started.unwrap().wait().unwrap() != 0, "{number}");
    }
    let script = "[ $(ls /proc/self/fd | wc -l) = 4 ]";
    assert_eq!(code(&spec(script), &options(&root)), 0);
}

/// CVE-2025-31133: an image's own `/dev/null` is never what paths are masked with.
#[test]
fn privileged_cve_2025_31133_masks_are_not_the_images() {
    let root = root();
    fs::create_dir_all(root.path().join("dev")).unwrap();
    symlink("/proc/sys/kernel/core_pattern", root.path().join("dev/null")).unwrap();
    let mut spec = spec("[ -z \"$(cat /proc/keys)\" ] && ! (echo x > /proc/kcore) 2>/dev/null");
    spec.mounts.retain(|mount| !mount.destination.starts_with("/dev"));
    // Where devices are to be made it is refused at once.
    assert!(lower(&spec, &options(&root)).unwrap().spawn().is_err());
    let shared = root.path().join("dev");
    spec.mounts.push(creel_runtime::spec::Mount::bind(shared, "/dev", &["rbind"]));
    let before = fs::read("/proc/sys/kernel/core_pattern").unwrap();
    code(&spec, &options(&root));
    assert_eq!(fs::read("/proc/sys/kernel/core_pattern").unwrap(), before);
}
