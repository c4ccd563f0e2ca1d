//! The lowering of a specification to a plan: all checks, and no kernel call but to open
//! namespaces that are joined and to read links that are copied.

mod cgroup;
mod devices;
mod error;
mod hooks;
mod idmap;
mod labels;
mod landlock;
mod linux;
mod mounts;
mod namespaces;
mod net_devices;
mod options;
mod process;
mod resctrl;
mod sysctl;
mod tuning;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use creel_spawn::cgroup::Cgroup;
use creel_spawn::{MapWriter, Mount, Plan, Root, RootChange, Stdio};

use crate::seccomp::Filter;
use crate::spec::{Linux, NamespaceKind, Spec};
pub use error::LowerError;
pub(crate) use error::value;
pub(crate) use hooks::lower as lower_hooks;
pub use landlock::lower_landlock;
pub use mounts::relative_destinations;
pub(crate) use namespaces::kinds;
pub(crate) use net_devices::{NetDevice, lower as net_devices};
pub(crate) use options::names as mount_options;
pub use process::{lower_process, unknown_capabilities, unraisable_capabilities};
pub(crate) use resctrl::lower as resctrl;
pub(crate) use tuning::{add_shared, known as memory_policies};

/// What a plan needs that is not in the specification.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The root in place of `root.path`; `root.readonly` counts in any case.
    pub root: Option<Root>,
    /// How it becomes the root.
    pub root_change: RootChange,
    /// The standard descriptors, unless `process.terminal` asks for a terminal.
    pub stdio: Stdio,
    /// The control group that the container starts in; made and limited by the caller, see
    /// [`creel_spawn::cgroup`].
    pub cgroup: Option<Arc<Cgroup>>,
    /// The system call filter.
    pub seccomp: Filter,
    /// Who writes the id maps of a new user namespace.
    pub map_writer: MapWriter,
    /// Whether this process is in a user namespace that is not the machine's: devices are bound
    /// then, and `/sys` where a new one is forbidden.
    pub in_user_namespace: bool,
    /// Whether that user namespace denies `setgroups`, as one with a single id does.
    pub setgroups_denied: bool,
    /// Detached mounts that follow those of the specification, each with its path inside: what
    /// must not be looked up by a path of the host again, such as the program of `--init`
    /// ([`creel_spawn::mount::detached`]).
    pub mounts: Vec<(String, Arc<OwnedFd>)>,
    /// Whether it keeps the caller's session keyring.
    pub shares_keyring: bool,
    /// Descriptors that it gets after the standard ones.
    pub preserved: Vec<Arc<OwnedFd>>,
    /// The listening socket that the process waits on before it executes its program.
    pub hold: Option<Arc<OwnedFd>>,
}

/// Lowers a specification.
///
/// # Errors
/// Names the first property that is missing or wrong.
pub fn lower(spec: &Spec, options: &Options) -> Result<Plan, LowerError> {
    let empty = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&empty);
    let process = spec.process.as_ref().ok_or_else(|| missing("process"))?;
    let namespaces = namespaces::lower(linux)?;
    let names =
        [("hostname", spec.hostname.as_deref()), ("domainname", spec.domainname.as_deref())];
    for (field, name) in names.into_iter().filter_map(|(field, name)| Some((field, name?))) {
        linux::needs(linux, NamespaceKind::Uts, field)?;
        linux::host_name(field, name)?;
    }
    let (uids, gids) = linux::id_maps(linux)?;
    let devices = devices::lower(spec, linux)?;
    net_devices(linux, &namespaces.joined)?;
    resctrl(linux)?;
    let mut plan = Plan {
        root: root(spec, options)?,
        root_change: options.root_change,
        read_only_root: spec.root.as_ref().is_some_and(|root| root.readonly),
        propagation: linux::propagation(linux)?,
        sysctls: sysctl::lower(spec, linux, &namespaces.joined)?,
        clocks: namespaces::clocks(linux)?,
        namespaces: namespaces.new,
        joined: namespaces.joined,
        uids,
        gids,
        map_writer: options.map_writer.clone(),
        mounts: mounts::lower(spec, linux, options)?,
        devices: devices.nodes,
        bind_devices: options.in_user_namespace,
        links: devices.links,
        masked: linux::paths("linux.maskedPaths", &linux.masked_paths)?,
        read_only: linux::paths("linux.readonlyPaths", &linux.readonly_paths)?,
        hostname: spec.hostname.clone(),
        domainname: spec.domainname.clone(),
        waits_made: false,
        hooks: None,
        cgroup: options.cgroup.clone(),
        resctrl: Vec::new(),
        process: lower_process(process, linux.seccomp.as_ref(), &options.seccomp)?,
    };
    if !process.terminal {
        plan.process.stdio = options.stdio.clone();
    }
    tuning::add_shared(&mut plan.process.tuning, linux)?;
    tuning::for_first(&mut plan.process.tuning);
    labels::label_mounts(linux, &mut plan.mounts)?;
    plan.process.shares_keyring = options.shares_keyring;
    plan.process.preserved = options.preserved.clone();
    plan.process.setgroups_denied = options.setgroups_denied;
    plan.process.hold = options.hold.clone();
    plan.process.landlock = lower_landlock(&spec.annotations)?;
    let given = options.mounts.iter().map(|(target, mount)| {
        Mount::new(creel_spawn::Source::Mount(Arc::clone(mount)), target.as_str(), 0)
    });
    plan.mounts.extend(given);
    Ok(plan)
}

fn root(spec: &Spec, options: &Options) -> Result<Root, LowerError> {
    match (&options.root, &spec.root) {
        (Some(root), _) => Ok(root.clone()),
        // Its device nodes work: which ones do is for the control group to say.
        (None, Some(root)) if !root.path.as_os_str().is_empty() => {
            Ok(Root::Directory { path: root.path.clone(), attributes: 0 })
        }
        _ => Err(missing("root.path")),
    }
}

fn missing(field: &str) -> LowerError {
    LowerError::Missing { field: field.into() }
}
