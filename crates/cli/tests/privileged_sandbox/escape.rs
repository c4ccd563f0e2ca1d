//! Ways out, each tried.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::world::{Who, World, everywhere, text};

/// CVE-2026-87766: places below a bound directory whose names lead to the host.
#[test]
fn a_parent_that_is_a_link_does_not_lead_out() {
    everywhere(|world| {
        let prepare = "mkdir -p host data; ln -s \"$D/host\" data/absolute; \
                       ln -s ../../../../../../../../\"$D/host\" data/relative; ln -s / data/root";
        world.prints(prepare);
        // The control: the links lead to the host's directory for who follows them.
        world.prints("touch data/absolute/control data/relative/control; rm host/control");
        for options in [
            "--dir /data/absolute/x --dir /data/relative/x --dir /data/root/x",
            "--bind /dev/null /data/absolute/x --bind /dev/null /data/relative/x",
            "--tmpfs /data/absolute/x --tmpfs /data/relative/x",
            "--file 9 /data/absolute/x --bind-data 9 /data/relative/x",
            "--symlink a /data/absolute/x --symlink a /data/relative/x",
            "--overlay-src /etc --tmp-overlay /data/absolute/x",
            "--overlay-src /etc --tmp-overlay /data/o --dir /data/absolute/x",
            "--proc /data/absolute/x --dev /data/relative/x",
        ] {
            world.prints(&format!("$B --bind data /data {options} true 9</dev/null"));
            let found: Vec<_> = fs::read_dir(world.path("host")).unwrap().collect();
            assert!(found.is_empty(), "{options}: {found:?}");
            let left = world.prints("ls -A data");
            assert!(left.starts_with("absolute\n"), "{options}: {left}");
            let _ = fs::remove_dir(world.path("data/o"));
        }
    });
}

#[test]
fn nothing_is_mounted_on_a_link() {
    everywhere(|world| {
        for options in ["--bind /etc", "--tmpfs", "--proc", "--dev", "--ro-bind-data 9"] {
            let script = format!("$B --dir /d --symlink /d /l {options} /l true 9</dev/null");
            let words = world.fails(&script, 1);
            assert!(words.contains("Can't mount on symlink destination /l"), "{words}");
            world.prints(&format!("$B {options} /d true 9</dev/null"));
        }
        let words = world.fails("$C --symlink /usr /l --bind /etc /l true", 125);
        assert!(words.contains("`/l` is a symbolic link"), "{words}");
    });
}

/// What is bound is renamed while sandboxes are made.
#[test]
fn a_source_or_a_place_that_changes_meanwhile_does_not_lead_out() {
    everywhere(|world| {
        world.prints(
            "mkdir -p secret data/good data/other; echo secret >secret/f; echo good >data/good/f",
        );
        let (good, link) = (world.path("data/good"), world.path("data/link"));
        symlink(world.path("secret"), &link).unwrap();
        let end = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !end.load(Ordering::Relaxed) {
                    renameat_with(CWD, &good, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            });
            for _ in 0..60 {
                // The place is below what changes: whatever it is then, the host's must not change.
                let script = "$B --bind data /data --tmpfs /data/good/sub --dir /data/good/new \
                              sh -c 'mount 2>/dev/null; ls /data >/dev/null' 2>/dev/null; true";
                world.prints(script);
                let found: Vec<_> = fs::read_dir(world.path("secret")).unwrap().flatten().collect();
                assert_eq!(found.len(), 1, "{found:?}");
            }
            end.store(true, Ordering::Relaxed);
        });
        assert_eq!(text(world.path("secret/f")), "secret\n");
    });
}

/// A descriptor is bound by its path, which may be another's by then.
#[test]
fn a_descriptor_stands_for_what_it_holds() {
    everywhere(|world| {
        world.prints("mkdir held other; echo held >held/f; echo other >other/f");
        assert_eq!(world.prints("exec 9<held; $B --bind-fd 9 /x cat /x/f"), "held");
        let script = "exec 9<held; mv held moved; $B --ro-bind-fd 9 /x cat /x/f; mv moved held";
        assert_eq!(world.prints(script), "held");
        let swap = "exec 9<held; rmdir() { :; }; rm held/f; command rmdir held; mv other held; \
                    $C --bind-fd 9 /x cat /x/f";
        let words = world.fails(swap, 125);
        assert!(words.starts_with("error: "), "{words}");
    });
}

#[test]
fn descriptors_of_the_host_stay_outside() {
    everywhere(|world| {
        let script = |call: &str| {
            let options = "--unshare-pid --proc /proc --dev /dev";
            format!("exec 9</; {call} {options} sh -c 'ls /proc/self/fd/9/etc >/dev/null 2>&1'")
        };
        // The control: bubblewrap's callers pass descriptors.
        world.prints(&script("$B"));
        world.fails(&script("$C"), 2);
        // Nor do those of the setup remain, whatever their numbers.
        let script = "$C --unshare-pid --proc /proc sh -c 'ls /proc/self/fd' | tr '\\n' ' '";
        assert_eq!(world.prints(script), "0 1 2 3");
    });
}

/// The supervisor runs from creel's file and holds the status (CVE-2019-5736).
#[test]
fn the_supervisor_cannot_be_looked_into() {
    let world = World::new(Who::User);
    let call = "$C --unshare-pid --proc /proc";
    // The control: the program can look into itself.
    world.prints(&format!("{call} sh -c 'exec 3</proc/self/mem; readlink /proc/self/exe'"));
    for path in ["mem", "exe", "environ", "fd/0", "root/usr"] {
        let words = world.fails(&format!("{call} cat /proc/1/{path}"), 1);
        assert!(words.contains("ermission denied"), "{path}: {words}");
    }
}

#[test]
fn the_root_of_the_host_is_not_below_proc() {
    everywhere(|world| {
        world.prints("echo here >mark");
        let mark = world.path("mark");
        let script = format!(
            "$B --unshare-pid --proc /proc sh -c 'for p in /proc/[0-9]*; do for d in root cwd; do \
             for f in $p/$d $p/task/*/$d; do cat $f{0}; done; done; done 2>/dev/null; \
             cat /proc/self/fd/*/..{0} 2>/dev/null; cd ..; cat ..{0} 2>/dev/null'; true",
            mark.display()
        );
        assert_eq!(world.prints(&script), "");
    });
}

#[test]
fn user_namespaces_are_kept_away() {
    everywhere(|world| {
        // The control: they can be made.
        world.prints("$B --unshare-user --ro-bind / / unshare -U true");
        world.prints(
            "$B --unshare-user --disable-userns --ro-bind / / sh -c '! unshare -U true' 2>&1",
        );
        let undone = "echo 100 >/proc/sys/user/max_user_namespaces; ! unshare -U true";
        world.prints(&format!(
            "$B --unshare-user --disable-userns --ro-bind / / sh -c '{undone}' 2>&1"
        ));
        let words = world.fails("$B --unshare-user --assert-userns-disabled --ro-bind / / true", 1);
        assert!(words.contains("user namespaces"), "{words}");
    });
}

#[test]
fn a_program_with_privileges_by_its_file_refuses() {
    let world = World::new(Who::User);
    let program = world.path("elevated");
    fs::copy(env!("CARGO_BIN_EXE_creel"), &program).unwrap();
    let run = "./elevated sandbox --ro-bind / / true";
    world.prints(run);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    fs::set_permissions(&program, mode).unwrap();
    let words = world.fails(run, 125);
    assert!(words.contains("privileges by its file"), "{words}");
}

/// `--new-session` leaves no terminal to put input into.
#[test]
fn a_new_session_has_no_terminal() {
    let world = World::new(Who::User);
    let script = "sh -c 'exec 3<>/dev/tty' 2>/dev/null && echo has || echo has-not";
    let run = |options: &str| {
        let mut command = world.command("exec script -qec \"$RUN\" /dev/null");
        command.env("RUN", format!("$B {options} --dev /dev {script}"));
        let output = command.stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(run(""), "has");
    assert_eq!(run("--new-session"), "has-not");
}

/// Requests that put input into a terminal are refused, whatever the upper half of the register holds
/// (CVE-2019-10063); other requests get as far as the device, which is no terminal.
#[test]
fn nothing_is_typed_on_the_callers_terminal() {
    let ioctl = if cfg!(target_arch = "aarch64") { 29 } else { 16 };
    let errno = |call: &str, request: &str| {
        let code = format!("syscall({ioctl}, 0, {request}, 0); print $!+0");
        format!("{call} --dev /dev perl -e '{code}' </dev/null")
    };
    everywhere(|world| {
        for request in ["0x5412", "0x541c", "0x100005412", "0x10000541c"] {
            assert_eq!(world.prints(&errno("$B", request)), "25", "{request}");
            assert_eq!(world.prints(&errno("$C --seccomp off", request)), "25", "{request}");
            assert_eq!(world.prints(&errno("$C", request)), "1", "{request}");
            assert_eq!(world.prints(&errno("$C --seccomp default", request)), "1", "{request}");
        }
        assert_eq!(world.prints(&errno("$C", "0x5413")), "25");
    });
}
