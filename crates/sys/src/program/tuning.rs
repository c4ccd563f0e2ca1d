//! How the kernel treats a process: its turn, its memory, its label.

use std::ffi::CStr;
use std::os::fd::RawFd;

use libc::syscall;

use super::call::{fail, ok, write_below};
use super::op::{Op, Scheduler};

/// `IOPRIO_WHO_PGRP` of `linux/ioprio.h`.
const PROCESS_GROUP: usize = 2;

pub(super) fn run(op: &Op) -> Option<()> {
    // SAFETY: every pointer is to prepared memory of the size that is passed, which outlives the call.
    unsafe {
        match op {
            Op::Scheduler(scheduler) => {
                let attributes: *const Scheduler = scheduler;
                ok(syscall(libc::SYS_sched_setattr, 0, attributes, 0))
            }
            Op::IoPriority(value) => {
                ok(syscall(libc::SYS_ioprio_set, PROCESS_GROUP, 0, usize::from(*value)))
            }
            Op::Personality(domain) => ok(syscall(libc::SYS_personality, u64::from(*domain))),
            Op::Affinity(processors) => ok(syscall(
                libc::SYS_sched_setaffinity,
                0,
                size_of_val(processors.as_slice()),
                processors.as_ptr(),
            )),
            Op::MemoryPolicy(mode, nodes) => {
                // The kernel counts one more than there are.
                let count = if nodes.is_empty() { 0 } else { nodes.len() * 64 + 1 };
                let nodes = if count == 0 { std::ptr::null() } else { nodes.as_ptr() };
                ok(syscall(libc::SYS_set_mempolicy, *mode, nodes, count))
            }
            _ => fail(libc::ENOSYS),
        }
    }
}

/// Writes a file of this thread's below a procfs, whichever process namespace that is of. On the way are
/// neither links nor other mounts.
pub(super) fn write_own(procfs: RawFd, name: &CStr, data: &[u8]) -> Option<()> {
    let mut path = [0u8; 128];
    let (link, into) = (c"thread-self".as_ptr(), path.as_mut_ptr());
    // SAFETY: the buffer has more than the size that is passed; the name is a constant.
    let length = unsafe { libc::readlinkat(procfs, link, into.cast(), 64) };
    let Ok(length @ 1..64) = usize::try_from(length) else { return None };
    let name = name.to_bytes_with_nul();
    let separator = path.get_mut(length..)?;
    let Some(place) = separator.get_mut(..=name.len()) else { return fail(libc::ENAMETOOLONG) };
    let [slash, rest @ ..] = place else { return None };
    *slash = b'/';
    rest.copy_from_slice(name);
    write_below(procfs, CStr::from_bytes_until_nul(&path).unwrap_or(c""), data)
}
