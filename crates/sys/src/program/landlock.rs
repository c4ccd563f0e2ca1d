//! Landlock rules of paths that are looked up in the container.

use std::os::fd::RawFd;

use super::Slot;
use super::call::{State, close, errno, fail, is_directory, ok, open};
use super::op::{Beneath, Object};
use crate::landlock::{add_beneath, restrict};

pub(super) fn allow(state: &State<'_>, rule: &Beneath) -> Option<()> {
    let ruleset = state.get(rule.ruleset)?;
    match &rule.object {
        Object::Slot(slot) => allow_at(ruleset, rule, state.get(*slot)?),
        Object::Path(path) => {
            let found = open(libc::AT_FDCWD, path, libc::O_PATH, libc::RESOLVE_NO_MAGICLINKS);
            let Some(found) = found else {
                let missing = matches!(errno(), libc::ENOENT | libc::ENOTDIR);
                return (missing && rule.optional).then_some(());
            };
            let allowed = allow_at(ruleset, rule, found);
            let failed = errno();
            close(found);
            allowed.or_else(|| fail(failed))
        }
    }
}

fn allow_at(ruleset: RawFd, rule: &Beneath, object: RawFd) -> Option<()> {
    let access = if is_directory(object)? { rule.access } else { rule.access & rule.of_files };
    // The kernel has no rule for nothing.
    if access == 0 { Some(()) } else { ok(add_beneath(ruleset, access, object)) }
}

pub(super) fn enforce(state: &State<'_>, ruleset: Slot, flags: u32) -> Option<()> {
    ok(restrict(state.get(ruleset)?, flags))
}
