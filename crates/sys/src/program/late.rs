//! What is done in a program once its loader is through: system calls that it makes before its first own
//! instruction.
//!
//! A filter may be written for a program alone, without what its loader does; and capabilities that are to
//! be the program's and not its children's do not survive `execve`. So the process that has started the
//! program stops it at the address where it begins (`AT_ENTRY`), has it make the calls there, and leaves it.
//! Nothing of this is loaded into the program, and nothing remains in it. It works from a process that may
//! only make system calls.
//!
//! Source: `ptrace(2)`, `getauxval(3)`, and the kernel's `struct user_regs_struct` of each architecture.

use std::io;
use std::ptr::null_mut;

use libc::{c_int, c_long, c_void};

use super::call::{fail, ok};
use super::op::Filter;

/// A system call that the program makes.
#[derive(Debug)]
pub enum LateCall {
    /// Empties the ambient set of capabilities.
    DropAmbient,
    /// Loads a filter, with `SECCOMP_FILTER_FLAG_*`.
    Filter(Vec<Filter>, u32),
    /// Enters the strict mode of seccomp.
    Strict,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completed {
    /// The program runs, with all calls made.
    Done,
    /// It has ended before, and can be waited for.
    Ended,
}

/// Registers, as `NT_PRSTATUS` has them.
type Registers = [u64; machine::REGISTERS];

#[cfg(target_arch = "x86_64")]
mod machine {
    pub(super) const REGISTERS: usize = 27;
    pub(super) const NUMBER: usize = 10;
    pub(super) const RESULT: usize = 10;
    pub(super) const ARGUMENTS: [usize; 5] = [14, 13, 12, 7, 9];
    pub(super) const INSTRUCTION: usize = 16;
    pub(super) const STACK: usize = 19;
    /// `orig_rax`, which says that nothing is to be restarted.
    pub(super) const RESTARTED: Option<usize> = Some(15);
    /// A trap, and how far behind it the next instruction is when it has been met.
    pub(super) const TRAP: [u8; 1] = [0xcc];
    pub(super) const BEHIND: u64 = 1;
    /// A system call and a trap.
    pub(super) const CALL: [u8; 3] = [0x0f, 0x05, 0xcc];
}

#[cfg(target_arch = "aarch64")]
mod machine {
    pub(super) const REGISTERS: usize = 34;
    pub(super) const NUMBER: usize = 8;
    pub(super) const RESULT: usize = 0;
    pub(super) const ARGUMENTS: [usize; 5] = [0, 1, 2, 3, 4];
    pub(super) const INSTRUCTION: usize = 32;
    pub(super) const STACK: usize = 31;
    pub(super) const RESTARTED: Option<usize> = None;
    pub(super) const TRAP: [u8; 4] = [0x00, 0x00, 0x20, 0xd4];
    pub(super) const BEHIND: u64 = 0;
    pub(super) const CALL: [u8; 8] = [0x01, 0x00, 0x00, 0xd4, 0x00, 0x00, 0x20, 0xd4];
}

/// Below the stack pointer functions may keep data without moving it.
const RED_ZONE: u64 = 128;
/// The most words of arguments, environment and what the kernel tells that are looked through.
const MAX_STACK: u64 = 1 << 20;
const AT_ENTRY: u64 = 9;
const NT_PRSTATUS: usize = 1;
const WORD: u64 = 8;

/// Has the next `execve` stop this process for its parent.
pub(super) fn ask() -> Option<()> {
    // SAFETY: the request takes nothing.
    ok(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) })
}

/// Completes the program of a child that has [`ask`]ed for it.
///
/// # Errors
/// Fails as `ptrace` or one of the calls does; the child is stopped or has ended then.
pub fn complete(pid: i32, calls: &[LateCall]) -> io::Result<Completed> {
    let tracee = Tracee { pid };
    match tracee.complete(calls) {
        Some(completed) => Ok(completed),
        None => Err(io::Error::last_os_error()),
    }
}

struct Tracee {
    pid: i32,
}

/// Why a process is stopped.
enum Stop {
    Signal(c_int),
    Ended,
}

impl Tracee {
    fn complete(&self, calls: &[LateCall]) -> Option<Completed> {
        // Other signals may come before the program is executed.
        loop {
            match self.wait()? {
                Stop::Ended => return Some(Completed::Ended),
                Stop::Signal(libc::SIGTRAP) => break,
                Stop::Signal(other) => self.request(libc::PTRACE_CONT, 0, other as usize)?,
            }
        }
        // It must not go on without the calls if this process is killed.
        self.request(libc::PTRACE_SETOPTIONS, 0, libc::PTRACE_O_EXITKILL as usize)?;
        let entry = self.entry()?;
        let Some(saved) = self.run_to(entry)? else { return Some(Completed::Ended) };
        let text = self.read_word(entry)?;
        self.write(entry, &machine::CALL)?;
        for call in calls {
            self.make(call, &saved, entry)?;
        }
        self.write(entry, &text.to_ne_bytes())?;
        self.set_registers(&saved)?;
        self.request(libc::PTRACE_DETACH, 0, 0)?;
        Some(Completed::Done)
    }

    /// The address where the program begins, from what the kernel has put on its stack.
    fn entry(&self) -> Option<u64> {
        let mut at = *self.registers()?.get(machine::STACK)?;
        let end = at.checked_add(MAX_STACK * WORD)?;
        // The number of arguments, these, the environment, and a null behind each.
        at += WORD;
        for _ in 0..2 {
            while self.read_word(at)? != 0 {
                at = next(at, end)?;
            }
            at = next(at, end)?;
        }
        loop {
            match self.read_word(at)? {
                0 => return fail(libc::ENOEXEC),
                AT_ENTRY => return self.read_word(at + WORD),
                _ => at = next(next(at, end)?, end)?,
            }
        }
    }

    /// Lets it run to an address; its registers there, or none if it has ended before.
    fn run_to(&self, address: u64) -> Option<Option<Registers>> {
        let text = self.read_word(address)?;
        self.write(address, &machine::TRAP)?;
        let mut signal = 0;
        loop {
            self.request(libc::PTRACE_CONT, 0, signal as usize)?;
            signal = match self.wait()? {
                Stop::Ended => return Some(None),
                Stop::Signal(signal) => signal,
            };
            let mut registers = self.registers()?;
            let place = registers.get_mut(machine::INSTRUCTION)?;
            if signal == libc::SIGTRAP && *place == address.wrapping_add(machine::BEHIND) {
                *place = address;
                self.write(address, &text.to_ne_bytes())?;
                return Some(Some(registers));
            }
        }
    }

    /// Has it make a call, which it returns from at a trap.
    fn make(&self, call: &LateCall, saved: &Registers, entry: u64) -> Option<()> {
        let stack = saved.get(machine::STACK)?.checked_sub(RED_ZONE)? & !15;
        let (number, arguments) = match call {
            LateCall::DropAmbient => {
                let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL as u64;
                (libc::SYS_prctl, [libc::PR_CAP_AMBIENT as u64, clear, 0, 0, 0])
            }
            LateCall::Strict => {
                let strict = libc::SECCOMP_MODE_STRICT.into();
                (libc::SYS_prctl, [libc::PR_SET_SECCOMP as u64, strict, 0, 0, 0])
            }
            LateCall::Filter(filter, flags) => {
                let program = self.put(filter, stack)?;
                let mode = libc::SECCOMP_SET_MODE_FILTER.into();
                (libc::SYS_seccomp, [mode, u64::from(*flags), program, 0, 0])
            }
        };
        let mut registers = *saved;
        *registers.get_mut(machine::NUMBER)? = number.cast_unsigned();
        for (index, argument) in machine::ARGUMENTS.iter().zip(arguments) {
            *registers.get_mut(*index)? = argument;
        }
        *registers.get_mut(machine::INSTRUCTION)? = entry;
        if let Some(index) = machine::RESTARTED {
            *registers.get_mut(index)? = u64::MAX;
        }
        self.set_registers(&registers)?;
        self.request(libc::PTRACE_CONT, 0, 0)?;
        match self.wait()? {
            Stop::Signal(libc::SIGTRAP) => {}
            _ => return fail(libc::ECHILD),
        }
        let result = self.registers()?.get(machine::RESULT)?.cast_signed();
        match result {
            0 => Some(()),
            error => fail(i32::try_from(-error).unwrap_or(libc::EIO)),
        }
    }

    /// Puts a `struct sock_fprog` with its instructions below an address; where it is.
    fn put(&self, filter: &[Filter], below: u64) -> Option<u64> {
        let length = u64::try_from(filter.len()).ok()?;
        let instructions = below.checked_sub(length.checked_mul(WORD)?)?;
        for (index, insn) in (0..).zip(filter) {
            let [a, b] = insn.code.to_ne_bytes();
            let [c, d, e, f] = insn.k.to_ne_bytes();
            let word = [a, b, insn.jt, insn.jf, c, d, e, f];
            self.write(instructions + WORD * index, &word)?;
        }
        let program = instructions.checked_sub(2 * WORD)?;
        self.write(program, &length.to_ne_bytes())?;
        self.write(program + WORD, &instructions.to_ne_bytes())?;
        Some(program)
    }

    /// Waits until it is stopped, or has ended, which is left to be waited for.
    fn wait(&self) -> Option<Stop> {
        loop {
            // SAFETY: siginfo_t is plain data; waitid fills it and si_status is set for children.
            let (done, code, status) = unsafe {
                let mut info: libc::siginfo_t = std::mem::zeroed();
                let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT;
                let done = libc::waitid(libc::P_PID, self.pid as u32, &raw mut info, flags);
                (done, info.si_code, info.si_status())
            };
            if done < 0 {
                if super::call::errno() == libc::EINTR {
                    continue;
                }
                return None;
            }
            if code != libc::CLD_TRAPPED && code != libc::CLD_STOPPED {
                return Some(Stop::Ended);
            }
            // SAFETY: the status is not asked for.
            unsafe { libc::waitpid(self.pid, null_mut(), libc::WUNTRACED) };
            return Some(Stop::Signal(status & 0x7f));
        }
    }

    fn read_word(&self, address: u64) -> Option<u64> {
        let mut word = 0_u64;
        // SAFETY: the raw call, unlike the function of the library, stores the word at its last argument.
        ok(unsafe {
            libc::syscall(libc::SYS_ptrace, libc::PTRACE_PEEKDATA, self.pid, address, &raw mut word)
        })?;
        Some(word)
    }

    /// Writes up to a word.
    fn write(&self, address: u64, bytes: &[u8]) -> Option<()> {
        let mut word = self.read_word(address)?.to_ne_bytes();
        word.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let word = u64::from_ne_bytes(word) as usize;
        self.request(libc::PTRACE_POKEDATA, address, word)
    }

    fn registers(&self) -> Option<Registers> {
        let mut registers = [0; machine::REGISTERS];
        self.exchange(libc::PTRACE_GETREGSET as _, registers.as_mut_ptr())?;
        Some(registers)
    }

    fn set_registers(&self, registers: &Registers) -> Option<()> {
        let mut registers = *registers;
        self.exchange(libc::PTRACE_SETREGSET as _, registers.as_mut_ptr())
    }

    fn exchange(&self, request: c_long, registers: *mut u64) -> Option<()> {
        let iov_len = size_of::<Registers>();
        let mut area = libc::iovec { iov_base: registers.cast::<c_void>(), iov_len };
        // SAFETY: the kernel reads or writes at most the length of the array that the area is, which
        // outlives the call.
        ok(unsafe {
            libc::syscall(libc::SYS_ptrace, request, self.pid, NT_PRSTATUS, &raw mut area)
        })?;
        // A program for another interface has others.
        if area.iov_len == iov_len { Some(()) } else { fail(libc::ENOEXEC) }
    }

    fn request(&self, request: impl Into<i64>, address: u64, data: usize) -> Option<()> {
        // SAFETY: these requests take integers and addresses of the other process.
        ok(unsafe { libc::syscall(libc::SYS_ptrace, request.into(), self.pid, address, data) })
    }
}

fn next(at: u64, end: u64) -> Option<u64> {
    if at < end { Some(at + WORD) } else { fail(libc::E2BIG) }
}
