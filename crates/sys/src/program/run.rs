//! The child's interpreter: one system call, or a short fixed sequence, for each operation.

use std::ffi::CString;
use std::os::fd::RawFd;

use libc::{c_int, syscall};

use super::Slot;
use super::call::{
    SLOTS, State, attach, check_file_system, clone_tree, close, ensure, errno, fail, is_directory,
    new_mount, ok, open, open_in_root, set_attributes, stat, write_below,
};
use super::op::{Attributes, CapabilitySets, Depth, Op};
use super::{execute, listen, overlay, terminal};

/// `MOUNT_ATTR_RDONLY`.
const READ_ONLY: u64 = 1;

pub(super) fn run(op: &Op, state: &mut State) -> Option<()> {
    match op {
        Op::OpenHost(..)
        | Op::OpenInRoot(..)
        | Op::OpenRealDirectory(..)
        | Op::Ensure(..)
        | Op::CloneTree(..)
        | Op::NewMount(..)
        | Op::Overlay(..)
        | Op::Terminal(_) => {
            let (fd, out) = open_op(op, state)?;
            state.set(out, fd)
        }
        Op::Send(sent, socket) => terminal::send(state.get(*socket)?, state.get(*sent)?),
        Op::SetAttributes(mount, depth, set) => set_attributes(state.get(*mount)?, *depth, *set),
        Op::Attach(mount, place) => attach(state.get(*mount)?, state.get(*place)?),
        Op::CheckFileSystem(slot, magic) => check_file_system(state.get(*slot)?, *magic),
        Op::CheckDevice(slot, major, minor) => check_device(state.get(*slot)?, *major, *minor),
        Op::Node(dir, name, mode, numbers, owner) => {
            make_node(state.get(*dir)?, name, *mode, *numbers, *owner)
        }
        Op::Write(dir, path, data) => write_below(state.get(*dir)?, path, data),
        Op::Mask(root, path, null, empty) => mask(state, *root, path, *null, *empty),
        Op::ReadOnly(root, path) => read_only(state.get(*root)?, path),
        Op::ControllingTerminal(slave) => terminal::take(state.get(*slave)?),
        Op::CloseDescriptors(kept) => {
            let mut keep = [-1; SLOTS + 2];
            keep[0] = state.report;
            if let Some(slot) = kept {
                keep[1] = state.get(*slot)?;
            }
            state.close_others(keep)
        }
        Op::Seccomp(filter, flags) => listen::seccomp(filter, *flags).map(|_| ()),
        Op::Listen { filter, flags, secret } => listen::load(state.report, filter, *flags, *secret),
        Op::FindProgram(paths) => execute::find(paths),
        Op::Hold(listener) => execute::hold(state, *listener),
        Op::Execute(paths, argv, env) => execute::execute(paths, argv, env),
        Op::Capabilities(sets) => set_capabilities(sets),
        Op::RaiseAmbient(cap) => raise_ambient(*cap),
        Op::WorkingDirectory(path) => enter(path),
        Op::Join(target, namespaces) => join(state, *target, *namespaces),
        _ => simple(op, state),
    }
}

fn open_op(op: &Op, state: &State) -> Option<(RawFd, Slot)> {
    Some(match op {
        Op::OpenHost(path, out) => (open(libc::AT_FDCWD, path, libc::O_PATH, 0)?, *out),
        Op::OpenInRoot(dir, path, out) => (open_in_root(state.get(*dir)?, path)?, *out),
        Op::OpenRealDirectory(dir, path, out) => {
            let resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS;
            (open(state.get(*dir)?, path, libc::O_PATH | libc::O_DIRECTORY, resolve)?, *out)
        }
        Op::Ensure(root, target, out) => (ensure(state, state.get(*root)?, target)?, *out),
        Op::CloneTree(from, depth, out) => (clone_tree(state.get(*from)?, *depth)?, *out),
        Op::NewMount(system, out) => (new_mount(system)?, *out),
        Op::Overlay(layers, out) => (overlay::make(state, layers)?, *out),
        Op::Terminal(terminal) => (terminal::make(state, terminal)?, terminal.slave),
        _ => return fail(libc::ENOSYS),
    })
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
            Op::PrivateMounts => ok(syscall(
                libc::SYS_mount,
                0usize,
                c"/".as_ptr(),
                0usize,
                libc::MS_REC | libc::MS_PRIVATE,
                0usize,
            )),
            Op::Unshare(namespaces) => ok(syscall(libc::SYS_unshare, *namespaces)),
            Op::Domainname(name) => {
                ok(syscall(libc::SYS_setdomainname, name.as_ptr(), name.as_bytes().len()))
            }
            Op::Link(text, dir, name) => {
                let done = libc::symlinkat(text.as_ptr(), state.get(*dir)?, name.as_ptr());
                if done < 0 && errno() != libc::EEXIST { None } else { Some(()) }
            }
            Op::PivotRoot(root) => {
                ok(syscall(libc::SYS_fchdir, state.get(*root)?))?;
                ok(syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()))?;
                ok(syscall(libc::SYS_umount2, c".".as_ptr(), libc::MNT_DETACH))?;
                ok(syscall(libc::SYS_chdir, c"/".as_ptr()))
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
            Op::Limit(resource, values) => {
                ok(syscall(libc::SYS_prlimit64, 0, *resource, values.as_ptr(), 0usize))
            }
            Op::DropBounding(cap) => prctl(libc::PR_CAPBSET_DROP, *cap as usize),
            Op::KeepCapabilities => prctl(libc::PR_SET_KEEPCAPS, 1),
            Op::Groups(groups) => ok(syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr())),
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

fn prctl(option: c_int, value: usize) -> Option<()> {
    // SAFETY: the options used take integers.
    ok(unsafe { syscall(libc::SYS_prctl, option, value, 0usize, 0usize, 0usize) })
}

fn wait_for_parent(wait: RawFd) -> Option<()> {
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

fn make_node(
    dir: RawFd,
    name: &CString,
    mode: u32,
    [major, minor]: [u32; 2],
    [uid, gid]: [u32; 2],
) -> Option<()> {
    let device = libc::makedev(major, minor);
    // SAFETY: the name is null-terminated and outlives the calls.
    unsafe {
        ok(libc::mknodat(dir, name.as_ptr(), mode, device).into())?;
        if uid != 0 || gid != 0 {
            let flags = libc::AT_SYMLINK_NOFOLLOW;
            ok(libc::fchownat(dir, name.as_ptr(), uid, gid, flags).into())?;
        }
    }
    Some(())
}

/// Opens an existing path below the root; a missing one is no error.
fn open_existing(root: RawFd, path: &CString) -> Option<Option<RawFd>> {
    match open_in_root(root, path) {
        None if matches!(errno(), libc::ENOENT | libc::ENOTDIR) => Some(None),
        None => None,
        opened => Some(opened),
    }
}

fn mask(state: &mut State, root: Slot, path: &CString, null: Slot, empty: Slot) -> Option<()> {
    let Some(place) = open_existing(state.get(root)?, path)? else { return Some(()) };
    let cover = if !is_directory(place)? {
        null_device(state.get(null)?)?
    } else if let Some(fd) = state.slots.get(empty.0).copied().filter(|fd| *fd >= 0) {
        clone_tree(fd, Depth::One)?
    } else {
        return attach_empty(state, place, empty);
    };
    attach(cover, place)?;
    close(cover);
    close(place);
    Some(())
}

/// The null device in a mount of its own that nobody can change its mode or owner through: it is the
/// host's.
fn null_device(null: RawFd) -> Option<RawFd> {
    // MOUNT_ATTR_RDONLY | NOSUID | NOEXEC: devices can be written to all the same.
    const ATTRIBUTES: u64 = 1 | 2 | 8;
    let mount = clone_tree(null, Depth::One)?;
    set_attributes(mount, Depth::One, Attributes { set: ATTRIBUTES, ..Attributes::default() })?;
    Some(mount)
}

/// The first masked directory gets the empty file system that later ones are clones of.
fn attach_empty(state: &mut State, place: RawFd, empty: Slot) -> Option<()> {
    // SAFETY: fsopen and its configuration take null-terminated constants.
    let made = unsafe {
        let fs = super::call::fd(syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 1))?;
        ok(syscall(libc::SYS_fsconfig, fs, 6, 0usize, 0usize, 0))?;
        // MOUNT_ATTR_RDONLY | NOSUID | NODEV | NOEXEC.
        super::call::fd(syscall(libc::SYS_fsmount, fs, 1, 1 | 2 | 4 | 8))?
    };
    attach(made, place)?;
    state.set(empty, made)
}

fn read_only(root: RawFd, path: &CString) -> Option<()> {
    let Some(place) = open_existing(root, path)? else { return Some(()) };
    let copy = clone_tree(place, Depth::All)?;
    set_attributes(copy, Depth::All, Attributes { set: READ_ONLY, ..Attributes::default() })?;
    attach(copy, place)?;
    close(copy);
    close(place);
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

fn set_capabilities(sets: &CapabilitySets) -> Option<()> {
    let [_, has, _] = capabilities()?;
    let permitted = sets.permitted & has;
    let [effective, inheritable] = [sets.effective & permitted, sets.inheritable & permitted];
    let header = [0x2008_0522u32, 0];
    let low = [effective, permitted, inheritable].map(|set| set as u32);
    let high = [effective, permitted, inheritable].map(|set| (set >> 32) as u32);
    let words = [low, high];
    // SAFETY: the header and the two user_cap_data_struct have the layout of version 3.
    ok(unsafe { syscall(libc::SYS_capset, header.as_ptr(), words.as_ptr()) })
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

fn join(state: &State, target: Slot, namespaces: c_int) -> Option<()> {
    // SAFETY: takes integers; clone_args is plain integers, for which zero is valid. The new
    // process has its own copy of this memory, and this one ends without running handlers.
    unsafe {
        ok(syscall(libc::SYS_setns, state.get(target)?, namespaces))?;
        let mut args: libc::clone_args = std::mem::zeroed();
        args.flags = libc::CLONE_PARENT as u64;
        match syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) {
            -1 => None,
            0 => Some(()),
            pid => {
                let message = [listen::MOVED, pid as i32];
                libc::write(state.report, message.as_ptr().cast(), 8);
                libc::_exit(0)
            }
        }
    }
}
