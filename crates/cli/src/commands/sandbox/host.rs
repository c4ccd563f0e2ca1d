//! What the words of a command line need of this process.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use creel_sandbox::line::Host;

/// The most that is read from a descriptor into memory.
const MOST: u64 = 16 << 20;

/// Descriptors that this process was started with; each is taken once, however often it is named.
#[derive(Default)]
pub(super) struct Inherited {
    taken: Vec<(i32, Arc<OwnedFd>)>,
    names_filters: bool,
}

impl Inherited {
    /// Those of a command line on which filters have names.
    pub(super) fn with_names() -> Self {
        Self { names_filters: true, ..Self::default() }
    }
}

impl Host for Inherited {
    fn descriptor(&mut self, number: i32) -> io::Result<Arc<OwnedFd>> {
        if let Some((_, taken)) = self.taken.iter().find(|(known, _)| *known == number) {
            return Ok(Arc::clone(taken));
        }
        let taken = Arc::new(creel_sandbox::take(number)?);
        self.taken.push((number, Arc::clone(&taken)));
        Ok(taken)
    }

    fn contents(&mut self, number: i32) -> io::Result<Vec<u8>> {
        let file = File::from(creel_sandbox::take(number)?);
        let mut contents = Vec::new();
        file.take(MOST + 1).read_to_end(&mut contents)?;
        if contents.len() as u64 > MOST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(contents)
    }

    fn names_filters(&self) -> bool {
        self.names_filters
    }

    fn environment(&mut self) -> Vec<(OsString, OsString)> {
        std::env::vars_os().collect()
    }

    fn capabilities(&mut self) -> u64 {
        creel_sandbox::usual_capabilities()
    }
}
