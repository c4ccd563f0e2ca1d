//! The options that make a container, shared by the commands that do.

use clap::ArgAction;
use creel_base::platform::Platform;
use creel_base::size::ByteSize;
use creel_manager::containers::options::{self, Limits, Network, Ulimit, Users};
use creel_manager::containers::{Capabilities, Options, Overrides, Volume};

use crate::failure::Failure;
use crate::process_options::ProcessArgs;

/// What a container is like.
#[derive(Debug, clap::Args)]
pub(crate) struct ContainerArgs {
    /// Name the container [default: a name is made up]
    #[arg(long)]
    name: Option<String>,
    /// Remove the container, with all it changed, when its command has ended
    #[arg(long)]
    rm: bool,
    #[command(flatten)]
    process: ProcessArgs,
    /// Set the host name [default: the container's short id]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Run this instead of the image's entry point; empty for none
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Signal that asks the command to end [default: the image's, else SIGTERM]
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// Put a PID 1 before the command that reaps orphans and forwards signals
    #[arg(long)]
    init: bool,

    /// Mount a file or directory of the host
    #[arg(short, long, value_name = "SOURCE:TARGET[:OPTIONS]", help_heading = "Files")]
    volume: Vec<String>,
    /// Mount something: `type=bind,source=…,target=…[,ro]` or `type=tmpfs,target=…[,tmpfs-size=…]`
    #[arg(long, value_name = "KEY=VALUE,…", help_heading = "Files")]
    mount: Vec<String>,
    /// Mount memory
    #[arg(long, value_name = "TARGET[:OPTIONS]", help_heading = "Files")]
    tmpfs: Vec<String>,
    /// Make the root directory read-only
    #[arg(long, help_heading = "Files")]
    read_only: bool,

    /// Network: `none`, or `host` for the host's own
    #[arg(long, value_name = "NETWORK", default_value = "none", help_heading = "Isolation")]
    network: String,
    /// Add a capability, or `ALL`
    #[arg(long, value_name = "CAPABILITY", help_heading = "Isolation")]
    cap_add: Vec<String>,
    /// Drop a capability, or `ALL`
    #[arg(long, value_name = "CAPABILITY", help_heading = "Isolation")]
    cap_drop: Vec<String>,
    /// `seccomp=FILE`, `seccomp=unconfined` or `no-new-privileges`
    #[arg(long, value_name = "OPTION", help_heading = "Isolation")]
    security_opt: Vec<String>,
    /// User namespace: `host`, in which root is who runs creel; `auto[:size=N]`, with ids that no
    /// other container has; or `keep-id[:uid=N,gid=N]`, in which the caller has the ids that it has
    /// here, or these; for root that is `host`
    #[arg(long, value_name = "KIND", default_value = "host", help_heading = "Isolation")]
    userns: String,
    /// Lift every restriction but the namespaces
    #[arg(long, help_heading = "Isolation")]
    privileged: bool,

    /// Limit memory, such as `512m`
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    memory: Option<ByteSize>,
    /// Limit processor time, such as `1.5` processors
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    cpus: Option<String>,
    /// Limit the number of processes and threads; -1 for no limit
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, help_heading = "Limits")]
    pids_limit: Option<i64>,
    /// Limit a resource of the process, such as `nofile=1024:4096`
    #[arg(long, value_name = "NAME=SOFT[:HARD]", action = ArgAction::Append, help_heading = "Limits")]
    ulimit: Vec<Ulimit>,
}

/// Which image a container is made of, and when it is pulled.
#[derive(Debug, clap::Args)]
pub(crate) struct ImageArgs {
    /// When to pull the image
    #[arg(long, value_enum, value_name = "WHEN", default_value = "missing")]
    pull: Pull,
    /// Platform of the image [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Pull {
    /// Every time
    Always,
    /// If the store lacks it
    Missing,
    /// Not at all
    Never,
}

impl ImageArgs {
    /// Returns what the options say.
    pub(crate) fn choice(&self) -> options::Choice {
        let pull = match self.pull {
            Pull::Always => options::PullPolicy::Always,
            Pull::Missing => options::PullPolicy::Missing,
            Pull::Never => options::PullPolicy::Never,
        };
        options::Choice { pull, platform: self.platform.clone() }
    }
}

impl ContainerArgs {
    /// Returns what the options and the command say.
    pub(crate) fn options(&self, command: &[String]) -> Result<Options, Failure> {
        let mut options = Options {
            name: self.name.clone(),
            process: self.overrides(command)?,
            hostname: self.hostname.as_deref().map(options::host_name).transpose()?,
            volumes: self.volumes()?,
            terminal: self.process.terminal(),
            interactive: self.process.interactive,
            read_only: self.read_only,
            init: self.init,
            privileged: self.privileged,
            capabilities: Capabilities { add: self.cap_add.clone(), drop: self.cap_drop.clone() },
            ulimits: self.ulimit.clone(),
            limits: self.limits()?,
            users: self.userns.parse::<Users>()?,
            network: self.network.parse::<Network>()?,
            remove: self.rm,
            ..Options::default()
        };
        self.security_opt.iter().try_for_each(|text| options.set_security(text))?;
        Ok(options)
    }

    fn overrides(&self, command: &[String]) -> Result<Overrides, Failure> {
        let entrypoint = self
            .entrypoint
            .as_ref()
            .map(|program| if program.is_empty() { Vec::new() } else { vec![program.clone()] });
        Ok(Overrides {
            entrypoint,
            command: command.to_vec(),
            env: self.process.environment()?,
            cwd: self.process.directory()?,
            user: self.process.user.clone(),
            stop_signal: self.stop_signal.as_deref().map(str::parse).transpose()?,
        })
    }

    fn volumes(&self) -> Result<Vec<Volume>, Failure> {
        let base = std::env::current_dir().map_err(|error| Failure::working_directory(&error))?;
        let mut volumes = Vec::new();
        for text in &self.volume {
            volumes.push(Volume::parse(text, &base)?);
        }
        for text in &self.mount {
            volumes.push(Volume::parse_mount(text, &base)?);
        }
        for text in &self.tmpfs {
            volumes.push(Volume::parse_tmpfs(text)?);
        }
        Ok(volumes)
    }

    fn limits(&self) -> Result<Limits, Failure> {
        let milli_cpus = self.cpus.as_deref().map(options::milli_cpus).transpose()?;
        let memory = self.memory.map(options::memory).transpose()?;
        Ok(Limits { memory, milli_cpus, pids: self.pids_limit })
    }
}
