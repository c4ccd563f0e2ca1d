//! `/proc` or `/sys` of the image is a link: what is mounted there, and what is masked and made read-only
//! below it, would be elsewhere. Also CVE-2019-18837, CVE-2023-27561, CVE-2023-28642.

use std::fs;
use std::os::unix::fs::symlink;

use crate::oci::Bundle;

#[test]
fn privileged_links_for_proc_and_sys_are_refused() {
    let host = tempfile::tempdir().unwrap();
    let outside = format!("../../../../../..{}", host.path().display());
    for name in ["proc", "sys"] {
        for target in ["/elsewhere", "elsewhere", &outside, host.path().to_str().unwrap()] {
            let bundle = Bundle::new("true");
            fs::create_dir(bundle.path("rootfs/elsewhere")).unwrap();
            symlink(target, bundle.path("rootfs").join(name)).unwrap();
            let said = "Too many levels of symbolic links";
            bundle.fails(1, &["run", &bundle.id()], said);
            assert_eq!(fs::read_dir(host.path()).unwrap().count(), 0);
            bundle.is_clean();
        }
    }
}
