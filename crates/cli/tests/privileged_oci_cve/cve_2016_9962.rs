//! A process of the container looks into the runtime while that joins it: descriptors of the host, and
//! what it is executed from.

use std::fs;

use crate::oci::Bundle;
use crate::race::rounds;

/// Looks at every process that has the name in `$1`, until `/end` is there: whether something of it is
/// seen while it executes something else than `$2`.
const LOOK: &str = "while [ ! -e /end ]; do for p in /proc/[0-9]*; do \
    read c < $p/comm; [ \"$c\" = $1 ] || continue; echo > /saw; \
    e=$(readlink $p/exe); [ -z \"$e\" ] || [ \"$e\" = $2 ] || echo $e >> /leak; \
    done; done 2>/dev/null";

fn look_for(name: &str, executed: &str, rounds: usize) -> (bool, bool) {
    let bundle = Bundle::new("");
    bundle.change(|spec| {
        spec["root"]["readonly"] = false.into();
        spec["process"]["args"] = serde_json::json!(["sh", "-c", LOOK, "sh", name, executed]);
    });
    let id = &bundle.id();
    bundle.runs(&["run", "--detach", id]);
    for _ in 0..rounds {
        bundle.runs(&["exec", id, "sleep", "0.001"]);
    }
    fs::write(bundle.path("rootfs/end"), "").unwrap();
    bundle.until("stopped");
    bundle.runs(&["delete", id]);
    let has = |name: &str| bundle.path("rootfs").join(name).exists();
    (has("saw"), has("leak"))
}

#[test]
fn privileged_nothing_is_seen_of_a_runtime_that_joins() {
    let name = env!("CARGO_BIN_EXE_creel").rsplit('/').next().unwrap();
    let (saw, leak) = look_for(name, "/bin/busybox", rounds());
    assert!(!leak, "a process of the container could look into the runtime");
    assert!(saw, "no process of the container has met the runtime");
}

/// What is no longer protected, since it executes the container's own program, is seen.
#[test]
fn privileged_control_another_process_is_seen() {
    assert_eq!(look_for("sleep", "/none", 50), (true, true));
}
