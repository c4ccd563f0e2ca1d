//! `./x peers`: a root directory with the newest versions of the tools creel is measured against.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use creel_testkit::peers::Peers;

use crate::run::{is_root, repository, run, target_directory};
use crate::{debian, tools};

/// Debian's moving release, where the newest peers are.
const SUITE: &str = "sid";

/// What is installed beside the base system.
const PACKAGES: &str = "podman,containerd,docker.io,docker-cli,criu,iptables,buildah,skopeo,umoci,ostree,crun,runc,bubblewrap,minijail,tini,\
    catatonit,dumb-init,docker-registry,erofs-utils,passt,passwd,uidmap,fuse-overlayfs,slirp4netns,hyperfine,\
    jq,bats,busybox-static,strace,attr,ca-certificates,procps,iproute2,gcc,libc6-dev";

/// Prints what the peers say of themselves.
const VERSIONS: &str =
    "for t in podman buildah skopeo umoci crun runc bwrap ostree; do $t --version | head -n1; done";

/// A command to run among the peers.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Command to run there; without one, the versions of the peers are printed
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Makes the root where it is missing and runs a command in it, with the repository shared.
pub(crate) fn enter(args: &Args) -> anyhow::Result<()> {
    let session = Peers::new(ready()?).enter(&[&repository()])?;
    if args.command.is_empty() {
        return run(&mut session.command(&["sh", "-c", VERSIONS]));
    }
    run(&mut session.command(&args.command))
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
    tools::install_packages(&tools::FOR_IMAGES)?;
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot clear `{}`", root.display()))?;
    }
    fs::create_dir_all(&root)?;
    // The release file of sid may be past its date.
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--variant=apt", "--aptopt=Acquire::Check-Valid-Until \"false\""])
        .arg(format!("--include={PACKAGES}"));
    debian::bootstrap(&mut command, SUITE, &root)?;
    fs::write(stamp, PACKAGES)?;
    Ok(root)
}
