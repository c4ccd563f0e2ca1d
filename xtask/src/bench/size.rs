//! What the programs take on the disk.

use std::fs;
use std::path::PathBuf;

use super::host::{self, Host};
use super::report::{Report, Unit};

pub(super) const WHAT: &str = "sizes of the programs";

/// The peers with what they cannot run a container without.
const PEERS: [(&str, &[&str]); 6] = [
    ("podman, with conmon and crun", &["podman", "conmon", "crun"]),
    ("buildah", &["buildah"]),
    ("skopeo", &["skopeo"]),
    ("umoci", &["umoci"]),
    ("runc", &["runc"]),
    ("crun", &["crun"]),
];

pub(super) fn run(_: &Host, _: usize) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let creel = fs::metadata(host::creel())?.len();
    report.add("program", "creel", Unit::Bytes, &[creel as f64]);
    for (name, programs) in PEERS {
        let sizes = programs.iter().map(|program| installed(program).map(|meta| meta.len()));
        let size: u64 = sizes.sum::<std::io::Result<u64>>()?;
        report.add("program", name, Unit::Bytes, &[size as f64]);
    }
    let init = fs::metadata(host::creel().with_file_name("creel-init"))?.len();
    report.add("init", "creel-init", Unit::Bytes, &[init as f64]);
    for name in ["tini", "catatonit", "dumb-init"] {
        report.add("init", name, Unit::Bytes, &[installed(name)?.len() as f64]);
    }
    report.notes.push(
        "creel and creel-init are static; the peers load libraries that are not counted.".into(),
    );
    Ok(report)
}

fn installed(program: &str) -> std::io::Result<fs::Metadata> {
    let place = |directory: &str| PathBuf::from(directory).join(program);
    fs::metadata(place("/usr/bin")).or_else(|_| fs::metadata(place("/usr/sbin")))
}
