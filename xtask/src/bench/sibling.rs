//! Pulling an image that shares most files with one that is there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use creel_base::digest::Digest;

use super::harness::measure;
use super::host::{self, Host};
use super::report::{Report, Unit};
use super::who::Who;

pub(super) const WHAT: &str =
    "the same pull where a sibling that shares 80 % of its files is there";

/// A way to pull.
struct Puller<'a> {
    name: &'static str,
    store: std::path::PathBuf,
    clear: Box<dyn Fn() -> anyhow::Result<()> + 'a>,
    pull: Box<dyn Fn(&str) -> std::process::Command + 'a>,
}

pub(super) fn run(host: &Host, rounds: usize) -> anyhow::Result<Report> {
    host::require(&["pull"])?;
    let (first, second) = (host.push("big")?, host.push("sibling")?);
    let root = host.root();
    let mut report = Report::default();
    report.notes.push(describe_images(&root)?);
    for (case, who) in [("root", root), ("user", host.user()?)] {
        for puller in pullers(&who) {
            let (mut times, mut growth) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                (puller.clear)()?;
                measure(&mut (puller.pull)(&first))?;
                let before = bytes_on_disk(&puller.store)?;
                rustix::fs::sync();
                times.push(measure(&mut (puller.pull)(&second))?.wall);
                growth.push((bytes_on_disk(&puller.store)? - before) as f64);
            }
            (puller.clear)()?;
            report.add(&format!("{case}: time"), puller.name, Unit::Seconds, &times);
            report.add(&format!("{case}: growth on disk"), puller.name, Unit::Bytes, &growth);
        }
    }
    Ok(report)
}

fn pullers<'a>(who: &'a Who<'_>) -> [Puller<'a>; 2] {
    [
        Puller {
            name: "creel",
            store: who.path("creel"),
            clear: Box::new(|| who.clear_creel()),
            pull: Box::new(|image| who.creel(&pull_of(image))),
        },
        Puller {
            name: "podman",
            store: who.path("podman"),
            clear: Box::new(|| who.clear_podman()),
            pull: Box::new(|image| who.podman(&pull_of(image))),
        },
    ]
}

const fn pull_of(image: &str) -> [&str; 4] {
    ["pull", "--quiet", "--tls-verify=false", image]
}

/// Says how much the second image has that the first has not.
fn describe_images(who: &Who<'_>) -> anyhow::Result<String> {
    let big = contents(&who.unpack("big")?.join("rootfs"))?;
    let sibling = contents(&who.unpack("sibling")?.join("rootfs"))?;
    let shared = sibling.keys().filter(|digest| big.contains_key(*digest)).count();
    let unique = sibling.iter().filter(|(digest, _)| !big.contains_key(*digest));
    let unique: u64 = unique.map(|(_, size)| size.next_multiple_of(4096)).sum();
    Ok(format!(
        "The first image has {} different file contents, the sibling {}, of which {shared} ({} %) are \
         shared. What only the sibling has takes {:.1} MB in blocks of 4 KiB.",
        big.len(),
        sibling.len(),
        100 * shared / sibling.len().max(1),
        unique as f64 / 1e6,
    ))
}

/// The digests of all files that are not empty, with their sizes.
fn contents(directory: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    walk(directory, &mut |path, meta| {
        if meta.is_file() && meta.len() > 0 {
            found.insert(Digest::sha256(&fs::read(path)?).to_string(), meta.len());
        }
        Ok(())
    })?;
    Ok(found)
}

/// Bytes in blocks, each inode counted once.
fn bytes_on_disk(directory: &Path) -> anyhow::Result<u64> {
    let mut inodes = BTreeMap::new();
    walk(directory, &mut |_, meta| {
        inodes.insert((meta.dev(), meta.ino()), meta.blocks() * 512);
        Ok(())
    })?;
    Ok(inodes.values().sum())
}

type Visit<'a> = dyn FnMut(&Path, &fs::Metadata) -> anyhow::Result<()> + 'a;

fn walk(directory: &Path, visit: &mut Visit<'_>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let meta = fs::symlink_metadata(&path)?;
        visit(&path, &meta)?;
        if meta.is_dir() {
            walk(&path, visit)?;
        }
    }
    Ok(())
}
