//! `creel oci --systemd-cgroup` with a systemd that has booted a guest: as root and as a user.
#![allow(clippy::unwrap_used, clippy::panic)] // in the helpers of tests

#[path = "shared/guest_spec.rs"]
mod guest_spec;

use creel_testkit::guest::{Guest, Setup, USER};
use guest_spec::{map_user, specification};
use serde_json::json;

/// A bundle's `config.json`, for root or with a user namespace of one id.
fn spec(path: &str, user: bool) -> Vec<u8> {
    let mut spec = specification();
    let own = json!({"destination": "/d", "type": "tmpfs", "source": "tmpfs"});
    spec["mounts"].as_array_mut().unwrap().push(own);
    spec["annotations"] = json!({"org.systemd.property.TimeoutStopSec": "7"});
    let linux = &mut spec["linux"];
    linux["cgroupsPath"] = path.into();
    linux["resources"] = json!({
        "memory": {"limit": 64 << 20, "swap": 64 << 20},
        "pids": {"limit": 20},
        "cpu": {"shares": 1024, "quota": 50_000, "period": 100_000},
        "unified": {"memory.high": "50331648"},
    });
    if user {
        map_user(&mut spec);
    } else {
        linux["resources"]["cpu"]["cpus"] = "0".into();
    }
    serde_json::to_vec(&spec).unwrap()
}

/// Makes a bundle in the working directory.
const PREPARE: &str = "set -e; mkdir -p bundle/rootfs/bin; cp /bin/busybox bundle/rootfs/bin; \
                       for name in sh sleep cat mknod; do ln -sf busybox bundle/rootfs/bin/$name; done; \
                       cp /spec.json bundle/config.json";

fn boot(spec: Vec<u8>) -> Guest {
    let program = env!("CARGO_BIN_EXE_creel");
    let setup = Setup::default().program(program).unwrap().file("/spec.json", 0o644, spec);
    let mut guest = setup.systemd().boot().unwrap();
    guest.run(&format!("ln -s {program} /usr/bin/creel")).unwrap();
    guest
}

#[test]
fn guest_systemd_makes_scopes_for_root() {
    let mut guest = boot(spec("test-a.slice:creel:box", false));
    guest.run(PREPARE).unwrap();
    let mut runs = |script: &str| {
        let script = format!("set -e; cd bundle; oci='creel oci --systemd-cgroup'; {script}");
        guest.run(&script).unwrap_or_else(|error| panic!("{error}")).trim().to_owned()
    };
    runs("$oci run -d box >/dev/null 2>&1 </dev/null");
    let group = "/sys/fs/cgroup/test.slice/test-a.slice/creel-box.scope";
    assert_eq!(runs(&format!("cat {group}/memory.max {group}/pids.max")), "67108864\n20");
    assert_eq!(runs(&format!("cat {group}/cpu.max {group}/memory.swap.max")), "50000 100000\n0");
    assert_eq!(runs(&format!("cat {group}/cpuset.cpus {group}/memory.high")), "0\n50331648");
    assert_eq!(runs(&format!("grep -c . {group}/cgroup.procs")), "1");
    let show = "systemctl show creel-box.scope --value -p";
    let properties = "MemoryMax,TasksMax,TimeoutStopUSec,Delegate,ActiveState".split(',');
    let shown: Vec<String> = properties.map(|name| runs(&format!("{show} {name}"))).collect();
    assert_eq!(shown, ["67108864", "20", "7s", "yes", "active"]);
    assert_eq!(runs("creel oci exec box cat /proc/self/cgroup"), "0::/");
    runs("creel oci pause box; creel oci state box | grep -q paused; creel oci resume box");
    runs("creel oci update --memory 32m --pids-limit 10 box");
    assert_eq!(runs(&format!("cat {group}/memory.max {group}/pids.max")), "33554432\n10");
    assert_eq!(runs(&format!("{show} MemoryMax; {show} TasksMax")), "33554432\n10");
    // What it knows, it does not undo; and it leaves alone which devices may be opened.
    runs("creel oci update -r - box <<'END'\n{\"unified\": {\"memory.high\": \"30000000\"}}\nEND");
    runs("systemctl daemon-reload; systemctl set-property --runtime creel-box.scope IOWeight=50");
    assert_eq!(runs(&format!("cat {group}/memory.max {group}/pids.max")), "33554432\n10");
    let high = runs(&format!("cat {group}/memory.high"));
    assert_eq!(high.parse::<u64>().unwrap() / 4096, 30_000_000 / 4096);
    let open = "creel oci exec -c CAP_MKNOD box sh -c 'cd /d; mknod x b 254 0; : < x'";
    let said = runs(&format!("{open} 2>&1 || true"));
    assert!(said.contains("Operation not permitted"), "{said}");
    runs("creel oci update --cpu-idle 1 box");
    assert_eq!(runs(&format!("cat {group}/cpu.idle; {show} CPUWeight")), "1\nidle");
    runs("systemctl daemon-reload; creel oci update --cpu-idle 0 box");
    assert_eq!(runs(&format!("cat {group}/cpu.idle {group}/cpu.weight")), "0\n100");
    assert!(runs("$oci run -d other 2>&1 </dev/null || true").contains("creel-box.scope"));
    runs("creel oci delete --force box");
    assert_eq!(runs(&format!("ls -d {group} 2>/dev/null || true")), "");
    assert_eq!(runs("systemctl list-units --all --plain --no-legend 'creel-*'"), "");
    // The name can be used again; a create that fails leaves nothing.
    runs("$oci run -d box >/dev/null 2>&1 </dev/null; creel oci delete --force box");
    runs(
        "sed -i 's/\"sleep\",//; s/\"600\"/\"none\"/' config.json; ! $oci run -d box >/dev/null 2>&1",
    );
    assert_eq!(runs("systemctl list-units --all --plain --no-legend 'creel-*'"), "");
    let wrong = "sed -i s/test-a.slice:creel:box/x/ config.json; $oci run -d box 2>&1 || true";
    assert!(runs(wrong).contains("`linux.cgroupsPath` is `x`, which is not of the form"));
}

/// Starts to make a container and kills that, at later and later points; says whether one of them was
/// before the container was known.
const KILL: &str = "for n in $(seq -w 2 3 62); do \
                    $oci create k >/dev/null 2>&1 </dev/null & pid=$!; sleep 0.$n; \
                    kill -9 $pid 2>/dev/null || true; wait $pid || true; \
                    [ ! -d /run/creel/oci/k ] || [ -e /run/creel/oci/k/container.json ] || hit=hit; \
                    creel oci delete --force k; done; \
                    for n in $(seq 100); do \
                    systemctl list-units --all --plain --no-legend 'creel-*' | grep -q . || break; \
                    sleep 0.1; done; systemctl list-units --all --plain --no-legend 'creel-*'; echo $hit";

/// A service that is ready when the container says so. What it says is said for it, as there is no
/// program in it that could.
const SERVICE: &str = r#"cat >/run/systemd/system/boxed.service <<'END'
[Service]
Type=notify
ExecStart=/usr/bin/creel oci run -d -b /run/guest/bundle boxed
KillMode=none
END
systemctl daemon-reload; systemctl start --no-block boxed
for n in $(seq 100); do
  pid=$(creel oci state boxed 2>/dev/null | sed -n 's/.*"pid": \([0-9]*\),/\1/p')
  [ -n "$pid" ] && [ -S /proc/$pid/root/run/notify/notify.sock ] && break
  sleep 0.1
done
systemctl show boxed --value -p ActiveState
python3 -c 'import socket, sys
said = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
said.sendto(b"READY=1", "/proc/%s/root/run/notify/notify.sock" % sys.argv[1])' $pid
for n in $(seq 100); do [ "$(systemctl is-active boxed)" = active ] && break; sleep 0.1; done
systemctl show boxed --value -p ActiveState
[ "$(systemctl show boxed --value -p MainPID)" = $pid ] && echo handed over"#;

#[test]
fn guest_systemd_is_told_and_kills_leave_nothing() {
    let mut guest = boot(spec("system.slice:creel:box", false));
    guest.run(PREPARE).unwrap();
    let mut runs = |script: &str| {
        let script = format!("set -e; cd bundle; oci='creel oci --systemd-cgroup'; {script}");
        guest.run(&script).unwrap_or_else(|error| panic!("{error}")).trim().to_owned()
    };
    assert_eq!(runs(KILL), "hit");
    assert_eq!(runs("ls /sys/fs/cgroup/system.slice | grep creel- || true"), "");
    runs("sed -i 's/system.slice:creel:box//' config.json");
    assert_eq!(runs(SERVICE), "activating\nactive\nhanded over");
}

#[test]
fn guest_systemd_makes_scopes_for_a_user() {
    let mut guest = boot(spec("user.slice:creel:box", true));
    let linger = "loginctl enable-linger user; for n in $(seq 300); do \
                  [ -S /run/user/1000/bus ] && break; sleep 0.1; done; ls /run/user/1000/bus";
    guest.run(linger).unwrap();
    let mut runs = |script: &str| {
        let output = guest.output_as(USER, script).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {said} {error}");
        said
    };
    runs(PREPARE);
    let group =
        "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice/creel-box.scope";
    // From where systemd has to move processes, as root alone could otherwise; and from a scope.
    for place in ["", "systemd-run --quiet --user --scope"] {
        let oci = format!("{place} creel oci --root /run/user/1000/oci --systemd-cgroup");
        let run = format!("cd bundle; {oci} run -d box >/tmp/said 2>&1 </dev/null");
        runs(&format!("{run} || {{ cat /tmp/said >&2; false; }}"));
        assert_eq!(runs(&format!("cat {group}/memory.max {group}/pids.max")), "67108864\n20");
        assert_eq!(runs("systemctl --user show creel-box.scope --value -p MemoryMax"), "67108864");
        assert_eq!(runs(&format!("{oci} exec box cat /proc/self/cgroup")), "0::/");
        runs(&format!("{oci} pause box; {oci} resume box; {oci} update --memory 32m box"));
        assert_eq!(
            runs(&format!("cat {group}/memory.max; {oci} ps -f json box | wc -l")),
            "33554432\n1"
        );
        runs(&format!("{oci} delete --force box"));
        assert_eq!(runs(&format!("ls -d {group} 2>/dev/null || true")), "");
        let units = "systemctl --user list-units --all --plain --no-legend 'creel-*'";
        assert_eq!(runs(units), "");
    }
}
