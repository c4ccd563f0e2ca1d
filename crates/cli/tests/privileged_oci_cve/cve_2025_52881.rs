//! What the runtime writes to a file of `/proc` goes to another one: by a link, or by what is mounted there.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::oci::Bundle;
use crate::race::{Race, rounds};

#[test]
fn privileged_parameters_go_where_they_are_meant_to() {
    let bundle = Bundle::new("cat /proc/sys/net/ipv4/ip_forward");
    let volume = tempfile::tempdir().unwrap();
    let [real, fake] = ["real", "fake"].map(|name| volume.path().join(name));
    for place in [&real, &fake] {
        fs::create_dir_all(place.join("ipv4")).unwrap();
        fs::write(place.join("ipv4/ip_forward"), "0").unwrap();
    }
    fs::remove_file(fake.join("ipv4/ip_forward")).unwrap();
    let victim = volume.path().join("victim");
    fs::write(&victim, "0").unwrap();
    symlink("/vol/victim", fake.join("ipv4/ip_forward")).unwrap();
    symlink("/proc/sys/net", bundle.path("rootfs/link")).unwrap();
    bundle.mount(json!({"destination": "/vol", "source": volume.path(), "options": ["bind"]}));
    bundle.change(|spec| spec["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"}));
    assert_eq!(bundle.output(), "1\n");
    // Over the real ones there is now what somebody else swaps.
    bundle.mount(json!({"destination": "/link", "source": real, "options": ["bind"]}));
    bundle.script("true");
    let race = Race::between(&real, &fake);
    for _ in 0..rounds() / 5 {
        bundle.output();
    }
    assert!(race.end() > 20);
    assert_eq!(fs::read_to_string(victim).unwrap(), "0");
    let told = [&real, &fake].map(|place| fs::read_to_string(place.join("ipv4/ip_forward")));
    assert!(told.into_iter().flatten().all(|text| text == "0"));
}

#[test]
fn privileged_names_of_parameters_stay_below_their_directory() {
    for name in
        ["net/../../sysrq-trigger", "net....sysrq-trigger", "kernel.sysrq", "net.", "/net.x"]
    {
        let bundle = Bundle::new("true");
        bundle.change(|spec| spec["linux"]["sysctl"] = json!({name: "h"}));
        assert_eq!(bundle.oci(&["run", &bundle.id()]).status.code(), Some(1), "{name}");
        bundle.is_clean();
    }
}
