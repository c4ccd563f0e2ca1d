//! Runs containers from a program with threads: each is made, started, entered, waited for and
//! deleted. What they end with is printed.
//!
//! `containers STATES BUNDLE COUNT`; the bundle's process gets no terminal.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::thread;

use creel_runtime::lifecycle::{
    Bundle, ContainerId, Create, Deletion, Exec, LifecycleError, Runtime, Status,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().collect();
    let [_, states, bundle, count] = words.as_slice() else {
        return Err("usage: containers STATES BUNDLE COUNT".into());
    };
    let runtime = Runtime::open(Path::new(states))?;
    let create = Create::from(Bundle::open(Path::new(bundle), None)?);
    let ids =
        (0..count.parse()?).map(|number: u32| ContainerId::parse(&format!("example-{number}")));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let codes = thread::scope(|scope| {
        let threads: Vec<_> =
            ids.iter().map(|id| scope.spawn(|| life(&runtime, id, &create))).collect();
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    for code in codes {
        let (first, second) = code.map_err(|_| "a thread panicked")??;
        println!("{first} {second}");
    }
    Ok(())
}

/// One container from the beginning to the end: what its own and a further process end with.
fn life(
    runtime: &Runtime,
    id: &ContainerId,
    create: &Create,
) -> Result<(i32, i32), LifecycleError> {
    let first = runtime.create(id, create)?;
    let lived = live(runtime, id).and_then(|code| Ok((first.wait()?, code)));
    runtime.delete(id, Deletion::Forced)?;
    lived
}

fn live(runtime: &Runtime, id: &ContainerId) -> Result<i32, LifecycleError> {
    let container = runtime.join(id)?;
    let mut process = container.process();
    process.args = ["sh", "-c", "exit 5"].map(String::from).to_vec();
    // A process can enter before the container's own program runs.
    let second = container.exec(&process, &Exec::default())?.wait()?;
    assert_eq!(runtime.state(id)?.status, Status::Created);
    runtime.start(id)?;
    Ok(second)
}
