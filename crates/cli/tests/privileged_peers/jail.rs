//! `minijail0` of Debian's newest release and this program under that name do the same with the same
//! command lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use creel_testkit::peers::{Peers, Session};

/// Options, and the command if it is not [`PROBE`], behind ` :: `. `@` is the directory, `~` a blank.
const LINES: &str = include_str!("jail.txt");

/// Prints what a program can see of its jail. The second part is sorted.
const PROBE: &str = r#"
grep -E '^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/$$/status
grep -E '^(CapPrm|CapAmb):' /proc/self/status
for n in mnt pid net ipc uts cgroup user; do echo "ns $n $(readlink /proc/self/ns/$n)"; done
echo ===; cat /proc/self/mountinfo; echo ===
uname -n; ulimit -n; ulimit -c; pwd; echo "X=$X"; ls /dev; [ $$ -lt 9 ] && echo "process $$"
exit 0"#;

/// What both are told apart by: how it ended, what was printed.
type Seen = (Option<i32>, String);

struct Jails {
    session: Session,
    directory: PathBuf,
}

impl Jails {
    fn run(&self, program: &str, line: &str) -> Seen {
        self.prepare();
        let (options, command) = line.split_once(" :: ").unwrap_or((line, "/bin/sh -c PROBE"));
        let word = |word: &str| match word {
            "PROBE" => PROBE.to_owned(),
            _ => word.replace('@', &self.directory.display().to_string()).replace('~', " "),
        };
        let script = "cd \"$0\" && exec \"$@\"";
        let place = self.directory.display().to_string();
        let mut words = vec!["sh".to_owned(), "-c".into(), script.into(), place, program.into()];
        words.extend(options.split_whitespace().map(word));
        words.extend((!command.is_empty()).then(|| "--".to_owned()));
        words.extend(command.split_whitespace().map(word));
        let output = self.session.command(&words).env("X", "1").output().unwrap();
        // A program that aborts is told of as shells do.
        let code = output.status.code().or_else(|| Some(128 + output.status.signal()?));
        (code, normal(&String::from_utf8_lossy(&output.stdout)))
    }

    /// The directory as each line finds it.
    fn prepare(&self) {
        let at = |name: &str| self.directory.join(name);
        let _ = fs::remove_dir_all(at("root"));
        let _ = fs::remove_file(at("config"));
        for name in ["d", "root/proc", "root/dev", "root/tmp"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("d/file"), "text").unwrap();
    }
}

/// Mounts in their order by place and without numbers; namespaces by whether they are the session's.
fn normal(text: &str) -> String {
    let parts: Vec<_> = text.split("===\n").collect();
    let [first, mounts, last] = parts[..] else {
        // Each has its own words for help.
        return if text.contains("Usage: ") { String::new() } else { text.to_owned() };
    };
    let mut mounts: Vec<_> = mounts.lines().filter_map(mount).collect();
    mounts.sort();
    format!("{first}{}\n{last}", mounts.join("\n"))
}

fn mount(line: &str) -> Option<String> {
    let (before, after) = line.split_once(" - ")?;
    let fields: Vec<_> = before.split(' ').collect();
    let tags = fields.get(6..)?.iter().filter_map(|tag| tag.split(':').next());
    let place = [*fields.get(3)?, *fields.get(4)?, *fields.get(5)?].join(" ");
    let is_size = |option: &&str| !option.starts_with("size=") && *option != "inode64";
    let (kind, options) = after.rsplit_once(' ')?;
    let options: Vec<_> = options.split(',').filter(is_size).collect();
    Some(format!("{place} {} - {kind} {}", tags.collect::<Vec<_>>().join(" "), options.join(",")))
}

/// Namespaces by number, as new or as the session's.
fn names(seen: Seen, own: &BTreeMap<String, String>) -> Seen {
    let line = |line: &str| match line.strip_prefix("ns ").and_then(|rest| rest.split_once(' ')) {
        Some((name, number)) => {
            let word = if own.get(name).is_some_and(|own| own == number) { "same" } else { "new" };
            format!("ns {name} {word}\n")
        }
        None => format!("{line}\n"),
    };
    (seen.0, seen.1.lines().map(line).collect())
}

fn policies(directory: &Path, calls: &[String]) {
    let policy = |name: &str, line: &dyn Fn(&str) -> String| {
        let text: String = calls.iter().map(|call| line(call)).collect();
        fs::write(directory.join(name), text).unwrap();
    };
    policy("all", &|call| format!("{call}: 1\n"));
    policy("nokill", &|call| match call {
        "kill" => String::new(),
        _ => format!("{call}: 1\n"),
    });
    policy("nomkdir", &|call| match call {
        "mkdir" => "mkdir: return EACCES\n".into(),
        _ => format!("{call}: 1\n"),
    });
    policy("kill0", &|call| match call {
        "kill" => "kill: arg1 == 0; return EXDEV\n".into(),
        _ => format!("{call}: 1\n"),
    });
    // What a shell does once it runs, and nothing that its loader does.
    policy("unloaded", &|call| match call {
        "openat" | "execve" | "arch_prctl" | "mprotect" => String::new(),
        _ => format!("{call}: 1\n"),
    });
    let files = [
        ("bad", "raed: 1\n"),
        ("included", "@include ./all\n"),
        ("loop", "@include ./loop\n"),
        ("conf", "% minijail-config-file v0\n\n# c\nns-mount\nuts = boo\nn\n"),
        ("badconf", "u=nobody\n"),
        ("odd", "% minijail-config-file v0\nfoo\n"),
        ("x", "x"),
    ];
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
    }
}

#[test]
fn the_same_command_lines_make_the_same_jails() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let own = directory.path().join("minijail0");
    fs::hard_link(env!("CARGO_BIN_EXE_creel"), &own).unwrap();
    let session = Peers::from_env().unwrap().enter(&[directory.path()]).unwrap();
    let listed = session.run(&["minijail0", "-H"]).unwrap();
    let name = |line: &str| Some(line.strip_prefix("  ")?.split_once(" [")?.0.to_owned());
    let calls: Vec<_> = listed.lines().filter_map(name).collect();
    assert!(calls.len() > 300);
    policies(directory.path(), &calls);
    let kinds = ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"];
    let number = |kind: &str| {
        let link = format!("/proc/self/ns/{kind}");
        (kind.to_owned(), session.run(&["readlink", &link]).unwrap().trim().to_owned())
    };
    let own_names = kinds.into_iter().map(number).collect();
    let jails = Jails { session, directory: directory.path().to_owned() };
    let lines = LINES.lines().filter(|line| !line.starts_with('#'));
    let (mut count, mut differing) = (0, String::new());
    for line in lines {
        let [theirs, ours] = ["minijail0", &own.display().to_string()]
            .map(|program| names(jails.run(program, line), &own_names));
        count += 1;
        if theirs != ours {
            let _ = writeln!(differing, "`{line}`:\n{theirs:#?}\n{ours:#?}");
        }
    }
    assert!(count >= 100, "{count}");
    assert!(differing.is_empty(), "{differing}");
}
