//! `linux.resources` of `config-linux.md`, "Control groups".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::null;

/// Limits of the control group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Devices that can be opened, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub devices: Vec<DeviceRule>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<Pids>,
    /// Block devices.
    #[serde(rename = "blockIO", skip_serializing_if = "Option::is_none")]
    pub block_io: Option<BlockIo>,
    /// Huge pages.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub hugepage_limits: Vec<HugePages>,
    /// What marks packets, in version 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Remote memory, by device.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null::as_default")]
    pub rdma: BTreeMap<String, Rdma>,
    /// Files of version 2, and what is written to them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null::as_default")]
    pub unified: BTreeMap<String, String>,
}

/// A rule about devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceRule {
    /// Whether it allows or forbids.
    pub allow: bool,
    /// `a`, `c` or `b`; all if not said.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Major number; any if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major: Option<i64>,
    /// Minor number; any if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor: Option<i64>,
    /// Some of `r`, `w` and `m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
}

/// Limits of memory in bytes; -1 is none. Those of the kernel's own memory are ignored, as the kernel
/// does since Linux 6.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// The most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// The least that is not reclaimed under pressure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<i64>,
    /// The most of memory and swap together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<i64>,
    /// How readily it is swapped, 0 to 100; version 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swappiness: Option<u64>,
    /// Whether processes wait at the limit in place of being killed; version 1.
    #[serde(rename = "disableOOMKiller", skip_serializing_if = "Option::is_none")]
    pub disable_oom_killer: Option<bool>,
    /// Whether a limit below what is in use is refused when it is changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_before_update: Option<bool>,
}

/// Limits of processor time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cpu {
    /// Weight as in version 1, 2 to 262144.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u64>,
    /// Microseconds in a period; -1 is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<i64>,
    /// Microseconds that may be saved up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// The period in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// Real-time microseconds in a real-time period; version 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime_runtime: Option<i64>,
    /// That period; version 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime_period: Option<u64>,
    /// Processors, as `0-3,7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// Memory nodes, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mems: Option<String>,
    /// Whether it runs when nothing else does: 1 or 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<i64>,
}

/// The limit of processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pids {
    /// The most; -1 is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

/// Shares and limits of block devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockIo {
    /// Weight, 10 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
    /// Weight against the groups below; version 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf_weight: Option<u64>,
    /// Weights by device.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub weight_device: Vec<Weight>,
    /// Most bytes read in a second.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub throttle_read_bps_device: Vec<Rate>,
    /// Most bytes written in a second.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub throttle_write_bps_device: Vec<Rate>,
    /// Most reads in a second.
    #[serde(
        rename = "throttleReadIOPSDevice",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null::as_default"
    )]
    pub throttle_read_iops_device: Vec<Rate>,
    /// Most writes in a second.
    #[serde(
        rename = "throttleWriteIOPSDevice",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null::as_default"
    )]
    pub throttle_write_iops_device: Vec<Rate>,
}

/// Weights of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Weight {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Weight, 10 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
    /// Weight against the groups below; version 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf_weight: Option<u64>,
}

/// A limit of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rate {
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// How many in a second.
    pub rate: u64,
}

/// A limit of huge pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HugePages {
    /// Their size, as `2MB`.
    pub page_size: String,
    /// The most, in bytes.
    pub limit: u64,
}

/// What marks the packets of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Network {
    /// The class of all.
    #[serde(rename = "classID", skip_serializing_if = "Option::is_none")]
    pub class_id: Option<u32>,
    /// Priorities by interface.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub priorities: Vec<Priority>,
}

/// A priority on an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Priority {
    /// The interface.
    pub name: String,
    /// The priority.
    pub priority: u32,
}

/// Limits of a device for remote memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rdma {
    /// The most handles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hca_handles: Option<u32>,
    /// The most objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hca_objects: Option<u32>,
}

impl Resources {
    /// Whether anything is asked for besides devices.
    #[must_use]
    pub fn limit_anything(&self) -> bool {
        let says = |value: Option<bool>| value == Some(true);
        says(self.memory.map(|memory| memory != Memory::default()))
            || says(self.cpu.as_ref().map(|cpu| *cpu != Cpu::default()))
            || says(self.pids.map(|pids| pids != Pids::default()))
            || says(self.block_io.as_ref().map(|io| *io != BlockIo::default()))
            || says(self.network.as_ref().map(|network| *network != Network::default()))
            || !(self.hugepage_limits.is_empty() && self.rdma.is_empty() && self.unified.is_empty())
    }

    /// Takes what others say; what they leave out stays, and so do the rules about devices. Where the
    /// kernel takes no zero, zero says nothing.
    pub fn change(&mut self, new: &Self) {
        if let Some(new) = new.memory {
            self.memory.get_or_insert_default().change(new);
        }
        if let Some(new) = &new.cpu {
            self.cpu.get_or_insert_default().change(new);
        }
        take(&mut self.pids, new.pids.filter(|pids| pids.limit.is_some()));
        if let Some(new) = &new.block_io {
            self.block_io.get_or_insert_default().change(new);
        }
        take(&mut self.network, new.network.clone());
        take_list(&mut self.hugepage_limits, &new.hugepage_limits);
        self.rdma.extend(new.rdma.iter().map(|(name, limits)| (name.clone(), *limits)));
        self.unified.extend(new.unified.iter().map(|(file, text)| (file.clone(), text.clone())));
    }
}

impl Memory {
    fn change(&mut self, new: Self) {
        take(&mut self.limit, new.limit.filter(|limit| *limit != 0));
        take(&mut self.reservation, new.reservation.filter(|limit| *limit != 0));
        match (new.limit.filter(|limit| *limit != 0), new.swap.filter(|limit| *limit != 0)) {
            (_, Some(swap)) => self.swap = Some(swap),
            // Who lifts the limit of memory lifts that of both; another one leaves it alone.
            (Some(limit), None) => self.swap = (limit == -1).then_some(-1),
            (None, None) => {}
        }
        take(&mut self.swappiness, new.swappiness);
        take(&mut self.disable_oom_killer, new.disable_oom_killer);
        take(&mut self.check_before_update, new.check_before_update);
    }
}

impl Cpu {
    fn change(&mut self, new: &Self) {
        take(&mut self.shares, new.shares.filter(|shares| *shares != 0));
        take(&mut self.quota, new.quota.filter(|quota| *quota != 0));
        take(&mut self.burst, new.burst);
        take(&mut self.period, new.period.filter(|period| *period != 0));
        take(&mut self.realtime_runtime, new.realtime_runtime.filter(|runtime| *runtime != 0));
        take(&mut self.realtime_period, new.realtime_period.filter(|period| *period != 0));
        take(&mut self.cpus, new.cpus.clone().filter(|list| !list.is_empty()));
        take(&mut self.mems, new.mems.clone().filter(|list| !list.is_empty()));
        take(&mut self.idle, new.idle);
    }
}

impl BlockIo {
    fn change(&mut self, new: &Self) {
        take(&mut self.weight, new.weight.filter(|weight| *weight != 0));
        take(&mut self.leaf_weight, new.leaf_weight.filter(|weight| *weight != 0));
        take_list(&mut self.weight_device, &new.weight_device);
        take_list(&mut self.throttle_read_bps_device, &new.throttle_read_bps_device);
        take_list(&mut self.throttle_write_bps_device, &new.throttle_write_bps_device);
        take_list(&mut self.throttle_read_iops_device, &new.throttle_read_iops_device);
        take_list(&mut self.throttle_write_iops_device, &new.throttle_write_iops_device);
    }
}

fn take<T>(mine: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *mine = new;
    }
}

fn take_list<T: Clone>(mine: &mut Vec<T>, new: &[T]) {
    if !new.is_empty() {
        mine.clone_from(&new.to_vec());
    }
}
