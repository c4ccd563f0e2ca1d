//! Without a namespace of control groups the host's are seen, and could be written to by who owns some.

use crate::oci::Bundle;

#[test]
fn privileged_groups_of_the_host_cannot_be_written_to() {
    let bundle = Bundle::new(
        "ls /sys/fs/cgroup > /dev/null || exit 1; mkdir /sys/fs/cgroup/x && exit 2; \
         for d in /sys/fs/cgroup/*/; do mkdir ${d}x && exit 3; done; \
         for f in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs; do \
         [ ! -e $f ] || ! echo 1 > $f || exit 4; done; true",
    );
    bundle.map_ids();
    bundle.change(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != "cgroup");
        for mount in spec["mounts"].as_array_mut().unwrap() {
            mount["options"].as_array_mut().unwrap().retain(|option| option != "ro");
        }
    });
    bundle.output();
}
