//! Namespaces, ids and rights.

use creel_spawn::Namespace;
use creel_sys::program::{CapabilitySets, Op};

use super::{Context, Name, Script, flag};
use crate::sandbox::Capabilities;

/// All bits that a capability can have.
const ALL: u64 = u64::MAX;

impl Context<'_> {
    /// Enters what is joined, and makes what did not come with the process.
    pub(super) fn lower_namespaces(&self, script: &mut Script) {
        let names = &self.sandbox.namespaces;
        let staged = names.joined_user.is_some();
        let own_pid = names.pid && names.joined_pid.is_none();
        let mut flags = flag(Namespace::Mount);
        for (wanted, kind) in [
            (self.caller.new_user, Namespace::User),
            (self.caller.new_cgroup, Namespace::Cgroup),
            (names.ipc, Namespace::Ipc),
            (names.net, Namespace::Network),
            (names.uts, Namespace::Uts),
            (own_pid, Namespace::Pid),
        ] {
            flags |= if wanted { flag(kind) } else { 0 };
        }
        let first_move = if staged { own_pid } else { false };
        let moves = [names.joined_pid.is_some(), names.joined_pid.is_some() && names.pid];
        script.moves = moves.into_iter().chain([first_move]).filter(|moves| *moves).count();
        if script.moves > 0 || self.sandbox.lifetime.waits || names.maps_by_others {
            script.add(Name::Fixed("wait for the caller"), Op::WaitForParent);
        }
        script.add(Name::Fixed("open `/proc`"), Op::OpenHost(c"/proc".into(), self.procfs));
        if let Some(user) = &names.joined_user {
            // Processes that are there could look into this one.
            script.add(Name::Fixed("forbid inspection"), Op::NotDumpable);
            let slot = script.give(user);
            let op = Op::Enter(slot, flag(Namespace::User));
            script.add(Name::Fixed("join the user namespace"), op);
            script.add(Name::Namespaces, Op::Unshare(flags & !flag(Namespace::Pid)));
        } else {
            // Another type for an enum's bits, none of which is the sign.
            script.flags = u64::from(flags.cast_unsigned());
        }
        if let Some(pid) = &names.joined_pid {
            let slot = script.give(pid);
            let op = Op::Enter(slot, flag(Namespace::Pid));
            script.add(Name::Fixed("join the process namespace"), op);
            script.add(Name::Fixed("continue in the process namespace"), Op::Part);
        }
        if names.pid && (staged || names.joined_pid.is_some()) {
            script.add(Name::Namespaces, Op::Unshare(flag(Namespace::Pid)));
            script.add(Name::Fixed("continue in the process namespace"), Op::Part);
        }
        if names.net {
            script.add(Name::Fixed("take the loopback interface up"), Op::RaiseLoopback);
        }
    }

    fn inside(&self) -> [u32; 2] {
        let identity = &self.sandbox.identity;
        [identity.uid.unwrap_or(self.caller.uid), identity.gid.unwrap_or(self.caller.gid)]
    }

    /// The ids while the root is made: terminals need a root user.
    fn making(&self) -> [u32; 2] {
        if self.has_dev() { [0, 0] } else { self.inside() }
    }

    pub(super) fn lower_first_identity(&self, script: &mut Script) {
        let names = &self.sandbox.namespaces;
        if self.caller.new_user && !names.maps_by_others {
            let deny = Op::WriteOwn(self.procfs, c"setgroups".into(), b"deny".to_vec());
            script.add(Name::Fixed("deny `setgroups`"), deny);
            self.lower_maps(script, self.making(), [self.caller.uid, self.caller.gid]);
        }
        if names.joined_user.is_none() {
            return;
        }
        // What was joined may have other ids; rights are kept until the root is made.
        let identity = &self.sandbox.identity;
        if identity.uid.is_some() || identity.gid.is_some() {
            script.add(Name::Fixed("keep capabilities"), Op::KeepCapabilities);
        }
        if let Some(gid) = identity.gid.filter(|gid| *gid != self.caller.gid) {
            script.add(Name::Fixed("set the group"), Op::Group(gid));
        }
        if let Some(uid) = identity.uid.filter(|uid| *uid != self.caller.uid) {
            script.add(Name::Fixed("set the user"), Op::User(uid));
            let sets = CapabilitySets { effective: ALL, permitted: ALL, inheritable: 0 };
            script.add(Name::Fixed("keep capabilities"), Op::Capabilities(sets));
        }
    }

    fn lower_maps(&self, script: &mut Script, inside: [u32; 2], outside: [u32; 2]) {
        let names = [c"uid_map", c"gid_map"];
        for ((inside, outside), name) in inside.into_iter().zip(outside).zip(names) {
            let line = format!("{inside} {outside} 1\n").into_bytes();
            let write = Op::WriteOwn(self.procfs, name.into(), line);
            script.add(Name::Fixed("write the id maps"), write);
        }
    }

    /// A namespace in the first one gives the program its ids back, and keeps it from undoing what limits
    /// the first.
    pub(super) fn lower_second_identity(&self, script: &mut Script) {
        let names = &self.sandbox.namespaces;
        if let Some(second) = &names.second_user {
            let slot = script.give(second);
            let op = Op::Enter(slot, flag(Namespace::User));
            script.add(Name::Fixed("join the second user namespace"), op);
        }
        let (making, inside) = (self.making(), self.inside());
        let differs = making != inside || names.no_more_users;
        if self.caller.new_user && !names.maps_by_others && differs {
            if names.no_more_users {
                let path = c"sys/user/max_user_namespaces".into();
                let write = Op::Write(self.procfs, path, b"1".to_vec());
                script.add(Name::Fixed("limit the number of user namespaces"), write);
            }
            script.add(Name::Namespaces, Op::Unshare(flag(Namespace::User)));
            self.lower_maps(script, inside, making);
        }
        if names.no_more_users || names.check_no_more_users {
            let op = Op::CheckNoUserNamespaces;
            script.add(Name::Fixed("do without user namespaces: one can be made"), op);
        }
    }

    fn kept_capabilities(&self) -> Option<u64> {
        match self.sandbox.program.capabilities {
            Capabilities::These(bits) => Some(bits),
            Capabilities::Usual if self.caller.uid == 0 => None,
            Capabilities::Usual => Some(0),
        }
    }

    pub(super) fn lower_rights(&self, script: &mut Script) {
        let kept = self.kept_capabilities();
        if self.changes_user() {
            let op = Op::KeepBounding(kept.unwrap_or(self.caller.capabilities));
            script.add(Name::Fixed("bound the capabilities"), op);
        }
        if let Some(kept) = kept {
            let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: kept };
            script.add(Name::Fixed("set the capabilities"), Op::Capabilities(sets));
            for cap in (0..u64::BITS).filter(|cap| kept & (1 << cap) != 0) {
                script.add(Name::Fixed("raise a capability"), Op::RaiseAmbient(cap));
            }
        }
        script.add(Name::Fixed("forbid new privileges"), Op::NoNewPrivileges);
    }
}
