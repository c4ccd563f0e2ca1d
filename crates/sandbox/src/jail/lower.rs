//! A jail as a list of kernel calls, in the order that minijail has.

use std::ffi::{CString, NulError};
use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use creel_codec::bpf::Insn;
use creel_codec::bpf::passage::{Passage, with_passage};
use creel_sys::program::{
    Attributes, CapabilitySets, Depth, Device, Filter, Kind, LastLink, LateCall, Modes,
    NewFileSystem, Op, Program, Slot, Strings, Supervisor, Target,
};
use rustix::rand::{GetRandomFlags, getrandom};

use super::error::JailError;
use super::{Capabilities, First, Groups, Jail, Mount, Root, code};

const CLONE_NEWNS: i32 = 0x2_0000;
const CLONE_NEWCGROUP: i32 = 0x200_0000;
const CLONE_NEWUTS: i32 = 0x400_0000;
const CLONE_NEWIPC: i32 = 0x800_0000;
const CLONE_NEWUSER: u64 = 0x1000_0000;
const CLONE_NEWPID: u64 = 0x2000_0000;
const CLONE_NEWNET: i32 = 0x4000_0000;

const MS_RDONLY: u64 = 1;
const MS_REMOUNT: u64 = 0x20;
const MS_BIND: u64 = 0x1000;
const MS_REC: u64 = 0x4000;
const MS_SILENT: u64 = 0x8000;

/// `MS_*` that are attributes of a mount, and the `MOUNT_ATTR_*` for each.
const ATTRIBUTES: [(u64, u64); 8] = [
    (MS_RDONLY, 1),
    (2, 2),
    (4, 4),
    (8, 8),
    (0x100, 0x20_0000),
    (0x400, 0x10),
    (0x800, 0x80),
    (0x100_0000, 0x20),
];
/// `MS_*` that are options of a file system.
const OPTIONS: [(u64, &str); 4] =
    [(MS_RDONLY, "ro"), (0x10, "sync"), (0x80, "dirsync"), (0x200_0000, "lazytime")];
/// `MOUNT_ATTR__ATIME`, which is cleared where one of its kind is set.
const ATIME: u64 = 0x70;
/// `MOUNT_ATTR_NODIRATIME`.
const NO_DIR_ATIME: u64 = 0x80;
/// All attributes that are not about times of access, and all.
const SIMPLE: u64 = 0x20_000f;
const ALL: u64 = SIMPLE | ATIME | NO_DIR_ATIME;
/// `MS_RELATIME`, which is the default.
const MS_RELATIME: u64 = 1 << 21;
const NO_SUID: u32 = 2;
const NO_DEVICES: u32 = 4;
const NO_EXEC: u32 = 8;
const CAP_SETPCAP: u64 = 1 << 8;
const CAP_SYS_ADMIN: u64 = 1 << 21;
/// `SECBIT_NOROOT`, `SECBIT_NO_SETUID_FIXUP` and `SECBIT_KEEP_CAPS`, each with its lock.
const SECUREBITS: u64 = 0x3f;
/// `SECBIT_NOROOT` and its lock.
const NO_ROOT: u64 = 3;

/// Nodes of a new `/dev`: name, permission bits, numbers.
const NODES: [(&str, u32, [u32; 2]); 5] = [
    ("null", 0o666, [1, 3]),
    ("zero", 0o666, [1, 5]),
    ("full", 0o666, [1, 7]),
    ("urandom", 0o444, [1, 9]),
    ("tty", 0o666, [5, 0]),
];
const S_IFCHR: u32 = 0o2_0000;
/// Links in it: name, text.
const LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "fd/0"),
    ("stdout", "fd/1"),
    ("stderr", "fd/2"),
];

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// In words that follow "cannot".
    Fixed(&'static str),
    /// The mount with this index.
    Mount(usize),
    Execute,
}

/// The calls and what they are for.
pub(super) struct Script {
    pub(super) program: Program,
    pub(super) names: Vec<Name>,
    pub(super) flags: u64,
}

/// What of the caller decides about the calls.
pub(super) struct Caller {
    pub(super) has_terminal: bool,
}

pub(super) fn lower(jail: &Jail, caller: &Caller) -> Result<Script, JailError> {
    let names = jail.namespaces;
    let flags =
        if names.pid { CLONE_NEWPID } else { 0 } | if names.user { CLONE_NEWUSER } else { 0 };
    let mut script = Script { program: Program::default(), names: Vec::new(), flags };
    script.program.inherit();
    script.add(Name::Fixed("wait for the parent"), Op::WaitForParent);
    lower_identity(jail, &mut script);
    if caller.has_terminal && !jail.keeps_session {
        script.add(Name::Fixed("start a session"), Op::NewSession);
    }
    lower_namespaces(jail, &mut script)?;
    if jail.keyring {
        script.add(Name::Fixed("take a keyring"), Op::OwnKeyring);
    }
    Mounts::lower(jail, &mut script)?;
    lower_new_root(jail, &mut script)?;
    if names.pid && jail.first == First::Reaper {
        let (status, kept) = (None, Vec::new());
        let supervisor = Supervisor {
            status,
            kept,
            dies_with_parent: false,
            inspectable: false,
            late: Some(late_calls(jail)).filter(|calls| !calls.is_empty()),
            killed: Some(code::INIT.into()),
        };
        script.add(Name::Fixed("leave a first process"), Op::Supervise(supervisor));
    }
    lower_rights(jail, &mut script)?;
    Ok(script)
}

impl Script {
    fn add(&mut self, name: Name, op: Op) {
        self.names.push(name);
        self.program.push(op);
    }
}

/// In a new user namespace with maps the process takes the ids that it will have there.
fn lower_identity(jail: &Jail, script: &mut Script) {
    if !jail.namespaces.user {
        return;
    }
    if jail.gid_map.is_some() {
        let group = Op::Group(jail.group.unwrap_or(0));
        script.add(Name::Fixed("take the group of the user namespace"), group);
    }
    if jail.uid_map.is_some() {
        let user = Op::User(jail.user.unwrap_or(0));
        script.add(Name::Fixed("take the user of the user namespace"), user);
    }
}

fn lower_namespaces(jail: &Jail, script: &mut Script) -> Result<(), JailError> {
    let names = jail.namespaces;
    if let Some(path) = &jail.joined_mount {
        let slot = script.program.give(open(path)?);
        script.add(Name::Fixed("enter the mount namespace"), Op::Enter(slot, CLONE_NEWNS));
    }
    if names.mount {
        script.add(Name::Fixed("make a mount namespace"), Op::Unshare(CLONE_NEWNS));
        if jail.propagation != 0 {
            let root = script.program.slot();
            script.add(Name::Fixed("open the root"), Op::OpenHost(c"/".into(), root));
            let set = Attributes { propagation: jail.propagation, ..Attributes::default() };
            let op = Op::SetAttributes(root, Depth::All, set);
            script.add(Name::Fixed("set how mounts reach others"), op);
        }
    }
    if names.ipc {
        script.add(Name::Fixed("make an IPC namespace"), Op::Unshare(CLONE_NEWIPC));
    }
    if names.uts {
        script.add(Name::Fixed("make a UTS namespace"), Op::Unshare(CLONE_NEWUTS));
        if let Some(name) = &jail.hostname {
            let name = CString::new(name.as_str())?;
            script.add(Name::Fixed("set the name of the host"), Op::Hostname(name));
        }
    }
    if let Some(path) = &jail.joined_net {
        let slot = script.program.give(open(path)?);
        script.add(Name::Fixed("enter the network namespace"), Op::Enter(slot, CLONE_NEWNET));
    } else if names.net {
        script.add(Name::Fixed("make a network namespace"), Op::Unshare(CLONE_NEWNET));
        script.add(Name::Fixed("take the loopback interface up"), Op::RaiseLoopback);
    }
    if names.cgroup {
        script.add(Name::Fixed("make a control group namespace"), Op::Unshare(CLONE_NEWCGROUP));
    }
    Ok(())
}

fn open(path: &Path) -> Result<Arc<OwnedFd>, JailError> {
    // Whatever else it may be, opening it does not wait.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened: Result<File, _> = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let failed = |source| JailError::Join { path: path.display().to_string(), source };
    Ok(Arc::new(opened.map_err(failed)?.into()))
}

/// What is mounted before the root changes.
struct Mounts<'a> {
    jail: &'a Jail,
    script: &'a mut Script,
    root: Slot,
    place: Slot,
}

impl<'a> Mounts<'a> {
    fn lower(jail: &'a Jail, script: &'a mut Script) -> Result<(), JailError> {
        if jail.mounts.is_empty() && !jail.dev && jail.root == Root::Callers {
            return Ok(());
        }
        let (root, place) = (script.program.slot(), script.program.slot());
        let mut mounts = Self { jail, script, root, place };
        mounts.open_root()?;
        // A new `/dev` may hide what is bound into it.
        let mut early = Vec::new();
        for (index, mount) in jail.mounts.iter().enumerate() {
            let hidden = jail.dev && is_below(&mount.source, "/dev") && is_bound(mount);
            early.push(if hidden { Some(mounts.clone_source(index, mount)?) } else { None });
        }
        if jail.dev && !jail.mounts.iter().any(|mount| mount.target == "/") {
            mounts.dev()?;
        }
        for ((index, mount), early) in jail.mounts.iter().enumerate().zip(early) {
            mounts.mount(index, mount, early)?;
            if mount.target == "/" {
                // What follows is below the new mount.
                mounts.open_root()?;
                if jail.dev {
                    mounts.dev()?;
                }
            }
        }
        mounts.change_root();
        Ok(())
    }

    fn open_root(&mut self) -> Result<(), JailError> {
        let path = CString::new(self.jail.root.path().as_os_str().as_encoded_bytes())?;
        self.script.add(Name::Fixed("open the new root"), Op::OpenHost(path, self.root));
        Ok(())
    }

    fn clone_source(&mut self, index: usize, mount: &Mount) -> Result<Slot, JailError> {
        let (source, made) = (self.script.program.slot(), self.script.program.slot());
        let path = CString::new(mount.source.as_str())?;
        let depth = if mount.flags & MS_REC == 0 { Depth::One } else { Depth::All };
        self.script.add(Name::Mount(index), Op::OpenHost(path, source));
        self.script.add(Name::Mount(index), Op::CloneTree(source, depth, made));
        Ok(made)
    }

    fn mount(&mut self, index: usize, mount: &Mount, early: Option<Slot>) -> Result<(), JailError> {
        if mount.flags & MS_REMOUNT != 0 {
            return self.remount(index, mount);
        }
        let (made, kind) = match is_bound(mount) {
            true => {
                let made = match early {
                    Some(made) => made,
                    None => self.clone_source(index, mount)?,
                };
                (made, Kind::Like(made))
            }
            false => (self.new_file_system(index, mount)?, Kind::Directory),
        };
        let target = target(&mount.target, kind)?;
        self.script.add(Name::Mount(index), Op::Ensure(self.root, target, self.place));
        self.script.add(Name::Mount(index), Op::Attach(made, self.place));
        // Of a bind mount `mount(2)` takes no attributes.
        if mount.at_once {
            let writable = mount.flags & MS_RDONLY == 0;
            let (set, clear) = if writable { (0, MS_RDONLY) } else { (MS_RDONLY, 0) };
            let change = Attributes { set, clear, ..Attributes::default() };
            self.script.add(Name::Mount(index), Op::SetAttributes(made, Depth::One, change));
        }
        Ok(())
    }

    fn new_file_system(&mut self, index: usize, mount: &Mount) -> Result<Slot, JailError> {
        let made = self.script.program.slot();
        let (attributes, mut options) = attributes(mount)?;
        options.push((c"source".into(), Some(CString::new(mount.source.as_str())?)));
        for option in mount.data.split(',').filter(|option| !option.is_empty()) {
            options.push(match option.split_once('=') {
                Some((name, value)) => (CString::new(name)?, Some(CString::new(value)?)),
                None => (CString::new(option)?, None),
            });
        }
        let kind = CString::new(mount.kind.as_str())?;
        let attributes = u32::try_from(attributes).unwrap_or_default();
        let system = NewFileSystem { kind, options, attributes, stand_in: None };
        self.script.add(Name::Mount(index), Op::NewMount(system, made));
        Ok(made)
    }

    /// Other attributes for what is mounted at the target.
    fn remount(&mut self, index: usize, mount: &Mount) -> Result<(), JailError> {
        let (set, _) = attributes(mount)?;
        // Times of access stay as they are unless something is said of them.
        let clear = if set & (ATIME | NO_DIR_ATIME) == 0 { SIMPLE } else { ALL };
        let path = target(&mount.target, Kind::Directory)?.path;
        self.script.add(Name::Mount(index), Op::OpenInRoot(self.root, path, self.place));
        let change =
            Attributes { set, clear: clear & !set | clear & ATIME, ..Attributes::default() };
        self.script.add(Name::Mount(index), Op::SetAttributes(self.place, Depth::One, change));
        Ok(())
    }

    /// A file system in memory with a few nodes.
    fn dev(&mut self) -> Result<(), JailError> {
        let name = Name::Fixed("make `/dev`");
        let (made, shm) = (self.script.program.slot(), self.script.program.slot());
        self.script.add(name, Op::ClearUmask);
        let attributes = NO_SUID | NO_EXEC;
        let source = Some(c"minijail-devfs".into());
        let options = vec![
            (c"source".into(), source),
            (c"size".into(), Some(c"5M".into())),
            (c"mode".into(), Some(c"755".into())),
        ];
        let system = NewFileSystem { kind: c"tmpfs".into(), options, attributes, stand_in: None };
        if self.jail.root == Root::Callers {
            self.script.add(name, Op::Uncover(c"/dev".into()));
        }
        self.script.add(name, Op::NewMount(system, made));
        self.script.add(name, Op::Ensure(self.root, target("/dev", Kind::Directory)?, self.place));
        self.script.add(name, Op::Attach(made, self.place));
        for (node, mode, numbers) in NODES {
            let device = Device {
                directory: made,
                name: CString::new(node)?,
                host: CString::new(format!("/dev/{node}"))?,
                mode: S_IFCHR | mode,
                numbers,
                owner: [0, 0],
                bound: false,
            };
            self.script.add(name, Op::Device(device));
        }
        for (link, text) in LINKS {
            self.script.add(name, Op::Link(CString::new(text)?, made, CString::new(link)?));
        }
        let modes = Modes { directory: 0o1777, ..Modes::default() };
        let path = Target { modes, ..target("/shm", Kind::Directory)? };
        self.script.add(name, Op::Ensure(made, path, shm));
        self.script.add(name, Op::RestoreUmask);
        Ok(())
    }

    fn change_root(self) {
        match self.jail.root {
            Root::Callers => {}
            Root::Changed(_) => {
                self.script.add(Name::Fixed("change the root"), Op::ChangeRoot(self.root));
            }
            Root::Pivoted(_) => {
                let made = self.script.program.slot();
                let clone = Op::CloneTree(self.root, Depth::All, made);
                self.script.add(Name::Fixed("clone the new root"), clone);
                self.script.add(Name::Fixed("attach the new root"), Op::Attach(made, self.root));
                self.script.add(Name::Fixed("change the root"), Op::PivotRoot(made, 0));
            }
        }
    }
}

fn is_bound(mount: &Mount) -> bool {
    mount.flags & MS_BIND != 0 && mount.flags & MS_REMOUNT == 0
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// `MOUNT_ATTR_*`, and options of the file system.
#[allow(clippy::type_complexity, reason = "as operations have it")]
fn attributes(mount: &Mount) -> Result<(u64, Vec<(CString, Option<CString>)>), JailError> {
    let flags = mount.flags & !(MS_BIND | MS_REC | MS_REMOUNT | MS_SILENT | MS_RELATIME);
    let mut rest = flags;
    let mut set = 0;
    for (flag, attribute) in ATTRIBUTES.iter().filter(|(flag, _)| flags & flag != 0) {
        set |= attribute;
        rest &= !flag;
    }
    let mut options = Vec::new();
    for (flag, option) in OPTIONS.iter().filter(|(flag, _)| flags & flag != 0) {
        options.push((CString::new(*option)?, None));
        rest &= !flag;
    }
    match rest {
        0 => Ok((set, options)),
        flags => Err(JailError::Flags { target: mount.target.clone(), flags }),
    }
}

fn target(path: &str, kind: Kind) -> Result<Target, NulError> {
    let path = path.trim_start_matches('/');
    let path = CString::new(if path.is_empty() { "." } else { path })?;
    Ok(Target { path, kind, modes: Modes::default(), last: LastLink::Followed })
}

/// What is mounted in the new root: `/tmp`, then `/proc`.
fn lower_new_root(jail: &Jail, script: &mut Script) -> Result<(), JailError> {
    let (root, place, made) = (script.program.slot(), script.program.slot(), script.program.slot());
    // A first process of the program's own decides itself.
    let proc = jail.proc && !(jail.namespaces.pid && jail.first == First::Program);
    if jail.tmp.is_none() && !proc {
        return Ok(());
    }
    let usual = NO_SUID | NO_DEVICES | NO_EXEC;
    if let Some(size) = jail.tmp {
        let name = Name::Fixed("mount `/tmp`");
        let options = vec![
            (c"source".into(), Some(c"none".into())),
            (c"size".into(), Some(CString::new(size.to_string())?)),
            (c"mode".into(), Some(c"1777".into())),
        ];
        let system =
            NewFileSystem { kind: c"tmpfs".into(), options, attributes: usual, stand_in: None };
        script.add(name, Op::OpenHost(c"/".into(), root));
        script.add(name, Op::NewMount(system, made));
        script.add(name, Op::Ensure(root, target("/tmp", Kind::Directory)?, place));
        script.add(name, Op::Attach(made, place));
    }
    if proc {
        let name = Name::Fixed("mount `/proc`");
        let old = match jail.root {
            Root::Callers => true,
            _ => jail.mounts.iter().any(|mount| mount.target.trim_end_matches('/') == "/proc"),
        };
        if old && !jail.namespaces.user {
            script.add(name, Op::Uncover(c"/proc".into()));
        }
        let options = vec![(c"source".into(), Some(c"proc".into())), (c"ro".into(), None)];
        let attributes = usual | MS_RDONLY as u32;
        let system = NewFileSystem { kind: c"proc".into(), options, attributes, stand_in: None };
        script.add(name, Op::OpenHost(c"/".into(), root));
        script.add(name, Op::NewMount(system, made));
        script.add(name, Op::Ensure(root, target("/proc", Kind::Directory)?, place));
        script.add(name, Op::Attach(made, place));
    }
    Ok(())
}

/// The rights of the program, and the program. Without `no_new_privs` a filter takes a capability to be
/// loaded, so it comes before the rest and must let that through, as minijail has it.
fn lower_rights(jail: &Jail, script: &mut Script) -> Result<(), JailError> {
    let program = CString::new(jail.argv.first().map_or("", |name| name))?;
    // Descriptors of this process have high numbers up to here.
    for (resource, values) in &jail.limits {
        script.add(Name::Fixed("set a limit"), Op::Limit(*resource, *values));
    }
    let secret = secret()?;
    if let Some(capabilities) = jail.capabilities {
        let bits = SECUREBITS & !capabilities.securebits_skipped;
        script.add(Name::Fixed("set the secure bits"), Op::SecureBits(bits));
    }
    script.add(Name::Execute, Op::FindProgram(vec![program.clone()]));
    let early = !loads_late(jail);
    if early && !jail.no_new_privileges {
        lower_filter(jail, script, secret)?;
    }
    lower_user(jail, script);
    if let Some(capabilities) = jail.capabilities {
        lower_capabilities(capabilities, script);
    }
    if jail.no_new_privileges {
        script.add(Name::Fixed("forbid new privileges"), Op::NoNewPrivileges);
    }
    if !late_calls(jail).is_empty() {
        script.add(Name::Fixed("be completed"), Op::AskForLateCalls);
    }
    if early && jail.no_new_privileges {
        lower_filter(jail, script, secret)?;
    }
    let argv = jail.argv.iter().map(|word| CString::new(word.as_str()));
    let argv = Strings::new(argv.collect::<Result<_, _>>()?);
    let env = jail.env.iter().map(|line| CString::new(line.as_str()));
    let env = Strings::new(env.collect::<Result<_, _>>()?);
    script.add(Name::Execute, Op::ExecutePast { path: program, argv, env, secret });
    Ok(())
}

/// Whether the filter comes after the loader: a process that will not have the right to load one by then
/// must do so before.
fn loads_late(jail: &Jail) -> bool {
    let keeps = |capabilities: Capabilities| capabilities.kept & CAP_SYS_ADMIN != 0;
    let able = jail.user.is_none() && jail.capabilities.is_none_or(keeps);
    jail.late && (jail.no_new_privileges || able)
}

/// What the program does before its first instruction.
pub(super) fn late_calls(jail: &Jail) -> Vec<LateCall> {
    let mut calls = Vec::new();
    if jail.late && !jail.ambient && jail.capabilities.is_some_and(|set| set.kept != 0) {
        calls.push(LateCall::DropAmbient);
    }
    if !loads_late(jail) || jail.filter.program.is_empty() {
        return calls;
    }
    calls.push(match jail.strict {
        true => LateCall::Strict,
        false => LateCall::Filter(filters(&jail.filter.program), jail.filter.flags),
    });
    calls
}

fn secret() -> Result<[u64; 3], JailError> {
    let mut secret = [[0; 8]; 3];
    for word in &mut secret {
        // So few bytes come whole.
        let got = getrandom(word, GetRandomFlags::empty());
        got.map_err(|error| JailError::Start(error.into()))?;
    }
    Ok(secret.map(u64::from_ne_bytes))
}

fn lower_filter(jail: &Jail, script: &mut Script, secret: [u64; 3]) -> Result<(), JailError> {
    if jail.filter.program.is_empty() {
        return Ok(());
    }
    let none = || JailError::Start(std::io::ErrorKind::Unsupported.into());
    let passage = Passage::of("execve", secret).ok_or_else(none)?;
    let filters = filters(&with_passage(&jail.filter.program, &passage));
    script.add(Name::Fixed("load the filter"), Op::Seccomp(filters, jail.filter.flags));
    Ok(())
}

fn filters(program: &[Insn]) -> Vec<Filter> {
    program.iter().map(|&Insn { code, jt, jf, k }| Filter { code, jt, jf, k }).collect()
}

fn lower_user(jail: &Jail, script: &mut Script) {
    let changes = jail.user.is_some() || jail.group.is_some();
    let groups = match &jail.groups {
        Groups::Set(groups) => Some(groups.clone()),
        Groups::Dropped if changes && !jail.denies_setgroups => Some(Vec::new()),
        _ => None,
    };
    if let Some(groups) = groups {
        script.add(Name::Fixed("set the groups"), Op::Groups(groups));
    }
    if let Some(gid) = jail.group {
        script.add(Name::Fixed("set the group"), Op::Group(gid));
    }
    if let Some(uid) = jail.user {
        script.add(Name::Fixed("set the user"), Op::User(uid));
    }
}

fn lower_capabilities(capabilities: Capabilities, script: &mut Script) {
    let Capabilities { kept, securebits_skipped, .. } = capabilities;
    let sets = |bits| CapabilitySets { effective: bits, permitted: bits, inheritable: bits };
    // The bounding set takes one to be trimmed.
    let first = Op::Capabilities(sets(kept | CAP_SETPCAP));
    script.add(Name::Fixed("drop capabilities"), first);
    if securebits_skipped & NO_ROOT == 0 {
        script.add(Name::Fixed("drop capabilities for ever"), Op::KeepBounding(kept));
    }
    script.add(Name::Fixed("set the capabilities"), Op::Capabilities(sets(kept)));
    // Else they would not outlive the execution.
    for cap in (0..u32::BITS * 2).filter(|cap| kept & 1 << cap != 0) {
        script.add(Name::Fixed("raise a capability"), Op::RaiseAmbient(cap));
    }
}
