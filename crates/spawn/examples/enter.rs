//! Enters a user namespace as an ordinary user and starts a process in a directory, as its root.
//!
//! `enter ROOT [single|foreign] COMMAND…`: ROOT needs the directories `proc` and `dev`; `foreign`
//! asks for ids that are not the user's, which is refused.
#![allow(clippy::print_stdout)]

use std::error::Error;

use creel_spawn::userns::{self, IdMaps};
use creel_spawn::{Capabilities, Device, MapWriter, Mount, Namespace, Plan, Process, Root, Source};

const CAP_CHOWN: u32 = 0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words: Vec<_> = std::env::args().skip(1).collect();
    let root = words.remove(0);
    let mode = words.first().filter(|word| ["single", "foreign"].contains(&word.as_str())).cloned();
    let subordinate = userns::subordinate()?;
    let (mut maps, mut writer) = (subordinate.maps, subordinate.writer);
    match mode.as_deref() {
        Some("single") => (maps, writer) = (IdMaps::own(), MapWriter::Itself),
        Some(_) => maps.uids.iter_mut().for_each(|map| map.outside += 1),
        None => {}
    }
    words.drain(..mode.iter().count());
    let started = std::time::Instant::now();
    userns::enter(&maps, &writer)?;
    println!("entered in {:?}; initial: {}", started.elapsed(), userns::is_initial()?);
    let plan = Plan {
        root: Root::directory(root),
        namespaces: Namespace::ROOT.to_vec(),
        mounts: vec![
            Mount::new(Source::Proc, "/proc", 0),
            Mount::new(Source::New("tmpfs".into(), vec!["mode=755".into()]), "/dev", 0),
        ],
        devices: vec![Device::character("/dev/null", [1, 3], 0o666)],
        bind_devices: true,
        process: Process {
            capabilities: Capabilities {
                bounding: vec![CAP_CHOWN],
                permitted: vec![CAP_CHOWN],
                effective: vec![CAP_CHOWN],
                ..Capabilities::default()
            },
            candidates: words.first().cloned().into_iter().collect(),
            argv: words,
            env: vec!["PATH=/bin".into()],
            cwd: "/".into(),
            setgroups_denied: maps.denies_setgroups(),
            ..Process::default()
        },
        ..Plan::default()
    };
    println!("exit code {}", plan.spawn()?.wait()?);
    Ok(())
}
