//! What other tools write is read by creel.

use creel_testkit::busybox;
use creel_testkit::image::Image;
use creel_testkit::tar::{Entry, Tar};

use crate::world::World;

/// All that skopeo can make of one image, in words for its command line: where to, and how.
const FORMS: [(&str, &str); 7] = [
    ("oci:oci-gzip:x", ""),
    ("oci:oci-zstd:x", "--dest-compress-format=zstd"),
    ("oci-archive:archive.tar:x", ""),
    ("docker-archive:docker.tar:x:latest", ""),
    ("dir:directory", ""),
    ("dir:plain", "--dest-decompress"),
    ("dir:schema2", "--format=v2s2"),
];

#[test]
fn every_form_that_skopeo_writes_is_the_same_tree() {
    let world = World::new();
    busybox::image().unwrap().write(&world.path("busybox"), "busybox").unwrap();
    let wanted = listing(&world, &world.at("oci:", "busybox"));
    assert!(wanted.contains("bin/busybox"), "{wanted}");
    for (to, options) in FORMS {
        world.peers(&format!("skopeo copy {options} oci:busybox:busybox {to}"));
        let (transport, path) = to.split_once(':').unwrap();
        let found = listing(&world, &world.at(&format!("{transport}:"), path));
        assert_eq!(found, wanted, "{to}");
    }
    world.creel(&["fsck"]);
}

#[test]
fn what_skopeo_pushes_is_pulled() {
    let world = World::new();
    let registry = world.registry();
    busybox::image().unwrap().write(&world.path("busybox"), "busybox").unwrap();
    let wanted = listing(&world, &world.at("oci:", "busybox"));
    for (number, form) in
        ["--format=oci", "--format=v2s2", "--dest-compress-format=zstd"].into_iter().enumerate()
    {
        let name = format!("{}/form/{number}:latest", registry.address());
        let copy = format!("skopeo copy --dest-tls-verify=false {form}");
        world.peers(&format!("{copy} oci:busybox:busybox docker://{name}"));
        assert_eq!(listing(&world, &name), wanted, "{form}");
    }
}

#[test]
fn what_buildah_commits_is_read() {
    let world = World::new();
    let buildah = "buildah --root=$PWD/buildah --runroot=/run/buildah";
    world.peers(&format!(
        "mkdir in; echo hello > in/file; chmod 640 in/file; c=$({buildah} from scratch); \
         {buildah} copy --chown 7:8 $c in /d; {buildah} config --env A=b --cmd '[\"/d/file\"]' $c; \
         {buildah} commit $c oci:built:x"
    ));
    let id = world.pull(&world.at("oci:", "built:x"));
    assert_eq!(world.creel(&["tree", "cat", &id, "d/file"]), "hello\n");
    let long = world.creel(&["tree", "ls", "--long", &id, "d"]);
    assert!(long.contains("rw-r-----") && long.contains('7') && long.contains('8'), "{long}");
    let inspected = world.creel(&["inspect", &id]);
    assert!(inspected.contains("A=b") && inspected.contains("/d/file"), "{inspected}");
}

#[test]
fn what_umoci_inserts_and_removes_is_read() {
    let world = World::new();
    let layer = Tar::new().with(Entry::dir("d")).with(Entry::file("d/old", "old")).finish();
    Image::new().layer(layer).write(&world.path("layout"), "x").unwrap();
    world.peers(
        "echo new > new; umoci insert --image layout:x new /d/new; \
         umoci insert --image layout:x --whiteout /d/old; \
         umoci config --image layout:x --config.env C=d",
    );
    let id = world.pull(&world.at("oci:", "layout:x"));
    assert_eq!(world.creel(&["tree", "ls", &id, "d"]), "new\n");
    assert!(world.creel(&["inspect", &id]).contains("C=d"));
}

#[test]
fn a_list_that_buildah_makes_resolves_to_each_platform() {
    let world = World::new();
    let registry = world.registry();
    for architecture in ["amd64", "arm64"] {
        let layer = Tar::new().with(Entry::file("which", architecture)).finish();
        let image = Image::new().architecture(architecture).layer(layer);
        image.write(&world.path(architecture), architecture).unwrap();
    }
    let list = format!("{}/list:latest", registry.address());
    let buildah = "buildah --root=$PWD/buildah --runroot=/run/buildah";
    world.peers(&format!(
        "{buildah} manifest create list; for a in amd64 arm64; do \
         {buildah} manifest add list oci:$a:$a; done; \
         {buildah} manifest push --all --tls-verify=false list docker://{list}; \
         skopeo copy --all --src-tls-verify=false docker://{list} oci:copied:x"
    ));
    for source in [list, world.at("oci:", "copied:x")] {
        for architecture in ["amd64", "arm64"] {
            let platform = format!("--platform=linux/{architecture}");
            let id = world.creel(&["pull", "-q", "--tls-verify=false", &platform, &source]);
            let which = world.creel(&["tree", "cat", id.trim(), "which"]);
            assert_eq!(which, architecture, "{source}");
        }
        let refused = world.creel_output(&[
            "pull",
            "-q",
            "--tls-verify=false",
            "--platform=linux/s390x",
            &source,
        ]);
        assert_eq!(refused.status.code(), Some(125));
    }
}

/// Pulls an image and lists its whole tree.
fn listing(world: &World, image: &str) -> String {
    let id = world.pull(image);
    world.creel(&["tree", "ls", "--recursive", "--long", &id])
}
