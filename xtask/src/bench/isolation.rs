//! What each tool confines by default, asked from inside, so that no figure is won by doing less.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::host::{self, Host};
use super::memory::processes;
use super::report::Report;
use super::start;
use super::who::Who;
use crate::run::capture;

pub(super) const WHAT: &str = "isolation by default, seen from inside";

/// Prints one line for each thing that is compared, as NAME=VALUE.
const ASK: &str = r#"
for n in cgroup ipc mnt net pid user uts; do
  if [ "$(readlink /proc/self/ns/$n)" = "$(eval echo \$HOST_$n)" ]; then echo "$n namespace=host"; else echo "$n namespace=own"; fi
done
while read -r key value; do case $key in
  CapEff:|CapBnd:|NoNewPrivs:|Seccomp:|Seccomp_filters:) echo "${key%:}=$value";;
esac; done < /proc/self/status
echo "mounts=$(wc -l < /proc/self/mountinfo)"
echo "masked or read-only below /proc=$(grep -c ' /proc/' /proc/self/mountinfo)"
if (: > /proc/sys/kernel/domainname) 2> /dev/null; then echo "/proc/sys=writable"; else echo "/proc/sys=read-only"; fi
if [ -w /sys/kernel ] && (: > /sys/kernel/profiling) 2> /dev/null; then echo "/sys=writable"; else echo "/sys=read-only or absent"; fi
echo "root=$(sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \/ \([^ ]*\).* - \([^ ]*\).*/\2 \1/p' /proc/self/mountinfo | tail -n1)"
"#;

pub(super) fn run(host: &Host, _: usize) -> anyhow::Result<Report> {
    host::require(&["pull", "run"])?;
    let mut report = Report::default();
    for (case, who, spec) in
        [("root", host.root(), &[][..]), ("user", host.user()?, &["--rootless"][..])]
    {
        report.notes.push(table(case, &ask_all(&who, spec)?));
    }
    Ok(report)
}

/// Puts answers side by side.
pub(super) fn table(case: &str, answers: &[(&str, Answer)]) -> String {
    let tools: Vec<&str> = answers.iter().map(|(tool, _)| *tool).collect();
    let mut table = format!("As {case}:\n\n| | {} |\n|---|", tools.join(" | "));
    table += &"---|".repeat(tools.len());
    let Some((_, first)) = answers.first() else { return table };
    for (key, _) in first {
        let value = |answer: &Answer| {
            let found = answer.iter().find(|(name, _)| name == key);
            found.map_or_else(String::new, |(_, value)| value.clone())
        };
        let values: Vec<String> = answers.iter().map(|(_, answer)| value(answer)).collect();
        table += &format!("\n| {key} | {} |", values.join(" | "));
    }
    table
}

/// What a tool's container says: names and values.
pub(super) type Answer = Vec<(String, String)>;

fn ask_all(who: &Who<'_>, spec: &[&str]) -> anyhow::Result<Vec<(&'static str, Answer)>> {
    let creel = who.load_creel("demo")?;
    let podman = who.load_podman("demo")?;
    let bundle = who.unpack("demo")?;
    let script = script()?;
    let run = ["run", "--rm", "--network", "none"];
    let mut answers = Vec::new();
    for tool in ["creel", "podman", "crun", "bwrap"] {
        let start = |words: &[&str]| -> anyhow::Result<Command> {
            Ok(match tool {
                "creel" => who.creel(&[&run[..], &[&creel], words].concat()),
                "podman" => who.podman(&[&run[..], &[&podman], words].concat()),
                "crun" => {
                    start::write_spec(who, &bundle, spec, words)?;
                    start::crun(who, &bundle)
                }
                _ => start::bwrap(who, &bundle.join("rootfs"), words),
            })
        };
        let mut answer = answer(&mut start(&["sh", "-c", &script])?)?;
        let own = own_group(&mut start(&["sleep", "2"])?)?;
        answer.push(("own pids cgroup".into(), own.into()));
        answers.push((tool, answer));
    }
    Ok(answers)
}

/// Tells, from outside, whether a container that sleeps is in another cgroup than its starter.
fn own_group(command: &mut Command) -> anyhow::Result<&'static str> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let mut own = None;
    while own.is_none() && child.try_wait()?.is_none() {
        let sleeping = processes().into_iter().find(|(_, name)| name == "sleep");
        own = sleeping
            .and_then(|(pid, _)| Some(pids_group(&pid.to_string())? != pids_group("self")?));
        thread::sleep(Duration::from_millis(10));
    }
    anyhow::ensure!(child.wait()?.success(), "the container failed");
    Ok(match own {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not seen",
    })
}

/// Returns the path of a process's cgroup of the pids controller, or of version 2.
fn pids_group(process: &str) -> Option<String> {
    let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
    let group =
        |key: &str| groups.lines().find_map(|line| Some(line.split_once(key)?.1.to_owned()));
    group(":pids:").or_else(|| group("0::"))
}

/// Runs the script in a container.
pub(super) fn answer(command: &mut Command) -> anyhow::Result<Answer> {
    let said = capture(command)?;
    let lines = said.lines().filter_map(|line| line.split_once('='));
    Ok(lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// What a container's shell is to run for an answer.
pub(super) fn script() -> anyhow::Result<String> {
    Ok(format!("{}{ASK}", host_variables()?))
}

/// The namespaces and the cgroup of this process, as variables for the script.
fn host_variables() -> anyhow::Result<String> {
    let script = "for n in cgroup ipc mnt net pid user uts; do \
        echo \"HOST_$n='$(readlink /proc/self/ns/$n)'\"; done; ";
    capture(Command::new("sh").args(["-c", script]))
}
