//! Plan-then-apply primitives for confined processes.
#![forbid(unsafe_code)]

pub mod cgroup;
mod device;
mod error;
mod held;
mod hook;
mod join;
pub mod landlock;
mod lower;
mod mapped;
pub mod mount;
mod namespaces;
mod netdevice;
mod netlink;
mod parent;
mod plan;
mod process;
pub mod resctrl;
mod root;
mod seccomp;
mod signal;
pub mod systemd;
mod tuning;
pub mod userns;

pub use creel_sys::inherited::duplicate as inherited;
#[cfg(debug_assertions)]
pub use creel_sys::program::fail_at;
pub use creel_sys::program::{
    Depth, LineEnds, Listen, nobody, open_process, send_signal as signal,
};
pub use device::{Device, DeviceKind};
pub use error::SpawnError;
pub use held::Rest;
pub use hook::{Hook, HookEnd, HookError, Hooks};
pub use join::Join;
pub use lower::{Child, Wait};
pub use mount::{Mount, Propagation, Source};
pub use namespaces::{Clock, ClockOffset, JoinError, Joined};
pub use netdevice::{NetDeviceError, move_device};
pub use plan::{Capabilities, IdMap, Limit, MapWriter, Namespace, Plan, Process, Seccomp, Stdio};
pub use root::{Change as RootChange, Overlay, Root, Upper};
pub use seccomp::knows_filter_flag;
pub use signal::signal_as;
pub use tuning::{Bits, Label, MemoryPolicy, Scheduler, Tuning};
