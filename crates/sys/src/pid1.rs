//! What an init needs of the kernel: wait for a signal, start one child, reap.
//!
//! This file uses `core` and `libc` alone, because `creel-init` compiles it without `std`.
//!
//! # Soundness
//!
//! Some of these calls are safe only in a process that has one thread (`fork`) and in which nobody
//! owns a descriptor above 2 (`close_range`). Whoever makes an [`ArgVec`] promises both, at the
//! only unsafe function here, [`ArgVec::from_main`]; those calls take the vector as the proof.
//! [`pid1_main!`](crate::pid1_main) makes it where it holds: first thing in a program without `std`.

use core::ffi::{CStr, c_char, c_int};
use core::marker::PhantomData;

/// All 64 signals, as the kernel's `sigset_t`.
///
/// Raw system calls take it: the C libraries hide the signals 32 to 34 from their own sets.
const ALL: u64 = u64::MAX;
/// Bytes in the kernel's `sigset_t`.
const SET_SIZE: usize = 8;

/// The argument vector of this program or the rest of it, ended by a null pointer.
///
/// It proves that the process has one thread and, unless it says otherwise, that no descriptor above 2
/// has an owner.
#[derive(Clone, Copy, Debug)]
pub struct ArgVec<'a> {
    /// Never empty; the last element is null, all others point to strings that live for `'a`.
    pointers: &'a [*const c_char],
    strings: PhantomData<&'a CStr>,
    /// Whether some descriptor above 2 may have an owner, contrary to the above.
    owned: bool,
}

impl<'a> ArgVec<'a> {
    /// Takes what the C start-up code passes to `main`.
    ///
    /// # Safety
    ///
    /// `argv` must point to `argc` strings and a null pointer, all unchanged for `'a`. As long as
    /// the vector or a part of it exists, the process must have one thread, and no descriptor above
    /// 2 may have an owner.
    #[must_use]
    pub unsafe fn from_main(argc: c_int, argv: *const *const c_char) -> Self {
        let count = usize::try_from(argc).unwrap_or(0);
        // SAFETY: the caller promises `argc` pointers and the null pointer behind them.
        let pointers = unsafe { core::slice::from_raw_parts(argv, count + 1) };
        Self { pointers, strings: PhantomData, owned: false }
    }

    /// Makes a vector of strings in a program that is more than an init. `room` must hold one
    /// pointer more than there are strings.
    ///
    /// Returns `None` if it does not, or if this process has not exactly one thread, going by
    /// `/proc` (each thread is a directory of `/proc/self/task`).
    #[must_use]
    pub fn from_strings(strings: &'a [&'a CStr], room: &'a mut [*const c_char]) -> Option<Self> {
        if room.len() != strings.len() + 1 || !has_one_thread() {
            return None;
        }
        let (last, places) = room.split_last_mut()?;
        places.iter_mut().zip(strings).for_each(|(place, string)| *place = string.as_ptr());
        *last = core::ptr::null();
        Some(Self { pointers: room, strings: PhantomData, owned: true })
    }

    /// The first argument, if there is one.
    #[must_use]
    pub fn first(self) -> Option<&'a CStr> {
        let pointer = *self.pointers.first()?;
        // SAFETY: by the type's invariant a pointer that is not null is a string living for `'a`.
        (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })
    }

    /// The vector without its first argument.
    #[must_use]
    pub fn rest(self) -> Self {
        match self.pointers {
            [_, rest @ ..] if !rest.is_empty() => Self { pointers: rest, ..self },
            _ => self,
        }
    }
}

/// What a child that is gone left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its process id.
    pub pid: i32,
    /// Its exit status, or 128 plus the signal that ended it.
    pub code: u8,
}

/// Signals as they were before [`Signals::take`].
#[derive(Clone, Copy, Debug)]
pub struct Signals {
    mask: u64,
    chld_ignored: bool,
}

impl Signals {
    /// Blocks every signal, so that [`next_signal`] gets it, and lets children become zombies.
    ///
    /// A blocked signal is queued even if it is ignored and even for PID 1 of a namespace
    /// (`sig_ignored` in the kernel's `kernel/signal.c`), so no handler is needed.
    #[must_use]
    pub fn take() -> Self {
        let mut mask = 0_u64;
        let mut set = ALL;
        // SAFETY: both pointers are to eight-byte sets on this stack frame.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw mut set,
                &raw mut mask,
                SET_SIZE,
            );
        }
        // SAFETY: SIG_DFL is a valid disposition and no handler is installed.
        let before = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        Self { mask, chld_ignored: before == libc::SIG_IGN }
    }

    fn restore(self) {
        if self.chld_ignored {
            // SAFETY: SIG_IGN is a valid disposition and no handler is installed.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        }
        let mut set = self.mask;
        // SAFETY: the pointer is to an eight-byte set on this stack frame.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw mut set,
                core::ptr::null_mut::<u64>(),
                SET_SIZE,
            );
        }
    }
}

/// Sleeps until a signal is pending and takes it. Needs [`Signals::take`] first.
#[must_use]
pub fn next_signal() -> i32 {
    loop {
        let set = ALL;
        // SAFETY: the set is eight bytes on this stack frame; the null pointers ask for neither
        // details nor a time limit.
        let signal = unsafe {
            libc::syscall(
                libc::SYS_rt_sigtimedwait,
                &raw const set,
                core::ptr::null_mut::<libc::siginfo_t>(),
                core::ptr::null::<libc::timespec>(),
                SET_SIZE,
            )
        };
        if let Ok(signal @ 1..) = i32::try_from(signal) {
            return signal;
        }
    }
}

/// Takes one zombie, without waiting for one.
#[must_use]
pub fn reap() -> Option<Gone> {
    let mut status = 0;
    // SAFETY: `status` is a live integer.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    let code = if libc::WIFSIGNALED(status) {
        128 + (libc::WTERMSIG(status) & 0x7f)
    } else {
        libc::WEXITSTATUS(status)
    };
    (pid > 0).then(|| Gone { pid, code: u8::try_from(code).unwrap_or(u8::MAX) })
}

/// Sends a signal to a process (`target` > 0) or a process group (its negative).
///
/// A target that is gone is no error: its zombie is about to be reaped.
pub fn send(target: i32, signal: i32) {
    // SAFETY: kill takes no pointers. The raw call also takes the signals a C library keeps.
    unsafe { libc::syscall(libc::SYS_kill, target, signal) };
}

/// Makes this process the one that orphans below it go to, unless it is PID 1 and is so anyway.
pub fn become_subreaper() {
    // SAFETY: these calls take no pointers.
    unsafe {
        if libc::getpid() != 1 {
            libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        }
    }
}

/// Going by `/proc`, without which the answer is no.
fn has_one_thread() -> bool {
    // SAFETY: the path is a string and stat is plain integers, for which zero is valid.
    unsafe {
        let mut stat: libc::stat = core::mem::zeroed();
        libc::stat(c"/proc/self/task".as_ptr(), &raw mut stat) == 0 && stat.st_nlink == 3
    }
}

/// The descriptors that are looked at where some have owners.
const MOST_INHERITED: c_int = 1024;

/// Closes all but the standard streams, which an init would hold open for its whole life.
///
/// Where some descriptors have owners, those stay that are closed on execution: Rust opens no others,
/// so what is left was inherited, and nobody here owns it.
pub fn close_others(argv: ArgVec<'_>) {
    if argv.owned {
        for fd in 3..MOST_INHERITED {
            // SAFETY: takes integers; see above for why nobody owns the descriptor.
            unsafe {
                if libc::fcntl(fd, libc::F_GETFD) == 0 {
                    libc::close(fd);
                }
            }
        }
        return;
    }
    // SAFETY: by the argument's invariant no descriptor above 2 has an owner.
    unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
}

/// Whether standard input is a terminal and this process is in its foreground.
fn owns_terminal() -> bool {
    // SAFETY: these calls take no pointers.
    unsafe { libc::tcgetpgrp(0) == libc::getpgrp() }
}

/// Starts `argv` in a process group of its own, in the terminal's foreground if the caller is.
///
/// The child has the signals of `before`. Where the command cannot be executed, the child exits
/// with 127 (not found) or 126. Returns `None` if fork fails.
#[must_use]
pub fn start(argv: ArgVec<'_>, before: Signals) -> Option<i32> {
    let terminal = owns_terminal();
    // SAFETY: takes no pointers.
    let parent = unsafe { libc::getpid() };
    // SAFETY: takes no pointers; there is one thread (see `ArgVec`), so the child may call anything.
    match unsafe { libc::fork() } {
        0 => child(argv, before, terminal, parent),
        pid if pid > 0 => {
            // SAFETY: takes no pointers. Done on both sides, so that a signal to the group
            // right after the fork arrives.
            unsafe { libc::setpgid(pid, pid) };
            Some(pid)
        }
        _ => None,
    }
}

fn child(argv: ArgVec<'_>, before: Signals, terminal: bool, parent: i32) -> ! {
    // SAFETY: these calls take no pointers. SIGTTOU is still blocked, which allows tcsetpgrp.
    unsafe {
        libc::setpgid(0, 0);
        if terminal {
            libc::tcsetpgrp(0, libc::getpid());
        }
    }
    readdress_sockets(parent);
    before.restore();
    let program = argv.first().unwrap_or(c"");
    // SAFETY: the program is a string and the vector ends with a null pointer.
    unsafe { libc::execvp(program.as_ptr(), argv.pointers.as_ptr()) };
    // SAFETY: errno is a valid thread-local integer.
    let missing = unsafe { *libc::__errno_location() } == libc::ENOENT;
    let why: &CStr = if missing { c": not found\n" } else { c": cannot be executed\n" };
    for part in [c"creel-init: ", program, why] {
        report(part);
    }
    // SAFETY: ends this process.
    unsafe { libc::_exit(if missing { 127 } else { 126 }) }
}

/// Gives listening sockets meant for the init (`LISTEN_PID`, `sd_listen_fds(3)`) to this process.
fn readdress_sockets(parent: i32) {
    let name = c"LISTEN_PID";
    // SAFETY: the name is a string; the value is read at once, before any change.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: a value that is not null is a string.
    if value.is_null() || unsafe { libc::atoi(value) } != parent {
        return;
    }
    let mut digits = [0_u8; 12];
    // SAFETY: takes no pointers.
    let mut pid = unsafe { libc::getpid() }.unsigned_abs();
    let mut start = digits.len() - 1;
    while pid > 0 && start > 0 {
        start -= 1;
        if let Some(digit) = digits.get_mut(start) {
            *digit = b'0' + u8::try_from(pid % 10).unwrap_or(0);
        }
        pid /= 10;
    }
    if let Some(Ok(text)) = digits.get(start..).map(CStr::from_bytes_with_nul) {
        // SAFETY: both are strings, which setenv copies; there is one thread.
        unsafe { libc::setenv(name.as_ptr(), text.as_ptr(), 1) };
    }
}

/// Writes to standard error, as far as that goes.
pub fn report(text: &CStr) {
    // SAFETY: the pointer and the length are those of a live string.
    unsafe { libc::write(2, text.as_ptr().cast(), text.count_bytes()) };
}

/// Ends the process at once.
pub fn abort() -> ! {
    // SAFETY: ends this process.
    unsafe { libc::_exit(125) }
}

/// Defines the C `main` of a program: `pid1_main!(f)` calls `fn f(ArgVec) -> u8`.
#[macro_export]
macro_rules! pid1_main {
    ($main:path) => {
        /// The entry point that the C start-up code calls.
        ///
        /// # Safety
        ///
        /// The C start-up code alone calls it, once.
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn main(
            argc: ::core::ffi::c_int,
            argv: *const *const ::core::ffi::c_char,
        ) -> ::core::ffi::c_int {
            // SAFETY: the C start-up code passes `argc` strings and a null pointer, which live as
            // long as the process. No other code of this program has run: there is one thread, and
            // whatever descriptors the process inherited have no owner in it.
            let argv = unsafe { $crate::pid1::ArgVec::from_main(argc, argv) };
            ::core::ffi::c_int::from($main(argv))
        }
    };
}
