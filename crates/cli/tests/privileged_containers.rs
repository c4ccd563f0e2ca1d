//! `creel run` as everybody uses it: as root, as a user with subordinate ids, and as one without.
#![allow(clippy::unwrap_used)]

mod containers;

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use containers::{Who, World};

fn core(who: Who) {
    let world = World::new(who);
    codes(&world);
    process_options(&world);
    volumes(&world);
    isolation(&world);
    streams(&world);
    kept(&world);
    world.is_clean();
}

fn codes(world: &World) {
    for code in [0, 1, 7, 255] {
        assert_eq!(world.script(&[], &format!("exit {code}")), (code, String::new()));
    }
    assert_eq!(world.script(&[], "kill -9 $$").0, 0, "PID 1 ignores what it sends itself");
    assert_eq!(world.result(&["run", "--rm", "box", "/no/such"]).0, 127);
    assert_eq!(world.result(&["run", "--rm", "box", "no-such"]).0, 127);
    assert_eq!(world.result(&["run", "--rm", "box", "/etc/passwd"]).0, 126);
    assert_eq!(world.result(&["run", "--rm", "box", "/etc"]).0, 126);
    world.refuses(&["run", "--rm", "--pull", "never", "nothing", "true"], &["nothing", "hint: "]);
    world.refuses(&["run", "--rm", "--no-such-option", "box"], &["--no-such-option"]);
}

fn process_options(world: &World) {
    let file = world.file("env", "# remark\nFROM_FILE=a b\nHIDDEN=1\n");
    let options = ["--env-file", &file, "-e", "OWN=x=y", "-e", "HIDDEN=2", "-w", "/new/dir"];
    world.prints(&options, "echo \"$FROM_FILE,$OWN,$HIDDEN\"; pwd", "a b,x=y,2\n/new/dir");
    world.prints(&["--hostname", "name"], "hostname; cat /etc/hostname", "name\nname");
    world.prints(&["--hostname", "name"], "grep -c name /etc/hosts", "1");
    world.prints(&[], "wc -c < /etc/resolv.conf", "0");
    world.prints(&[], "id -u; id -g; echo $HOME", "0\n0\n/root");
    let said = world.runs(&["run", "--rm", "--entrypoint", "echo", "box", "-n", "a b", ""]);
    assert_eq!(said, "a b ");
    world.prints(&["--ulimit", "nofile=50:60"], "ulimit -Sn; ulimit -Hn", "50\n60");
    world.refuses(&["run", "--rm", "--ulimit", "odd=1", "box", "true"], &["odd=1"]);
    let long = "a".repeat(65);
    for (option, wrong, hint) in [
        ("--network", "odd", "hint: there are `none` and `host`"),
        ("--workdir", "src", "hint: write it from the root: `-w /src`"),
        ("--hostname", "a\nb", "1 to 64 letters"),
        ("--hostname", &long, "1 to 64 letters"),
        ("--stop-signal", "ODD", "a name like `SIGTERM`"),
    ] {
        // Refused before the image is looked for.
        let shown = wrong.escape_default().to_string();
        world.refuses(&["run", "--rm", option, wrong, "no-such-image", "true"], &[&shown, hint]);
    }
    world.refuses(&["run", "--rm", "--userns", "odd", "box", "true"], &["odd", "hint: "]);
}

fn volumes(world: &World) {
    let directory = world.path("shared");
    let mut make = world.command(&["tree", "checkout", "box", directory.to_str().unwrap()]);
    assert!(make.output().unwrap().status.success());
    let file = world.file("one", "text");
    let read = format!("{file}:/deep/er/one:ro");
    world.prints(&["-v", &read], "cat /deep/er/one", "text");
    assert_eq!(world.script(&["-v", &read], "(echo x > /deep/er/one) 2>/dev/null").0, 1);
    world.prints(&["-v", "./shared:/mnt"], "echo new > /mnt/made", "");
    assert_eq!(std::fs::read_to_string(directory.join("made")).unwrap(), "new\n");
    let mount = "type=bind,source=./shared,target=/mnt,ro";
    assert_eq!(world.script(&["--mount", mount], "(echo > /mnt/x) 2>/dev/null").0, 1);
    let missing = format!("{}/none:/mnt", world.path("").display());
    world.refuses(&["run", "--rm", "-v", &missing, "box", "true"], &["none", "hint: "]);
    world.prints(
        &["--tmpfs", "/t:size=64k"],
        "dd if=/dev/zero of=/t/x bs=1k count=99 2>/dev/null || wc -c < /t/x",
        "65536",
    );
    world.prints(
        &["--read-only"],
        "(touch /x) 2>/dev/null || touch /tmp/x /run/x && echo kept",
        "kept",
    );
}

fn isolation(world: &World) {
    world.prints(&[], "ls /sys/class/net", "lo");
    let host = std::fs::read_link("/proc/self/ns/net").unwrap();
    world.prints(&["--network", "host"], "readlink /proc/self/ns/net", host.to_str().unwrap());
    let status = |names| format!("grep -E '^({names}):' /proc/self/status | sed 's/.*\\t//'");
    world.prints(&[], &status("CapBnd"), "00000000800405fb");
    world.prints(
        &["--cap-drop", "all", "--cap-add", "net_admin"],
        &status("CapEff"),
        "0000000000001000",
    );
    world.prints(&["--cap-drop", "CAP_CHOWN"], &status("CapPrm"), "00000000800405fa");
    world.prints(&[], &status("Seccomp|NoNewPrivs"), "0\n2");
    let both = ["--security-opt", "seccomp=unconfined", "--security-opt", "no-new-privileges"];
    world.prints(&both, &status("Seccomp|NoNewPrivs"), "1\n0");
    world.prints(
        &[],
        "cat /proc/keys /proc/timer_list; ls /proc/acpi /sys/firmware",
        "/proc/acpi:\n\n/sys/firmware:",
    );
    world.prints(
        &[],
        "(echo x > /proc/sys/kernel/hostname) 2>/dev/null || echo refused",
        "refused",
    );
    world.prints(&[], "cd /dev && ls", "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero");
    world.prints(
        &[],
        "echo gone > /dev/null; dd if=/dev/zero bs=4 count=1 2>/dev/null | wc -c",
        "4",
    );
    world.prints(&[], "ls -d /proc/[0-9]* | head -1; echo $$", "/proc/1\n1");
}

/// Megabytes through both pipes come out as they went in; either side may close early.
fn streams(world: &World) {
    let sent: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8 ^ (at >> 12) as u8).collect();
    let run = ["run", "--rm", "-i", "box", "cat"];
    let mut child =
        world.command(&run).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, content) = (child.stdin.take().unwrap(), sent.clone());
    let writer = std::thread::spawn(move || input.write_all(&content).unwrap());
    let mut received = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut received).unwrap();
    writer.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
    // The container closes first: the writer is told, and the code is the container's.
    let head = ["run", "--rm", "-i", "box", "sh", "-c", "head -c 3; exec <&-; exit 5"];
    let mut child =
        world.command(&head).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(&sent);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(5), &sent[..3]));
    // The reader closes first: what writes on gets SIGPIPE or an error, and ends.
    let endless = ["run", "--rm", "box", "sh", "-c", "cat /dev/zero"];
    let mut child =
        world.command(&endless).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut some = [0; 1000];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert_ne!(child.wait().unwrap().code(), Some(0));
    // Without `-i` there is nothing to read.
    world.prints(&[], "wc -c", "0");
}

fn kept(world: &World) {
    let script = "echo run >> /log; rm /etc/group; echo x > /etc/passwd; cat /log; exit 3";
    let first = world.result(&["run", "--name", "kept", "box", "sh", "-c", script]);
    assert_eq!((first.0, first.1.as_str()), (3, "run\n"), "{}", first.2);
    assert_eq!(world.runs(&["ps", "-q"]), "");
    assert!(world.runs(&["ps", "-a"]).contains("exited with 3"));
    let diff = world.runs(&["diff", "kept"]);
    assert_eq!(diff, "C /etc\nD /etc/group\nC /etc/passwd\nA /log\n");
    world.runs(&["commit", "-c", "CMD [\"cat\", \"/log\"]", "kept", "new"]);
    assert_eq!(world.runs(&["run", "--rm", "new"]), "run\n");
    let again = world.result(&["start", "kept"]);
    assert_eq!(again.1, "run\nrun\n", "{}", again.2);
    world.refuses(&["run", "--name", "kept", "box", "true"], &["kept"]);
    assert_eq!(world.runs(&["rm", &world.ids()[0][..5]]), "kept\n");
}

#[test]
fn privileged_as_root() {
    core(Who::Root);
}

/// With ids of its own a container is as any other, but for whose volumes are.
#[test]
fn privileged_as_root_with_ids_of_its_own() {
    let mut world = World::new(Who::Root);
    world.give_ids("containers:700000:655360\n");
    world.options = ["--userns", "auto"].map(str::to_owned).to_vec();
    codes(&world);
    process_options(&world);
    isolation(&world);
    world.is_clean();
}

#[test]
fn privileged_as_a_user_with_subordinate_ids() {
    core(Who::User);
}

#[test]
fn privileged_as_a_user_with_one_id() {
    core(Who::UserWithOneId);
}
