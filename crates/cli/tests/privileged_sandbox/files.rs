//! What is in the root.

use super::world::{Who, World, everywhere, text};

#[test]
fn nothing_of_the_host_remains() {
    everywhere(|world| {
        for (options, mounts) in [
            ("--proc /proc", 3),
            ("--proc /proc --tmpfs /t", 4),
            ("--proc /proc --overlay-src /etc --tmp-overlay /o", 4),
            ("--proc /proc --file 9 /x --bind-data 9 /y", 4),
        ] {
            let script = format!("$B --unshare-pid {options} cat /proc/self/mountinfo 9</dev/null");
            let found = world.prints(&script);
            // For root some of `/proc` is covered.
            let count = found.lines().filter(|line| !line.contains(" /proc/")).count();
            assert_eq!(count, mounts, "{options}\n{found}");
        }
        assert_eq!(world.prints("$B ls -A /"), "bin\nlib\nlib64\nsbin\nusr");
        // A root that covers others.
        let script = "$B --tmpfs / --ro-bind / / --overlay-src /etc --tmp-overlay /mnt \
                      sh -c 'grep -c \" / / \" /proc/self/mountinfo; ls /mnt'";
        assert!(world.prints(script).starts_with("1\n"), "{}", world.prints(script));
    });
}

#[test]
fn changes_are_done_in_their_order() {
    everywhere(|world| {
        let script = "mkdir -p data; echo host >data/f; $B --dir /a/b --tmpfs /a --bind data /a/data \
                      --symlink data /a/link --dir /a/late sh -c 'cd /a; ls; cat link/f'";
        assert_eq!(world.prints(script), "data\nlate\nlink\nhost");
        // What comes later covers what was there.
        let script = "$B --bind data /data --tmpfs /data sh -c 'ls -A /data'";
        assert_eq!(world.prints(script), "");
        // Through `..` as well, inside the root only.
        let script = "$B --dir /a --bind data /a/../../b cat /b/f";
        assert_eq!(world.prints(script), "host");
        let words = world.fails("$B --tmpfs /usr/.. true", 1);
        assert!(words.contains("/usr/.."), "{words}");
    });
}

#[test]
fn what_is_made_has_the_permissions_that_are_asked_for() {
    everywhere(|world| {
        let script = "$B --perms 0710 --dir /a/b --perms 1777 --tmpfs /c --perms 0640 --file 9 /d \
            --perms 0604 --ro-bind-data 9 /e/f --bind /dev/null /g/h --dir /i --chmod 2751 /i \
            stat -c '%a %n' /a /a/b /c /d /e /e/f /g /i 9</dev/null";
        let expected = "750 /a\n710 /a/b\n1777 /c\n640 /d\n705 /e\n604 /e/f\n755 /g\n2751 /i";
        assert_eq!(world.prints(script), expected);
    });
}

#[test]
fn a_read_only_bind_is_so_with_all_below() {
    let world = World::new(Who::Root);
    // The mount below is in a namespace of the script's own.
    let script = "mkdir -p a/b; exec unshare -m --propagation private sh -c 'mount -t tmpfs x a/b; \
        $B --ro-bind a /a sh -c \"! touch /a/x && ! touch /a/b/x\" 2>/dev/null && \
        $B --bind a /a --remount-ro /a sh -c \"! touch /a/x && touch /a/b/x\" 2>/dev/null && \
        $B --bind a /a touch /a/x'";
    world.prints(script);
}

#[test]
fn devices_work_only_where_they_are_asked_for() {
    everywhere(|world| {
        world.prints(
            "$B --dev /dev sh -c 'echo x >/dev/null; head -c 1 /dev/zero >/dev/full' || \
                      test $? = 1",
        );
        world.prints("$B --dev-bind /dev/null /n sh -c 'echo x >/n'");
        let words = world.fails("$B --bind /dev/null /n sh -c 'echo x >/n'", 2);
        assert!(words.contains("ermission denied"), "{words}");
        let links = "readlink /dev/stdin /dev/stdout /dev/stderr /dev/fd /dev/core /dev/ptmx";
        let found = world.prints(&format!("$B --dev /dev {links}"));
        assert!(found.ends_with("/proc/self/fd\n/proc/kcore\npts/ptmx"), "{found}");
    });
}

#[test]
fn contents_come_from_descriptors() {
    everywhere(|world| {
        let script = "echo one >1; echo two >2; (echo three; sleep 0.1; echo four) | $B --file 0 /p \
            --bind-data 8 /q --ro-bind-data 9 /r sh -c 'cat /p /q /r; echo x >/q; echo x >/r' 8<1 9<2";
        let output = world.run(script);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "three\nfour\none\ntwo\n");
        assert!(!output.status.success());
        assert_eq!(text(world.path("1")), "one\n");
    });
}

#[test]
fn a_link_is_made_once() {
    everywhere(|world| {
        world.prints("$B --symlink a /l --symlink a /l test -L /l");
        let words = world.fails("$B --symlink a /l --symlink b /l true", 1);
        assert!(words.contains("existing destination is a"), "{words}");
        let words = world.fails("$C --dir /l --symlink b /l true", 125);
        assert!(words.contains("something else is there"), "{words}");
    });
}

#[test]
fn overlays_keep_changes_where_they_belong() {
    everywhere(|world| {
        world.prints("mkdir l1 l2 'u:,' w; echo 1 >l1/a; echo 2 >l2/a; echo 1 >l1/b");
        let sources = "--overlay-src l1 --overlay-src l2";
        let change = "sh -c 'cat /o/a /o/b; echo 3 >/o/a; cat /o/a'";
        let kept = format!("$B {sources} --overlay 'u:,' w /o {change}");
        assert_eq!(world.prints(&kept), "2\n1\n3");
        assert_eq!(text(world.path("u:,/a")), "3\n");
        assert_eq!(world.prints(&format!("$B {sources} --tmp-overlay /o {change}")), "2\n1\n3");
        let words = world.fails(&format!("$B {sources} --ro-overlay /o {change}"), 0);
        assert!(words.contains("ead-only"), "{words}");
        assert_eq!(text(world.path("l2/a")), "2\n");
    });
}

#[test]
fn what_is_optional_may_be_missing() {
    everywhere(|world| {
        world.prints(
            "$B --bind-try no /a --ro-bind-try no /b --dev-bind-try no /c sh -c '! ls /a' 2>&1",
        );
        let words = world.fails("$B --bind no /a true", 1);
        assert!(words.starts_with("bwrap: Can't find source path no: No such file"), "{words}");
        let words = world.fails("$C --bind no /a true", 125);
        assert!(words.contains("hint: check the path"), "{words}");
    });
}
