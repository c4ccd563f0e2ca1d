//! The grammar of a reference, part by part.

use core::net::Ipv6Addr;

use super::{MAX_NAME, MAX_TAG, ParseReferenceError};
use crate::digest::Digest;

/// A reference cut at `@` and at the tag's `:`; the digest is checked, the rest is not.
pub(super) struct Parts<'a> {
    pub(super) name: &'a str,
    pub(super) tag: Option<&'a str>,
    pub(super) digest: Option<Digest>,
}

pub(super) fn split(text: &str) -> Result<Parts<'_>, ParseReferenceError> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse().map_err(ParseReferenceError::Digest)?)),
        None => (text, None),
    };
    // A colon before the last slash belongs to the registry's port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    match name.len() {
        0 => Err(ParseReferenceError::Empty),
        1..=MAX_NAME => Ok(Parts { name, tag, digest }),
        found => Err(ParseReferenceError::NameTooLong { found }),
    }
}

/// Returns whether the first of several parts is a registry rather than a namespace.
pub(super) fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

pub(super) fn check_name(registry: &str, repository: &str) -> Result<(), ParseReferenceError> {
    let found = registry.len().saturating_add(repository.len()).saturating_add(1);
    if found > MAX_NAME {
        return Err(ParseReferenceError::NameTooLong { found });
    }
    if !is_registry(registry) || !is_host_and_port(registry) {
        return Err(ParseReferenceError::Registry { registry: registry.to_owned() });
    }
    check_path(repository)
}

/// Checks a repository: parts joined by slashes.
pub(super) fn check_path(path: &str) -> Result<(), ParseReferenceError> {
    if path.is_empty() {
        return Err(ParseReferenceError::Empty);
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let (name, instead) = (path.to_owned(), path.to_ascii_lowercase());
        return Err(ParseReferenceError::UpperCase { name, instead });
    }
    match path.split('/').find(|part| !is_path_part(part)) {
        Some(part) => Err(ParseReferenceError::Part { part: part.to_owned() }),
        None => Ok(()),
    }
}

/// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
pub(super) fn check_tag(tag: &str) -> Result<&str, ParseReferenceError> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = tag.bytes().next().is_some_and(is_word);
    let continues = tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-');
    if starts && continues && tag.len() <= MAX_TAG {
        Ok(tag)
    } else {
        Err(ParseReferenceError::Tag { tag: tag.chars().take(MAX_TAG).collect() })
    }
}

/// Returns whether a name is 64 lower-case hex digits: an image id, which the grammar reserves.
pub(super) fn looks_like_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_path_part(part: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = part.as_bytes();
    bytes.first().is_some_and(is_word)
        && bytes.last().is_some_and(is_word)
        && bytes.split(is_word).all(is_separator)
}

/// What is between two letters or digits: nothing, or one of the separators.
fn is_separator(bytes: &[u8]) -> bool {
    matches!(bytes, b"" | b"." | b"_" | b"__") || bytes.iter().all(|byte| *byte == b'-')
}

/// A host name, an IPv4 address, or an IPv6 address in brackets; then `:` and a port, or not.
fn is_host_and_port(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return address.parse::<Ipv6Addr>().is_ok()
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    match text.split_once(':') {
        Some((host, port)) => is_host(host) && is_port(port),
        None => is_host(text),
    }
}

/// Labels of letters, digits and inner `-`, joined by dots. An IPv4 address is one of these.
fn is_host(host: &str) -> bool {
    host.split('.').all(|label| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

/// Digits only, from 0 to 65535. `u16::from_str` alone would take a `+`.
fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}
