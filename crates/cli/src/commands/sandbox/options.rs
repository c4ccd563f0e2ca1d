//! The options, for people.

/// What can be asked for, and how.
pub(super) const OPTIONS: &str = "\
Options of the sandbox, done in their order; FD is the number of an open descriptor:

  --args FD                      Read more options from FD, each ended by a null byte
  --argv0 NAME                   Tell the program that this is its name
  --level-prefix                 Begin diagnostics with their level, as in <3>

Namespaces:
  --unshare-all                  New ones of every kind that the host permits
  --share-net                    But for the network
  --unshare-user, --unshare-ipc, --unshare-pid, --unshare-net, --unshare-uts, --unshare-cgroup
                                 New ones of these kinds
  --unshare-user-try, --unshare-cgroup-try
                                 The same, where the host permits it
  --userns FD, --pidns FD        Join this one
  --userns2 FD                   Join this user namespace once all is made
  --disable-userns               Leave the program no way to make user namespaces
  --assert-userns-disabled       Fail unless it has none
  --uid UID, --gid GID           Ids of the program
  --hostname NAME                Host name

Files; what leads to DEST is made where it is missing:
  --bind SRC DEST                Show SRC of the host, with the mounts below it
  --ro-bind SRC DEST             The same, read-only
  --dev-bind SRC DEST            The same, with its devices
  --bind-try, --ro-bind-try, --dev-bind-try SRC DEST
                                 The same, if SRC is there
  --bind-fd FD DEST, --ro-bind-fd FD DEST
                                 Show what FD holds
  --remount-ro DEST              Make the mount on DEST read-only, not those below it
  --overlay-src SRC              A layer of the next overlay, the lowest first
  --overlay RWSRC WORKDIR DEST   Stack the layers; changes go to RWSRC
  --tmp-overlay DEST             The same; changes are lost
  --ro-overlay DEST              The same; there are no changes
  --proc DEST, --dev DEST, --mqueue DEST
                                 Processes, devices, message queues
  --tmpfs DEST                   Memory
  --dir DEST                     A directory
  --file FD DEST                 A file with what FD gives
  --bind-data FD DEST, --ro-bind-data FD DEST
                                 The same, in memory
  --symlink TEXT DEST            A symbolic link
  --perms OCTAL                  Permissions of what the next option makes
  --size BYTES                   Size of the next --tmpfs
  --chmod OCTAL DEST             Permissions of what is there

The program:
  --chdir DIR                    Start in DIR
  --setenv NAME VALUE, --unsetenv NAME, --clearenv
                                 Change the environment
  --cap-add CAP, --cap-drop CAP  Capabilities, or ALL
  --seccomp FD                   Load the system call filter that FD gives
  --seccomp default|off          Keep the program from typing on the terminal (`TIOCSTI`), as it
                                 is without a word, or not; not under the name `bwrap`
  --add-seccomp-fd FD            The same, as often as it is said
  --exec-label LABEL, --file-label LABEL
                                 Labels of SELinux for the program and for new files

Lifetime:
  --new-session                  Start a session, without the caller's terminal
  --die-with-parent              Kill it all when the caller ends
  --as-pid-1                     Make the program the first process
  --lock-file DEST               Share a lock on DEST meanwhile
  --sync-fd FD                   Keep FD open meanwhile
  --block-fd FD                  Start once FD can be read
  --userns-block-fd FD           Wait for FD until others have written the id maps
  --info-fd FD                   Tell FD about the process
  --json-status-fd FD            Tell FD about the process and its end";
