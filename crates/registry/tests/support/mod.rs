//! The reference registry as a child process.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use creel_testkit::docker_registry::PROGRAM;
use tempfile::TempDir;

/// Where `./x test` does not say where the program is.
const BINARY: &str = "/usr/bin/docker-registry";

/// A running registry that ends, and whose storage goes, when it is dropped.
pub(crate) struct DockerRegistry {
    child: Child,
    address: String,
    _storage: TempDir,
}

impl DockerRegistry {
    /// Starts on a free loopback port; `tls` is its `http.tls` configuration, or empty.
    pub(crate) fn start(tls: &str) -> Self {
        let storage = tempfile::tempdir().unwrap();
        // The registry has no way to pick a port and say which.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let config = storage.path().join("config.yml");
        let root = storage.path().join("data");
        let tls = if tls.is_empty() { String::new() } else { format!(", tls: {tls}") };
        let yaml = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {root:?}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: {address:?}{tls}}}\n"
        );
        fs::write(&config, yaml).unwrap();
        let program = std::env::var_os(PROGRAM).unwrap_or_else(|| BINARY.into());
        let child = Command::new(&program)
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}; run this by `./x test`", program.display()));
        let registry = Self { child, address, _storage: storage };
        let start = Instant::now();
        while TcpStream::connect(&registry.address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "{BINARY} does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// Returns `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
