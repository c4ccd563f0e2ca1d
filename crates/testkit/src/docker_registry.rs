//! Debian's `docker-registry`, a real registry, on a loopback port.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Environment variable with the program's path, where it is not on `PATH`.
pub const PROGRAM: &str = "CREEL_DOCKER_REGISTRY";

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The running registry; it ends when this is dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    child: Child,
    address: String,
}

impl DockerRegistry {
    /// Starts the program that the environment names, keeping its data below `directory`.
    ///
    /// # Errors
    ///
    /// As [`DockerRegistry::start_program`].
    pub fn start(directory: &Path) -> io::Result<Self> {
        let program = std::env::var_os(PROGRAM).unwrap_or_else(|| "docker-registry".into());
        Self::start_program(&PathBuf::from(program), directory)
    }

    /// Starts a program, keeping its data below `directory`.
    ///
    /// # Errors
    ///
    /// When it is not installed or does not come up.
    pub fn start_program(program: &Path, directory: &Path) -> io::Result<Self> {
        // Freed and taken again: another process can come between, and then starting fails.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        std::fs::create_dir_all(directory)?;
        let config = directory.join("registry.yml");
        std::fs::write(&config, configuration(&address, directory))?;
        let log = std::fs::File::create(directory.join("registry.log"))?;
        let child = Command::new(program)
            .arg("serve")
            .arg(config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| {
                let program = program.display();
                io::Error::new(
                    error.kind(),
                    format!("cannot start `{program}`: {error}: run `./x tools`"),
                )
            })?;
        let mut registry = Self { child, address };
        registry.await_listening()?;
        Ok(registry)
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn await_listening(&mut self) -> io::Result<()> {
        let start = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("docker-registry ended: {status}")));
            }
            if start.elapsed() > PATIENCE {
                return Err(io::Error::other("docker-registry does not listen"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(address: &str, directory: &Path) -> String {
    let directory = directory.join("data");
    format!(
        "version: 0.1\n\
         log: {{level: warn, accesslog: {{disabled: true}}}}\n\
         storage: {{delete: {{enabled: true}}, filesystem: {{rootdirectory: {}}}}}\n\
         http: {{addr: {address}}}\n",
        directory.display()
    )
}
