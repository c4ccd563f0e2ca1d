//! The file systems that roots are made of.

use std::fs;

use super::Finding;

pub(super) fn overlay() -> Finding {
    const TOPIC: &str = "overlayfs";
    if known("overlay") {
        return Finding::good(TOPIC, "there");
    }
    Finding::missing(TOPIC, "not in this kernel, or its module is not loaded")
        .costs("containers have nowhere to write")
        .mended_by("`modprobe overlay` as root")
}

pub(super) fn erofs() -> Finding {
    const TOPIC: &str = "EROFS";
    if known("erofs") {
        return Finding::good(TOPIC, "there");
    }
    Finding::limited(TOPIC, "not in this kernel, or its module is not loaded")
        .costs("root's store unpacks images into directories, which is several times slower")
        .mended_by("`modprobe erofs` as root")
}

pub(super) fn fuse() -> Finding {
    const TOPIC: &str = "FUSE";
    match fs::OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        Ok(_) => Finding::good(TOPIC, "/dev/fuse opens"),
        Err(error) => Finding::limited(TOPIC, format!("/dev/fuse: {error}"))
            .costs("programs in containers cannot offer file systems of their own")
            .mended_by("`modprobe fuse` and `chmod 666 /dev/fuse` as root"),
    }
}

/// Tells whether the kernel has the file system now, or could load its module.
fn known(name: &str) -> bool {
    let listed =
        |text: String| text.lines().any(|line| line.split_whitespace().last() == Some(name));
    if fs::read_to_string("/proc/filesystems").is_ok_and(listed) {
        return true;
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let module = format!("/{name}.ko");
    fs::read_to_string(format!("/lib/modules/{release}/modules.dep"))
        .is_ok_and(|text| text.lines().any(|line| line.contains(&module)))
}
