//! Who the program is, and what it may do.

use super::world::{Who, World, everywhere};

#[test]
fn a_user_has_no_capabilities() {
    let world = World::new(Who::User);
    let sets = "grep ^Cap /proc/self/status";
    for options in ["", "--unshare-pid", "--unshare-all --dev /dev", "--unshare-pid --as-pid-1"] {
        let found = world.prints(&format!("$B {options} --ro-bind /proc /proc {sets}"));
        assert!(found.lines().all(|line| line.ends_with("\t0000000000000000")), "{found}");
    }
    let some = format!("$B --cap-add cap_net_raw --ro-bind /proc /proc {sets}");
    assert_eq!(world.prints(&some).matches("\t0000000000002000").count(), 5);
}

#[test]
fn root_keeps_its_own_unless_told() {
    let world = World::new(Who::Root);
    let sets = "grep '^Cap[PE]' /proc/self/status";
    let own = world.prints(sets);
    assert_eq!(world.prints(&format!("$B --ro-bind /proc /proc {sets}")), own);
    let none = world.prints(&format!("$B --cap-drop ALL --ro-bind /proc /proc {sets}"));
    assert!(none.lines().all(|line| line.ends_with("\t0000000000000000")), "{none}");
    let without = world.prints(&format!("$B --cap-drop CAP_CHOWN --ro-bind /proc /proc {sets}"));
    assert_ne!(without, own);
    assert!(without.lines().all(|line| line.ends_with('e')), "{without}");
}

#[test]
fn new_privileges_are_forbidden() {
    everywhere(|world| {
        let flag = "grep -h NoNewPrivs /proc/self/status";
        assert_eq!(world.prints(&format!("$B --ro-bind /proc /proc {flag}")), "NoNewPrivs:\t1");
    });
}

#[test]
fn ids_are_those_that_are_asked_for() {
    everywhere(|world| {
        let id = "sh -c 'id -u; id -g' | tr '\\n' ' '";
        let own = world.prints(id);
        assert_eq!(world.prints(&format!("$B --unshare-user --dev /dev {id}")), own);
        let others = format!("$B --unshare-user --uid 7 --gid 8 --dev /dev {id}");
        assert_eq!(world.prints(&others), "7 8");
    });
    let words = World::new(Who::Root).fails("$C --uid 7 true", 125);
    assert!(words.contains("needs a user namespace"), "{words}");
}

#[test]
fn namespaces_are_new_or_not() {
    everywhere(|world| {
        let number = |options: &str, kind: &str| {
            world.prints(&format!(
                "$B {options} --ro-bind /proc /proc readlink /proc/self/ns/{kind}"
            ))
        };
        for kind in ["ipc", "pid", "net", "uts", "cgroup", "user"] {
            let own = world.prints(&format!("readlink /proc/self/ns/{kind}"));
            if !(kind == "user" && world.prints("id -u") != "0") {
                assert_eq!(number("", kind), own);
            }
            assert_ne!(number(&format!("--unshare-{kind}"), kind), own);
            assert_ne!(number("--unshare-all", kind), own);
        }
        let net = world.prints("readlink /proc/self/ns/net");
        assert_eq!(number("--unshare-all --share-net", "net"), net);
        assert_eq!(world.prints("$B --unshare-uts --hostname box hostname"), "box");
        let script = "$B --unshare-net --proc /proc sh -c 'grep -c lo: /proc/net/dev; \
                      grep -c 127.0.0.1 /proc/net/fib_trie'";
        assert!(!world.prints(script).contains('0'), "{}", world.prints(script));
    });
}

#[test]
fn the_environment_and_the_directory_are_set() {
    everywhere(|world| {
        let script = "FOO=1 BAR=2 $B --clearenv --setenv X 3 env";
        assert_eq!(world.prints(script), "X=3\nPWD=/");
        assert_eq!(world.prints("FOO=1 $B --unsetenv FOO sh -c 'echo $FOO.$PWD'"), "./");
        let here = world.path("").display().to_string();
        let here = here.trim_end_matches('/');
        // Without `--chdir`: where the caller is, at home, or in the root.
        let bare = |options: &str| {
            let links = "--symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64";
            world.prints(&format!(
                "./bwrap --ro-bind /usr /usr {links} {options} sh -c 'pwd; echo $PWD'"
            ))
        };
        assert_eq!(bare("--bind \"$D\" \"$D\""), format!("{here}\n{here}"));
        assert_eq!(bare("--dir /h --setenv HOME /h"), "/h\n/h");
        assert_eq!(bare(""), "/\n/");
        let words = world.fails("$B --chdir /no true", 1);
        assert!(words.contains("enter the directory"), "{words}");
        let output = world.run("umask 027; $B sh -c umask");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "0027\n");
        assert_eq!(world.prints("$B --argv0 name sh -c 'echo $0'"), "name");
    });
}

#[test]
fn what_cannot_go_together_is_refused() {
    everywhere(|world| {
        for (options, words) in [
            ("--as-pid-1", "process namespace"),
            ("--unshare-pid --as-pid-1 --lock-file /usr", "lock"),
            ("--hostname x", "host name"),
        ] {
            let said = world.fails(&format!("$C {options} true"), 125);
            assert!(said.contains(words), "{options}: {said}");
        }
        assert!(world.fails("$C --unshare-pid", 125).contains("no program"));
        assert!(world.fails("./bwrap", 1).starts_with("usage: ./bwrap"));
        assert!(world.prints("./bwrap --help").starts_with("usage: ./bwrap"));
        assert!(world.prints("./bwrap --version").starts_with("bubblewrap "));
        assert!(world.prints("./creel sandbox --help").contains("--ro-bind SRC DEST"));
    });
}

#[test]
fn namespaces_of_others_are_joined() {
    everywhere(|world| {
        let script = "mkfifo f; $B --unshare-user --unshare-pid --info-fd 9 --proc /proc \
            sh -c 'readlink /proc/self/ns/user /proc/self/ns/pid; cat' 9>info <f >first & \
            exec 7>f; until test -s first; do sleep 0.05; done; \
            pid=$(grep -o 'child-pid\": [0-9]*' info | grep -o '[0-9]*'); \
            $B --userns 8 --pidns 9 --proc /proc readlink /proc/self/ns/user /proc/self/ns/pid \
            8</proc/$pid/ns/user 9</proc/$pid/ns/pid >second; code=$?; exec 7>&-; wait; cmp first second && exit $code";
        world.prints(script);
    });
}
