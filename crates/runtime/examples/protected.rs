//! Starts a container that has every capability, joins it until the file `seen` is in its root, and
//! leaves it to itself: its process id is printed.
//!
//! `protected ROOT TIMES SCRIPT [bare]`; `bare` leaves the protection of the program out.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use creel_codec::bpf::capability;
use creel_runtime::container::{Container, Exec, Identity, Running};
use creel_runtime::defaults;
use creel_runtime::lower::{Options, lower};
use creel_runtime::spec::{Process, Spec};
use creel_spawn::{Namespace, Root};
use creel_sys::selfexe;

const PASSED: &str = "PROTECTED_MOUNT";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().collect();
    let [_, root, times, script, bare @ ..] = words.as_slice() else {
        return Err("three arguments or four".into());
    };
    let mut mounts = Vec::new();
    if bare.is_empty() {
        mounts.push(("/dev/init".to_owned(), protect(&words)?));
    }
    let process = |script: &str| Process {
        args: ["sh", "-c", script].map(String::from).to_vec(),
        env: vec!["PATH=/bin".into()],
        cwd: "/".into(),
        capabilities: Some(defaults::capabilities(capability::NAMES)),
        ..Process::default()
    };
    let spec = Spec { process: Some(process(script)), ..defaults::spec() };
    let options = Options { root: Some(Root::directory(root)), mounts, ..Options::default() };
    let plan = lower(&spec, &options)?;
    let running = Running::start(&plan)?;
    let namespaces = Namespace::ROOT.to_vec();
    let container = Container::open(Identity::of(running.pid())?, namespaces, false, None)?;
    for _ in 0..times.parse()? {
        if !Path::new(root).join("seen").exists() {
            container.exec(&process("exit 0"), &Exec::default())?.wait()?;
        }
    }
    println!("{}", running.pid());
    Ok(())
}

/// Executes this program again as `creel` does, and returns what `creel run --init` mounts: what is
/// mounted is not looked up by a path again.
fn protect(words: &[String]) -> Result<Arc<OwnedFd>, Box<dyn Error>> {
    let argv = words.iter().map(|word| CString::new(word.as_str())).collect::<Result<_, _>>()?;
    selfexe::protect_and_pass(argv, Vec::new(), PASSED)?;
    let number = std::env::var(PASSED).ok().and_then(|number| number.parse().ok());
    let program = number.and_then(selfexe::passed_mount).ok_or("no mount was passed")?;
    Ok(Arc::new(program))
}
