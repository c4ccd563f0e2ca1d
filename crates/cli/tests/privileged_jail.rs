//! `creel jail` as root: what the program has, and what it ends with.
#![allow(clippy::unwrap_used)] // in the helpers of tests

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

/// All calls that a shell and its loader make are on it, and many more; less those that a test leaves out.
fn policy(left_out: &[&str]) -> String {
    let listed = Command::new(env!("CARGO_BIN_EXE_creel")).args(["jail", "-H"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let names =
        listed.lines().filter_map(|line| Some(line.strip_prefix("  ")?.split_once(" [")?.0));
    names.filter(|name| !left_out.contains(name)).map(|name| format!("{name}: 1\n")).collect()
}

fn jail(directory: &TempDir, words: &[&str], script: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_creel"));
    command.arg("jail").args(words).args(["--", "/bin/sh", "-c", script]);
    command.current_dir(directory.path()).output().unwrap()
}

fn directory(left_out: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("policy"), policy(left_out)).unwrap();
    directory
}

#[track_caller]
fn assert_prints(output: &Output, expected: &str) {
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(printed, expected, "{output:?}");
}

#[test]
fn a_filter_comes_after_the_loader() {
    // Without these no loader finds its libraries, and nothing can be executed.
    let directory = directory(&["openat", "execve", "mprotect"]);
    for words in [&["-n", "-S", "policy"][..], &["-p", "-n", "-S", "policy"], &["-S", "policy"]] {
        let output = jail(&directory, words, "echo $((1 + 1))");
        assert_prints(&output, "2\n");
        // The control: it is in force for the program itself.
        let output = jail(&directory, words, "/bin/true && echo early; echo late");
        assert_prints(&output, "late\n");
        let output = jail(&directory, words, "echo > file");
        let code = if words.contains(&"-p") { 254 } else { 253 };
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

#[test]
fn capabilities_are_the_programs_and_not_its_childrens() {
    let directory = directory(&[]);
    let script = "grep CapEff /proc/$$/status; grep CapEff /proc/self/status";
    let own = "CapEff:\t0000000000000020\n";
    let none = "CapEff:\t0000000000000000\n";
    for user in
        [&["-c", "20"][..], &["-u", "65534", "-c", "20"], &["-p", "-u", "65534", "-c", "20"]]
    {
        assert_prints(&jail(&directory, user, script), &format!("{own}{none}"));
        let words = [user, &["--ambient"]].concat();
        assert_prints(&jail(&directory, &words, script), &format!("{own}{own}"));
    }
}

#[test]
fn it_ends_with_what_says_why() {
    let directory = directory(&["kill"]);
    let cases: [(&[&str], &str, i32); 8] = [
        (&[], "exit 7", 7),
        (&[], "kill -9 $$", 137),
        (&["-p"], "exit 7", 7),
        (&["-p"], "kill -9 $$", 254),
        (&["-n", "-S", "policy"], "kill -0 $$", 253),
        (&["-Y", "-n", "-S", "policy"], "kill -0 $$", 253),
        (&["-v", "-k", "none,/mnt,nosuchfs"], "", 251),
        (&["-V", "/nonexistent"], "", 134),
    ];
    for (words, script, code) in cases {
        let output = jail(&directory, words, script);
        assert_eq!(output.status.code(), Some(code), "{words:?} {script}: {output:?}");
    }
}

#[test]
fn nothing_of_the_host_is_changed_and_descriptors_stay_outside() {
    let directory = directory(&[]);
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    let words = ["-v", "-d", "-t", "-p", "-k", "none,/mnt,tmpfs"];
    let output = jail(&directory, &words, "ls /tmp /mnt; ls /dev; echo $$");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("zero\n2\n"), "{output:?}");
    assert_eq!(mounts(), before);
    let shell = "exec 7</etc/passwd; exec \"$0\" jail $1 -- /bin/sh -c 'ls /proc/self/fd'";
    for (option, expected) in [("", "0\n1\n2\n3\n"), ("--preserve-fd=7", "0\n1\n2\n3\n7\n")] {
        let mut command = Command::new("sh");
        command.args(["-c", shell, env!("CARGO_BIN_EXE_creel"), option]);
        assert_prints(&command.output().unwrap(), expected);
    }
}
