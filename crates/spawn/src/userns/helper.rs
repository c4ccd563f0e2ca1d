//! The set-user-id programs that write id maps.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, PipeReader, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use creel_sys::program::{Failure, Op, Program, Running, Strings};

use super::UsernsError;
use crate::plan::IdMap;

/// The most that is read of what a helper says.
const MAX_SAID: u64 = 4096;

/// A helper that is ready to map ids of this process.
pub(super) struct Helper {
    path: PathBuf,
    program: Program,
    said: PipeReader,
}

impl Helper {
    pub(super) fn new(path: &Path, maps: &[IdMap]) -> Result<Self, UsernsError> {
        let failed = |source| UsernsError::Helper { path: path.into(), source };
        let (program, said) = prepare(path, maps).map_err(failed)?;
        Ok(Self { path: path.into(), program, said })
    }

    /// Forks; the helper is executed once `before` has returned.
    pub(super) fn start(
        &self,
        before: impl FnOnce() -> io::Result<()>,
    ) -> Result<Running, Failure> {
        self.program.start(0, None, |_| before())
    }

    /// Waits for what was started and looks at how it ended.
    pub(super) fn finish(self, started: Result<Running, Failure>) -> Result<(), UsernsError> {
        let Self { path, program, said } = self;
        let failed = |source| UsernsError::Helper { path: path.clone(), source };
        let running = started.map_err(|failure| failed(failure.into_source()))?;
        // With the program goes the other end of the pipe.
        drop(program);
        let code = running.wait().map_err(failed)?;
        if code == 0 {
            return Ok(());
        }
        let mut text = Vec::new();
        let read = said.take(MAX_SAID).read_to_end(&mut text);
        read.map_err(failed)?;
        let said = String::from_utf8_lossy(&text).trim().to_owned();
        Err(UsernsError::Refused { path, said })
    }
}

fn prepare(path: &Path, maps: &[IdMap]) -> io::Result<(Program, PipeReader)> {
    let (said, writer) = io::pipe()?;
    let null: Arc<OwnedFd> = Arc::new(File::open("/dev/null")?.into());
    let writer = Arc::new(OwnedFd::from(writer));
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    let numbers = maps.iter().flat_map(|map| [map.inside, map.outside, map.count]);
    let words = std::iter::once(std::process::id()).chain(numbers);
    let words = words.map(|number| CString::new(number.to_string()).map_err(io::Error::from));
    let argv = std::iter::once(Ok(path.clone())).chain(words).collect::<Result<Vec<_>, _>>()?;
    let mut program = Program::default();
    program.descriptors(vec![null, Arc::clone(&writer), writer]);
    program.push(Op::WaitForParent);
    program.push(Op::CloseDescriptors(Vec::new()));
    program.push(Op::Execute(vec![path], Strings::new(argv), Strings::new(Vec::new())));
    Ok((program, said))
}
