//! From a command line to the end of what it runs.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use creel_sandbox::line::Line;
use creel_sandbox::{Announcement, Directory, SandboxError};

/// Where programs are looked for if no variable says it (`execvp(3)`).
const PATHS: &str = "/bin:/usr/bin";

/// What became of a sandbox that started.
pub(super) enum Launched {
    /// The exit code.
    Ended(u8),
    /// It cannot be waited for, or who is to hear of its end cannot be told.
    Lost(io::Error),
}

/// Starts the program and waits for its end.
pub(super) fn launch(mut line: Line, inherits: bool) -> Result<Launched, SandboxError> {
    creel_sandbox::notice_children();
    let program = &mut line.sandbox.program;
    program.candidates = candidates(line.words.first(), &program.env);
    program.argv = std::mem::take(&mut line.words);
    if let (Some(first), Some(name)) = (program.argv.first_mut(), line.argv0.take()) {
        *first = name;
    }
    if program.directory == Directory::default() {
        program.directory = Directory::FirstOf(directories(&program.env));
    }
    let life = &mut line.sandbox.lifetime;
    (life.inherits, life.waits) = (inherits, line.info.is_some() || line.status.is_some());
    // Who is told of the process does something with it.
    life.inspectable = inherits || life.waits;
    line.sandbox.namespaces.maps_by_others = line.user_block.is_some();
    let told = [&line.info, &line.status, &line.user_block];
    life.withheld = told.into_iter().flatten().map(|fd| fd.as_raw_fd()).collect();
    let dies = life.dies_with_parent;
    let plan = line.sandbox.plan()?;
    if dies {
        creel_sandbox::die_with_parent().map_err(SandboxError::Start)?;
    }
    let (mut info, mut block) = (line.info.take(), line.user_block.take());
    let status = line.status.take();
    let mut started = plan.start_announced(|announcement| {
        if let Some(info) = info.take() {
            tell(&info, &pretty(announcement))?;
        }
        if let Some(status) = &status {
            tell(status, &format!("{{ {} }}\n", members(announcement, ", ")))?;
        }
        match block.take() {
            Some(block) => wait_for(&block),
            None => Ok(()),
        }
    })?;
    // What the program has got is no longer this process's business.
    drop((info, block));
    let kept = status.as_ref().map(|status| status.as_raw_fd());
    let _ = creel_sandbox::close_all_but(kept.as_slice());
    let ended = started.wait().and_then(|code| {
        if let Some(status) = &status {
            tell(status, &format!("{{ \"exit-code\": {code} }}\n"))?;
        }
        Ok(code)
    });
    Ok(ended.map_or_else(Launched::Lost, Launched::Ended))
}

/// Paths inside at which a program may be.
fn candidates(program: Option<&OsString>, env: &[(OsString, OsString)]) -> Vec<PathBuf> {
    let Some(program) = program else { return Vec::new() };
    if program.as_encoded_bytes().contains(&b'/') {
        return vec![program.into()];
    }
    let paths = variable(env, "PATH").unwrap_or_else(|| OsStr::new(PATHS));
    std::env::split_paths(paths).map(|directory| directory.join(program)).collect()
}

fn variable<'a>(env: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
}

/// Where the program starts if nothing is said: where this process is, by the path that the shell knows,
/// else at home.
fn directories(env: &[(OsString, OsString)]) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    let identity =
        |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let shells = variable(env, "PWD").map(PathBuf::from).filter(|path| {
        path.is_absolute()
            && identity(path).is_some_and(|one| identity(Path::new(".")) == Some(one))
    });
    directories.extend(shells.or_else(|| std::env::current_dir().ok()));
    directories.extend(variable(env, "HOME").filter(|home| !home.is_empty()).map(PathBuf::from));
    directories
}

/// The members of the object that tells of a process.
fn members(announcement: &Announcement, between: &str) -> String {
    let mut text = format!("\"child-pid\": {}", announcement.pid);
    for (kind, number) in &announcement.namespaces {
        text.push_str(&format!("{between}\"{kind}-namespace\": {number}"));
    }
    text
}

fn pretty(announcement: &Announcement) -> String {
    format!("{{\n    {}\n}}\n", members(announcement, ",\n    "))
}

fn tell(fd: &OwnedFd, text: &str) -> io::Result<()> {
    File::from(fd.try_clone()?).write_all(text.as_bytes())
}

/// Waits for a byte, or until there can be none.
fn wait_for(fd: &OwnedFd) -> io::Result<()> {
    let read = File::from(fd.try_clone()?).read(&mut [0]);
    read.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_as_by_a_shell() {
        let env = [("PATH".into(), "/a:/b".into())];
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(candidates(Some(&"x".into()), &env), paths(&["/a/x", "/b/x"]));
        assert_eq!(candidates(Some(&"x".into()), &[]), paths(&["/bin/x", "/usr/bin/x"]));
        assert_eq!(candidates(Some(&"./x".into()), &env), paths(&["./x"]));
        assert_eq!(candidates(None, &env), paths(&[]));
    }

    #[test]
    fn a_process_is_told_of_as_json() {
        let announcement = Announcement { pid: 7, namespaces: vec![("mnt", 1), ("pid", 2)] };
        let expected = "\"child-pid\": 7, \"mnt-namespace\": 1, \"pid-namespace\": 2";
        assert_eq!(members(&announcement, ", "), expected);
        serde_json::from_str::<serde_json::Value>(&pretty(&announcement)).unwrap();
    }
}
