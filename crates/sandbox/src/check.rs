//! What cannot go together.

use crate::sandbox::{Change, Sandbox, Wanted};

/// What is asked for and needs something else, or does not go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Ids are those of a user namespace.
    #[error("another user id needs a user namespace")]
    UidWithoutUser,
    /// Likewise.
    #[error("another group id needs a user namespace")]
    GidWithoutUser,
    /// A host name would be the host's.
    #[error("a host name needs a namespace for it")]
    HostnameWithoutUts,
    /// There is no first process.
    #[error("being the first process needs a process namespace")]
    FirstWithoutPid,
    /// Nobody would hold the lock.
    #[error("a program that is the first process leaves nobody to hold a lock")]
    FirstWithLocks,
    /// The limit is one of a user namespace.
    #[error("doing without user namespaces needs one")]
    NoMoreWithoutUser,
    /// The second namespace that the limit needs cannot be made.
    #[error("id maps that others write do not go with doing without user namespaces")]
    NoMoreWithOthersMaps,
    /// A namespace is new or joined.
    #[error("a user namespace is either new or joined")]
    UserTwice,
    /// There are no maps.
    #[error("id maps that others write need a new user namespace")]
    MapsWithoutUser,
    /// Nothing is run.
    #[error("there is no program to run")]
    NoProgram,
}

/// What is known of the caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether a user namespace is made.
    pub(crate) new_user: bool,
    /// Whether a control group namespace is.
    pub(crate) new_cgroup: bool,
    /// Those in effect, as bits.
    pub(crate) capabilities: u64,
}

impl Sandbox {
    pub(crate) fn check(&self, caller: &Caller) -> Result<(), Conflict> {
        let names = &self.namespaces;
        let joins = names.joined_user.is_some();
        let differs = |id: Option<u32>, own: u32| id.is_some_and(|id| id != own);
        let hostname = self.changes.iter().any(|change| matches!(change, Change::Hostname(_)));
        let life = &self.lifetime;
        let mapped = caller.new_user || joins;
        let conflicts = [
            (joins && names.user != Wanted::No, Conflict::UserTwice),
            (!mapped && differs(self.identity.uid, caller.uid), Conflict::UidWithoutUser),
            (!mapped && differs(self.identity.gid, caller.gid), Conflict::GidWithoutUser),
            (hostname && !names.uts, Conflict::HostnameWithoutUts),
            (life.as_first_process && !names.pid, Conflict::FirstWithoutPid),
            (life.as_first_process && !life.locks.is_empty(), Conflict::FirstWithLocks),
            (names.no_more_users && !caller.new_user, Conflict::NoMoreWithoutUser),
            (names.no_more_users && names.maps_by_others, Conflict::NoMoreWithOthersMaps),
            (names.maps_by_others && !caller.new_user, Conflict::MapsWithoutUser),
            (self.program.argv.is_empty(), Conflict::NoProgram),
        ];
        conflicts.into_iter().find(|(is, _)| *is).map_or(Ok(()), |(_, conflict)| Err(conflict))
    }
}
