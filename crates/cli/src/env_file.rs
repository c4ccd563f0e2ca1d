//! Environment variables as people give them: on the command line and in files.

use std::path::{Path, PathBuf};

use creel_base::hint::Hint;

/// Most bytes of a file of variables.
const LIMIT: u64 = 4 << 20;

/// Why a file of variables cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvFileError {
    /// It cannot be read.
    #[error("cannot read the environment file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is too long.
    #[error("environment file `{}` has more than {LIMIT} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// A line has no name.
    #[error("line {line} of the environment file `{}` has no name", path.display())]
    NoName {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl Hint for EnvFileError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoName { .. } => {
                Some("write `NAME=VALUE`, or `NAME` to pass a variable on".into())
            }
            Self::Read { .. } | Self::TooLong { .. } => None,
        }
    }
}

/// A variable with its value; without one it is removed.
pub(crate) type Variable = (String, Option<String>);

/// Reads `NAME=VALUE`; `NAME` alone has the value it has here, and is nothing where it has none.
pub(crate) fn variable(text: &str) -> Option<Variable> {
    match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), Some(value.to_owned()))),
        None => std::env::var(text).ok().map(|value| (text.to_owned(), Some(value))),
    }
}

/// Reads a file of variables as Docker does: one a line, nothing quoted, `#` begins a comment line.
pub(crate) fn read(path: &Path) -> Result<Vec<Variable>, EnvFileError> {
    let failed = |source| EnvFileError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    let read = std::io::Read::take(file, LIMIT + 1);
    std::io::Read::read_to_string(&mut { read }, &mut text).map_err(failed)?;
    if text.len() as u64 > LIMIT {
        return Err(EnvFileError::TooLong { path: path.to_owned() });
    }
    let mut variables = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('=') {
            return Err(EnvFileError::NoName { path: path.to_owned(), line: index + 1 });
        }
        variables.extend(variable(line));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_file_of_variables() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# x\n\nA=1\n  B= two = 2 \nNO_SUCH_VARIABLE_HERE\n").unwrap();
        let own = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        assert_eq!(read(file.path()).unwrap(), [own("A", "1"), own("B", " two = 2 ")]);
        std::fs::write(file.path(), "A=1\n=2\n").unwrap();
        assert!(matches!(read(file.path()), Err(EnvFileError::NoName { line: 2, .. })));
        assert!(matches!(read(Path::new("/none")), Err(EnvFileError::Read { .. })));
    }
}
