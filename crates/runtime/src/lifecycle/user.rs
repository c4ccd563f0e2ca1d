//! Users by number, as `exec --user` takes them.

use std::str::FromStr;

/// A user id and a group id, as `UID` or `UID:GID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The user.
    pub uid: u32,
    /// The group; root's if none is named.
    pub gid: u32,
}

impl FromStr for Ids {
    type Err = String;

    /// Takes digits, and nothing that could stand for another id than it says (CVE-2026-30892).
    fn from_str(text: &str) -> Result<Self, String> {
        let (uid, gid) = text.split_once(':').map_or((text, None), |(uid, gid)| (uid, Some(gid)));
        Ok(Self { uid: id(uid)?, gid: gid.map_or(Ok(0), id)? })
    }
}

fn id(text: &str) -> Result<u32, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    // The last number stands for "as it is" in calls that change ids.
    let id = text.parse().ok().filter(|id| digits && *id != u32::MAX);
    id.ok_or_else(|| format!("`{text}` is no id"))
}
