//! The program: what comes after the root and the rights.

use std::ffi::{CString, OsStr, OsString};
use std::path::{Path, PathBuf};

use creel_sys::program::{Op, Strings, Supervisor};

use super::{Context, Name, Script, encode, status_pipe};
use crate::error::SandboxError;
use crate::sandbox::Directory;

impl Context<'_> {
    pub(super) fn lower_program(&self, script: &mut Script) -> Result<(), SandboxError> {
        let life = &self.sandbox.lifetime;
        let program = &self.sandbox.program;
        if let Some(block) = &life.block {
            let slot = script.give(block);
            script.add(Name::Fixed("wait for data"), Op::AwaitData(slot));
        }
        script.add(Name::Fixed("give back the mask"), Op::RestoreUmask);
        let directories = self.directories();
        let paths = directories.iter().map(|path| encode(path)).collect::<Result<_, _>>()?;
        script.add(Name::Fixed("enter the directory"), Op::FirstDirectory(paths));
        if life.new_session {
            script.add(Name::Fixed("start a session"), Op::NewSession);
        }
        if let Some(label) = &program.label {
            let name = c"attr/exec".into();
            let write = Op::WriteOwn(self.procfs, name, label.as_encoded_bytes().to_vec());
            script.add(Name::Fixed("set the label of the program"), write);
        }
        self.lower_supervisor(script)?;
        if life.dies_with_parent {
            script.add(Name::Fixed("be killed with the caller"), Op::DieWithParent);
        }
        for filter in &program.filters {
            let op = Op::Seccomp(filter.0.clone(), 0);
            script.add(Name::Fixed("load the system call filter"), op);
        }
        let candidates = program.candidates.iter().map(|path| encode(path));
        let candidates = candidates.collect::<Result<_, _>>()?;
        let argv = program.argv.iter().map(|word| text(word)).collect::<Result<_, _>>()?;
        let environments = directories.iter().map(|directory| self.environment(directory));
        let environments = environments.collect::<Result<_, _>>()?;
        let execute = Op::ExecuteThere(candidates, Strings::new(argv), environments);
        script.add(Name::Execute, execute);
        Ok(())
    }

    /// Somebody reaps in a process namespace, and holds what lives as long as the sandbox.
    fn lower_supervisor(&self, script: &mut Script) -> Result<(), SandboxError> {
        let life = &self.sandbox.lifetime;
        let pid = self.sandbox.namespaces.pid;
        let needed = pid || !life.locks.is_empty() || life.sync.is_some();
        if !needed || life.as_first_process {
            return Ok(());
        }
        let mut kept = Vec::new();
        for lock in &life.locks {
            let slot = script.program.slot();
            script.add(Name::Fixed("lock a file"), Op::ShareLock(encode(lock)?, slot));
            kept.push(slot);
        }
        if let Some(sync) = &life.sync {
            kept.push(script.give(sync));
        }
        let status = if pid { Some(status_pipe(script)?) } else { None };
        let (dies_with_parent, inspectable) = (life.dies_with_parent, life.inspectable);
        let (late, killed) = (None, None);
        let supervisor = Supervisor { status, kept, dies_with_parent, inspectable, late, killed };
        script.add(Name::Fixed("leave a supervisor"), Op::Supervise(supervisor));
        Ok(())
    }

    fn directories(&self) -> Vec<PathBuf> {
        match &self.sandbox.program.directory {
            Directory::Here(path) => vec![path.clone()],
            Directory::FirstOf(paths) => {
                let mut paths = paths.clone();
                paths.push("/".into());
                paths
            }
        }
    }

    fn environment(&self, directory: &Path) -> Result<Strings, SandboxError> {
        let others = self.sandbox.program.env.iter().filter(|(name, _)| name != "PWD");
        let mut lines =
            others.map(|(name, value)| variable(name, value)).collect::<Result<Vec<_>, _>>()?;
        lines.push(variable(OsStr::new("PWD"), directory.as_os_str())?);
        Ok(Strings::new(lines))
    }
}

fn variable(name: &OsStr, value: &OsStr) -> Result<CString, SandboxError> {
    let mut line = OsString::with_capacity(name.len() + value.len() + 2);
    line.push(name);
    line.push("=");
    line.push(value);
    text(&line)
}

fn text(text: &OsStr) -> Result<CString, SandboxError> {
    Ok(CString::new(text.as_encoded_bytes())?)
}
