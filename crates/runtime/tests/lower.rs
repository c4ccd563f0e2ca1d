//! Specifications and what becomes of them, without a kernel.
#![allow(clippy::unwrap_used, clippy::panic)]

use creel_base::hint::Hint as _;
use creel_runtime::defaults;
use creel_runtime::lower::{LowerError, Options, lower};
use creel_runtime::seccomp::Filter;
use creel_runtime::spec::Spec;
use creel_spawn::{Namespace, Plan, Root};

fn spec() -> Spec {
    let mut spec = defaults::spec();
    if let Some(process) = &mut spec.process {
        process.args = vec!["true".into()];
        process.env = vec!["PATH=/bin::/usr/bin".into()];
    }
    spec
}

fn options() -> Options {
    Options { root: Some(Root::directory("/root")), ..Options::default() }
}

/// Lowers the default specification with some properties replaced.
fn changed(change: &str) -> Result<Plan, LowerError> {
    let mut json = serde_json::to_value(spec()).unwrap();
    merge(&mut json, serde_json::from_str(change).unwrap());
    lower(&serde_json::from_value(json).unwrap(), &options())
}

fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
    match from {
        serde_json::Value::Object(from) if into.is_object() => {
            for (key, value) in from {
                merge(&mut into[key], value);
            }
        }
        from => *into = from,
    }
}

#[test]
fn the_default_container_is_podmans() {
    let plan = lower(&spec(), &Options { seccomp: Filter::Default, ..options() }).unwrap();
    assert_eq!(plan.namespaces.len(), Namespace::ROOT.len());
    assert_eq!(plan.process.capabilities.bounding, [0, 1, 3, 4, 5, 10, 31, 6, 8, 7, 18]);
    assert!(plan.process.capabilities.inheritable.is_empty());
    assert_eq!(plan.process.candidates, ["/bin/true", "./true", "/usr/bin/true"]);
    assert!(!plan.process.seccomp.instructions.is_empty());
    assert_eq!((plan.devices.len(), plan.links.len()), (6, 6));
    let printed = plan.to_string();
    for words in ["namespaces:", "mount `/proc`", "drop capability `21`", "load the system call"] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
}

#[test]
fn a_document_is_read_as_it_is_written() {
    let text = serde_json::to_string(&spec()).unwrap();
    let read: Spec = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    let plan = lower(&read, &options()).unwrap();
    assert!(plan.process.seccomp.instructions.is_empty(), "no filter was specified");
}

#[test]
fn unknown_properties_are_ignored() {
    let change =
        r#"{"vm": {}, "process": {"x": 1, "user": {"username": "u"}}, "linux": {"y": []}}"#;
    assert!(changed(change).is_ok());
}

#[test]
fn wrong_values_are_named() {
    for (change, words) in [
        (r#"{"process": null}"#, "`process` is missing"),
        (r#"{"process": {"args": []}}"#, "`process.args` is missing"),
        (r#"{"process": {"cwd": "x"}}"#, "`process.cwd` is `x`, which is not an absolute path"),
        (r#"{"process": {"env": ["A=", "B"]}}"#, "`process.env[1]` is `B`"),
        (r#"{"process": {"rlimits": [{"type": "NOFILE", "soft": 1, "hard": 1}]}}"#, "[0].type`"),
        (
            r#"{"process": {"rlimits": [{"type": "RLIMIT_CPU", "soft": 1, "hard": 1},
                {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]}}"#,
            "`process.rlimits` names `RLIMIT_CPU` twice",
        ),
        (r#"{"process": {"rlimits": [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]}}"#, "[0].soft"),
        (r#"{"process": {"args": ["a", "b\u0000"]}}"#, "`process.args[1]`"),
        (r#"{"process": {"user": {"uid": 4294967295}}}"#, "`process.user.uid` is `4294967295`"),
        (r#"{"process": {"user": {"gid": 4294967295}}}"#, "`process.user.gid`"),
        (
            r#"{"process": {"user": {"additionalGids": [1, 4294967295]}}}"#,
            "`process.user.additionalGids[1]`",
        ),
        (r#"{"process": {"oomScoreAdj": 1001}}"#, "`process.oomScoreAdj` is `1001`"),
        (r#"{"process": {"user": {"umask": 4096}}}"#, "`process.user.umask`"),
        (
            r#"{"process": {"terminal": true, "consoleSize": {"height": 65536, "width": 1}}}"#,
            "`process.consoleSize.height`",
        ),
        (r#"{"mounts": [{"destination": ""}]}"#, "`mounts[0].destination` is missing"),
        (r#"{"mounts": [{"destination": "/."}]}"#, "a path below the root"),
        (r#"{"mounts": [{"destination": "/proc", "type": "tmpfs"}]}"#, "but `proc` can be mounted"),
        (
            r#"{"mounts": [{"destination": "//proc/./sys/x", "source": "/x", "options": ["bind"]}]}"#,
            "`mounts[0].destination` is `//proc/./sys/x`, which is not a path that anything",
        ),
        (
            r#"{"mounts": [{"destination": "/a", "source": "/a", "options": ["bind", "idmap"]}]}"#,
            "`linux.uidMappings` is missing",
        ),
        (
            r#"{"mounts": [{"destination": "/a", "source": "/a", "options": ["rbind"],
                "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}]}"#,
            "`mounts[0].gidMappings` is missing",
        ),
        (
            r#"{"mounts": [{"destination": "/a", "type": "tmpfs", "options": ["idmap"]}]}"#,
            "`mounts[0].type` is `tmpfs`, which is not a bind mount",
        ),
        (r#"{"mounts": [{"destination": "/a/../b", "type": "proc"}]}"#, "a path without `..`"),
        (r#"{"mounts": [{"destination": "/a"}]}"#, "`mounts[0].type` is missing"),
        (
            r#"{"mounts": [{"destination": "/a", "type": "tmpfs", "options": ["ro", "x=1"]}]}"#,
            "`mounts[0].options`: unknown option `x=1` of the mount at `/a`",
        ),
        (
            r#"{"mounts": [{"destination": "/a", "source": "/b", "options": ["bind", "size=1"]}]}"#,
            "unknown option `size=1`",
        ),
        (
            r#"{"mounts": [{"destination": "/a", "options": ["bind"]}]}"#,
            "`mounts[0].source` is missing",
        ),
        (
            r#"{"mounts": [{"destination": "/a", "source": "b", "options": ["bind"]}]}"#,
            "`mounts[0].source` is `b`",
        ),
        (r#"{"linux": {"namespaces": []}}"#, "`root` needs a namespace `mount`"),
        (
            r#"{"linux": {"namespaces": [{"type": "mount"}, {"type": "mount"}]}}"#,
            "`linux.namespaces` names `mount` twice",
        ),
        (
            r#"{"hostname": "a", "linux": {"namespaces": [{"type": "mount"}]}}"#,
            "`hostname` needs a namespace `uts`",
        ),
        (
            r#"{"linux": {"namespaces": [{"type": "mount"}, {"type": "user"}]}}"#,
            "`linux.uidMappings` is missing",
        ),
        (
            r#"{"linux": {"uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}}"#,
            "`linux.uidMappings` needs a namespace `user`",
        ),
        (r#"{"linux": {"sysctl": {"kernel.panic": "1"}}}"#, "`linux.sysctl[kernel.panic]`"),
        (r#"{"linux": {"maskedPaths": ["proc"]}}"#, "`linux.maskedPaths[0]`"),
        (r#"{"linux": {"rootfsPropagation": "x"}}"#, "`linux.rootfsPropagation` is `x`"),
        (
            r#"{"linux": {"devices": [{"type": "c", "path": "/dev/../x", "major": 1, "minor": 1}]}}"#,
            "`linux.devices[0].path`",
        ),
        (
            r#"{"linux": {"devices": [{"type": "c", "path": "x", "major": 1, "minor": 1}]}}"#,
            "`linux.devices[0].path` is `x`, which is not an absolute path",
        ),
        (
            r#"{"linux": {"devices": [{"type": "c", "path": "/dev/x"}]}}"#,
            "devices[0].major` is missing",
        ),
    ] {
        match changed(change) {
            Err(error) => assert!(error.to_string().contains(words), "{change}: {error}"),
            Ok(_) => panic!("{change} was taken"),
        }
    }
}

#[test]
fn devices_and_kernel_parameters_are_lowered() {
    let plan = changed(
        r#"{"linux": {"sysctl": {"net.ipv4.ip_forward": "1"},
            "devices": [{"type": "c", "path": "/dev/net/tun", "major": 10, "minor": 200},
                        {"type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 384}]}}"#,
    )
    .unwrap();
    assert_eq!(plan.sysctls, [("net/ipv4/ip_forward".to_owned(), "1".to_owned())]);
    let names: Vec<_> = plan.devices.iter().map(|device| device.path.as_str()).collect();
    assert_eq!(
        names,
        [
            "/dev/zero",
            "/dev/full",
            "/dev/random",
            "/dev/urandom",
            "/dev/tty",
            "/dev/net/tun",
            "/dev/null"
        ]
    );
    assert_eq!(plan.devices.last().unwrap().mode, 0o600);
}

/// The error of a `linux.seccomp`, and its hint.
fn refused(seccomp: &str) -> (String, String) {
    let error = changed(&format!(r#"{{"linux": {{"seccomp": {seccomp}}}}}"#)).unwrap_err();
    let source = std::error::Error::source(&error).map_or(String::new(), |e| format!(": {e}"));
    (format!("{error}{source}"), error.hint().unwrap_or_default())
}

#[test]
fn wrong_filters_are_named_with_a_hint() {
    let rule = |rule: &str| {
        format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{RULE}, {{{rule}}}]}}"#)
    };
    let all = |rest: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", {rest}}}"#);
    for (seccomp, words, hint) in [
        ("{}".into(), "`linux.seccomp.defaultAction` is ``", "`SCMP_ACT_KILL_PROCESS`"),
        (all(r#""defaultErrnoRet": 1"#), "defaultErrnoRet` is `1`, and `SCMP_ACT_ALLOW`", "drop"),
        (all(r#""flags": ["A"]"#), "flags[0]` is `A`", "`SECCOMP_FILTER_FLAG_LOG`"),
        (all(r#""architectures": ["amd"]"#), "architectures[0]` is `amd`", "`SCMP_ARCH_X86_64`"),
        (
            all(r#""listenerMetadata": "m""#),
            "listenerMetadata` is set",
            "linux.seccomp.listenerPath",
        ),
        (rule(r#""names": ["a"], "action": "X""#), "syscalls[1].action` is `X`", "`SCMP_ACT_LOG`"),
        (rule(r#""action": "SCMP_ACT_LOG""#), "syscalls[1].names` names no system call", "drop"),
        (rule(r#""names": [""], "action": "SCMP_ACT_LOG""#), "syscalls[1].names` names no", "drop"),
        (
            rule(r#""names": ["a"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096"#),
            "syscalls[1].errnoRet` is `4096`, which is above `4095`",
            "from 0 to 4095",
        ),
        (
            rule(
                r#""names": ["a"], "action": "SCMP_ACT_LOG", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]"#,
            ),
            "syscalls[1].args[0].index` is `6`",
            "from 0 to 5",
        ),
        (
            rule(
                r#""names": ["a"], "action": "SCMP_ACT_LOG", "args": [{"index": 5, "value": 0, "op": "=="}]"#,
            ),
            "syscalls[1].args[0].op` is `==`",
            "`SCMP_CMP_MASKED_EQ`",
        ),
        (
            rule(
                r#""names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]"#,
            ),
            "`linux.seccomp.syscalls[1]` contradicts `linux.seccomp.syscalls[0]` about `read`",
            "drop `read` from `linux.seccomp.syscalls[1]`",
        ),
        (
            all(
                r#""listenerPath": "s", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}]"#,
            ),
            "listenerPath` is `s`, which is not an absolute path",
            "from `/` on",
        ),
        (
            too_long(),
            "`linux.seccomp` cannot be compiled: the filter needs at least",
            "fewer conditions",
        ),
    ] {
        let (error, said) = refused(&seccomp);
        assert!(error.contains(words), "{error}: {words}");
        assert!(said.contains(hint), "{error}: {said}");
    }
}

const RULE: &str = r#"{"names": ["read"], "action": "SCMP_ACT_TRAP",
    "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}"#;

/// More conditions than the kernel takes instructions.
fn too_long() -> String {
    let rule = |rule: usize| {
        let argument = |value| format!(r#"{{"index": 0, "value": {value}, "op": "SCMP_CMP_GT"}}"#);
        let arguments: Vec<_> = (0..200).map(|value| argument(200 * rule + value)).collect();
        let arguments = arguments.join(",");
        format!(r#"{{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{arguments}]}}"#)
    };
    let rules: Vec<_> = (0..20).map(rule).collect();
    format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{}]}}"#, rules.join(","))
}

#[test]
fn a_process_may_stay_in_the_keyring_of_its_caller() {
    for shares_keyring in [false, true] {
        let options = Options { shares_keyring, ..options() };
        let plan = lower(&spec(), &options).unwrap().to_string();
        assert_eq!(plan.contains("take a keyring of its own"), !shares_keyring);
    }
}
