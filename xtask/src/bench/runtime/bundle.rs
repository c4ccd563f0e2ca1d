//! The bundles that all runtimes get.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::super::start::write_spec;
use super::super::who::Who;
use crate::run::repository;

/// Directories with a `config.json` each and one root directory for all.
pub(super) struct Bundles {
    /// Runs `true`.
    pub(super) plain: PathBuf,
    /// Runs `true` under a profile of 350 rules.
    pub(super) filtered: PathBuf,
    /// Sleeps.
    pub(super) sleeping: PathBuf,
}

impl Bundles {
    pub(super) fn prepare(who: &Who<'_>) -> anyhow::Result<Self> {
        let plain = who.unpack("demo")?;
        write_spec(who, &plain, &[], &["true"])?;
        let bundles = Self {
            filtered: who.path("bundle-filtered"),
            sleeping: who.path("bundle-sleeping"),
            plain,
        };
        let profile = profile()?;
        bundles.derive(&bundles.filtered, |spec| spec["linux"]["seccomp"] = profile)?;
        bundles.derive(&bundles.sleeping, |spec| {
            spec["process"]["args"] = json!(["sleep", "1000"]);
        })?;
        Ok(bundles)
    }

    /// Writes a bundle like the plain one but for some of its specification.
    pub(super) fn derive(
        &self,
        path: &Path,
        change: impl FnOnce(&mut Value),
    ) -> anyhow::Result<()> {
        let mut spec: Value = serde_json::from_slice(&fs::read(self.plain.join("config.json"))?)?;
        spec["root"]["path"] = json!(self.plain.join("rootfs"));
        change(&mut spec);
        fs::create_dir_all(path)?;
        fs::write(path.join("config.json"), serde_json::to_vec(&spec)?)?;
        Ok(())
    }

    /// Writes a bundle that runs this.
    pub(super) fn with_process(&self, words: &[&str]) -> anyhow::Result<PathBuf> {
        let path = self.plain.with_file_name("bundle-other");
        self.derive(&path, |spec| spec["process"]["args"] = json!(words))?;
        Ok(path)
    }
}

/// System calls that a profile allows.
const RULES: usize = 350;

/// A profile that allows system calls, one a rule, and nothing else.
fn profile() -> anyhow::Result<Value> {
    let path = repository().join("crates/codec/src/bpf/tables/x86_64.txt");
    let table = fs::read_to_string(&path).with_context(|| format!("no `{}`", path.display()))?;
    let calls = table.lines().filter(|line| !line.starts_with('#'));
    let names = calls.filter_map(|line| line.split_whitespace().next());
    let rules: Vec<_> = names
        .take(RULES)
        .map(|name| json!({"names": [name], "action": "SCMP_ACT_ALLOW"}))
        .collect();
    ensure!(rules.len() == RULES, "`{}` has fewer than {RULES} calls", path.display());
    Ok(json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    }))
}
