//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container.

use std::fs;
use std::path::PathBuf;

use creel_base::atomic::{self, Durability};
use creel_base::path::{Dir, PathError};
use rustix::fs::Mode;

use creel_runtime::spec;

/// Readable by every user of the container.
const PUBLIC: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::ROTH);
/// Most bytes of a file of the host that is taken over.
const LIMIT: u64 = 1 << 20;

/// Whose names a container resolves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// It has no network: only its own.
    Own,
    /// Those of the host, whose network it uses.
    Host,
}

/// Writes the three files into `dir` and returns their mounts.
pub(super) fn prepare(
    dir: &Dir,
    hostname: &str,
    names: Names,
) -> Result<Vec<spec::Mount>, PathError> {
    let host_hosts = match names {
        Names::Host => fs::read_to_string("/etc/hosts").unwrap_or_default(),
        Names::Own => String::new(),
    };
    let hosts = hosts(hostname, &host_hosts);
    let resolv = match names {
        Names::Host => read_limited("/etc/resolv.conf"),
        Names::Own => Vec::new(),
    };
    let hostname = format!("{hostname}\n");
    let files: [(&str, &[u8]); 3] =
        [("hosts", hosts.as_bytes()), ("hostname", hostname.as_bytes()), ("resolv.conf", &resolv)];
    let mut mounts = Vec::new();
    for (name, content) in files {
        atomic::replace(dir, name, content, PUBLIC, Durability::Process)?;
        mounts.push(bind(dir.path().join(name), &format!("/etc/{name}")));
    }
    Ok(mounts)
}

fn read_limited(path: &str) -> Vec<u8> {
    use std::io::Read as _;
    let mut content = Vec::new();
    // A host without resolver gives the container none.
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(LIMIT).read_to_end(&mut content);
    }
    content
}

fn bind(source: PathBuf, target: &str) -> spec::Mount {
    spec::Mount {
        destination: target.to_owned(),
        kind: Some("bind".to_owned()),
        source: Some(source),
        options: ["bind", "nosuid", "nodev", "noexec"].map(str::to_owned).to_vec(),
        ..spec::Mount::default()
    }
}

/// The host's own lines, if any, and those that every system has.
fn hosts(hostname: &str, host: &str) -> String {
    let mut text = String::new();
    if host.is_empty() {
        text.push_str("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    } else {
        text.push_str(host.trim_end());
        text.push('\n');
    }
    let known =
        text.lines().any(|line| line.split_whitespace().skip(1).any(|name| name == hostname));
    if !known {
        text.push_str(&format!("127.0.1.1\t{hostname}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_finds_itself() {
        let own = hosts("box", "");
        assert!(own.contains("127.0.0.1\tlocalhost\n") && own.ends_with("127.0.1.1\tbox\n"));
        assert_eq!(hosts("box", "10.0.0.1 box # x"), "10.0.0.1 box # x\n");
    }
}
