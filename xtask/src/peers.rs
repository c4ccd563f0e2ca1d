//! `./x peers`: a root directory with the newest versions of the tools creel is measured against.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::run::{is_root, run, target_directory};
use crate::tools;

/// Debian's moving release, where the newest peers are.
const SUITE: &str = "sid";

/// What is installed beside the base system.
const PACKAGES: &str = "podman,buildah,skopeo,umoci,ostree,crun,runc,bubblewrap,minijail,tini,\
    catatonit,dumb-init,docker-registry,erofs-utils,passt,uidmap,fuse-overlayfs,slirp4netns,hyperfine,\
    jq,bats,busybox-static,strace,ca-certificates,procps,iproute2,gcc,libc6-dev";

/// Enters the root in a mount namespace of its own. cgroup2 under `unified` makes the peers take a
/// version 1 host for a hybrid one and fail, so it goes.
const ENTER: &str = r#"
set -e
root=$1; shift
mount --bind "$root" "$root"
for d in proc sys dev; do mount --rbind "/$d" "$root/$d"; done
if mountpoint -q "$root/sys/fs/cgroup/unified"; then umount -l "$root/sys/fs/cgroup/unified"; fi
if [ -n "$CREEL_BIND" ]; then mkdir -p "$root$CREEL_BIND"; mount --rbind "$CREEL_BIND" "$root$CREEL_BIND"; fi
mkdir -p "$root/.host"
cd "$root"
pivot_root . .host
umount -l /.host
cd /
exec "$@"
"#;

/// A command to run among the peers.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Command to run there; without one, the versions of the peers are printed
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Makes the root where it is missing and runs a command in it.
pub(crate) fn enter(args: &Args) -> anyhow::Result<()> {
    let root = ready()?;
    if args.command.is_empty() {
        let versions = "for t in podman buildah skopeo umoci crun runc bwrap ostree; do $t --version | head -n1; done";
        return run(&mut command(&root, None, &["sh", "-c", versions]));
    }
    let words: Vec<&str> = args.command.iter().map(String::as_str).collect();
    run(&mut command(&root, None, &words))
}

/// Returns the root with the peers, made first where it is missing.
pub(crate) fn ready() -> anyhow::Result<PathBuf> {
    if !is_root() {
        bail!("the peers need a root directory of their own: run this as root");
    }
    let root = target_directory().join("peers");
    let stamp = root.join(".creel-packages");
    if fs::read_to_string(&stamp).is_ok_and(|packages| packages == PACKAGES) {
        return Ok(root);
    }
    tools::install_packages(&[("mmdebstrap", "mmdebstrap")])?;
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot clear `{}`", root.display()))?;
    }
    fs::create_dir_all(&root)?;
    bootstrap(&root)?;
    fs::write(stamp, PACKAGES)?;
    Ok(root)
}

/// Returns a command that runs among the peers, with one directory of the host's shared.
pub(crate) fn command(root: &Path, shared: Option<&Path>, words: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c", ENTER, "enter"])
        .arg(root)
        .args(words)
        .env("CREEL_BIND", shared.unwrap_or_else(|| Path::new("")))
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

fn bootstrap(root: &Path) -> anyhow::Result<()> {
    let mut child = Command::new("mmdebstrap")
        .args(["--quiet", "--variant=apt", "--aptopt=Acquire::Check-Valid-Until \"false\""])
        .arg(format!("--include={PACKAGES}"))
        .arg(SUITE)
        .arg(root)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start mmdebstrap")?;
    let sources = format!("deb {} {SUITE} main\n", debian_archive()?);
    child.stdin.take().context("mmdebstrap takes no input")?.write_all(sources.as_bytes())?;
    let status = child.wait()?;
    if !status.success() {
        bail!("mmdebstrap failed: {status}");
    }
    Ok(())
}

/// Returns the address this host's apt uses for Debian's main archive.
pub(crate) fn debian_archive() -> anyhow::Result<String> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"])
        .output()
        .context("cannot start apt-get")?;
    let text = String::from_utf8(output.stdout)?;
    let archive = text.lines().find_map(|line| line.strip_prefix("Debian "));
    Ok(archive.context("apt knows no Debian archive: run `apt-get update`")?.to_owned())
}
