//! An image to pull, from a layout and from a registry.

use std::path::Path;

use creel_codec::compress::Compression;
use creel_testkit::image::Image;
use creel_testkit::registry::FakeRegistry;
use creel_testkit::tar::{Entry, Tar};

use super::Host;

/// Where an image is pulled from, as the command line has it.
pub(crate) struct Source {
    pub(crate) layout: String,
    pub(crate) remote: String,
    pub(crate) registry: FakeRegistry,
}

impl Source {
    /// Three layers in the three compressions: many small files, a few large ones, and whiteouts.
    pub(crate) fn new(host: &Host) -> Self {
        let many = (0..300).fold(Tar::new(), |tar, number| {
            let content = format!("{number}").repeat(number * 7);
            tar.with(Entry::file(format!("small/{:02}/{number}", number % 10), content))
        });
        let large = (1_u8..5).fold(Tar::new(), |tar, number| {
            let content: Vec<u8> =
                (0..200_000_u32).map(|at| (at % 251) as u8 ^ (at >> 9) as u8 ^ number).collect();
            tar.with(Entry::file(format!("large/{number}"), content))
        });
        let upper = Tar::new()
            .with(Entry::file("small/03/.wh.3", ""))
            .with(Entry::file("large/.wh..wh..opq", ""))
            .with(Entry::hardlink("large/link", "small/05/5"))
            .with(Entry::symlink("small/s", "/large/link"));
        let image = Image::new()
            .layer_as(many.finish(), Compression::Zstd)
            .layer_as(large.finish(), Compression::Gzip)
            .layer_as(upper.finish(), Compression::Plain);
        let directory = host.path("app");
        let manifest = image.write(&directory, "latest").unwrap();
        let registry = serve(&directory, &manifest.digest.to_string());
        Self {
            layout: format!("oci:{}:latest", directory.display()),
            remote: format!("{}/app:latest", registry.address()),
            registry,
        }
    }
}

/// A registry with all that is in a layout.
fn serve(layout: &Path, manifest: &str) -> FakeRegistry {
    const TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
    let registry = FakeRegistry::start().unwrap();
    for blob in std::fs::read_dir(layout.join("blobs/sha256")).unwrap() {
        let blob = blob.unwrap();
        let bytes = std::fs::read(blob.path()).unwrap();
        let digest = format!("sha256:{}", blob.file_name().to_string_lossy());
        if digest == manifest {
            registry.put("/v2/app/manifests/latest", TYPE, &bytes);
            registry.put(&format!("/v2/app/manifests/{digest}"), TYPE, &bytes);
        }
        registry.put(&format!("/v2/app/blobs/{digest}"), "application/octet-stream", &bytes);
    }
    registry
}
