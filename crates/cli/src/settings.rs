//! What the environment and the global options say: the only place where the environment is read.

use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use creel_base::platform::Platform;
use creel_manager::identity::{self, Identity};
use creel_manager::{CertSources, Config, Engine, EngineError, Proxies, Settings};
use creel_runtime::lifecycle::Managers;

use crate::failure::Failure;
use crate::output;

/// Options that every command takes, before or after its name.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Globals {
    /// Directory of images and containers [default: `$CREEL_STORE`, else /var/lib/creel as root,
    /// ~/.local/share/creel as a user]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global options")]
    store: Option<PathBuf>,
    /// Directory of mounts and sockets [default: `$CREEL_RUN_DIR`, else /run/creel as root,
    /// `$XDG_RUNTIME_DIR`/creel as a user]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global options")]
    run_dir: Option<PathBuf>,
}

/// The sockets by which systemd can be asked.
pub(crate) fn systemd() -> Managers {
    let environment = Environment::of_process();
    let bus = |name| {
        let address = environment.path(name)?.into_os_string().into_string().ok()?;
        // Addresses follow one another; a path may have parameters behind it.
        let path = |one: &str| Some(one.strip_prefix("unix:path=")?.split(',').next()?.into());
        address.split(';').find_map(path)
    };
    let system = ["/run/dbus/system_bus_socket", "/run/systemd/private"].map(PathBuf::from);
    let runtime = environment.base("XDG_RUNTIME_DIR");
    let user = runtime.map(|runtime| ["bus", "systemd/private"].map(|name| runtime.join(name)));
    Managers {
        system: bus("DBUS_SYSTEM_BUS_ADDRESS").into_iter().chain(system).collect(),
        user: bus("DBUS_SESSION_BUS_ADDRESS")
            .into_iter()
            .chain(user.into_iter().flatten())
            .collect(),
    }
}

impl Globals {
    /// Opens the engine with what the options and the environment say.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        self.open(self.settings()?)
    }

    /// Opens the engine. A store that was asked for by its path must be there: who mistypes it is to
    /// be told so, and not that the store is empty.
    pub(crate) fn open(&self, settings: Settings) -> Result<Engine, Failure> {
        Ok(match self.names_store() {
            true => Engine::open_existing(settings)?,
            false => Engine::open(settings)?,
        })
    }

    /// Opens the engine for what fills a store, and says where it makes one that was asked for by its
    /// path.
    pub(crate) fn open_or_make(&self, settings: Settings) -> Result<Engine, Failure> {
        match Engine::open_existing(settings.clone()) {
            Err(EngineError::NoStore { path }) => {
                let engine = Engine::open(settings)?;
                if self.names_store() {
                    output::note(&format!("made a store at `{}`", path.display()));
                }
                Ok(engine)
            }
            opened => Ok(opened?),
        }
    }

    /// Tells whether an option or the environment says where the store is.
    fn names_store(&self) -> bool {
        self.store.is_some() || Environment::of_process().path("CREEL_STORE").is_some()
    }

    /// Opens the engine without entering a user namespace: for what has to be done from outside.
    pub(crate) fn engine_outside(&self) -> Result<Engine, Failure> {
        let environment = Environment::of_process();
        let run = self.run_dir.clone().unwrap_or_else(|| environment.run());
        self.open(self.settings_of(&environment, run, &identity::look()))
    }

    /// Returns what the options and the environment say, for commands that have a say in it too.
    ///
    /// Ordinary users get their user namespace here: nothing may have started a thread before.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        // Asked first: in the namespace everyone is root.
        let environment = Environment::of_process();
        let run = self.run_dir.clone().unwrap_or_else(|| environment.run());
        let identity = identity::take()?;
        tell_once(&identity, &run);
        Ok(self.settings_of(&environment, run, &identity))
    }

    fn settings_of(
        &self,
        environment: &Environment,
        run: PathBuf,
        identity: &Identity,
    ) -> Settings {
        Settings {
            store: self.store.clone().unwrap_or_else(|| environment.store()),
            run,
            owners: identity.owners(),
            caller: environment.ids,
            privileges: identity.privileges(),
            auth_files: environment.auth_files(),
            registries: environment.registries(),
            registries_drop_ins: environment.registries_drop_ins(),
            client: environment.client(),
            platform: Platform::host(),
        }
    }

    /// Where `creel oci` keeps its containers' states.
    pub(crate) fn runtime_root(&self) -> PathBuf {
        self.run_dir.clone().unwrap_or_else(|| Environment::of_process().run()).join("oci")
    }

    /// Directories that must not be replaced, each with what it is: the user's and the process's.
    pub(crate) fn directories_in_use(&self) -> Vec<(&'static str, PathBuf)> {
        let home = Environment::of_process().home().map(|home| ("the home directory", home));
        let working = std::env::current_dir().ok().map(|path| ("the working directory", path));
        home.into_iter().chain(working).collect()
    }
}

/// Says what a user without subordinate ids has to do without, once between two starts of the
/// system.
fn tell_once(identity: &Identity, run: &Path) {
    let Identity::One(Some(lack)) = identity else { return };
    let said = run.join("one-id");
    // Where nothing can be written, nothing works, and that is said later.
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(run);
    if made.and_then(|()| std::fs::File::create_new(said)).is_ok() {
        Failure::note("files of images all belong to you, as there is one user id", lack);
    }
}

/// The environment's variables and the user, as values.
struct Environment {
    get: Variables,
    /// Of the user and the group.
    ids: [u32; 2],
}

type Variables = Box<dyn Fn(&str) -> Option<OsString>>;

impl Environment {
    fn of_process() -> Self {
        let ids = [rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()];
        Self { get: Box::new(|name| std::env::var_os(name)), ids }
    }

    /// A variable that is set and not empty.
    fn path(&self, name: &str) -> Option<PathBuf> {
        (self.get)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// A base directory; what is not absolute is to be ignored (XDG base directory specification).
    fn base(&self, name: &str) -> Option<PathBuf> {
        self.path(name).filter(|path| path.is_absolute())
    }

    fn home(&self) -> Option<PathBuf> {
        self.base("HOME")
    }

    fn configuration(&self) -> Option<PathBuf> {
        self.base("XDG_CONFIG_HOME").or_else(|| Some(self.home()?.join(".config")))
    }

    const fn uid(&self) -> u32 {
        self.ids[0]
    }

    const fn is_root(&self) -> bool {
        self.uid() == 0
    }

    fn store(&self) -> PathBuf {
        let data =
            || self.base("XDG_DATA_HOME").or_else(|| Some(self.home()?.join(".local/share")));
        let own = match self.is_root() {
            true => None,
            false => data().map(|data| data.join("creel")),
        };
        self.path("CREEL_STORE").or(own).unwrap_or_else(|| "/var/lib/creel".into())
    }

    fn run(&self) -> PathBuf {
        if let Some(path) = self.path("CREEL_RUN_DIR") {
            return path;
        }
        match self.base("XDG_RUNTIME_DIR") {
            _ if self.is_root() => "/run/creel".into(),
            Some(runtime) => runtime.join("creel"),
            // Others can write there: the engine checks whose it is.
            None => format!("/tmp/creel-{}", self.uid()).into(),
        }
    }

    /// containers-auth.json(5), then Docker's own.
    fn auth_files(&self) -> Vec<PathBuf> {
        if let Some(only) = self.path("REGISTRY_AUTH_FILE") {
            return vec![only];
        }
        let runtime = self
            .base("XDG_RUNTIME_DIR")
            .unwrap_or_else(|| format!("/run/containers/{}", self.uid()).into());
        let runtime = match runtime.starts_with("/run/containers") {
            true => runtime.join("auth.json"),
            false => runtime.join("containers/auth.json"),
        };
        let configuration = self.configuration().map(|path| path.join("containers/auth.json"));
        let docker = self.base("DOCKER_CONFIG").or_else(|| Some(self.home()?.join(".docker")));
        [Some(runtime), configuration, docker.map(|path| path.join("config.json"))]
            .into_iter()
            .flatten()
            .collect()
    }

    /// containers-registries.conf(5), "FILES".
    fn registries(&self) -> Vec<PathBuf> {
        if let Some(only) = self.path("CONTAINERS_REGISTRIES_CONF") {
            return vec![only];
        }
        self.containers("registries.conf")
    }

    fn registries_drop_ins(&self) -> Vec<PathBuf> {
        // The user's come last, so that they count.
        self.containers("registries.conf.d").into_iter().rev().collect()
    }

    /// `NAME` of the user's and then of the system's `containers` directory.
    fn containers(&self, name: &str) -> Vec<PathBuf> {
        let own = self.configuration().map(|path| path.join("containers").join(name));
        let system = Path::new("/etc/containers").join(name);
        own.into_iter().chain([system]).collect()
    }

    fn client(&self) -> Config {
        let mut certs_d = self.containers("certs.d");
        certs_d.push("/etc/docker/certs.d".into());
        let text = |name: &str| self.path(name)?.into_os_string().into_string().ok();
        let either = |lower: &str, upper: &str| text(lower).or_else(|| text(upper));
        let all = || either("all_proxy", "ALL_PROXY");
        Config {
            certs: CertSources { certs_d, bundle: self.path("SSL_CERT_FILE") },
            proxies: Proxies {
                // Not `HTTP_PROXY`: a CGI client could set it (httpoxy, CVE-2016-5385).
                http: text("http_proxy").or_else(all),
                https: either("https_proxy", "HTTPS_PROXY").or_else(all),
                no_proxy: either("no_proxy", "NO_PROXY").unwrap_or_default(),
            },
            ..Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(uid: u32, variables: &'static [(&str, &str)]) -> Environment {
        let get = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(OsString::from(found.1))
        };
        Environment { get: Box::new(get), ids: [uid, uid] }
    }

    #[test]
    fn finds_store_and_run_directory() {
        type Case = (u32, &'static [(&'static str, &'static str)], &'static str, &'static str);
        let cases: [Case; 6] = [
            (0, &[("HOME", "/root")], "/var/lib/creel", "/run/creel"),
            (0, &[("XDG_RUNTIME_DIR", "/run/user/0")], "/var/lib/creel", "/run/creel"),
            (7, &[("HOME", "/h")], "/h/.local/share/creel", "/tmp/creel-7"),
            (
                7,
                &[("HOME", "/h"), ("XDG_DATA_HOME", "/d"), ("XDG_RUNTIME_DIR", "/r")],
                "/d/creel",
                "/r/creel",
            ),
            (7, &[("HOME", "/h"), ("XDG_DATA_HOME", "d")], "/h/.local/share/creel", "/tmp/creel-7"),
            (7, &[("CREEL_STORE", "s"), ("CREEL_RUN_DIR", "r")], "s", "r"),
        ];
        for (uid, variables, store, run) in cases {
            let environment = environment(uid, variables);
            assert_eq!(environment.store(), Path::new(store), "{variables:?}");
            assert_eq!(environment.run(), Path::new(run), "{variables:?}");
        }
    }

    #[test]
    fn finds_credentials_and_registries() {
        let user = environment(7, &[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r")]);
        let files = ["/r/containers/auth.json", "/h/.config/containers/auth.json"];
        let files: Vec<PathBuf> =
            files.into_iter().chain(["/h/.docker/config.json"]).map(Into::into).collect();
        assert_eq!(user.auth_files(), files);
        assert_eq!(user.registries()[0], Path::new("/h/.config/containers/registries.conf"));
        assert_eq!(user.registries_drop_ins()[0], Path::new("/etc/containers/registries.conf.d"));
        let root = environment(0, &[("REGISTRY_AUTH_FILE", "/a")]);
        assert_eq!(root.auth_files(), [Path::new("/a")]);
        let bare = environment(0, &[]);
        assert_eq!(bare.auth_files(), [Path::new("/run/containers/0/auth.json")]);
    }

    #[test]
    fn finds_proxies() {
        let some =
            environment(0, &[("HTTP_PROXY", "bad"), ("HTTPS_PROXY", "s"), ("no_proxy", "n")]);
        let proxies = some.client().proxies;
        assert_eq!((proxies.http, proxies.https.as_deref()), (None, Some("s")));
        assert_eq!(proxies.no_proxy, "n");
    }
}
