//! What follows from all options of a command line together.

use std::path::{Path, PathBuf};

use creel_codec::bpf::call::Call;
use creel_codec::bpf::policy::Action;

use super::super::accounts;
use super::super::elf::{LOOKED_AT, Linkage, linkage};
use super::super::error::LineError;
use super::super::{Groups, Jail, Root};
use super::{MS_PRIVATE, MS_SHARED, MS_SLAVE, Reader, TSYNC, text};
use crate::policy::{self, Meaning, Remark, Settings};

const MS_UNBINDABLE: u64 = 1 << 17;
/// What is loaded where nothing else is, if it is there.
const DEFAULT_FILTER: &str = "/etc/security/minijail/v0.bin";
/// What strict mode (`-s`) lets through.
const STRICT: [&str; 4] = ["read", "write", "exit", "rt_sigreturn"];

impl Reader<'_> {
    pub(super) fn finish(mut self, words: Vec<String>) -> Result<(Jail, Vec<Remark>), LineError> {
        self.finish_maps();
        if self.jail.namespaces.pid && self.jail.keeps_session {
            let (one, other) = ("-p".into(), "--no-new-sessions".into());
            return Err(LineError::Together { one, other });
        }
        self.finish_groups()?;
        self.finish_mounts()?;
        self.finish_capabilities()?;
        let remarks = self.finish_filter()?;
        self.jail.env = match self.env.take() {
            Some(env) => env,
            None => self.host.environment(),
        };
        self.finish_program(words)?;
        Ok((self.jail, remarks))
    }

    /// Without a map the caller's id becomes the chosen one, or root.
    fn finish_maps(&mut self) {
        if self.uid_map.is_none() && self.gid_map.is_none() {
            return;
        }
        let [uid, gid] = self.host.ids();
        let lines = |map: Option<String>, inside: Option<u32>, outside: u32| match map {
            Some(map) => map.replace(',', "\n"),
            None => format!("{} {outside} 1", inside.unwrap_or(0)),
        };
        self.jail.denies_setgroups = self.gid_map.is_some() && !self.host.sets_groups();
        self.jail.uid_map = self.uid_map.take().map(|map| lines(map, self.jail.user, uid));
        self.jail.gid_map = self.gid_map.take().map(|map| lines(map, self.jail.group, gid));
        self.jail.namespaces.user = true;
        self.processes();
    }

    fn finish_groups(&mut self) -> Result<(), LineError> {
        let kept = self.jail.groups == Groups::Kept;
        let together = |one: &str, other: &str| {
            Err(LineError::Together { one: one.into(), other: other.into() })
        };
        match (self.inherits_groups, kept, self.added_groups.is_empty()) {
            (true, true, _) => return together("-G", "-y"),
            (true, _, false) => return together("-G", "--add-suppl-group"),
            (_, true, false) => return together("-y", "--add-suppl-group"),
            _ => {}
        }
        if self.inherits_groups {
            let Some(account) = &self.account else {
                return Err(LineError::Alone { option: "-G", needed: "the name of a user (`-u`)" });
            };
            let text = text(self.host, "/etc/group")?;
            self.jail.groups = Groups::Set(accounts::groups(&text, &account.name, account.gid));
        } else if !self.added_groups.is_empty() {
            self.jail.groups = Groups::Set(std::mem::take(&mut self.added_groups));
        }
        Ok(())
    }

    fn finish_mounts(&mut self) -> Result<(), LineError> {
        let bound = self.jail.mounts.iter().any(|mount| mount.at_once) && !self.profile;
        if bound && self.jail.root == Root::Callers && !self.mounts_named {
            let needed = "a root (`-C`, `-P`) or a mount namespace (`-v`)";
            return Err(LineError::Alone { option: "-b", needed });
        }
        let Some(mode) = self.propagation.take() else { return Ok(()) };
        if !self.mounts_named {
            return Err(LineError::Alone { option: "-K", needed: "a mount namespace (`-v`)" });
        }
        self.jail.propagation = match mode.as_deref() {
            None => 0,
            Some("shared") => MS_SHARED,
            Some("private") => MS_PRIVATE,
            Some("slave") => MS_SLAVE,
            Some("unbindable") => MS_UNBINDABLE,
            Some(other) => {
                return Err(LineError::Value {
                    option: "-K".into(),
                    value: other.into(),
                    expected: "`shared`, `private`, `slave` or `unbindable`",
                });
            }
        };
        Ok(())
    }

    fn finish_capabilities(&mut self) -> Result<(), LineError> {
        match &mut self.jail.capabilities {
            Some(capabilities) => {
                capabilities.securebits_skipped = self.skipped;
                Ok(())
            }
            None if self.jail.ambient => {
                Err(LineError::Alone { option: "--ambient", needed: "`-c`" })
            }
            None => Ok(()),
        }
    }

    fn finish_filter(&mut self) -> Result<Vec<Remark>, LineError> {
        if self.logs && self.filter.as_ref().is_some_and(|(name, _)| *name == "seccomp-bpf-binary")
        {
            let other = "--seccomp-bpf-binary".into();
            return Err(LineError::Together { one: "-L".into(), other });
        }
        match self.filter.take() {
            Some(("S", path)) => return self.policy(&path),
            Some(("s", _)) => self.strict()?,
            Some((_, path)) => self.binary(&path)?,
            None if self.default_runtime => {
                if self.host.exists(DEFAULT_FILTER) {
                    self.binary(DEFAULT_FILTER)?;
                }
                self.jail.no_new_privileges = true;
            }
            None => {}
        }
        Ok(Vec::new())
    }

    fn policy(&mut self, path: &str) -> Result<Vec<Remark>, LineError> {
        let native = Settings::native().ok_or(LineError::Machine)?;
        let kill = match self.jail.filter.flags & TSYNC {
            0 => Action::KillThread,
            _ => Action::KillProcess,
        };
        let settings = Settings { kill, meaning: Meaning::Launcher, log: self.logs, ..native };
        let text = text(self.host, path).map_err(|error| match error {
            LineError::Read { path, source } => LineError::NoPolicy { path, source },
            other => other,
        })?;
        let rules = policy::read(path, &text, &settings, self.host)?;
        self.jail.filter.program = policy::compile(&rules)
            .map_err(|source| LineError::Compile { path: path.to_owned(), source })?;
        Ok(rules.remarks)
    }

    /// What the kernel's strict mode lets through, for a program without a loader: that mode itself would
    /// not let it be executed.
    fn strict(&mut self) -> Result<(), LineError> {
        self.jail.strict = true;
        let native = Settings::native().ok_or(LineError::Machine)?;
        let settings = Settings { kill: Action::KillThread, ..native };
        let calls = STRICT.iter().filter(|name| Call::find(name).is_some());
        let text: String = calls.map(|name| format!("{name}: 1\n")).collect();
        let rules = policy::read("-s", &text, &settings, self.host)?;
        let compiled = policy::compile(&rules);
        self.jail.filter.program =
            compiled.map_err(|source| LineError::Compile { path: "-s".into(), source })?;
        Ok(())
    }

    fn binary(&mut self, path: &str) -> Result<(), LineError> {
        let read = self.host.bytes(path, None);
        let bytes = read.map_err(|source| LineError::Read { path: path.to_owned(), source })?;
        let program = policy::from_bytes(&bytes).filter(|program| !program.is_empty());
        self.jail.filter.program =
            program.ok_or_else(|| LineError::Program { path: path.to_owned() })?;
        Ok(())
    }

    fn finish_program(&mut self, words: Vec<String>) -> Result<(), LineError> {
        let Some(program) = words.first().cloned() else { return Err(LineError::NoProgram) };
        let linkage = match self.linkage {
            Some(linkage) => linkage,
            None => self.look(&program)?,
        };
        let keeps = self.jail.capabilities.is_some() && !self.jail.ambient;
        if linkage == Linkage::Static && keeps {
            return Err(LineError::StaticCapabilities);
        }
        self.jail.late = linkage != Linkage::Static;
        self.jail.argv = words;
        Ok(())
    }

    /// Looks at the program where it is before the root changes.
    fn look(&mut self, program: &str) -> Result<Linkage, LineError> {
        let path = self.original(program);
        if !self.host.is_executable(&path) {
            return Err(LineError::Inaccessible { path: program.to_owned() });
        }
        let shown = path.to_string_lossy().into_owned();
        let bytes = self.host.bytes(&shown, Some(LOOKED_AT));
        let bytes = bytes.map_err(|source| LineError::Read { path: shown, source })?;
        match linkage(&bytes) {
            Linkage::Unknown => Err(LineError::NoElf { path: program.to_owned() }),
            linkage => Ok(linkage),
        }
    }

    /// Where a path of the jail is outside of it.
    fn original(&self, path: &str) -> PathBuf {
        for mount in &self.jail.mounts {
            let rest = path.strip_prefix(mount.target.trim_end_matches('/'));
            if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                return Path::new(&mount.source).join(rest.trim_start_matches('/'));
            }
        }
        match &self.jail.root {
            Root::Callers => path.into(),
            root => root.path().join(path.trim_start_matches('/')),
        }
    }
}
