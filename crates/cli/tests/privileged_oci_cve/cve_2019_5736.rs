//! The runtime's own program is overwritten through `/proc/PID/exe`. That the attack works without the
//! protection is shown in `crates/runtime/tests/privileged_attacks.rs`.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::oci::{Bundle, MOUNT_CALLS};

/// Opens what processes are executed from, looks whose it is afterwards, since the moment is short,
/// and writes to it once that can be done.
const ATTACK: &str = "while [ ! -e /end ]; do for p in /proc/[0-9]*; do \
    (exec 9<$p/exe && case $(readlink /proc/self/fd/9) in */busybox) ;; *) echo > /seen; \
    n=0; while [ $n -lt 20 ]; do n=$((n+1)); \
    echo evil > /proc/self/fd/9 && echo > /won; sleep 0.05; done ;; esac) 2>/dev/null & \
    done; wait; done";

/// Executions that may be needed until the container gets to see the program.
const MOST: usize = 5000;

/// A copy of the program that nobody minds.
fn victim(bundle: &mut Bundle) -> (PathBuf, Vec<u8>) {
    let program = bundle.path("runtime");
    fs::copy(env!("CARGO_BIN_EXE_creel"), &program).unwrap();
    bundle.program.clone_from(&program);
    let before = fs::read(&program).unwrap();
    (program, before)
}

fn attacked() -> Bundle {
    let bundle = Bundle::new(ATTACK);
    // All that could help: with it the container may look into every process.
    bundle.empower();
    bundle.change(|spec| spec["root"]["readonly"] = false.into());
    bundle
}

fn ended(bundle: &Bundle) {
    fs::write(bundle.path("rootfs/end"), "").unwrap();
    bundle.until("stopped");
    bundle.runs(&["delete", &bundle.id()]);
}

#[test]
fn privileged_the_program_stays_intact() {
    let mut bundle = attacked();
    let (program, before) = victim(&mut bundle);
    let id = bundle.id();
    bundle.runs(&["run", "--detach", &id]);
    let seen = bundle.path("rootfs/seen");
    for round in 0..MOST {
        if round >= 100 && seen.exists() {
            break;
        }
        bundle.runs(&["exec", &id, "true"]);
    }
    ended(&bundle);
    assert!(seen.exists(), "the container never saw the program");
    assert!(!bundle.path("rootfs/won").exists());
    assert!(fs::read(program).unwrap() == before, "the program was overwritten");
}

/// Where no read-only mount can be made, a sealed copy is executed.
#[test]
fn privileged_a_copy_in_memory_protects_as_well() {
    let mut bundle = attacked();
    let (program, before) = victim(&mut bundle);
    bundle.script(&format!("(sleep 2; echo > /end) & {ATTACK}"));
    let outer = bundle.without(&MOUNT_CALLS);
    let output = outer.oci(&["run", &outer.id()]);
    assert!(output.status.success(), "{output:?}");
    assert!(!bundle.path("rootfs/won").exists());
    assert!(fs::read(program).unwrap() == before, "the program was overwritten");
}

/// An id map protects it without more: no program is executed twice then.
#[test]
fn privileged_other_ids_cannot_reach_the_program() {
    for mapped in [true, false] {
        let mut bundle = attacked();
        let (program, before) = victim(&mut bundle);
        if mapped {
            bundle.map_ids();
        }
        let id = bundle.id();
        let mut creel = bundle.command(&["run", &id]).spawn().unwrap();
        let environment = format!("/proc/{}/environ", creel.id());
        while bundle.oci(&["state", &id]).status.code() != Some(0) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // By this variable it tells itself that it was executed again.
        let again =
            String::from_utf8_lossy(&fs::read(environment).unwrap()).contains("SELF_MOUNT=");
        std::thread::sleep(std::time::Duration::from_millis(500));
        for _ in 0..20 {
            bundle.oci(&["exec", &id, "true"]);
        }
        fs::write(bundle.path("rootfs/end"), "").unwrap();
        creel.wait().unwrap();
        assert_eq!(again, !mapped);
        assert!(!bundle.path("rootfs/won").exists());
        assert!(fs::read(program).unwrap() == before, "the program was overwritten");
    }
}

/// The program as the container's own: `#!/proc/self/exe`.
#[test]
fn privileged_an_interpreter_is_not_the_runtime() {
    let mut bundle = Bundle::new("");
    let (program, before) = victim(&mut bundle);
    let entry = bundle.path("rootfs/entry");
    fs::write(&entry, "#!/proc/self/exe\n").unwrap();
    std::process::Command::new("chmod").arg("755").arg(&entry).status().unwrap();
    bundle.change(|spec| spec["process"]["args"] = json!(["/entry"]));
    // It is executed from a mount that is nowhere in the container; what it does there is its own.
    bundle.oci(&["run", &bundle.id()]);
    assert!(fs::read(program).unwrap() == before);
    bundle.is_clean();
}
