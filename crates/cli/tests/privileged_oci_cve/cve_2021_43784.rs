//! A message to the child overflows by the length of the id maps.

use serde_json::{Value, json};

use crate::oci::Bundle;

fn maps(count: u32) -> Value {
    let map = |number| json!({"containerID": number, "hostID": number * 3, "size": 1});
    (0..count).map(map).collect::<Vec<_>>().into()
}

#[test]
fn privileged_id_maps_are_whole_or_refused() {
    for (count, said) in [(3000, "`linux.uidMappings` is `3000`"), (20_000, "20000")] {
        let bundle = Bundle::new("true");
        bundle.map_ids();
        bundle.change(|spec| spec["linux"]["uidMappings"] = maps(count));
        bundle.fails(1, &["run", &bundle.id()], said);
        bundle.is_clean();
    }
    let bundle = Bundle::new("wc -l < /proc/self/uid_map");
    bundle.map_ids();
    bundle.change(|spec| {
        for name in ["uidMappings", "gidMappings"] {
            let mut maps = maps(340);
            maps[0] = json!({"containerID": 0, "hostID": 500_000, "size": 1});
            spec["linux"][name] = maps;
        }
    });
    assert_eq!(bundle.output().trim(), "340");
}
