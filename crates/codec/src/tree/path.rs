//! Paths inside a tree: bytes in the form that [`Entry::path`](super::Entry::path) describes.

use core::cmp::Ordering;

use super::MAX_NAME_BYTES;

/// Compares two paths in canonical order: component by component, as bytes.
///
/// No component holds a NUL or a slash, so this is the order of the bytes with the slash below all
/// others.
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let shared = shared_prefix(a, b);
    match (a.get(shared), b.get(shared)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(x), Some(y)) => rank(*x).cmp(&rank(*y)),
    }
}

/// Returns how many leading bytes two byte strings share.
pub fn shared_prefix(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 8;
    let blocks =
        a.chunks_exact(STEP).zip(b.chunks_exact(STEP)).take_while(|(x, y)| x == y).count() * STEP;
    let (a, b) = (a.get(blocks..).unwrap_or_default(), b.get(blocks..).unwrap_or_default());
    blocks + a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

const fn rank(byte: u8) -> u8 {
    if byte == b'/' { 0 } else { byte }
}

/// Returns the path of the directory that holds `path`; `None` for the root.
pub fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    Some(match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => path.get(..slash).unwrap_or_default(),
        None => &[],
    })
}

/// Returns the last component; empty for the root.
pub fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Tells whether `path` lies below `directory` at any depth.
pub fn is_below(path: &[u8], directory: &[u8]) -> bool {
    if directory.is_empty() {
        return !path.is_empty();
    }
    path.starts_with(directory) && path.get(directory.len()) == Some(&b'/')
}

/// Tells whether `path` has the form that a tree requires. The root's (empty) does.
pub fn is_valid(path: &[u8]) -> bool {
    path.is_empty() || path.split(|byte| *byte == b'/').all(is_valid_name)
}

/// Tells whether `name` can be one component of a path.
pub fn is_valid_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..")
        && name.len() <= MAX_NAME_BYTES
        && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_comes_right_before_what_is_in_it() {
        let sorted: [&[u8]; 7] = [b"", b"a", b"a/b", b"a/b/c", b"a!", b"a.b", b"ab"];
        for (i, x) in sorted.iter().enumerate() {
            for (j, y) in sorted.iter().enumerate() {
                assert_eq!(compare(x, y), i.cmp(&j), "{x:?} {y:?}");
            }
        }
    }

    #[test]
    fn knows_valid_paths() {
        for good in [&b""[..], b"a", b"a/b", b"...", b"\xff/ \n", &[b'x'; 255]] {
            assert!(is_valid(good), "{good:?}");
        }
        for bad in [&b"/"[..], b"/a", b"a/", b"a//b", b".", b"a/..", b"a/./b", b"a\0", &[b'x'; 256]]
        {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }

    #[test]
    fn takes_paths_apart() {
        assert_eq!((parent(b""), name(b"")), (None, &b""[..]));
        assert_eq!((parent(b"a"), name(b"a")), (Some(&b""[..]), &b"a"[..]));
        assert_eq!((parent(b"a/b/c"), name(b"a/b/c")), (Some(&b"a/b"[..]), &b"c"[..]));
        assert!(is_below(b"a/b", b"a") && is_below(b"a", b"") && !is_below(b"ab", b"a"));
        assert!(!is_below(b"a", b"a") && !is_below(b"", b""));
    }
}
