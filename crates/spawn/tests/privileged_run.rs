//! Runs real processes; needs root and a static `/bin/busybox`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::sync::Arc;

use creel_spawn::mount::READ_ONLY;
use creel_spawn::{
    Capabilities, Device, IdMap, Join, Limit, MapWriter, Mount, Namespace, Plan, Process, Root,
    Source, SpawnError, Stdio,
};

fn mount(source: Source, target: &str, attributes: u32) -> Mount {
    Mount::new(source, target, attributes)
}

fn new(kind: &str, options: &[&str]) -> Source {
    Source::New(kind.into(), options.iter().map(|o| (*o).into()).collect())
}

fn process(script: &str) -> Process {
    Process {
        cwd: "/".into(),
        candidates: vec!["/none/sh".into(), "/bin/sh".into()],
        argv: ["sh", "-c", script].map(String::from).to_vec(),
        env: vec!["PATH=/bin".into()],
        ..Process::default()
    }
}

fn plan(script: &str) -> (tempfile::TempDir, Plan) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["bin", "proc", "sys", "tmp"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    fs::copy("/bin/busybox", dir.path().join("bin/busybox")).unwrap();
    for name in
        ["sh", "cat", "grep", "hostname", "id", "ls", "readlink", "sleep", "stat", "touch", "tty"]
    {
        symlink("busybox", dir.path().join("bin").join(name)).unwrap();
    }
    let plan = Plan {
        root: Root::directory(dir.path()),
        namespaces: Namespace::ROOT.to_vec(),
        mounts: vec![
            mount(Source::Proc, "proc", 2 | 4 | 8),
            mount(new("tmpfs", &[]), "tmp", 2 | 4),
        ],
        hostname: Some("box".into()),
        process: process(script),
        ..Plan::default()
    };
    (dir, plan)
}

fn full(script: &str) -> (tempfile::TempDir, Plan) {
    let (dir, mut plan) = plan(script);
    plan.mounts.extend([
        mount(new("tmpfs", &["mode=755", "size=65536k"]), "dev", 2),
        mount(
            new("devpts", &["newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            "dev/pts",
            10,
        ),
        mount(new("tmpfs", &["mode=1777", "size=65536k"]), "dev/shm", 14),
        mount(new("mqueue", &[]), "dev/mqueue", 14),
        mount(Source::Sysfs, "sys", 15),
    ]);
    plan.devices = [("null", [1, 3]), ("zero", [1, 5]), ("tty", [5, 0])]
        .map(|(name, numbers)| Device::character(format!("/dev/{name}"), numbers, 0o666))
        .to_vec();
    plan.links = [("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0")]
        .map(|(name, text)| (name.into(), text.into()))
        .to_vec();
    plan.masked = ["/proc/keys", "/proc/acpi", "/sys/firmware", "/none"].map(String::from).to_vec();
    plan.read_only = vec!["/proc/sys".into()];
    (dir, plan)
}

fn code(plan: &Plan) -> i32 {
    match plan.spawn() {
        Ok(child) => child.wait().unwrap(),
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

fn step(plan: &Plan) -> (String, Option<i32>) {
    match plan.spawn() {
        Err(SpawnError::Step { step, source }) => (step, source.raw_os_error()),
        other => panic!("no step failed: {other:?}"),
    }
}

#[test]
fn privileged_process_is_confined() {
    for (script, expected) in [
        ("exit 7", 7),
        ("[ $$ = 1 ]", 0),
        ("[ $(hostname) = box ]", 0),
        ("! grep -E 'Cap(Eff|Prm|Inh|Bnd|Amb):.*[1-9a-f]' /proc/self/status", 0),
        ("[ ! -e /etc/passwd ] && [ -d /proc/1 ] && echo > /tmp/file", 0),
    ] {
        let (_dir, plan) = plan(script);
        assert_eq!(code(&plan), expected, "{script}");
    }
}

#[test]
fn privileged_only_standard_descriptors_remain() {
    let leaked = File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (writer, null) =
        (Arc::new(OwnedFd::from(writer)), Arc::new(File::open("/dev/null").unwrap().into()));
    let (_dir, mut plan) = plan("");
    plan.process.candidates = vec!["/bin/ls".into()];
    plan.process.argv = ["ls", "/proc/self/fd"].map(String::from).to_vec();
    plan.process.stdio = Stdio::Descriptors(vec![null, Arc::clone(&writer), writer]);
    assert_eq!(code(&plan), 0);
    plan.process.stdio = Stdio::Inherit;
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    // The last is the directory that `ls` reads.
    assert_eq!(text, "0\n1\n2\n3\n");
    for number in 3..=leaked.as_raw_fd() + 20 {
        plan.process.cwd = format!("/proc/self/fd/{number}");
        assert!(plan.spawn().is_err(), "{number}");
    }
}

#[test]
fn privileged_capabilities_of_another_user() {
    let (_dir, mut plan) = plan(
        "[ $(id -u) = 1000 ] && [ $(grep -c '00000000000004$' /proc/self/status) = 0 ] && \
         [ $(grep -cE '^Cap(Inh|Prm|Eff|Bnd|Amb):.0000000000000400$' /proc/self/status) = 5 ]",
    );
    let net_bind = vec![10];
    plan.process.uid = 1000;
    plan.process.gid = 1000;
    plan.process.capabilities = Capabilities {
        bounding: net_bind.clone(),
        permitted: net_bind.clone(),
        effective: net_bind.clone(),
        inheritable: net_bind.clone(),
        ambient: net_bind,
    };
    assert_eq!(code(&plan), 0);
}

#[test]
fn privileged_container_has_devices_and_protection() {
    for script in [
        "echo x > /dev/null && [ $(stat -c %t:%T:%a /dev/null) = 1:3:666 ]",
        "[ $(readlink /dev/ptmx) = pts/ptmx ] && [ -c /dev/pts/ptmx ]",
        "[ -d /dev/mqueue ] && touch /dev/shm/x && [ $(stat -c %a /dev/shm) = 1777 ]",
        "[ -z \"$(cat /proc/keys)\" ] && [ -z \"$(ls /sys/firmware)\" ] && ! touch /sys/firmware/x",
        "! echo x > /proc/sys/kernel/hostname",
        "! touch /sys/x && ! touch /x",
        "[ $(cat /proc/sys/net/ipv4/ip_forward) = 1 ] && [ $(id -u) = 0 ]",
    ] {
        let (_dir, mut plan) = full(script);
        plan.read_only_root = true;
        plan.sysctls = vec![("net/ipv4/ip_forward".into(), "1".into())];
        assert_eq!(code(&plan), 0, "{script}");
    }
}

#[test]
fn privileged_sysctl_cannot_leave() {
    let (_dir, mut plan) = plan("exit 0");
    plan.sysctls = vec![("../sysrq-trigger".into(), "h".into())];
    assert!(matches!(plan.spawn(), Err(SpawnError::ParentInPath { .. })));
}

#[test]
fn privileged_bind_mounts_are_created_and_restricted() {
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("file"), "text").unwrap();
    let (dir, mut plan) =
        plan("[ $(cat /a/b/file) = text ] && [ $(cat /c/d) = text ] && ! touch /a/b/x");
    plan.mounts.push(mount(Source::Bind(host.path().into()), "/a/b", READ_ONLY));
    plan.mounts.push(mount(Source::Bind(host.path().join("file")), "/c/d", 0));
    assert_eq!(code(&plan), 0);
    // A link in the root leads nowhere but into the root.
    symlink(host.path(), dir.path().join("link")).unwrap();
    plan.mounts = vec![mount(new("tmpfs", &[]), "link/escape", 0)];
    plan.process.argv[2] = "true".into();
    assert_eq!(code(&plan), 0);
    assert!(!host.path().join("escape").exists());
    assert!(dir.path().join(host.path().strip_prefix("/").unwrap()).join("escape").exists());
}

#[test]
fn privileged_limits_umask_and_directory() {
    let (_dir, mut plan) = plan(
        "[ $(ulimit -n) = 99 ] && [ $(umask) = 0027 ] && [ \"$PWD\" = /new/dir ] && \
         [ $(cat /proc/1/oom_score_adj) = 321 ]",
    );
    plan.process.limits = vec![Limit { resource: 7, values: [99, 199] }];
    plan.process.umask = 0o027;
    plan.process.cwd = "/new/dir".into();
    plan.process.oom_score = Some(321);
    assert_eq!(code(&plan), 0);
}

#[test]
fn privileged_seccomp_filter_is_loaded() {
    for no_new_privileges in [true, false] {
        let (_dir, mut plan) =
            plan("! touch /tmp/x 2>/dev/null; grep -q '^Seccomp:.2' /proc/1/status");
        plan.process.no_new_privileges = no_new_privileges;
        plan.process.seccomp.instructions = vec![(0x06, 0, 0, 0x7fff_0000)];
        assert_eq!(code(&plan), 0);
    }
}

/// A session keyring that the caller does not have.
#[test]
fn privileged_a_process_has_keys_of_its_own() {
    let keys = || fs::read_to_string("/proc/keys").unwrap();
    let (dir, plan) = plan("grep _ses /proc/keys > /keys");
    let before = keys();
    assert_eq!(code(&plan), 0);
    let inside = fs::read_to_string(dir.path().join("keys")).unwrap();
    let number = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    assert!(inside.lines().map(number).any(|ring| !before.contains(&ring)), "{inside}");
}

#[test]
fn privileged_terminal_is_the_containers() {
    let (_dir, mut plan) =
        full("[ $(tty) = /dev/pts/0 ] && echo x > /dev/tty && [ -c /dev/console ] && echo done");
    plan.process.stdio =
        Stdio::Terminal { size: [24, 80], line_ends: creel_spawn::LineEnds::default() };
    let mut child = plan.spawn().unwrap();
    let mut master = File::from(child.sent.take().unwrap());
    let mut text = Vec::new();
    // Reading the master ends with EIO once the slave is closed.
    let _ = master.read_to_end(&mut text);
    assert_eq!(
        (String::from_utf8_lossy(&text).trim_end(), child.wait().unwrap()),
        ("x\r\ndone", 0)
    );
}

#[test]
fn privileged_join_enters_the_container() {
    let (_dir, plan) = plan("sleep 60");
    let target = plan.spawn().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let writer = Arc::new(OwnedFd::from(writer));
    let null = Arc::new(OwnedFd::from(File::open("/dev/null").unwrap()));
    let mut process =
        process("echo $(hostname) $(grep CapInh /proc/self/status) $(ls /proc/self/fd)");
    process.stdio = Stdio::Descriptors(vec![null, Arc::clone(&writer), writer]);
    let join = Join {
        resctrl: Vec::new(),
        target: Arc::new(target.pidfd.try_clone().unwrap()),
        namespaces: Namespace::ROOT.to_vec(),
        denies_setgroups: false,
        cgroup: None,
        process,
    };
    let child = join.spawn().unwrap();
    drop(join);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "box CapInh: 0000000000000000 0 1 2 3\n");
    assert_eq!(child.wait().unwrap(), 0);
    target.kill(9).unwrap();
    assert_eq!(target.wait().unwrap(), 137);
}

#[test]
fn privileged_user_namespace_maps_ids() {
    let (_dir, mut plan) = plan("[ -O /bin/busybox ] && echo > /dev/null");
    plan.namespaces.push(Namespace::User);
    plan.uids = vec![IdMap { inside: 0, outside: 0, count: 1 }];
    plan.gids = plan.uids.clone();
    plan.mounts.push(mount(new("tmpfs", &["mode=755"]), "dev", 2));
    plan.devices = vec![Device::character("/dev/null", [1, 3], 0o666)];
    assert_eq!(code(&plan), 0);
}

#[test]
fn privileged_symlinks_are_refused_by_name() {
    for name in ["proc", "dev"] {
        let (dir, mut plan) = full("exit 0");
        plan.mounts.retain(|mount| mount.target == "proc");
        let _ = fs::remove_dir(dir.path().join(name));
        symlink("/tmp", dir.path().join(name)).unwrap();
        let (step, error) = step(&plan);
        assert!(step.contains(name), "{step}");
        assert_eq!(error, Some(40));
    }
}

#[test]
fn privileged_missing_and_forbidden_programs_differ() {
    let (dir, mut plan) = plan("exit 0");
    fs::write(dir.path().join("bin/text"), "").unwrap();
    for (path, code) in [("/none", 127), ("/bin/text", 126)] {
        plan.process.candidates = vec![path.into()];
        assert_eq!(plan.spawn().unwrap_err().exit_code(), code, "{path}");
    }
}

#[test]
fn host_mount_namespace_is_refused() {
    assert!(matches!(Plan::default().spawn(), Err(SpawnError::NoMountNamespace)));
}

/// Run by hand as another user with `--ignored --exact`; the test below does so.
#[test]
#[ignore = "run by `privileged_unprivileged_user_starts_containers`"]
fn as_another_user() {
    let single = |outside| vec![IdMap { inside: 0, outside, count: 1 }];
    let (_dir, mut plan) = plan("[ $(id -u) = 0 ] && [ -d /proc/1 ] && touch /made");
    plan.namespaces.push(Namespace::User);
    plan.uids = single(rustix::process::getuid().as_raw());
    plan.gids = single(rustix::process::getgid().as_raw());
    assert_eq!(code(&plan), 0);
    let (sub, own) = (std::env::var("SUB").unwrap().parse().unwrap(), &plan.uids);
    let range = IdMap { inside: 1, outside: sub, count: 65536 };
    plan.gids.push(range);
    plan.uids = own.iter().copied().chain([range]).collect();
    plan.map_writer = MapWriter::Helpers {
        newuidmap: "/usr/bin/newuidmap".into(),
        newgidmap: "/usr/bin/newgidmap".into(),
    };
    plan.process = process("[ $(id -u) = 1000 ]");
    plan.process.uid = 1000;
    plan.process.gid = 1000;
    assert_eq!(code(&plan), 0);
}

#[test]
fn privileged_unprivileged_user_starts_containers() {
    let run = |program: &str, args: &[&str]| {
        let output = std::process::Command::new(program).args(args).output().unwrap();
        (output.status.success(), format!("{output:?}"))
    };
    let name = "creel-spawn-test";
    run("userdel", &["-r", name]);
    let made = run("useradd", &["-m", name]);
    assert!(made.0, "{}", made.1);
    let sub = fs::read_to_string("/etc/subuid").unwrap();
    let sub = sub.lines().find_map(|line| line.strip_prefix("creel-spawn-test:"));
    let sub = sub.and_then(|line| line.split(':').next()).unwrap().to_owned();
    let binary = format!("/home/{name}/test");
    fs::copy("/proc/self/exe", &binary).unwrap();
    let command = format!(
        "chmod a+rx {binary}; exec su {name} -s /bin/sh -c 'cd; TMPDIR=$HOME SUB={sub} ./test --ignored --exact as_another_user'"
    );
    let done = run("sh", &["-c", &command]);
    run("userdel", &["-r", name]);
    assert!(done.0, "{}", done.1);
}

#[test]
fn privileged_a_process_is_announced_before_it_begins() {
    let (dir, plan) = plan("touch /began");
    let began = dir.path().join("began");
    let program = |pid| fs::read_link(format!("/proc/{pid}/exe"));
    let refused = plan.spawn_announced(|pid| {
        assert_eq!(program(pid)?, std::env::current_exe()?);
        Err(std::io::ErrorKind::Other.into())
    });
    assert!(matches!(refused, Err(SpawnError::Start(_))) && !began.exists());
    let mut announced = 0;
    let child = plan.spawn_announced(|pid| {
        announced = pid;
        Ok(())
    });
    let child = child.unwrap();
    assert_eq!((child.pid, child.wait().unwrap()), (announced, 0));
    assert!(began.exists());
}
