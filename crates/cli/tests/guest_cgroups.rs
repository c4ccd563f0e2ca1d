//! Containers in control groups of version 2, which a guest has: as root, and as a user whose group
//! is or is not delegated.
#![allow(clippy::unwrap_used)] // in the helpers of tests

use creel_testkit::busybox;
use creel_testkit::guest::{Guest, Setup, USER};

/// A guest with the program and the image `box`, for root and for the user.
struct World(Guest);

impl World {
    fn new() -> Self {
        let program = env!("CARGO_BIN_EXE_creel");
        let setup = Setup::default().program(program).unwrap();
        let setup = setup.file("/box.tar", 0o644, busybox::layer().unwrap());
        let setup = setup.file("/lib.sh", 0o644, include_bytes!("guest_cgroups.sh").to_vec());
        let mut guest = setup.boot().unwrap();
        guest.run(&format!("ln -s {program} /usr/bin/creel")).unwrap();
        let import = "creel import -c 'ENV PATH=/bin' /box.tar box";
        guest.run(import).unwrap();
        assert!(guest.output_as(USER, import).unwrap().status.success());
        Self(guest)
    }

    /// Runs a script as root, which must succeed and print exactly this on either output.
    fn prints(&mut self, script: &str, expected: &str) {
        let (code, said) = self.result(script);
        assert_eq!((code, said.as_str()), (Some(0), expected), "{script}");
    }

    /// Runs a script that must print these words among others.
    fn says(&mut self, script: &str, words: &[&str]) {
        let (_, said) = self.result(script);
        for word in words {
            assert!(said.contains(word), "{script}: `{word}` is not in: {said}");
        }
    }

    fn result(&mut self, script: &str) -> (Option<i32>, String) {
        let output = self.0.output(&format!(". /lib.sh\nexec 2>&1\n{script}")).unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

#[test]
fn guest_root_has_groups_and_limits() {
    let mut world = World::new();
    world.says("creel doctor", &["ok       cgroups: version 2, with memory, cpu and pids"]);
    // Its group is the root of what it sees, and it is there from the start.
    world.prints("in_box '' cat /proc/self/cgroup", "0::/");
    world.prints("in_box '' cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/cgroup.procs", "2048\n1");
    let limits = "--memory 32m --cpus 0.5 --pids-limit 20";
    let files = "cd /sys/fs/cgroup; cat memory.max cpu.max pids.max";
    world.prints(&format!("in_box '{limits}' sh -c '{files}'"), "33554432\n50000 100000\n20");
    // The limits hold.
    let fill = "dd if=/dev/zero of=/m/x bs=1M count=60";
    world.prints(&format!("in_box '--memory 16m --tmpfs /m:size=64m' {fill}; echo $?"), "137");
    let forks = "for n in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; echo made";
    world.prints(&format!("in_box '--pids-limit 20' sh -c '{forks}'"), "made");
    world.prints(&format!("in_box '--pids-limit 5' sh -c '{forks}' 2>/dev/null; echo $?"), "2");
    world.prints("in_box '' touch /sys/fs/cgroup/x 2>/dev/null || echo refused", "refused");
    // What a container has made below its group goes with it.
    let nest = "mkdir -p /sys/fs/cgroup/a/b; sleep 60 & echo $! > /sys/fs/cgroup/a/b/cgroup.procs; \
                cat /proc/$!/cgroup";
    world.prints(&format!("in_box --privileged sh -c '{nest}'"), "0::/a/b");
    world.prints("groups", "");
}

#[test]
fn guest_processes_join_the_group_and_go_with_it() {
    let mut world = World::new();
    world.prints("start x && creel exec x cat /proc/self/cgroup", "0::/");
    world.prints("creel exec x sh -c 'grep -c . /sys/fs/cgroup/cgroup.procs'", "3");
    world.prints("grep -c ^0::/creel/ /proc/$(pid_of_box)/cgroup", "1");
    // The run is killed; its process and group go with the next command that cleans up.
    world.prints("kill_run; pgrep -c sleep; groups | wc -l", "1\n1");
    world.says("creel doctor --fix", &["note: put away container `x`, whose run was killed"]);
    world.prints("pgrep sleep; groups", "");
    world.prints(
        "start y && kill_run; in_box '' echo ran; creel ps -aq; pgrep sleep; groups",
        "ran",
    );
}

/// As in version 1, and where the root's `nodev` does not help: on a file system of its own a
/// container may ask for devices.
#[test]
fn guest_devices_are_refused() {
    let mut world = World::new();
    let nodes = "cd /d && mknod mem c 1 1 && mknod disk b 254 0 && mknod zero c 1 5; \
                 for node in mem disk zero; do \
                 (exec < $node) 2>/dev/null && echo $node; done; true";
    let own = "--cap-add mknod --tmpfs /d:dev";
    world.prints(&format!("in_box '{own}' sh -c '{nodes}'"), "zero");
    world.prints(&format!("in_box '{own} --privileged' sh -c '{nodes}'"), "mem\ndisk\nzero");
    // Nor does a process that comes later get them, whatever it may do.
    let later = format!("start x {own} && creel exec --privileged x sh -c '{nodes}'");
    world.prints(&later, "zero");
    world.prints("creel rm -f x", "x");
    let usual = "echo x > /dev/null; for name in zero full random urandom; do \
                 head -c 1 /dev/$name | wc -c; done";
    world.prints(&format!("in_box '' sh -c '{usual}'"), "1\n1\n1\n1");
    world.prints("in_box -t sh -c 'test -t 0 && : < /dev/tty && echo terminal'", "terminal");
}

/// A root whose group is not the machine's first, as in a container.
#[test]
fn guest_root_in_a_group_with_processes() {
    let mut world = World::new();
    let mut inside = |script: &str, words: &[&str]| {
        let enter = "exec unshare -Cm sh -uc '. /lib.sh; umount /sys/fs/cgroup; \
                     mount -t cgroup2 none /sys/fs/cgroup;";
        world.says(&format!("enter_group /sys/fs/cgroup/outer; {enter} {script}'"), words);
    };
    let own = "sh -c \"cat /proc/self/cgroup; ls /sys/fs/cgroup\"";
    inside(&format!("in_box \"\" {own} | grep -c pids.max"), &["0"]);
    inside("in_box \"\" cat /proc/self/cgroup", &["0::/"]);
    let memory = "in_box \"--memory 32m\" cat /sys/fs/cgroup/memory.max";
    let refused = ["below `/sys/fs/cgroup`, which has processes", "hint: move them: run `mkdir "];
    inside(memory, &refused);
    inside("creel doctor", &["limits on memory, cpu, pids are refused", "mend: move them"]);
    // As the hint says.
    let mend = "mkdir -p /sys/fs/cgroup/init; for p in $(cat /sys/fs/cgroup/cgroup.procs); do \
                echo $p > /sys/fs/cgroup/init/cgroup.procs; done 2>/dev/null;";
    inside(&format!("{mend} {memory}"), &["33554432"]);
    let read_only = "mount -o remount,bind,ro /sys/fs/cgroup;";
    inside(&format!("{read_only} in_box \"\" echo ran"), &["ran"]);
    inside(
        &format!("{read_only} {memory}"),
        &["only be read here", "-o remount,rw /sys/fs/cgroup"],
    );
}

#[test]
fn guest_a_user_without_and_with_a_delegated_group() {
    let mut world = World::new();
    let memory = "as_user \"in_box '--memory 32m' cat /sys/fs/cgroup/memory.max\"";
    world.prints("as_user \"in_box '' echo ran\"", "ran");
    world
        .says(memory, &["the control group `/` is not delegated", "hint: run `systemd-run --user"]);
    world.says("as_user 'creel doctor'", &["limited  cgroups: version 2, but", "systemd-run"]);
    let enter = "enter_delegated /sys/fs/cgroup/mine;";
    world.prints(&format!("{enter} as_user \"in_box '' cat /proc/self/cgroup\""), "0::/");
    let mut mine = |script: &str, expected: &str| {
        let enter = "echo $$ > /sys/fs/cgroup/mine/session/cgroup.procs";
        world.prints(&format!("{enter}; {script}"), expected);
    };
    mine(memory, "33554432");
    mine("as_user 'creel doctor' | grep -c 'ok       cgroups'", "1");
    let cpu = "--cpus 0.5 --pids-limit 9";
    mine(
        &format!("as_user \"in_box '{cpu}' sh -c 'cd /sys/fs/cgroup; cat cpu.max pids.max'\""),
        "50000 100000\n9",
    );
    let fill = "dd if=/dev/zero of=/m/x bs=1M count=60";
    mine(&format!("as_user \"in_box '--memory 16m --tmpfs /m:size=64m' {fill}\"; echo $?"), "137");
    mine("groups", "");
    // What is left of it is found from a group that could not have made it.
    mine("as_user 'start x --memory 32m && creel exec x cat /proc/self/cgroup'", "0::/");
    world.says("as_user 'creel exec x true'", &["out of reach", "hint: run creel in the session"]);
    world.prints("kill_run; groups | wc -l", "1");
    world.says("as_user 'creel doctor --fix'", &["put away container `x`"]);
    world.prints("pgrep sleep; groups", "");
}
