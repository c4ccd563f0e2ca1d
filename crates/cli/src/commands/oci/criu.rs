//! What `creel oci checkpoint` and `restore` hand to CRIU.

use std::ffi::OsString;
use std::path::PathBuf;

use creel_runtime::lifecycle::Criu;

/// Options that are the same for both.
#[derive(Debug, clap::Args)]
pub(super) struct CriuOptions {
    /// Directory of the images
    #[arg(long, default_value = "checkpoint", value_name = "PATH")]
    image_path: PathBuf,
    /// Directory of logs and the like [default: that of the images]
    #[arg(long, value_name = "PATH")]
    work_path: Option<PathBuf>,
    /// Directory of an earlier checkpoint, relative to that of the images
    #[arg(long, value_name = "PATH")]
    parent_path: Option<PathBuf>,
    /// Allow open TCP connections
    #[arg(long)]
    tcp_established: bool,
    /// Allow Unix sockets that are connected with the outside
    #[arg(long)]
    ext_unix_sk: bool,
    /// Allow processes of a session that began outside
    #[arg(long)]
    shell_job: bool,
    /// Allow file locks
    #[arg(long)]
    file_locks: bool,
    /// Allow files that have no name any more
    #[arg(long)]
    link_remap: bool,
    /// Leave memory out, and give it when it is asked for
    #[arg(long)]
    lazy_pages: bool,
    /// What of control groups is kept: `soft`, `full`, `strict` or `ignore`
    #[arg(long, value_name = "MODE", value_parser = ["soft", "full", "strict", "ignore"])]
    manage_cgroups_mode: Option<String>,
    /// Leave out what is in a namespace: `network`
    #[arg(long, value_name = "NAMESPACE", value_parser = ["network"])]
    empty_ns: Vec<String>,
    /// Drop memory from earlier images that later ones have
    #[arg(long)]
    auto_dedup: bool,
    /// How connections are held meanwhile: `iptables`, `nftables` or `skip`
    #[arg(long, value_name = "HOW", value_parser = ["iptables", "nftables", "skip"])]
    network_lock: Option<String>,
}

/// Options by name, each with its value.
pub(super) type Named = Vec<(&'static str, Option<OsString>)>;

impl CriuOptions {
    /// What is done by the program; `more` are options of one of the two.
    pub(super) fn criu(&self, program: Option<&PathBuf>, more: Named) -> Criu {
        let flags = [
            ("tcp-established", self.tcp_established),
            ("ext-unix-sk", self.ext_unix_sk),
            ("shell-job", self.shell_job),
            ("file-locks", self.file_locks),
            ("link-remap", self.link_remap),
            ("lazy-pages", self.lazy_pages),
            ("auto-dedup", self.auto_dedup),
        ];
        let mut options: Named = chosen(&flags);
        let mode = self.manage_cgroups_mode.as_deref().unwrap_or("soft");
        options.push((mode_option(mode), None));
        options.extend(self.empty_ns.iter().map(|_| ("empty-ns", Some("net".into()))));
        let parent = self.parent_path.clone().map(OsString::from);
        options.extend(parent.map(|path| ("prev-images-dir", Some(path))));
        let lock = self.network_lock.clone().map(OsString::from);
        options.extend(lock.map(|how| ("network-lock", Some(how))));
        options.extend(more);
        Criu {
            program: program.cloned().unwrap_or_else(|| "criu".into()),
            images: self.image_path.clone(),
            work: self.work_path.clone(),
            options,
        }
    }
}

/// Those that are wanted.
pub(super) fn chosen(flags: &[(&'static str, bool)]) -> Named {
    flags.iter().filter(|(_, wanted)| *wanted).map(|(name, _)| (*name, None)).collect()
}

/// CRIU takes the mode in the same word.
fn mode_option(mode: &str) -> &'static str {
    match mode {
        "full" => "manage-cgroups=full",
        "strict" => "manage-cgroups=strict",
        "ignore" => "manage-cgroups=ignore",
        _ => "manage-cgroups=soft",
    }
}
