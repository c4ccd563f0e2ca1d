//! The place of a mount is swapped for a link to the host while the container is made.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::oci::Bundle;
use crate::race::{Race, rounds};

/// A volume whose `place` is a directory and a link to the host in turn.
pub(crate) struct Volume {
    directory: tempfile::TempDir,
    pub(crate) host: tempfile::TempDir,
}

impl Volume {
    pub(crate) fn new() -> Self {
        let [directory, host] = [(), ()].map(|()| tempfile::tempdir().unwrap());
        let volume = Self { directory, host };
        fs::create_dir(volume.place()).unwrap();
        symlink(volume.host.path(), volume.link()).unwrap();
        volume
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn place(&self) -> PathBuf {
        self.path().join("place")
    }

    pub(crate) fn link(&self) -> PathBuf {
        self.path().join("link")
    }

    /// Whether something was made where the link leads.
    pub(crate) fn was_left(&self) -> bool {
        fs::read_dir(self.host.path()).unwrap().count() > 0
    }
}

/// Makes containers while the names are swapped.
pub(crate) fn race(volume: &Volume, bundle: &Bundle) {
    let race = Race::between(&volume.place(), &volume.link());
    let id = &bundle.id();
    let mut made = 0;
    for _ in 0..rounds() {
        made += usize::from(bundle.oci(&["run", id]).status.success());
        assert!(!volume.was_left(), "a container could leave its root");
    }
    assert!(race.end() > 100, "the names were hardly swapped");
    assert!(made > 0, "no container was made");
    bundle.is_clean();
}

#[test]
fn privileged_a_swapped_place_is_in_the_container() {
    let volume = Volume::new();
    // The root of the host is above that of the container for whoever gets out.
    let bundle = Bundle::new("[ ! -e /vol/place/below/mark ] || [ -e /mark ]");
    bundle.mount(json!({"destination": "/vol", "source": volume.path(), "options": ["rbind"]}));
    bundle.mount(json!({"destination": "/vol/place/below", "type": "tmpfs"}));
    race(&volume, &bundle);
}

/// To look whether it is a link before it is used does not help.
#[test]
fn privileged_control_who_only_looks_is_led_out() {
    let volume = Volume::new();
    let race = Race::between(&volume.place(), &volume.link());
    for _ in 0..2_000_000 {
        if fs::symlink_metadata(volume.place()).is_ok_and(|found| found.is_dir()) {
            let _ = fs::create_dir(volume.place().join("below"));
        }
        if volume.was_left() {
            break;
        }
    }
    race.end();
    assert!(volume.was_left(), "the race was not won once");
}
