//! Bundles and `creel oci` on them; needs root and a static `/bin/busybox`.
#![allow(dead_code, clippy::unwrap_used)] // not every test uses all of it

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const APPLETS: &str = "sh cat sleep true echo id tty trap ls stat readlink touch grep mount umount mkdir \
                       rm wc head tr test dd mknod ln mv sed kill find sha256sum chmod chown seq date ps";

/// A bundle, and a root directory of containers beside it.
pub(crate) struct Bundle {
    directory: tempfile::TempDir,
    /// The runtime that is used.
    pub(crate) program: PathBuf,
    /// Who runs it, if that is not root.
    user: Option<u32>,
    /// What starts it.
    through: Vec<&'static str>,
}

impl Bundle {
    /// One that runs a shell script.
    pub(crate) fn new(script: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_creel").into();
        let bundle = Self {
            directory: tempfile::tempdir().unwrap(),
            program,
            user: None,
            through: Vec::new(),
        };
        let bin = bundle.path("rootfs/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
        for name in APPLETS.split_whitespace() {
            symlink("busybox", bin.join(name)).unwrap();
        }
        let directory = bundle.path("").to_str().unwrap().to_owned();
        assert!(bundle.oci(&["spec", "-b", &directory]).status.success());
        bundle.change(|spec| {
            spec["process"]["terminal"] = false.into();
            spec["process"]["args"] = json!(["sh", "-c", script]);
            spec["linux"]["cgroupsPath"] = format!("/creel-test/{}", bundle.id()).into();
        });
        bundle
    }

    /// One that an ordinary user runs, who is root in it and asks for no control group.
    pub(crate) fn of_user(script: &str) -> Self {
        let mut bundle = Self::new(script);
        bundle.user = Some(USER);
        bundle.change(|spec| {
            let map = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
            let linux = spec["linux"].as_object_mut().unwrap();
            linux.insert("uidMappings".into(), map.clone());
            linux.insert("gidMappings".into(), map);
            linux["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
            linux.remove("cgroupsPath");
            // The group of terminals has no id there.
            for mount in spec["mounts"].as_array_mut().unwrap() {
                if let Some(options) = mount.get_mut("options").and_then(Value::as_array_mut) {
                    options.retain(|option| option != "gid=5");
                }
            }
        });
        give(&bundle.path(""), USER);
        bundle
    }

    /// The user is root in a namespace in which a script runs the runtime, which is `$0`, with `$@`.
    pub(crate) fn in_namespace(mut self, script: &'static str) -> Self {
        self.through = vec!["unshare", "--user", "--map-root-user", "sh", "-c", script];
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A name that no other test uses at the same time.
    pub(crate) fn id(&self) -> String {
        let name = self.directory.path().file_name().unwrap().to_str().unwrap();
        format!("t{}", name.trim_start_matches('.'))
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Value)) {
        let path = self.path("config.json");
        let mut spec = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut spec);
        fs::write(path, spec.to_string()).unwrap();
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut start = self.through.iter().map(OsStr::new).chain([self.program.as_os_str()]);
        let mut command = Command::new(start.next().unwrap());
        command
            .args(start)
            .current_dir(self.path(""))
            .args(["oci", "--root"])
            .arg(self.path("states"));
        if let Some(user) = self.user {
            command.uid(user).gid(user).env_remove("XDG_RUNTIME_DIR");
        }
        command.args(words);
        command
    }

    /// Runs a command. Its output goes through files: a container that outlives it would keep pipes
    /// open.
    pub(crate) fn oci(&self, words: &[&str]) -> Output {
        let [out, err] = ["out", "err"].map(|name| self.path(name));
        let mut command = self.command(words);
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let status = command.status().unwrap();
        Output { status, stdout: fs::read(out).unwrap(), stderr: fs::read(err).unwrap() }
    }

    /// Runs a command, which must succeed; its output.
    pub(crate) fn runs(&self, words: &[&str]) -> String {
        let output = self.oci(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a command, which must end with a code and say some words.
    pub(crate) fn fails(&self, code: i32, words: &[&str], said: &str) {
        let output = self.oci(words);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {error}");
        assert!(error.contains(said), "{words:?}: {error}");
    }

    pub(crate) fn status(&self) -> String {
        let state: Value = serde_json::from_str(&self.runs(&["state", &self.id()])).unwrap();
        state["status"].as_str().unwrap().to_owned()
    }

    pub(crate) fn until(&self, status: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.status() != status {
            assert!(Instant::now() < deadline, "{}", self.status());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Nothing is left of any container.
    pub(crate) fn is_clean(&self) {
        assert_eq!(fs::read_dir(self.path("states")).unwrap().count(), 0);
        for hierarchy in ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory", "/sys/fs/cgroup"] {
            assert!(!Path::new(hierarchy).join("creel-test").join(self.id()).exists());
        }
    }

    /// Runs the container and returns what it printed; it must end with zero.
    pub(crate) fn output(&self) -> String {
        self.runs(&["run", &self.id()])
    }

    /// Adds a mount.
    pub(crate) fn mount(&self, mount: Value) {
        self.change(|spec| spec["mounts"].as_array_mut().unwrap().push(mount));
    }

    /// Replaces the script.
    pub(crate) fn script(&self, script: &str) {
        self.change(|spec| spec["process"]["args"] = json!(["sh", "-c", script]));
    }

    /// Gives all capabilities that matter for attacks.
    pub(crate) fn empower(&self) {
        let names =
            ["CHOWN", "DAC_OVERRIDE", "FOWNER", "MKNOD", "SYS_ADMIN", "SYS_PTRACE", "SETUID"];
        let names: Vec<_> = names.iter().map(|name| format!("CAP_{name}")).collect();
        self.change(|spec| {
            let sets = ["bounding", "effective", "permitted"];
            sets.into_iter().for_each(|set| spec["process"]["capabilities"][set] = json!(names));
        });
    }

    /// Gives the container a user namespace in which root is an ordinary user of the host.
    pub(crate) fn map_ids(&self) {
        self.change(|spec| {
            let map = json!([{"containerID": 0, "hostID": 500_000, "size": 65_536}]);
            spec["linux"]["uidMappings"] = map.clone();
            spec["linux"]["gidMappings"] = map;
            spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        });
        self.give_away();
    }

    /// Gives the root to the ordinary user.
    pub(crate) fn give_away(&self) {
        // What it goes through on its way to the root, and what it makes there.
        for path in [self.path(""), self.path("rootfs")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        chown(self.path("rootfs"), Some(500_000), Some(500_000)).unwrap();
    }

    /// A bundle in which `creel oci run` of this one runs on a kernel that lacks some system calls.
    pub(crate) fn without(&self, calls: &[&str]) -> Self {
        let outer = Self::new("");
        let states = self.path("states");
        let program = self.program.to_str().unwrap();
        let inner = [program, "oci", "--root", states.to_str().unwrap(), "run"];
        let bundle = self.path("");
        let options = ["--bundle", bundle.to_str().unwrap(), &self.id()];
        outer.change(|spec| {
            spec["root"] = json!({"path": "/", "readonly": false});
            spec["mounts"] = json!([]);
            spec["process"]["args"] = json!([&inner[..], &options[..]].concat());
            spec["process"]["noNewPrivileges"] = false.into();
            let all: Vec<_> = CAPABILITIES.split(' ').map(|name| format!("CAP_{name}")).collect();
            let sets = ["bounding", "effective", "permitted"];
            sets.into_iter().for_each(|set| spec["process"]["capabilities"][set] = json!(all));
            spec["linux"]["namespaces"] = json!([{"type": "mount"}]);
            spec["linux"]["resources"] = json!({});
            let absent = ["maskedPaths", "readonlyPaths"];
            absent.into_iter().for_each(|name| spec["linux"][name] = json!([]));
            spec["hostname"] = Value::Null;
            spec["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": calls, "action": "SCMP_ACT_ERRNO", "errnoRet": 38}],
            });
        });
        outer
    }
}

/// An ordinary user, who need not have a name.
const USER: u32 = 54_321;

/// Makes a user the owner of a directory and of all below it.
fn give(directory: &Path, user: u32) {
    lchown(directory, Some(user), Some(user)).unwrap();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => give(&entry.path(), user),
            false => lchown(entry.path(), Some(user), Some(user)).unwrap(),
        }
    }
}

const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_ADMIN \
    SYS_CHROOT SYS_ADMIN SYS_PTRACE SYS_RESOURCE MKNOD SETFCAP AUDIT_WRITE NET_RAW NET_BIND_SERVICE";

/// The calls for mounts by descriptor.
pub(crate) const MOUNT_CALLS: [&str; 6] =
    ["open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr"];
