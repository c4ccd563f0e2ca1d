//! A directory of the host stays open, and the working directory leads through its descriptor.

use std::fs;
use std::os::fd::AsRawFd as _;

use crate::oci::Bundle;

#[test]
fn privileged_no_working_directory_leads_out() {
    let leaked = fs::File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let bundle = Bundle::new("sleep 60");
    let id = &bundle.id();
    bundle.runs(&["run", "--detach", id]);
    let inside = Bundle::new("ls etc/passwd");
    let other = &inside.id();
    for number in 3..=(leaked.as_raw_fd() + 20) {
        for path in [format!("/proc/self/fd/{number}"), format!("/proc/self/fd/{number}/../..")] {
            let words = ["exec", "--cwd", &path, id, "ls", "etc/passwd"];
            assert!(!bundle.oci(&words).status.success(), "exec: {path}");
            inside.change(|spec| spec["process"]["cwd"] = path.as_str().into());
            assert!(!inside.oci(&["run", other]).status.success(), "run: {path}");
        }
    }
    // No descriptor is there but the three, and that of the directory that is read.
    let listed = bundle.runs(&["exec", id, "ls", "/proc/self/fd"]);
    assert_eq!(listed.split_whitespace().count(), 4, "{listed}");
    bundle.runs(&["delete", "--force", id]);
    inside.is_clean();
}
