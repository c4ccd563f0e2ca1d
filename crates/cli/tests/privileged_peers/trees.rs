//! Podman and creel agree on every file of an image.

use creel_testkit::busybox;
use creel_testkit::image::{self, Image};
use creel_testkit::tar::{Entry, Tar};

use crate::world::World;

/// Lists all below a directory with metadata, attributes and contents. The size of a directory is
/// the file system's affair, and times are compared to the second, which is what archives hold.
const LIST: &str = r#"
list() (
  cd "$1"
  find . -mindepth 1 ! -type d -printf '%P %y %m %U %G %n %s %Ts %l\n' | LC_ALL=C sort
  find . -mindepth 1 -type d -printf '%P %y %m %U %G %Ts\n' | LC_ALL=C sort
  find . \( -type b -o -type c \) -exec stat -c '%n %t %T' {} + | LC_ALL=C sort
  find . -mindepth 1 -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
  find . -mindepth 1 -print0 | LC_ALL=C sort -z | xargs -0 -r getfattr -h -d -m 'security.capability|user\.' -e hex
)
podman() { command podman --root "$PWD/podman" --runroot /run/podman "$@"; }
"#;

/// Compares what both tools make of the image in the layout `layout`.
fn compare(world: &World, image: &str) {
    let id = world.pull(&format!("oci:{image}"));
    let checkout = world.path("checkout");
    world.creel(&["tree", "checkout", "--force", &id, checkout.to_str().unwrap()]);
    let different = world.peers(&format!(
        "{LIST} id=$(podman pull -q oci:{image}); list $(podman image mount $id) > theirs; \
         list checkout > ours; test -s ours; diff theirs ours || true"
    ));
    assert_eq!(different, "", "< podman, > creel");
}

#[test]
fn of_the_odd_image() {
    let world = World::new();
    let lower = Tar::new()
        .with(Entry::dir("etc").mode(0o750).owner(3, 4))
        .with(Entry::file("etc/replaced", "lower"))
        .with(Entry::file("etc/removed", "lower"))
        .with(Entry::file("etc/linked", "both").owner(70_000, 4_000_000))
        // Podman gives a link's owner to what it links to; real archives have the same on both.
        .with(Entry::hardlink("etc/link", "etc/linked").owner(70_000, 4_000_000))
        .with(Entry::dir("emptied"))
        .with(Entry::file("emptied/old", "old"))
        .with(Entry::file("bin", "was a file"))
        .with(Entry::dir("was-a-directory"))
        .with(Entry::file("was-a-directory/file", "x"));
    let capability =
        b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let upper = Tar::new()
        // Podman would make a directory that is merely implied anew, creel keeps the lower one's.
        .with(Entry::dir("etc").mode(0o710).owner(5, 6))
        .with(Entry::file("etc/replaced", "upper").mode(0o4711))
        .with(Entry::file("etc/.wh.removed", ""))
        .with(Entry::dir("emptied").mode(0o1777))
        .with(Entry::file("emptied/.wh..wh..opq", ""))
        .with(Entry::file("emptied/new", "new"))
        .with(Entry::dir("bin"))
        .with(Entry::file("bin/ping", "elf").mode(0o755).xattr("security.capability", capability))
        .with(Entry::symlink("was-a-directory", "etc"))
        .with(Entry::char_device("null", 1, 3).mode(0o666))
        .with(Entry::new("fifo", b'6', 0o600))
        .with(Entry::file("note", "x").xattr("user.note", "hello"))
        .with(Entry::file([&b"name-"[..], &[0xff, 0xfe]].concat(), "bytes"))
        .with(Entry::file("d".repeat(120), "long name"));
    let image = Image::new().layer(lower.finish()).layer(upper.finish());
    image.write(&world.path("odd"), "odd").unwrap();
    compare(&world, &world.at("", "odd:odd"));
}

#[test]
fn of_the_busybox_image() {
    let world = World::new();
    busybox::image().unwrap().write(&world.path("busybox"), "busybox").unwrap();
    compare(&world, &world.at("", "busybox:busybox"));
}

#[test]
fn of_the_demo_image() {
    let world = World::new();
    compare(&world, &format!("{}:demo", image::real("demo").unwrap().display()));
}
