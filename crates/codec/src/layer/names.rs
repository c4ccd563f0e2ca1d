//! Names in archives, and what whiteout names mean.
//!
//! Source: OCI image specification, layer.md, "Whiteouts"; aufs' reserved names (`.wh..wh.`).

use super::LayerError;
use crate::tree::{MAX_NAME_BYTES, path};

/// How the names of whiteouts begin.
pub(super) const WHITEOUT: &[u8] = b".wh.";
/// Longest path, in bytes (Linux `PATH_MAX` with its NUL).
const MAX_PATH_BYTES: usize = 4096;

/// What the name of an entry says about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The entry is this path.
    Path(Vec<u8>),
    /// The path is absent.
    Whiteout(Vec<u8>),
    /// Nothing of lower layers is seen in this directory.
    Opaque(Vec<u8>),
    /// A name that aufs keeps for itself: of no meaning in a layer.
    Reserved,
}

/// Returns a name as a path of a tree: leading slashes, `.` and double slashes dropped.
///
/// # Errors
///
/// [`LayerError::Name`] for `..`, NUL, an empty name and what is too long or too deep.
pub(super) fn normalise(raw: &[u8], depth: usize) -> Result<Vec<u8>, LayerError> {
    let refuse = |what| Err(LayerError::Name { path: raw.into(), what });
    if raw.is_empty() {
        return refuse("it is empty");
    }
    if raw.contains(&0) {
        return refuse("it holds a NUL");
    }
    let mut path = Vec::with_capacity(raw.len());
    let mut components = 0usize;
    for component in raw.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => continue,
            b".." => return refuse("it leads out by `..`"),
            _ if component.len() > MAX_NAME_BYTES => return refuse("a component is too long"),
            _ => {}
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(component);
        components += 1;
    }
    match () {
        () if path.len() > MAX_PATH_BYTES => refuse("it is too long"),
        () if components > depth => refuse("it is too deep"),
        () => Ok(path),
    }
}

/// Tells what the normalised `path` of an entry means.
///
/// # Errors
///
/// [`LayerError::Name`] for whiteouts of no name (`.wh.`), of `.` and `..`, and whiteouts that have
/// something below them.
pub(super) fn place(path: Vec<u8>) -> Result<Place, LayerError> {
    if !path.windows(4).any(|bytes| bytes == WHITEOUT) {
        return Ok(Place::Path(path));
    }
    let refuse = |path: &[u8], what| Err(LayerError::Name { path: path.into(), what });
    let directory = path::parent(&path).unwrap_or_default();
    for component in directory.split(|byte| *byte == b'/') {
        if component.starts_with(b".wh..wh.") {
            return Ok(Place::Reserved);
        }
        if component.starts_with(WHITEOUT) {
            return refuse(&path, "it is below a whiteout");
        }
    }
    match path::name(&path).strip_prefix(WHITEOUT) {
        None => Ok(Place::Path(path)),
        Some(b"" | b"." | b"..") => refuse(&path, "it is a whiteout of nothing"),
        Some(b".wh..opq") => Ok(Place::Opaque(directory.to_vec())),
        Some(hidden) if hidden.starts_with(WHITEOUT) => Ok(Place::Reserved),
        Some(hidden) => {
            let mut target = directory.to_vec();
            if !target.is_empty() {
                target.push(b'/');
            }
            target.extend_from_slice(hidden);
            Ok(Place::Whiteout(target))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_names() {
        for (raw, path) in [
            ("a", "a"),
            ("./a/", "a"),
            ("/a//b/./c", "a/b/c"),
            ("/", ""),
            ("./", ""),
            ("...", "..."),
        ] {
            assert_eq!(normalise(raw.as_bytes(), 9).unwrap(), path.as_bytes(), "{raw}");
        }
        let long = [b'x'; 256];
        let deep = b"a/".repeat(10);
        for raw in [&b""[..], b"..", b"a/../b", b"/..", b"a\0b", &long, &deep] {
            assert!(normalise(raw, 9).is_err(), "{}", raw.escape_ascii());
        }
        assert!(normalise(&b"abcdefg/".repeat(600), 9999).is_err());
    }

    #[test]
    fn tells_whiteouts() {
        let place = |path: &str| place(path.into());
        let expect = [
            ("a/b.wh.c", Place::Path(b"a/b.wh.c".to_vec())),
            ("a/.wh.b", Place::Whiteout(b"a/b".to_vec())),
            (".wh.b", Place::Whiteout(b"b".to_vec())),
            (".wh..wh..opq", Place::Opaque(Vec::new())),
            ("a/.wh..wh..opq", Place::Opaque(b"a".to_vec())),
            (".wh..wh.plnk", Place::Reserved),
            (".wh..wh.plnk/1.2", Place::Reserved),
        ];
        for (path, expected) in expect {
            assert_eq!(place(path).unwrap(), expected, "{path}");
        }
        for path in [".wh.", "a/.wh.", ".wh..", ".wh...", ".wh.a/b"] {
            assert!(place(path).is_err(), "{path}");
        }
    }
}
