//! Places for mounts are made on the host, as files and directories, by a link that is swapped in.

use std::fs;

use serde_json::json;

use crate::cve_2021_30465::{Volume, race};
use crate::oci::Bundle;

#[test]
fn privileged_places_are_made_inside() {
    let volume = Volume::new();
    let bundle = Bundle::new("true");
    fs::write(bundle.path("file"), "").unwrap();
    bundle.mount(json!({"destination": "/vol", "source": volume.path(), "options": ["rbind"]}));
    for name in ["file", "sub/directory/file"] {
        let destination = format!("/vol/place/{name}");
        let source = bundle.path("file");
        bundle.mount(json!({"destination": destination, "source": source, "options": ["bind"]}));
    }
    race(&volume, &bundle);
}
