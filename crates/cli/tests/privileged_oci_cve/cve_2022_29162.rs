//! A process that joins has inheritable capabilities, which files of the image can make effective. Also
//! CVE-2022-27650.

use crate::oci::Bundle;

#[test]
fn privileged_nothing_is_inheritable() {
    let bundle = Bundle::new("grep CapInh /proc/self/status; sleep 60");
    let id = &bundle.id();
    bundle.runs(&["run", "--detach", id]);
    let words = ["exec", "--cap", "CAP_NET_ADMIN", "--cap", "CAP_CHOWN", id, "grep", "Cap"];
    let output = bundle.runs(&[&words[..], &["/proc/self/status"]].concat());
    let line = |name: &str| {
        let line = output.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    assert_eq!((line("CapInh"), line("CapAmb")), (0, 0), "{output}");
    // 12 is CAP_NET_ADMIN.
    assert_ne!(line("CapEff") & 1 << 12, 0, "{output}");
    bundle.runs(&["delete", "--force", id]);
}
