//! The kernel's version.

use super::Finding;

/// Mounting by file descriptor, overlayfs in a user namespace and `CLONE_INTO_CGROUP` are all there.
const NEEDED: (u32, u32) = (5, 12);
/// EROFS mounts straight from a file, without loop devices.
const BEST: (u32, u32) = (6, 12);

pub(super) fn examine() -> Finding {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    judge(&release)
}

fn judge(release: &str) -> Finding {
    match version(release) {
        None => Finding::limited("kernel", format!("unreadable version `{release}`")),
        Some(found) if found < NEEDED => Finding::missing("kernel", format!("Linux {release}"))
            .costs("the mount calls that creel is built on came with Linux 5.12")
            .mended_by("upgrade the kernel"),
        Some(found) if found < BEST => Finding::limited("kernel", format!("Linux {release}"))
            .costs("images mount through loop devices; files are mounted directly since Linux 6.12")
            .mended_by("upgrade the kernel"),
        Some(_) => Finding::good("kernel", format!("Linux {release}")),
    }
}

/// Reads major and minor out of a release like `6.18.44-cloud`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn judges_versions() {
        for (release, severity) in [
            ("6.18.44", Severity::Good),
            ("6.12.0-cloud-amd64", Severity::Good),
            ("6.1.0-31-amd64", Severity::Limited),
            ("5.10.0", Severity::Missing),
            ("strange", Severity::Limited),
        ] {
            assert_eq!(judge(release).severity, severity, "{release}");
        }
    }
}
