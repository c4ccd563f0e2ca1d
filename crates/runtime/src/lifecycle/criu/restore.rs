//! Restoring a checkpoint.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use creel_spawn::cgroup::{Cgroup, Hierarchy};
use jiff::Timestamp;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::mount::{
    MountPropagationFlags, UnmountFlags, mount_bind_recursive, mount_change, unmount,
};

use super::images::{NETWORK, Outside, OutsideDescriptor, joined_network, unusable};
use super::{Criu, CriuError, pair};
use crate::container::{Identity, Running};
use crate::lifecycle::create::Create;
use crate::lifecycle::directory::Directory;
use crate::lifecycle::record::{CgroupRecord, Record, RestRecord, VERSION};
use crate::lifecycle::{ContainerId, LifecycleError, Runtime, group};
use crate::spec::Spec;

/// How a checkpoint is restored.
#[derive(Clone, Debug)]
pub struct Restore {
    /// By what, and where from.
    pub criu: Criu,
}

/// A root directory as a mount of its own, which CRIU asks for.
struct Mounted(PathBuf);

impl Mounted {
    fn new(root: &Path, place: PathBuf) -> Result<Self, CriuError> {
        fs::create_dir(&place).map_err(unusable(&place))?;
        let mounted = mount_bind_recursive(root, &place)
            .and_then(|()| mount_change(&place, MountPropagationFlags::PRIVATE));
        // What was done so far is undone when it is dropped.
        let this = Self(place);
        mounted.map_err(|error| unusable(root)(error.into()))?;
        Ok(this)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
        let _ = fs::remove_dir(&self.0);
    }
}

impl Runtime {
    /// Makes a container of a checkpoint, which runs then. Hooks are not run. Its first process becomes a
    /// child of this one.
    ///
    /// # Errors
    /// [`LifecycleError::Criu`], or what is wrong with the specification; nothing remains then.
    pub fn restore(
        &self,
        id: &ContainerId,
        create: &Create,
        restore: &Restore,
    ) -> Result<Running, LifecycleError> {
        let spec = create.bundle.resolve();
        if spec.process.as_ref().is_some_and(|process| process.terminal) {
            return Err(CriuError::Terminal.into());
        }
        let outside = Outside::read(&restore.criu.images)?;
        let directory = Directory::create(&self.root, id)?;
        let making = Making { directory: &directory, create, spec: &spec, outside: &outside };
        let groups = (&create.groups, create.rootless);
        let made = group::within(&directory, &spec, groups, |group| {
            making.restore(&restore.criu, group.map(|group| &**group))
        });
        if made.is_err() {
            let _ = directory.remove();
        }
        made
    }
}

struct Making<'a> {
    directory: &'a Directory<'a>,
    create: &'a Create,
    spec: &'a Spec,
    outside: &'a Outside,
}

impl Making<'_> {
    fn restore(&self, criu: &Criu, group: Option<&Cgroup>) -> Result<Running, LifecycleError> {
        let work = fs::canonicalize(criu.work()).map_err(unusable(criu.work()))?;
        let root = self.spec.root.as_ref().map(|root| root.path.clone()).unwrap_or_default();
        let name = self.directory.id.as_str();
        let mounted = Mounted::new(&root, work.join(format!("root-{name}")))?;
        let pid_file = work.join(format!("pid-{name}"));
        let _ = fs::remove_file(&pid_file);
        let mut arguments: Vec<OsString> = vec!["--root".into(), mounted.0.clone().into()];
        arguments
            .extend(["--restore-detached", "--restore-sibling", "--pidfile"].map(OsString::from));
        arguments.push(pid_file.clone().into());
        self.add_mounts(&mut arguments, group);
        let opened = self.add_descriptors(&mut arguments)?;
        add_groups(&mut arguments, group);
        let network =
            joined_network(self.spec).map(|path| File::open(path).map_err(unusable(path)));
        let network = network.transpose()?;
        if let Some(network) = &network {
            let number = hand_down(network)?;
            arguments.extend(["--inherit-fd".into(), pair(format!("fd[{number}]"), NETWORK)]);
        }
        criu.run("restore", &arguments)?;
        drop((mounted, network, opened));
        let text = fs::read_to_string(&pid_file).map_err(unusable(&pid_file))?;
        let _ = fs::remove_file(&pid_file);
        let pid: i32 = text.trim().parse().unwrap_or(0);
        self.announce(pid, group)
    }

    fn add_mounts(&self, arguments: &mut Vec<OsString>, group: Option<&Cgroup>) {
        for mount in &self.outside.mounts {
            let key = format!("mnt[{}]", mount.place);
            if let (Some(name), Some(group)) = (&mount.hierarchy, group)
                && let Hierarchy::V1(base) = group.hierarchy()
            {
                let source = base.join(name).join(group.name()).to_string_lossy().into_owned();
                arguments.extend(["--external".into(), pair(key, &source)]);
                continue;
            }
            let same =
                |one: &&crate::spec::Mount| Some(&one.destination) == mount.destination.as_ref();
            let found = self.spec.mounts.iter().find(same).and_then(|one| one.source.as_ref());
            let source = found.unwrap_or(&mount.source).to_string_lossy().into_owned();
            arguments.extend(["--external".into(), pair(key, &source)]);
        }
    }

    /// Gives the standard descriptors of this process, or opens again what is of another kind there. What
    /// is opened must be kept until CRIU has ended.
    fn add_descriptors(&self, arguments: &mut Vec<OsString>) -> Result<Vec<File>, CriuError> {
        let (mut opened, mut seen) = (Vec::new(), Vec::new());
        let all = self.outside.descriptors.iter().zip(0..3);
        // One that is there several times is given once, as the last is: for writing.
        for (OutsideDescriptor { key, path }, number) in all.rev() {
            if key.is_empty() || seen.contains(&key) {
                continue;
            }
            seen.push(key);
            let number = match path.as_deref().filter(|path| !is_like(number, path)) {
                None => number,
                Some(path) => {
                    let file = File::options().read(true).write(true).open(path);
                    let file = file.or_else(|_| File::open(path)).map_err(unusable(path))?;
                    let number = hand_down(&file)?;
                    opened.push(file);
                    number
                }
            };
            arguments.extend(["--inherit-fd".into(), pair(format!("fd[{number}]"), key)]);
        }
        Ok(opened)
    }

    fn announce(&self, pid: i32, group: Option<&Cgroup>) -> Result<Running, LifecycleError> {
        let identity = Identity::of(pid)?;
        let child = creel_spawn::Child {
            pid,
            pidfd: creel_spawn::open_process(pid)
                .map_err(|source| crate::container::ContainerError::Open { pid, source })?,
            sent: None,
        };
        let running = Running::of(child);
        let written = self.directory.write(&Record {
            version: VERSION,
            bundle: self.create.bundle.path.clone(),
            created: Timestamp::now(),
            owner: rustix::process::geteuid().as_raw(),
            process: identity.into(),
            cgroup: group.map(CgroupRecord::of),
            resctrl: None,
            rest: RestRecord::default(),
            spec: self.create.bundle.text.clone(),
        });
        if written.is_err() {
            let _ = running.signal(9);
            let _ = running.wait();
        }
        written.map(|()| running)
    }
}

/// Leaves a file open for the program that is executed next, and returns its number.
fn hand_down(file: &File) -> Result<i32, CriuError> {
    let kept = fcntl_setfd(file, FdFlags::empty());
    kept.map_err(|error| unusable(Path::new("/proc/self/fd"))(error.into()))?;
    Ok(file.as_raw_fd())
}

/// Whether a descriptor of this process is of the kind that a file is, which CRIU asks for.
fn is_like(number: i32, path: &Path) -> bool {
    let own = fs::metadata(format!("/proc/self/fd/{number}"));
    let (Ok(own), Ok(other)) = (own, fs::metadata(path)) else { return false };
    own.file_type() == other.file_type() && own.mode() == other.mode() && own.rdev() == other.rdev()
}

/// Where the groups of the processes are, whatever they were called before.
fn add_groups(arguments: &mut Vec<OsString>, group: Option<&Cgroup>) {
    let Some(group) = group else { return };
    let mut add = |word: String| arguments.extend(["--cgroup-root".into(), word.into()]);
    match group.hierarchy() {
        Hierarchy::V1(_) => {
            for controller in group.controllers() {
                add(format!("{controller}:/{}", group.name()));
            }
        }
        Hierarchy::V2(_) => add(format!("/{}", group.name())),
    }
}
