//! Filters of the specification in the kernel. Needs root, `python3` and a static `/bin/busybox`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{code, options, process, root, spec};
use creel_base::hint::Hint as _;
use creel_runtime::container::{ContainerError, Exec, Running};
use creel_runtime::lifecycle::{self, ContainerId, Create, Deletion, Runtime};
use creel_runtime::lower::{LowerError, Options, lower};
use creel_runtime::seccomp::{Filter, SeccompError, Supervisor, SupervisorError};
use creel_runtime::spec::{Root, Seccomp, Spec, State, Status};
use creel_spawn::Plan;
use rustix::process::{Pid, WaitOptions, waitpid};
use tempfile::TempDir;

/// A supervisor: takes one listener, tells what came with it, and answers by the number of the call
/// (`sethostname`, 170, is said to have been done; `sethostname` never is).
const SUPERVISOR: &str = r#"
import array, fcntl, json, os, socket, struct, sys
RECV, SEND, CONTINUE = 0xc0502100, 0xc0182101, 1
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(1)
print("ready", flush=True)
client, _ = server.accept()
text, fds, _, _ = socket.recv_fds(client, 1 << 16, 4)
while True:
    more = client.recv(1 << 16)
    if not more:
        break
    text += more
state = json.loads(text)
print(json.dumps([len(fds), state]), flush=True)
if sys.argv[2] == "deaf":
    sys.stdin.read()
while True:
    asked = bytearray(80)
    try:
        fcntl.ioctl(fds[0], RECV, asked)
    except OSError:
        break
    (id, pid, flags, number) = struct.unpack_from("QIIi", asked)
    done = number == 170
    answer = bytearray(struct.pack("QqiI", id, 0, 0, 0 if done else CONTINUE))
    try:
        fcntl.ioctl(fds[0], SEND, answer)
    except OSError:
        pass
"#;

/// A running supervisor and its directory.
struct Agent {
    child: Child,
    directory: TempDir,
}

impl Agent {
    fn start(how: &str, name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join(name);
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let child = Command::new("python3")
            .args(["-c", SUPERVISOR, "s", how])
            .current_dir(socket.parent().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::fs::write(directory.path().join("name"), name).unwrap();
        let mut agent = Self { child, directory };
        assert_eq!(agent.line(), "ready");
        agent
    }

    fn socket(&self) -> std::path::PathBuf {
        let name = std::fs::read_to_string(self.directory.path().join("name")).unwrap();
        self.directory.path().join(name).with_file_name("s")
    }

    /// The next line of what it tells.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        let output = self.child.stdout.as_mut().unwrap();
        while output.read(&mut byte).unwrap() == 1 && byte != [b'\n'] {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn seccomp(json: &str) -> Seccomp {
    serde_json::from_str(json).unwrap()
}

/// A container with this as its `linux.seccomp`.
fn filtered(script: &str, json: &str) -> Spec {
    let mut spec = spec(script);
    spec.linux.as_mut().unwrap().seccomp = Some(seccomp(json));
    spec
}

fn specified(root: &TempDir) -> Options {
    Options { seccomp: Filter::Specified, ..options(root) }
}

fn state() -> State {
    State {
        oci_version: "1.3.0".into(),
        id: "box".into(),
        status: Status::Creating,
        pid: None,
        bundle: "/bundle".into(),
        annotations: [("a".to_owned(), "b".to_owned())].into(),
    }
}

/// Asks about the host's name, and about what takes a listener across.
const NOTIFY: &str = r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "M", "listenerPath": "PATH",
    "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
              "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    "syscalls": [{"names": ["sethostname", "sendmsg", "write", "execve", "exit_group"],
                  "action": "SCMP_ACT_NOTIFY"}]}"#;

fn notifying(path: &Path) -> String {
    NOTIFY.replace("PATH", path.to_str().unwrap())
}

fn supervised(plan: &Plan, supervisor: &Supervisor) -> Result<Running, ContainerError> {
    Running::start_supervised(plan, supervisor, &state(), |_| Ok(()))
}

const SCRIPT: &str = "hostname other && [ $(hostname) != other ]";

#[test]
fn privileged_a_supervisor_answers() {
    let root = root();
    for no_new_privileges in [false, true] {
        let mut agent = Agent::start("answer", "s");
        let mut spec = filtered(SCRIPT, &notifying(&agent.socket()));
        spec.process.as_mut().unwrap().no_new_privileges = no_new_privileges;
        let supervisor = Supervisor::of(&seccomp(&notifying(&agent.socket()))).unwrap();
        let plan = lower(&spec, &specified(&root)).unwrap();
        let running = supervised(&plan, &supervisor).unwrap();
        assert_eq!(running.wait().unwrap(), 0);
        let told: serde_json::Value = serde_json::from_str(&agent.line()).unwrap();
        let expected = serde_json::json!([1, {
            "ociVersion": "1.3.0", "fds": ["seccompFd"], "pid": running.pid(), "metadata": "M",
            "state": {"ociVersion": "1.3.0", "id": "box", "status": "creating",
                      "pid": running.pid(), "bundle": "/bundle", "annotations": {"a": "b"}}}]);
        assert_eq!(told, expected);
    }
}

#[test]
fn privileged_a_supervisor_answers_for_a_process_that_joins() {
    let root = root();
    let first = common::start(&spec("sleep 1000"), &options(&root));
    let mut agent = Agent::start("answer", &format!("{}/s", "long".repeat(30)));
    let profile = seccomp(&notifying(&agent.socket()));
    let supervisor = Supervisor::of(&profile).unwrap();
    let exec = Exec {
        linux: creel_runtime::spec::Linux { seccomp: Some(profile), ..Default::default() },
        supervisor: Some((supervisor, State { pid: Some(first.pid()), ..state() })),
        ..Exec::default()
    };
    let identity = creel_runtime::container::Identity::of(first.pid()).unwrap();
    let namespaces = creel_spawn::Namespace::ROOT.to_vec();
    let container =
        creel_runtime::container::Container::open(identity, namespaces, false, None).unwrap();
    let running = container.exec(&process(SCRIPT), &exec).unwrap();
    assert_eq!(running.wait().unwrap(), 0);
    let told: serde_json::Value = serde_json::from_str(&agent.line()).unwrap();
    assert_eq!(told[1]["pid"], running.pid());
    assert_eq!(told[1]["state"]["pid"], first.pid());
    container.kill().unwrap();
    first.wait().unwrap();
}

/// A container that is created first and started then.
struct Bundle {
    directory: TempDir,
    runtime: Runtime,
    id: ContainerId,
}

impl Bundle {
    fn of(spec: &Spec, root: &TempDir, name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = Some(Root { path: root.path().into(), readonly: false });
        let spec = Spec { root, ..spec.clone() };
        let config = serde_json::to_string(&spec).unwrap();
        std::fs::write(directory.path().join("config.json"), config).unwrap();
        let runtime = Runtime::open(&directory.path().join("states")).unwrap();
        let id = ContainerId::parse(&format!("{name}-{}", std::process::id())).unwrap();
        Self { directory, runtime, id }
    }

    fn create(&self) -> i32 {
        let bundle = lifecycle::Bundle::open(self.directory.path(), None).unwrap();
        self.runtime.create(&self.id, &Create::from(bundle)).unwrap().pid()
    }

    /// Deletes it; the exit code of its process, which is a child of this one.
    fn end(&self, pid: i32) -> Option<i32> {
        let waited = waitpid(Pid::from_raw(pid), WaitOptions::empty()).unwrap();
        self.runtime.delete(&self.id, Deletion::Forced).unwrap();
        waited.unwrap().1.exit_status()
    }
}

#[test]
fn privileged_a_supervisor_answers_for_a_container_that_is_started() {
    let root = root();
    for no_new_privileges in [false, true] {
        let mut agent = Agent::start("answer", "s");
        let mut spec = filtered(SCRIPT, &notifying(&agent.socket()));
        spec.process.as_mut().unwrap().no_new_privileges = no_new_privileges;
        let bundle = Bundle::of(&spec, &root, &format!("answer-{no_new_privileges}"));
        let pid = bundle.create();
        bundle.runtime.start(&bundle.id).unwrap();
        assert_eq!(bundle.end(pid), Some(0));
        let told: serde_json::Value = serde_json::from_str(&agent.line()).unwrap();
        assert_eq!(told[1]["pid"], pid);
        assert_eq!(told[1]["state"]["pid"], pid);
        assert_eq!(told[1]["state"]["status"], "created");
        assert_eq!(told[1]["state"]["id"], bundle.id.to_string());
    }
}

#[test]
fn privileged_a_container_whose_supervisor_is_gone_is_stopped_by_its_start() {
    let root = root();
    let spec = filtered("true", &notifying(&root.path().join("none")));
    let bundle = Bundle::of(&spec, &root, "gone");
    let pid = bundle.create();
    let error = bundle.runtime.start(&bundle.id).unwrap_err();
    assert!(error.to_string().contains("failed to connect with seccomp agent"), "{error}");
    assert_eq!(bundle.end(pid), None);
}

#[test]
fn privileged_a_supervisor_that_is_not_there_is_told() {
    let root = root();
    let profile = notifying(&root.path().join("none"));
    let plan = lower(&filtered("true", &profile), &specified(&root)).unwrap();
    let supervisor = Supervisor::of(&seccomp(&profile)).unwrap();
    let error = supervised(&plan, &supervisor).unwrap_err();
    let refused = ContainerError::Supervisor(SupervisorError::Connect {
        path: root.path().join("none"),
        source: std::io::ErrorKind::NotFound.into(),
    });
    assert_eq!(error.to_string(), refused.to_string());
    assert!(error.hint().unwrap().contains("start the supervisor"));
    // Nobody is asked to listen.
    assert!(Running::start(&plan).is_err());
}

#[test]
fn privileged_a_deaf_supervisor_does_not_block_for_ever() {
    let root = root();
    let agent = Agent::start("deaf", "s");
    let profile = notifying(&agent.socket());
    let plan = lower(&filtered("true", &profile), &specified(&root)).unwrap();
    let patience = Duration::from_millis(300);
    let supervisor = Supervisor { patience, ..Supervisor::of(&seccomp(&profile)).unwrap() };
    let started = Instant::now();
    let error = supervised(&plan, &supervisor).unwrap_err();
    assert!(error.to_string().contains("could not hand over the listener"), "{error}");
    assert!((patience..Duration::from_secs(20)).contains(&started.elapsed()));
}

#[test]
fn privileged_actions_do_what_they_say() {
    let root = root();
    for (action, script, expected) in [
        (r#""SCMP_ACT_ERRNO", "errnoRet": 2"#, "hostname x 2>&1 | grep -q 'No such file'", 0),
        (r#""SCMP_ACT_ERRNO""#, "hostname x 2>&1 | grep -q 'not permitted'", 0),
        (r#""SCMP_ACT_LOG""#, "hostname x 2>&1 | grep -q 'not permitted'", 0),
        (r#""SCMP_ACT_TRACE""#, "hostname x 2>&1 | grep -q 'not implemented'", 0),
        (r#""SCMP_ACT_TRAP""#, "hostname x 2>/dev/null", 128 + 31),
        (r#""SCMP_ACT_KILL""#, "hostname x 2>/dev/null", 128 + 31),
        (r#""SCMP_ACT_KILL_THREAD""#, "hostname x 2>/dev/null", 128 + 31),
        (r#""SCMP_ACT_KILL_PROCESS""#, "hostname x 2>/dev/null", 128 + 31),
    ] {
        let json = format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW",
                 "syscalls": [{{"names": ["sethostname"], "action": {action}}}]}}"#
        );
        assert_eq!(code(&filtered(script, &json), &specified(&root)), expected, "{action}");
    }
}

/// Flags alone: `Seccomp_filters` counts one filter, and the kernel takes each flag.
#[test]
fn privileged_flags_are_taken() {
    let root = root();
    for flags in ["[]", "null", r#"["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"]"#] {
        let json = format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "flags": {flags}}}"#);
        let script = "grep -q 'Seccomp_filters:.1' /proc/self/status";
        assert_eq!(code(&filtered(script, &json), &specified(&root)), 0, "{flags}");
    }
}

#[test]
fn privileged_a_filter_without_a_supervisor_is_refused() {
    let root = root();
    let json = r#"{"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}"#;
    let error = lower(&filtered("true", json), &specified(&root)).unwrap_err();
    assert!(matches!(error, LowerError::Seccomp(SeccompError::NoListener)));
    assert!(error.hint().unwrap().contains("linux.seccomp.listenerPath"));
}
