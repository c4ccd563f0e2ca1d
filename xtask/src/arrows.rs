//! The arrows between crates: who may depend on whom (ARCHITECTURE.md, "The crates").

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, bail};

use crate::run::repository;

/// Each crate and the crates of ours it may depend on, in any kind of dependency but for tests.
const ALLOWED: [(&str, &[&str]); 15] = [
    ("sys", &[]),
    ("base", &["sys"]),
    ("codec", &["base"]),
    ("init", &["base", "sys"]),
    ("image", &["codec", "base", "sys"]),
    ("spawn", &["codec", "base", "sys"]),
    ("registry", &["image", "codec", "base", "sys"]),
    ("store", &["codec", "base", "sys"]),
    ("runtime", &["spawn", "codec", "base", "sys"]),
    ("sandbox", &["spawn", "codec", "base", "sys"]),
    ("net", &["spawn", "codec", "base", "sys"]),
    ("manager", &["runtime", "net", "registry", "store", "image", "spawn", "codec", "base", "sys"]),
    ("cli", &["manager", "runtime", "sandbox", "init", "image", "base"]),
    ("testkit", &["image", "codec", "base", "sys"]),
    ("xtask", &["testkit", "base"]),
];

/// Fails when a crate depends on one that it must not know.
pub(crate) fn check() -> anyhow::Result<()> {
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    for (name, dependencies) in ours()? {
        let Some(may) = allowed.get(name.as_str()) else {
            bail!("crate {name} has no line in xtask/src/arrows.rs: say there what it may know");
        };
        if let Some(bad) = dependencies.iter().find(|d| !may.contains(&d.as_str())) {
            bail!("crate {name} must not know {bad}: arrows point down only (ARCHITECTURE.md)");
        }
    }
    println!("arrows: all point down");
    Ok(())
}

/// Reads each crate's name (without `creel-`) and its dependencies among ours.
fn ours() -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut crates = BTreeMap::new();
    let mut directories = vec![repository().join("xtask")];
    for entry in fs::read_dir(repository().join("crates"))? {
        directories.push(entry?.path());
    }
    for directory in directories {
        let path = directory.join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("no `{}`", path.display()))?;
        let manifest: toml::Table = toml::from_str(&text)?;
        let name = directory.file_name().context("a crate without a name")?.to_string_lossy();
        crates.insert(name.into_owned(), dependencies(&manifest));
    }
    Ok(crates)
}

fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let tables = ["dependencies", "build-dependencies"];
    let tables = tables.iter().filter_map(|name| manifest.get(*name)?.as_table());
    let names = tables.flat_map(toml::Table::keys);
    names.filter_map(|name| name.strip_prefix("creel-")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn arrows_point_down() {
        super::check().unwrap();
    }
}
