//! Starts a container that has every capability and joins it many times, from a protected program.
//!
//! `protected ROOT TIMES SCRIPT`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::ffi::CString;
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
    let [_, root, times, script] = words.as_slice() else { return Err("three arguments".into()) };
    let argv = words.iter().map(|word| CString::new(word.as_str())).collect::<Result<_, _>>()?;
    selfexe::protect_and_pass(argv, Vec::new(), PASSED)?;
    let number = std::env::var(PASSED).ok().and_then(|number| number.parse().ok());
    // As `creel run --init` does: what is mounted is not looked up by a path again.
    let program = number.and_then(selfexe::passed_mount).ok_or("no mount was passed")?;
    let process = |script: &str| Process {
        args: ["sh", "-c", script].map(String::from).to_vec(),
        env: vec!["PATH=/bin".into()],
        cwd: "/".into(),
        capabilities: Some(defaults::capabilities(capability::NAMES)),
        ..Process::default()
    };
    let spec = Spec { process: Some(process(script)), ..defaults::spec() };
    let root = Some(Root::directory(root));
    let mounts = vec![("/dev/init".to_owned(), Arc::new(program))];
    let plan = lower(&spec, &Options { root, mounts, ..Options::default() })?;
    let running = Running::start(&plan)?;
    let namespaces = Namespace::ROOT.to_vec();
    let container = Container::open(Identity::of(running.pid())?, namespaces, false, None)?;
    for _ in 0..times.parse()? {
        container.exec(&process("exit 0"), &Exec::default())?.wait()?;
    }
    container.kill()?;
    println!("{}", running.wait()?);
    Ok(())
}
