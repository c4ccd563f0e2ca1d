//! The smallest image that is of use: one static busybox under the names scripts call.

use std::io;

use serde_json::json;

use crate::image::Image;
use crate::tar::{Entry, Tar};

/// Where Debian's package busybox-static puts it.
pub(crate) const PROGRAM: &str = "/bin/busybox";

/// What is linked to it.
const APPLETS: [&str; 40] = [
    "cat",
    "chmod",
    "chown",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "echo",
    "env",
    "false",
    "find",
    "grep",
    "head",
    "hostname",
    "id",
    "kill",
    "ln",
    "ls",
    "mkdir",
    "mknod",
    "mount",
    "mv",
    "nproc",
    "ps",
    "pwd",
    "readlink",
    "rm",
    "sed",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "stty",
    "tail",
    "touch",
    "true",
    "umount",
    "wc",
];

/// Returns the image's one layer.
///
/// # Errors
///
/// When busybox-static is not installed.
pub fn layer() -> io::Result<Vec<u8>> {
    let program = std::fs::read(PROGRAM).map_err(|error| {
        let words = format!("`{PROGRAM}`: {error}: run `apt-get install busybox-static`");
        io::Error::new(error.kind(), words)
    })?;
    let mut tar = Tar::new();
    for directory in ["bin", "dev", "etc", "proc", "root", "sys"] {
        tar = tar.with(Entry::dir(directory));
    }
    tar = tar.with(Entry::dir("tmp").mode(0o1777));
    tar = tar.with(Entry::file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"));
    tar = tar.with(Entry::file("etc/group", "root:x:0:\n"));
    tar = tar.with(Entry::file("bin/busybox", program).mode(0o755));
    for applet in APPLETS {
        tar = tar.with(Entry::symlink(format!("bin/{applet}"), "busybox"));
    }
    Ok(tar.finish())
}

/// Returns the image.
///
/// # Errors
///
/// As [`layer`].
pub fn image() -> io::Result<Image> {
    let image = Image::new().layer(layer()?);
    Ok(image.process("Env", json!(["PATH=/bin"])).process("Cmd", json!(["sh"])))
}
