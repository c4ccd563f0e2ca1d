//! The child's interpreter: one system call, or a short fixed sequence, for each operation.

use std::ffi::CString;
use std::os::fd::RawFd;

use libc::{c_int, syscall};

use super::call::{State, check_file_system, close_others, errno, fail, ok, stat, write_below};
use super::op::{CapabilitySets, Op};
use super::{
    cover, device, execute, files, hook, landlock, late, listen, loopback, mounts, namespaces,
    overlay, places, root, supervise, terminal, tree, tuning,
};

/// How many descriptors besides the program's are kept to the end.
const KEPT: usize = 8;

pub(super) fn run<'a>(op: &'a Op, state: &mut State<'a>) -> Option<()> {
    match op {
        Op::OpenHost(..)
        | Op::OpenHostItself(..)
        | Op::OpenInRoot(..)
        | Op::OpenRealDirectory(..)
        | Op::Ensure(..) => places::open(op, state),
        Op::CloneTree(from, depth, out) => mounts::clone_tree(state, *from, *depth, *out),
        Op::NewMount(system, out) => mounts::new_mount(state, system, *out),
        Op::Overlay(layers, out) => {
            let made = overlay::make(state, layers)?;
            state.set(*out, made)?;
            state.classic.attached(*out);
            Some(())
        }
        Op::Terminal(terminal) => {
            let made = terminal::make(state, terminal)?;
            state.set(terminal.slave, made)
        }
        Op::Send(sent, socket) => terminal::send(state.get(*socket)?, state.get(*sent)?),
        Op::SetAttributes(mount, depth, set) => mounts::set_attributes(state, *mount, *depth, *set),
        Op::ReplaceAttributes(mount, whole, kept) => {
            mounts::replace_attributes(state, *mount, *whole, *kept)
        }
        Op::Attach(mount, place) => mounts::attach(state, *mount, *place),
        Op::CheckFileSystem(slot, magic) => check_file_system(state.get(*slot)?, *magic),
        Op::CheckDevice(slot, major, minor) => check_device(state.get(*slot)?, *major, *minor),
        Op::CheckSame(slot, numbers) => check_same(state.get(*slot)?, *numbers),
        Op::CheckDistinct(one, other) => {
            places::check_distinct(state.get(*one)?, state.get(*other)?)
        }
        Op::SameLink(..) | Op::Mode(..) | Op::Fill(..) | Op::ShareLock(..) => files::run(op, state),
        Op::DieWithParent => supervise::die_with_parent(state),
        Op::RaiseLoopback => loopback::raise(),
        Op::Supervise(supervisor) => supervise::leave(state, supervisor),
        Op::FirstDirectory(paths) => first_directory(state, paths),
        Op::ClearUmask => {
            // SAFETY: takes an integer.
            state.umask = unsafe { libc::umask(0) };
            Some(())
        }
        Op::Device(device) => device::make(state, device),
        Op::CopyMode(from, to) => tree::copy_mode(state, *from, *to),
        Op::CopyTree(from, to) => tree::copy(state.get(*from)?, state.get(*to)?),
        Op::Write(dir, path, data) => {
            mounts::look_into(state, *dir)?;
            write_below(state.get(*dir)?, path, data)
        }
        Op::Mask(root, path, null, empty) => cover::mask(state, *root, path, *null, *empty),
        Op::ReadOnly(root, path) => cover::read_only(state, *root, path),
        Op::PivotRoot(slot, more) => root::pivot(state.get(*slot)?, *more),
        Op::ChangeRoot(slot) => root::change(state.get(*slot)?),
        Op::MoveRoot(slot) => root::replace(state.get(*slot)?),
        Op::Uncover(path) => root::uncover(path),
        Op::PrivateMounts => root::make_private(state),
        Op::ControllingTerminal(slave) => terminal::take(state.get(*slave)?),
        Op::CloseDescriptors(kept) => {
            let mut keep = [-1; KEPT + 1];
            keep[KEPT] = state.report;
            for (place, slot) in keep.iter_mut().take(KEPT).zip(kept) {
                *place = state.get(*slot)?;
            }
            close_others(state.kept, &mut keep)
        }
        Op::Seccomp(filter, flags) => listen::seccomp(filter, *flags).map(|_| ()),
        Op::Listen { filter, flags, secret } => listen::load(state.report, filter, *flags, *secret),
        Op::Allow(rule) => landlock::allow(state, rule),
        Op::Landlock(ruleset, flags) => landlock::enforce(state, *ruleset, *flags),
        Op::Hook(hook) => hook::run(state, hook),
        Op::Scheduler(_)
        | Op::IoPriority(_)
        | Op::Personality(_)
        | Op::Affinity(_)
        | Op::MemoryPolicy(..) => tuning::run(op),
        Op::WriteOwn(procfs, name, data) => tuning::write_own(state.get(*procfs)?, name, data),
        Op::FindProgram(paths) => execute::find(paths),
        Op::Hold(listener) => execute::hold(state, *listener),
        Op::ExecutePast { path, argv, env, secret } => {
            execute::execute_past(path, argv, env, *secret)
        }
        Op::Execute(paths, argv, env) => execute::execute(paths, argv, env),
        Op::ExecuteThere(paths, argv, environments) => {
            let Some(env) = environments.get(state.entered) else { return fail(libc::EINVAL) };
            execute::execute(paths, argv, env)
        }
        Op::Capabilities(sets) => set_capabilities(sets),
        Op::RaiseAmbient(cap) => raise_ambient(*cap),
        Op::KeepBounding(kept) => keep_bounding(*kept),
        Op::WorkingDirectory(_) if state.is_inside => Some(()),
        Op::WorkingDirectory(path) => enter(path),
        Op::WorkingDirectoryEarly(path) => enter_early(state, path),
        Op::Join(target, kinds) => namespaces::join(state, *target, *kinds),
        Op::EnterEarly(namespace, kind) => namespaces::enter_early(state, *namespace, *kind),
        Op::Enter(namespace, kind) => namespaces::enter(state, *namespace, *kind),
        Op::Part => namespaces::part(state),
        Op::Meet(moment) => listen::meet(state, *moment),
        Op::NewClocks(offsets) => namespaces::new_clocks(offsets),
        _ => simple(op, state),
    }
}

/// Operations that are one call on prepared values.
fn simple(op: &Op, state: &State) -> Option<()> {
    // SAFETY: every pointer is to prepared, null-terminated or sized memory that outlives the call.
    unsafe {
        match op {
            Op::WaitForParent => wait_for_parent(state.wait),
            Op::EnterCgroup(tasks) => {
                ok(syscall(libc::SYS_write, state.get(*tasks)?, c"0".as_ptr(), 1usize))
            }
            Op::NotDumpable => prctl(libc::PR_SET_DUMPABLE, 0),
            Op::Unshare(namespaces) => ok(syscall(libc::SYS_unshare, *namespaces)),
            Op::Visit(slot) => ok(syscall(libc::SYS_fchdir, state.get(*slot)?)),
            Op::Domainname(name) => {
                ok(syscall(libc::SYS_setdomainname, name.as_ptr(), name.as_bytes().len()))
            }
            Op::Link(text, dir, name) => {
                let done = libc::symlinkat(text.as_ptr(), state.get(*dir)?, name.as_ptr());
                if done < 0 && errno() != libc::EEXIST { None } else { Some(()) }
            }
            Op::Hostname(name) => {
                ok(syscall(libc::SYS_sethostname, name.as_ptr(), name.as_bytes().len()))
            }
            Op::NewSession => ok(syscall(libc::SYS_setsid)),
            Op::OwnKeyring => own_keyring(),
            Op::Signal(process, signal) => {
                let process = state.get(*process)?;
                ok(syscall(libc::SYS_pidfd_send_signal, process, *signal, 0usize, 0))
            }
            Op::Umask(mask) => ok(syscall(libc::SYS_umask, *mask)),
            Op::RestoreUmask => ok(syscall(libc::SYS_umask, state.umask)),
            Op::CheckNoUserNamespaces => {
                let made = syscall(libc::SYS_unshare, libc::CLONE_NEWUSER);
                if made < 0 { Some(()) } else { fail(libc::EEXIST) }
            }
            Op::AwaitData(slot) => {
                let mut byte = 0u8;
                ok(libc::read(state.get(*slot)?, (&raw mut byte).cast(), 1) as _)
            }
            Op::Limit(resource, values) => {
                ok(syscall(libc::SYS_prlimit64, 0, *resource, values.as_ptr(), 0usize))
            }
            Op::DropBounding(cap) => prctl(libc::PR_CAPBSET_DROP, *cap as usize),
            Op::AskForLateCalls => late::ask(),
            Op::SecureBits(bits) => prctl(libc::PR_SET_SECUREBITS, *bits as usize),
            Op::KeepCapabilities => prctl(libc::PR_SET_KEEPCAPS, 1),
            Op::Groups(groups) => ok(syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr())),
            Op::DropGroups => {
                let done = ok(syscall(libc::SYS_setgroups, 0, 0usize));
                done.or_else(|| (errno() == libc::EPERM).then_some(()))
            }
            Op::Group(id) => ok(syscall(libc::SYS_setresgid, *id, *id, *id)),
            Op::User(id) => ok(syscall(libc::SYS_setresuid, *id, *id, *id)),
            Op::NoNewPrivileges => prctl(libc::PR_SET_NO_NEW_PRIVS, 1),
            _ => fail(libc::ENOSYS),
        }
    }
}

fn own_keyring() -> Option<()> {
    // KEYCTL_JOIN_SESSION_KEYRING of keyctl(2).
    const JOIN_SESSION: usize = 1;
    // SAFETY: without a name the call takes a null pointer.
    let joined = unsafe { syscall(libc::SYS_keyctl, JOIN_SESSION, 0usize) };
    // Keys may be left out of the kernel, or out of reach in a container that this runs in, or be
    // used up. The default filter keeps containers away from all of them.
    let none = [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EDQUOT];
    if joined < 0 && !none.contains(&errno()) { None } else { Some(()) }
}

pub(super) fn prctl(option: c_int, value: usize) -> Option<()> {
    // SAFETY: the options used take integers.
    ok(unsafe { syscall(libc::SYS_prctl, option, value, 0usize, 0usize, 0usize) })
}

pub(super) fn wait_for_parent(wait: RawFd) -> Option<()> {
    let mut byte = 0u8;
    // SAFETY: the buffer of one byte outlives the call.
    match unsafe { libc::read(wait, (&raw mut byte).cast(), 1) } {
        1 => Some(()),
        0 => fail(libc::ECANCELED),
        _ => None,
    }
}

fn check_device(fd: RawFd, major: u32, minor: u32) -> Option<()> {
    let stat = stat(fd)?;
    let same =
        stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == libc::makedev(major, minor);
    if same { Some(()) } else { fail(libc::ENODEV) }
}

fn check_same(fd: RawFd, [device, inode]: [u64; 2]) -> Option<()> {
    let stat = stat(fd)?;
    if (stat.st_dev, stat.st_ino) == (device, inode) { Some(()) } else { fail(libc::ESTALE) }
}

fn first_directory(state: &mut State<'_>, paths: &[CString]) -> Option<()> {
    let entered = paths.iter().position(|path| enter(path).is_some())?;
    state.entered = entered;
    Some(())
}

fn enter(path: &CString) -> Option<()> {
    let mut buffer = [0u8; libc::PATH_MAX as usize];
    // SAFETY: the path is null-terminated and the buffer has the size that is passed.
    unsafe {
        ok(syscall(libc::SYS_chdir, path.as_ptr()))?;
        ok(syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()))?;
    }
    // The kernel says `(unreachable)` for a directory outside the root.
    if buffer.first() == Some(&b'/') { Some(()) } else { fail(libc::ENOENT) }
}

fn enter_early(state: &mut State<'_>, path: &CString) -> Option<()> {
    state.is_inside = enter(path).is_some();
    if state.is_inside || errno() == libc::EACCES { Some(()) } else { None }
}

/// Gets the sets in the order effective, permitted, inheritable.
fn capabilities() -> Option<[u64; 3]> {
    // _LINUX_CAPABILITY_VERSION_3 and this thread; then the three low words and the three high.
    let header = [0x2008_0522u32, 0];
    let mut words = [0u32; 6];
    // SAFETY: the header and the two user_cap_data_struct have the layout of version 3.
    ok(unsafe { syscall(libc::SYS_capget, header.as_ptr(), words.as_mut_ptr()) })?;
    let [a, b, c, d, e, f] = words.map(u64::from);
    Some([a | d << 32, b | e << 32, c | f << 32])
}

pub(super) fn set_capabilities(sets: &CapabilitySets) -> Option<()> {
    let [_, has, _] = capabilities()?;
    let permitted = sets.permitted & has;
    let [effective, inheritable] = [sets.effective & permitted, sets.inheritable & has];
    let header = [0x2008_0522u32, 0];
    let low = [effective, permitted, inheritable].map(|set| set as u32);
    let high = [effective, permitted, inheritable].map(|set| (set >> 32) as u32);
    let words = [low, high];
    // SAFETY: the header and the two user_cap_data_struct have the layout of version 3.
    ok(unsafe { syscall(libc::SYS_capset, header.as_ptr(), words.as_ptr()) })
}

fn keep_bounding(kept: u64) -> Option<()> {
    for cap in (0..u64::BITS).filter(|cap| kept & (1 << cap) == 0) {
        match prctl(libc::PR_CAPBSET_DROP, cap as usize) {
            // The kernel knows no more of them.
            None if errno() == libc::EINVAL => break,
            dropped => dropped?,
        }
    }
    Some(())
}

fn raise_ambient(cap: u32) -> Option<()> {
    let [_, permitted, inheritable] = capabilities()?;
    if permitted & inheritable & (1u64.checked_shl(cap).unwrap_or(0)) == 0 {
        return Some(());
    }
    // SAFETY: takes integers.
    ok(unsafe {
        syscall(
            libc::SYS_prctl,
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE as usize,
            cap as usize,
            0usize,
            0usize,
        )
    })
}
