//! A profile of the size and shape of Docker's and Podman's defaults.

use std::collections::BTreeSet;

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::call::Call;
use serde_json::{Value, json};

/// What such profiles leave out: system administration, and what is old or reaches far.
const LEFT_OUT: &str = "acct add_key bpf clock_adjtime clock_settime create_module delete_module \
    fanotify_init finit_module fsconfig fsmount fsopen fspick init_module io_uring_enter \
    io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl \
    lookup_dcookie mbind migrate_pages mount mount_setattr move_mount move_pages \
    name_to_handle_at nfsservctl open_by_handle_at open_tree perf_event_open pivot_root \
    quotactl quotactl_fd reboot request_key set_mempolicy set_mempolicy_home_node setdomainname \
    sethostname setns settimeofday swapoff swapon syslog umount umount2 unshare userfaultfd \
    vhangup vm86 vm86old listmount statmount";
/// What they allow for some arguments.
const DEPENDING: [&str; 4] = ["clone", "clone3", "personality", "socket"];

/// What such a profile allows whatever the arguments are: some 350 calls, those of 32-bit machines
/// included.
pub(crate) fn allowed() -> BTreeSet<&'static str> {
    let wanted = |name: &&str| {
        let mut left_out = LEFT_OUT.split_whitespace();
        !DEPENDING.contains(name) && !left_out.any(|other| other == *name)
    };
    let served =
        |call: &Call| [Arch::X86_64, Arch::I386].iter().any(|arch| call.number(*arch).is_some());
    Call::all().filter(served).map(Call::name).filter(wanted).collect()
}

/// The profile; `split` makes a rule of each call, as some engines write it.
pub(crate) fn dockers(split: bool) -> Value {
    let names = allowed();
    let allow = |names: Value| json!({"names": names, "action": "SCMP_ACT_ALLOW"});
    let mut rules = match split {
        true => names.iter().map(|name| allow(json!([name]))).collect(),
        false => vec![allow(json!(names))],
    };
    let personalities = [0_u64, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];
    rules.extend(personalities.map(|value| depending("personality", "SCMP_CMP_EQ", [value, 0])));
    rules.push(depending("socket", "SCMP_CMP_NE", [40, 0]));
    rules.push(depending("clone", "SCMP_CMP_MASKED_EQ", [0x7e02_0000, 0]));
    rules.push(json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}));
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    })
}

fn depending(name: &str, op: &str, [value, second]: [u64; 2]) -> Value {
    let argument = json!({"index": 0, "value": value, "valueTwo": second, "op": op});
    json!({"names": [name], "action": "SCMP_ACT_ALLOW", "args": [argument]})
}
