//! Credential helpers: programs that keep credentials (docker-credential-helpers).

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{Credential, CredentialError};

/// Largest answer of a helper, in bytes.
const MAX_HELPER: u64 = 1 << 20;
/// How long a helper may take; some ask the user.
const HELPER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the output of a helper that has ended may stay open.
const AFTER_EXIT: Duration = Duration::from_secs(1);

/// Runs `docker-credential-NAME get` (the protocol of docker-credential-helpers).
pub(super) fn ask(name: &str, registry: &str) -> Result<Option<Credential>, CredentialError> {
    let helper = format!("docker-credential-{name}");
    let failed = |reason: String| CredentialError::Helper { helper: helper.clone(), reason };
    if name.contains('/') {
        return Err(failed("its name has a slash".to_owned()));
    }
    let mut child = Command::new(&helper)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => CredentialError::NoHelper { helper: helper.clone(), source },
            _ => failed(source.to_string()),
        })?;
    let answer = talk(&mut child, registry, HELPER_TIMEOUT).map_err(|e| failed(e.to_string()));
    let (success, bytes) = answer?;
    let text = String::from_utf8_lossy(&bytes);
    if !success {
        let unknown = text.contains("credentials not found");
        return if unknown { Ok(None) } else { Err(failed("it exited with an error".to_owned())) };
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let answer: Answer =
        serde_json::from_slice(&bytes).map_err(|_| failed("its answer is no JSON".to_owned()))?;
    Ok(Some(if answer.username == "<token>" {
        Credential::IdentityToken(answer.secret)
    } else {
        Credential::Basic { username: answer.username, password: answer.secret }
    }))
}

/// Gives a child its input and returns whether it succeeded, and its output.
///
/// The child stays in our process group, so that it can ask on the terminal. What it leaves running
/// (an agent, say) may hold its output open: that is waited for no longer than [`AFTER_EXIT`].
fn talk(child: &mut Child, input: &str, timeout: Duration) -> io::Result<(bool, Vec<u8>)> {
    match child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes())) {
        // A helper may answer without having read.
        Some(Err(e)) if e.kind() != io::ErrorKind::BrokenPipe => return Err(e),
        _ => {}
    }
    let chunks = child.stdout.take().map(read_aside);
    let status = wait(child, timeout)?;
    let mut bytes = Vec::new();
    let end = Instant::now() + AFTER_EXIT;
    let left = || end.saturating_duration_since(Instant::now());
    while let Some(Ok(chunk)) = chunks.as_ref().map(|chunks| chunks.recv_timeout(left())) {
        bytes.extend(chunk);
    }
    Ok((status.success(), bytes))
}

/// Reads up to [`MAX_HELPER`] bytes on a thread of its own, which nobody has to wait for.
fn read_aside(stdout: ChildStdout) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stdout = stdout.take(MAX_HELPER);
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stdout.read(&mut buffer) {
            let Some(chunk) = buffer.get(..read) else { return };
            if sender.send(chunk.to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

fn wait(child: &mut Child, timeout: Duration) -> io::Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > timeout {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_cannot_hang_the_caller() {
        let run = |script: &str| {
            let mut shell = Command::new("/bin/sh");
            let pipes = shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
            talk(&mut pipes.spawn().unwrap(), "r.io", Duration::from_millis(300))
        };
        let start = Instant::now();
        assert_eq!(run("cat").unwrap(), (true, b"r.io".to_vec()));
        assert_eq!(run("sleep 20 & echo a").unwrap(), (true, b"a\n".to_vec()));
        assert_eq!(run("exec <&-; exit 3").unwrap(), (false, Vec::new()));
        assert_eq!(run("exec sleep 20").unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(run("sleep 20; true").unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
