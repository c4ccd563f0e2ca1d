//! `creel oci update`

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use creel_base::path::{Action, PathError};
use creel_base::size::ByteSize;
use creel_runtime::lifecycle::{LifecycleError, Runtime};
use creel_runtime::spec::{BlockIo, Cpu, Memory, Pids, Resources};

use super::Id;
use crate::failure::Failure;

/// Change the limits of a container
///
/// What is not named stays as it is. With `--resources` the other options do not count.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File with limits as in `linux.resources`, `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    resources: Option<PathBuf>,
    /// Weight of block devices, 10 to 1000
    #[arg(long, value_name = "N")]
    blkio_weight: Option<u64>,
    /// Period of processor time in microseconds
    #[arg(long, value_name = "US")]
    cpu_period: Option<u64>,
    /// Processor time in a period in microseconds; -1 for no limit
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// Processor time that may be saved up, in microseconds
    #[arg(long, value_name = "US")]
    cpu_burst: Option<u64>,
    /// Weight of processor time, 2 to 262144
    #[arg(long, value_name = "N")]
    cpu_share: Option<u64>,
    /// Period of real-time scheduling in microseconds
    #[arg(long, value_name = "US")]
    cpu_rt_period: Option<u64>,
    /// Real-time processor time in such a period in microseconds
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    cpu_rt_runtime: Option<i64>,
    /// Processors, such as `0-3,7`
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes, such as `0-1`
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Whether to run only when nothing else does: 1 or 0
    #[arg(long, value_name = "0|1")]
    cpu_idle: Option<i64>,
    /// Taken for callers of other runtimes; the kernel has no such limit any more
    #[arg(long, hide = true)]
    kernel_memory: Option<String>,
    /// Taken for callers of other runtimes; the kernel has no such limit any more
    #[arg(long, hide = true)]
    kernel_memory_tcp: Option<String>,
    /// Memory, such as `512m`; -1 for no limit
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true)]
    memory: Option<i64>,
    /// Memory that is not reclaimed under pressure
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true)]
    memory_reservation: Option<i64>,
    /// Memory and swap together; -1 for no limit
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true)]
    memory_swap: Option<i64>,
    /// Number of processes; -1 for no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// Line about the cache of the third level, such as `L3:0=ff`
    #[arg(long, value_name = "LINE")]
    l3_cache_schema: Option<String>,
    /// Line about memory bandwidth, such as `MB:0=50`
    #[arg(long, value_name = "LINE")]
    mem_bw_schema: Option<String>,
    #[command(flatten)]
    id: Id,
}

fn size(text: &str) -> Result<i64, String> {
    if text == "-1" {
        return Ok(-1);
    }
    let bytes = text.parse::<ByteSize>().map_err(|error| error.to_string())?.bytes();
    i64::try_from(bytes).map_err(|_| format!("size `{text}` is too large"))
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let changes = match &args.resources {
        Some(path) => read(path)?,
        None => args.named(),
    };
    let id = args.id.parse()?;
    runtime.update(&id, &changes)?;
    let classes = [args.l3_cache_schema.clone(), args.mem_bw_schema.clone()];
    if classes.iter().any(Option::is_some) {
        runtime.update_class(&id, classes)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn named(&self) -> Resources {
        let memory = Memory {
            limit: self.memory,
            reservation: self.memory_reservation,
            swap: self.memory_swap,
            ..Memory::default()
        };
        let cpu = Cpu {
            shares: self.cpu_share,
            quota: self.cpu_quota,
            burst: self.cpu_burst,
            period: self.cpu_period,
            realtime_runtime: self.cpu_rt_runtime,
            realtime_period: self.cpu_rt_period,
            cpus: self.cpuset_cpus.clone(),
            mems: self.cpuset_mems.clone(),
            idle: self.cpu_idle,
        };
        let block_io = BlockIo { weight: self.blkio_weight, ..BlockIo::default() };
        Resources {
            memory: Some(memory),
            cpu: Some(cpu),
            pids: Some(Pids { limit: self.pids_limit }),
            block_io: Some(block_io),
            ..Resources::default()
        }
    }
}

/// The most that limits take, in bytes.
const MAX: u64 = 1 << 20;

fn read(path: &Path) -> Result<Resources, Failure> {
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(MAX).read_to_end(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX).read_to_end(&mut text))
    };
    read.map_err(|error| PathError::new(Action::Read, path, error))?;
    let parsed = serde_json::from_slice(&text);
    Ok(parsed.map_err(|source| LifecycleError::document(path, &text, source))?)
}
