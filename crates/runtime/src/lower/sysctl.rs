//! Lowering of `linux.sysctl`.

use creel_spawn::{Joined, Namespace};

use super::error::{LowerError, value};
use super::linux::needs;
use crate::spec::{Linux, NamespaceKind, Spec};

/// Kernel parameters as paths below `/proc/sys`, if a namespace of the container's owns them that is
/// not the host's.
pub(super) fn lower(
    spec: &Spec,
    linux: &Linux,
    joined: &[Joined],
) -> Result<Vec<(String, String)>, LowerError> {
    let lower = |(name, value): (&String, &String)| {
        let field = format!("linux.sysctl[{name}]");
        let kind = owner(name)
            .ok_or_else(|| self::value(&field, name, "a parameter that belongs to a namespace"))?;
        needs(linux, kind, &field)?;
        let own = joined.iter().find(|one| one.kind == plan_kind(kind));
        if own.is_some_and(|one| one.is_own().unwrap_or(true)) {
            return Err(LowerError::NeedsNamespace { field, namespace: kind });
        }
        let by_name = [("hostname", &spec.hostname), ("domainname", &spec.domainname)];
        let names = |(property, set): (&str, &Option<String>)| {
            set.is_some() && name.replace('/', ".") == format!("kernel.{property}")
        };
        if let Some((property, _)) = by_name.into_iter().find(|one| names(*one)) {
            return Err(LowerError::Duplicate { field, value: property.into() });
        }
        Ok((path(name), value.clone()))
    };
    linux.sysctl.iter().map(lower).collect()
}

/// A name with dots, or with slashes, in which names of devices can hold a dot (`sysctl(8)`).
fn path(name: &str) -> String {
    match name.find(['.', '/']).and_then(|at| name.get(at..=at)) {
        Some("/") => name.into(),
        // The other way round: what is a slash within dots is a dot.
        _ => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
    }
}

const fn plan_kind(kind: NamespaceKind) -> Namespace {
    match kind {
        NamespaceKind::Ipc => Namespace::Ipc,
        NamespaceKind::Uts => Namespace::Uts,
        _ => Namespace::Network,
    }
}

/// The namespace that a kernel parameter belongs to (`namespaces(7)`, `ipc_namespaces(7)`).
fn owner(name: &str) -> Option<NamespaceKind> {
    const IPC: [&str; 11] = [
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/msg_next_id",
        "kernel/sem",
        "kernel/sem_next_id",
        "kernel/shmall",
        "kernel/shmmax",
        "kernel/shmmni",
        "kernel/shm_next_id",
        "kernel/shm_rmid_forced",
    ];
    let path = path(name);
    match path.as_str() {
        path if path.split('/').any(|part| matches!(part, "" | "." | "..")) => None,
        path if IPC.contains(&path) || path.starts_with("fs/mqueue/") => Some(NamespaceKind::Ipc),
        path if path.starts_with("net/") => Some(NamespaceKind::Network),
        "kernel/domainname" | "kernel/hostname" => Some(NamespaceKind::Uts),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_and_slashes_separate_names() {
        for (name, expected) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/conf/eth0.1/rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
            ("net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
        ] {
            assert_eq!(path(name), expected);
            assert_eq!(owner(name), Some(NamespaceKind::Network));
        }
        for none in ["net", "net..x", "net.ipv4...x", "kernel.sysrq", "net/../kernel/sysrq"] {
            assert_eq!(owner(none), None, "{none}");
        }
    }
}
