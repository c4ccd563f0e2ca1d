//! What creel writes is read, and run, by other tools.

use creel_testkit::busybox;

use crate::world::World;

/// Brings busybox into creel's store and returns its id.
fn store(world: &World) -> String {
    busybox::image().unwrap().write(&world.path("busybox"), "busybox").unwrap();
    world.pull(&world.at("oci:", "busybox:busybox"))
}

#[test]
fn what_creel_pushes_is_inspected_run_and_unpacked() {
    let world = World::new();
    let registry = world.registry();
    let id = store(&world);
    for compression in ["gzip", "zstd", "none"] {
        let name = format!("{}/pushed/{compression}:latest", registry.address());
        let compress = format!("--compression={compression}");
        world.creel(&["push", "--tls-verify=false", &compress, &id, &name]);
        world.peers(&format!("skopeo inspect --tls-verify=false docker://{name}"));
        let said = world.peers(&format!(
            "podman --root $PWD/podman --runroot /run/podman run --rm --network none \
             --tls-verify=false {name} echo hello"
        ));
        assert_eq!(said, "hello\n", "{compression}");
        world.peers(&format!(
            "skopeo copy --src-tls-verify=false docker://{name} oci:unpack:{compression}; \
             umoci unpack --image unpack:{compression} bundle-{compression}; \
             test -x bundle-{compression}/rootfs/bin/busybox"
        ));
    }
}

#[test]
fn layouts_and_archives_that_creel_writes_are_read() {
    let world = World::new();
    let id = store(&world);
    for (to, transport) in [("layout", "oci:"), ("archive.tar", "oci-archive:")] {
        world.creel(&["push", &id, &world.at(transport, &format!("{to}:x"))]);
        let image = format!("{transport}{to}:x");
        let layers = world.peers(&format!("skopeo inspect --format '{{{{len .Layers}}}}' {image}"));
        assert_eq!(layers, "1\n", "{image}");
        let podman = "podman --root $PWD/podman --runroot /run/podman";
        let said = world.peers(&format!("{podman} run --rm --network none {image} echo hello"));
        assert_eq!(said, "hello\n", "{image}");
    }
    world.peers("umoci unpack --image layout:x bundle; test -x bundle/rootfs/bin/busybox");
}

#[test]
fn the_config_survives_the_way_through_a_registry() {
    let world = World::new();
    let registry = world.registry();
    let id = store(&world);
    let name = format!("{}/way:latest", registry.address());
    world.creel(&["push", "--tls-verify=false", &id, &name]);
    assert_eq!(world.pull(&name), id);
}
