//! Lowering of mounts of control groups.

use std::fs;
use std::path::Path;

use creel_spawn::cgroup::{Cgroup, Hierarchy};
use creel_spawn::mount::{Contents, READ_ONLY};
use creel_spawn::{Mount, Source};

use super::Options;
use super::linux::has;
use crate::spec::{Linux, NamespaceKind};

/// Where version 2 is mounted.
const UNIFIED: &str = "/sys/fs/cgroup";

/// Adds what the container's own group looks like from inside. Without a group there is nothing to show.
pub(super) fn lower(
    mounts: &mut Vec<Mount>,
    made: impl Fn(Source) -> Mount,
    linux: &Linux,
    options: &Options,
) {
    let Some(group) = options.cgroup.as_deref() else { return };
    let own = linux.namespaces.iter().any(|one| one.kind == NamespaceKind::Cgroup);
    match group.hierarchy() {
        Hierarchy::V2(base) if own => mounts.push(Mount {
            // In a user namespace of a container that has control groups mounted for itself.
            stand_in: Some(base.join(group.name())),
            ..made(Source::New("cgroup2".into(), Vec::new()))
        }),
        // All of the machine's groups show, and a user's root could own some (CVE-2023-25809).
        Hierarchy::V2(_) if options.in_user_namespace || has(linux, NamespaceKind::User) => {
            let mut mount = made(Source::Bind(UNIFIED.into()));
            mount.all.set |= READ_ONLY;
            mount.all.clear &= !READ_ONLY;
            mount.one.clear &= !READ_ONLY;
            mounts.push(mount);
        }
        Hierarchy::V2(_) => mounts.push(made(Source::New("cgroup2".into(), Vec::new()))),
        Hierarchy::V1(base) => lower_v1(mounts, made, group, base, own),
    }
}

/// With version 1 there is a mount for each hierarchy that the container has a group of; the others
/// would show the host's. Their directory has no room for anything else, so that it need not be made
/// read-only afterwards.
fn lower_v1(
    mounts: &mut Vec<Mount>,
    made: impl Fn(Source) -> Mount,
    group: &Cgroup,
    base: &Path,
    own: bool,
) {
    let (hierarchies, links) = hierarchies(group.controllers(), |name| {
        let text = fs::read_link(base.join(name)).ok()?;
        text.to_str().map(String::from)
    });
    let inodes = format!("nr_inodes={}", hierarchies.len() + links.len() + 1);
    let options = ["source=cgroup", "mode=755", "size=4k", &inodes].map(String::from).to_vec();
    let mut directory = made(Source::New("tmpfs".into(), options));
    directory.one.set &= !READ_ONLY;
    directory.contents = Contents { links, ..Contents::default() };
    let target = directory.target.clone();
    mounts.push(directory);
    for name in hierarchies {
        let source = if own {
            let controllers = name.split(',').map(String::from);
            let source = ["source=cgroup".to_owned()].into_iter();
            Source::New("cgroup".into(), source.chain(controllers).collect())
        } else {
            Source::BindOne(base.join(&name).join(group.name()))
        };
        mounts.push(Mount { target: format!("{target}/{name}"), ..made(source) });
    }
}

/// The hierarchies of some controllers by the names of their directories, `cpu,cpuacct`, and the links of
/// controllers that are in one with others: name, text.
fn hierarchies(
    controllers: &[&'static str],
    link: impl Fn(&str) -> Option<String>,
) -> (Vec<String>, Vec<(String, String)>) {
    let (mut names, mut links): (Vec<String>, Vec<_>) = (Vec::new(), Vec::new());
    for controller in controllers {
        let is_merged = |text: &String| text.split(',').any(|name| name == *controller);
        let name = match link(controller).filter(is_merged) {
            Some(text) => {
                links.push(((*controller).to_owned(), text.clone()));
                text
            }
            None => (*controller).to_owned(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    (names, links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_of_one_hierarchy_are_mounted_once() {
        let link = |name: &str| match name {
            "cpu" | "cpuacct" => Some("cpu,cpuacct".to_owned()),
            // Nothing that could lead elsewhere.
            "pids" => Some("../x".to_owned()),
            _ => None,
        };
        let (names, links) = hierarchies(&["memory", "cpu", "cpuacct", "pids"], link);
        assert_eq!(names, ["memory", "cpu,cpuacct", "pids"]);
        let text = |name: &str| (name.to_owned(), "cpu,cpuacct".to_owned());
        assert_eq!(links, [text("cpu"), text("cpuacct")]);
    }
}
