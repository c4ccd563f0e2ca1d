//! `linux.seccomp` of `config-linux.md`; Docker's profiles have the same shape, with conditions on
//! capabilities and architectures in addition (moby's `profiles/seccomp/seccomp.go`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::null;

/// A system call filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Seccomp {
    /// What happens to calls that no rule names, such as `SCMP_ACT_ERRNO`.
    pub default_action: String,
    /// The error number of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// How the filter is loaded, such as `SECCOMP_FILTER_FLAG_LOG`; without a list, not even an empty
    /// one, as runtimes do by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<String>>,
    /// The socket of whoever answers for `SCMP_ACT_NOTIFY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<PathBuf>,
    /// What is told there besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    /// Interfaces besides the machine's own, such as `SCMP_ARCH_X86`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub architectures: Vec<String>,
    /// Docker's way to say the same.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub arch_map: Vec<ArchMap>,
    /// Rules; of those about a call, the first without conditions decides, else the first that
    /// matches.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub syscalls: Vec<SyscallRule>,
}

/// Interfaces that a machine serves besides its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ArchMap {
    /// The machine's own.
    pub architecture: String,
    /// The others.
    #[serde(deserialize_with = "null::as_default")]
    pub sub_architectures: Vec<String>,
}

/// A rule of a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyscallRule {
    /// Names of system calls; those that no interface has are ignored.
    #[serde(deserialize_with = "null::as_default")]
    pub names: Vec<String>,
    /// Docker's older way to say a single one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What happens to them.
    pub action: String,
    /// The error number of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// Conditions on arguments; all must hold, or one if some are on the same argument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<Argument>>,
    /// Docker's conditions under which the rule counts.
    #[serde(skip_serializing_if = "Condition::is_empty")]
    pub includes: Condition,
    /// Docker's conditions under which it does not.
    #[serde(skip_serializing_if = "Condition::is_empty")]
    pub excludes: Condition,
}

/// A condition on an argument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Argument {
    /// Which, from 0.
    pub index: u32,
    /// With what it is compared; the mask of `SCMP_CMP_MASKED_EQ`.
    pub value: u64,
    /// The value of `SCMP_CMP_MASKED_EQ`.
    pub value_two: u64,
    /// How, such as `SCMP_CMP_EQ`.
    pub op: String,
}

/// Docker's condition on a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Capabilities that the process has: all of them to include, one to exclude.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub caps: Vec<String>,
    /// Machines in Go's names (`amd64`) or libseccomp's (`x32`): one of them.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub arches: Vec<String>,
    /// The least kernel version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_kernel: Option<String>,
}

impl Condition {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
