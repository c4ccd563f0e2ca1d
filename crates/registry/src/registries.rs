//! Mirrors, blocks and short names: containers-registries.conf(5), version 2.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use creel_base::reference::{DOCKER_HUB, ParseReferenceError, Reference, ShortName};
use serde::Deserialize;

use crate::http::TlsPolicy;

/// Why the configuration cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum RegistriesError {
    /// A file cannot be read.
    #[error("cannot read `{path}`", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// A file is not valid.
    #[error("cannot understand line {line} of `{path}`: {reason}", path = .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Which line, from 1 on.
        line: usize,
        /// What the parser says; of its error, which draws the line too, it is what fits into one.
        reason: String,
    },
    /// The registry is blocked.
    #[error("registry `{prefix}` is blocked by `registries.conf`")]
    Blocked {
        /// The prefix of the entry that blocks.
        prefix: String,
    },
    /// An alias or a search registry gives no valid name.
    #[error("short name `{name}` resolves to no valid reference")]
    ShortName {
        /// The short name.
        name: String,
        /// The reason.
        #[source]
        source: ParseReferenceError,
    },
}

/// The merged configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Registries {
    unqualified_search_registries: Option<Vec<String>>,
    short_name_mode: Option<ShortNameMode>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    #[serde(default)]
    registry: Vec<Entry>,
}

/// What to do about a short name with several candidates.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ShortNameMode {
    /// Ask; fail without a terminal.
    #[default]
    Enforcing,
    /// Ask; try each without a terminal.
    Permissive,
    /// Try each.
    Disabled,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pull_from_mirror: Pull,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Pull {
    #[default]
    All,
    DigestOnly,
    TagOnly,
}

/// A place to pull from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `host[:port]`.
    pub registry: String,
    /// The path there.
    pub repository: String,
    /// How its transport is checked.
    pub tls: TlsPolicy,
}

impl Registries {
    /// Loads the first existing file of `paths`, then the `*.conf` of each drop-in directory, by name.
    ///
    /// # Errors
    ///
    /// When a file that exists cannot be read or understood.
    pub fn load(paths: &[PathBuf], drop_ins: &[PathBuf]) -> Result<Self, RegistriesError> {
        let mut merged = match paths.iter().find(|path| path.exists()) {
            Some(path) => read(path)?,
            None => Self::default(),
        };
        for directory in drop_ins {
            let Ok(entries) = fs::read_dir(directory) else { continue };
            let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            files.retain(|path| path.extension().is_some_and(|e| e == "conf"));
            files.sort();
            for file in files {
                merged.merge(read(&file)?);
            }
        }
        Ok(merged)
    }

    fn merge(&mut self, later: Self) {
        let Self { unqualified_search_registries, short_name_mode, aliases, registry } = later;
        if unqualified_search_registries.is_some() {
            self.unqualified_search_registries = unqualified_search_registries;
        }
        self.short_name_mode = short_name_mode.or(self.short_name_mode);
        self.aliases.extend(aliases);
        self.registry.retain(|old| registry.iter().all(|new| new.key() != old.key()));
        self.registry.extend(registry);
    }

    /// Returns what to do when a short name has several candidates.
    pub fn short_name_mode(&self) -> ShortNameMode {
        self.short_name_mode.unwrap_or_default()
    }

    /// Returns what a short name may mean: its alias, else one candidate a search registry, else
    /// Docker Hub.
    ///
    /// # Errors
    ///
    /// [`RegistriesError::ShortName`].
    pub fn candidates(&self, short: &ShortName) -> Result<Vec<Reference>, RegistriesError> {
        let name = short.path().to_owned();
        let found = match (self.aliases.get(&name), &self.unqualified_search_registries) {
            (Some(alias), _) => short.at_name(alias).map(|reference| vec![reference]),
            (None, Some(search)) if !search.is_empty() => {
                search.iter().map(|registry| short.at_registry(registry)).collect()
            }
            _ => short.at_registry(DOCKER_HUB).map(|reference| vec![reference]),
        };
        found.map_err(|source| RegistriesError::ShortName { name, source })
    }

    /// Returns where to pull from, mirrors first, the place itself last.
    ///
    /// # Errors
    ///
    /// [`RegistriesError::Blocked`].
    pub fn sources(&self, reference: &Reference) -> Result<Vec<Source>, RegistriesError> {
        let name = reference.name();
        let entries = self.registry.iter().filter_map(|e| Some((e.matched(&name)?, e)));
        // An exact prefix says more than a wildcard that covers as much.
        let rank = |(length, entry): &(usize, &Entry)| (*length, !entry.key().starts_with('*'));
        let Some((length, entry)) = entries.max_by_key(rank) else {
            return Ok(vec![source(&name, false)]);
        };
        if entry.blocked {
            return Err(RegistriesError::Blocked { prefix: entry.key().to_owned() });
        }
        let rest = name.get(length..).unwrap_or_default();
        let by_digest = reference.digest().is_some();
        let applies = |pull: Pull| match pull {
            Pull::All => by_digest || !entry.mirror_by_digest_only,
            Pull::DigestOnly => by_digest,
            Pull::TagOnly => !by_digest,
        };
        let mirrors = entry.mirror.iter().filter(|mirror| applies(mirror.pull_from_mirror));
        let mut sources: Vec<Source> =
            mirrors.map(|m| source(&format!("{}{rest}", m.location), m.insecure)).collect();
        let own = match entry.location.as_str() {
            "" => name.clone(),
            location => format!("{location}{rest}"),
        };
        sources.push(source(&own, entry.insecure));
        Ok(sources)
    }
}

impl Entry {
    fn key(&self) -> &str {
        if self.prefix.is_empty() { &self.location } else { &self.prefix }
    }

    /// Returns how many bytes of `name` the prefix covers; `*.` stands for any subdomain.
    fn matched(&self, name: &str) -> Option<usize> {
        // Host names have no case (RFC 4343), and repositories have lower case only.
        let (key, name) = (self.key().to_ascii_lowercase(), name.to_ascii_lowercase());
        let end = match key.strip_prefix('*') {
            Some(domain) if domain.starts_with('.') => {
                let host = name.split('/').next().unwrap_or(&name);
                let bare = if domain.contains(':') { host } else { without_port(host) };
                let head = bare.strip_suffix(domain)?;
                (!head.is_empty()).then_some(head.len() + domain.len())?
            }
            _ => name.starts_with(&key).then_some(key.len())?,
        };
        let boundary = name.get(end..)?.chars().next().is_none_or(|c| "/:@".contains(c));
        (boundary && !key.is_empty()).then_some(end)
    }
}

fn without_port(host: &str) -> &str {
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    port.map_or(host, |(host, _)| host)
}

fn source(name: &str, insecure: bool) -> Source {
    let (registry, repository) = name.split_once('/').unwrap_or((name, ""));
    let tls = if insecure { TlsPolicy::AllowInsecure } else { TlsPolicy::Verify };
    Source { registry: registry.to_owned(), repository: repository.to_owned(), tls }
}

fn read(path: &Path) -> Result<Registries, RegistriesError> {
    let text = fs::read_to_string(path)
        .map_err(|source| RegistriesError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count().saturating_add(1);
        RegistriesError::Parse { path: path.to_owned(), line, reason: error.message().to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_come_first_and_blocks_hold() {
        let conf: Registries = toml::from_str(
            r#"
            [[registry]]
            prefix = "docker.io"
            location = "hub.example/x"
            [[registry.mirror]]
            location = "m.example:5000/hub"
            insecure = true
            [[registry.mirror]]
            location = "d.example"
            pull-from-mirror = "digest-only"
            [[registry]]
            prefix = "*.bad.example"
            blocked = true
            "#,
        )
        .unwrap();
        let at = |registry: &str| Reference::new(registry, "library/a", Some("1"), None).unwrap();
        let found = conf.sources(&at("docker.io")).unwrap();
        assert_eq!(
            found,
            [
                source("m.example:5000/hub/library/a", true),
                source("hub.example/x/library/a", false)
            ]
        );
        assert!(conf.sources(&at("a.bad.example")).is_err());
        assert_eq!(conf.sources(&at("bad.example")).unwrap().len(), 1);
        assert_eq!(conf.sources(&at("docker.io.evil.example")).unwrap().len(), 1);
    }

    #[test]
    fn wildcards_match_the_end_of_the_host() {
        let conf: Registries = toml::from_str(
            r#"
            [[registry]]
            prefix = "*.x.io"
            blocked = true
            [[registry]]
            prefix = "good.x.io"
            [[registry]]
            prefix = "bad.x.io/team"
            [[registry]]
            prefix = "*.y.io:5000"
            blocked = true
            "#,
        )
        .unwrap();
        for (registry, repository, open) in [
            ("a.x.io", "b", false),
            ("A.X.io", "b", false),
            ("GOOD.x.io", "b", true),
            ("a.x.io:5000", "b", false),
            ("a.x.io.x.io", "b", false),
            ("x.io", "b", true),
            ("a.x.io.evil.example", "b", true),
            ("good.x.io", "b", true),
            ("bad.x.io", "team/b", true),
            ("bad.x.io", "teams/b", false),
            ("a.y.io:5000", "b", false),
            ("a.y.io", "b", true),
        ] {
            let reference = Reference::new(registry, repository, Some("1"), None).unwrap();
            assert_eq!(conf.sources(&reference).is_ok(), open, "{registry}/{repository}");
        }
    }
}
