//! Bringing images out of the store.
//!
//! Layers are made anew from the store, byte for byte as their tars were, and sent only where the
//! destination does not have them in any form that is known. Where each is there in the very form
//! that the image's manifest describes, that manifest is sent as it is; else one that differs in its
//! layers only.

mod error;
mod layers;
mod target;

use std::path::Path;

use creel_base::digest::Digest;
use creel_base::path::Dir;
use creel_base::reference::{DOCKER_HUB, Name, Reference};
use creel_base::transport::{Select, Source};
pub use creel_codec::compress::Compression;
use creel_image::archive::ArchiveSink;
use creel_image::document::{self, Descriptor, Document, Expected, Manifest};
use creel_image::layout::LayoutSink;
use creel_registry::credentials::{Credential, Fixed};
use creel_registry::http::TlsPolicy;

pub use error::PushError;

use crate::Engine;
use crate::images::Image;
use crate::progress::Progress;
use layers::Layers;
use target::{Content, Local, Remote, Target, ToArchive, ToLayout};

/// How an image is pushed.
#[derive(Clone, Debug, Default)]
pub struct Push {
    /// How layers are compressed that have to be sent; `None` is as they were.
    pub compression: Option<Compression>,
    /// Whether TLS is insisted on; `None` leaves it to `registries.conf`.
    pub verify_tls: Option<bool>,
    /// Given to the destination's registry, in place of what is in files.
    pub credentials: Option<Credential>,
}

impl Engine {
    /// Pushes an image, to its own name where no other destination is given, and returns the digest
    /// of the manifest that is there now.
    ///
    /// # Errors
    /// [`PushError`].
    pub fn push(
        &self,
        image: &Image,
        to: Option<&Source>,
        options: &Push,
        progress: &dyn Progress,
    ) -> Result<Digest, PushError> {
        match to {
            None => {
                let name = image.names.iter().find(|name| name.digest().is_none());
                let name = name.ok_or_else(|| PushError::NoName { id: image.id.into() })?;
                self.send(image, &self.remote(image, name, options)?, options, progress)
            }
            Some(Source::Name(name)) => {
                let name = full(name)?;
                self.send(image, &self.remote(image, &name, options)?, options, progress)
            }
            Some(Source::Oci(path, select)) => {
                let sink: ToLayout = Local(LayoutSink::open_or_create(path, named(select))?);
                self.send(image, &sink, options, progress)
            }
            Some(Source::OciArchive(path, select)) => {
                let unsupported = || PushError::Unsupported { text: path.display().to_string() };
                let file_name = path.file_name().ok_or_else(unsupported)?;
                let above = path.parent().filter(|above| !above.as_os_str().is_empty());
                let dir = Dir::open(above.unwrap_or_else(|| Path::new(".")))?;
                let sink = ArchiveSink::new(&dir, Path::new(file_name), named(select))?;
                let sink: ToArchive<'_> = Local(sink);
                self.send(image, &sink, options, progress)
            }
            Some(other) => Err(PushError::Unsupported { text: other.to_string() }),
        }
    }

    fn send(
        &self,
        image: &Image,
        target: &dyn Target,
        options: &Push,
        progress: &dyn Progress,
    ) -> Result<Digest, PushError> {
        let layers =
            Layers { store: &self.store, target, progress, compression: options.compression };
        let there = layers.bring(&image.manifest.layers, &image.config.rootfs.diff_ids)?;
        let config = self.store.blob(&image.id)?;
        target.put(&image.manifest.config, &Content::Bytes(&config))?;
        let root = self.manifest(image, there)?;
        target.finish(&root)?;
        Ok(root.descriptor().digest)
    }

    /// The image's manifest as it is, or with the layers as they are at the destination.
    fn manifest(&self, image: &Image, layers: Vec<Descriptor>) -> Result<Document, PushError> {
        let raw = match layers == image.manifest.layers {
            true => self.store.blob(&image.digest)?,
            false => {
                let manifest = Manifest { layers, ..image.manifest.clone() };
                serde_json::to_vec(&manifest).map_err(|source| {
                    let what = "manifest that was made";
                    let source = document::DocumentError::Parse { what, source };
                    PushError::Document(Box::new(source))
                })?
            }
        };
        document::read(raw, &Expected::default())
            .map_err(|source| PushError::Document(Box::new(source)))
    }

    /// Opens the repository that a name is pushed to: never a mirror.
    fn remote(&self, image: &Image, name: &Reference, options: &Push) -> Result<Remote, PushError> {
        let credentials = options.credentials.clone();
        let registry = name.registry().to_owned();
        let client = self.client(credentials.map(|credential| Fixed { registry, credential }));
        let own = self.registries()?.sources(name)?.pop();
        let own = own.ok_or_else(|| PushError::Unsupported { text: name.to_string() })?;
        let tls = options.verify_tls.map_or(own.tls, |verify| match verify {
            true => TlsPolicy::Verify,
            false => TlsPolicy::AllowInsecure,
        });
        let siblings = self.named(image.clone())?.names.into_iter().filter(|other| {
            other.registry() == name.registry() && other.repository() != name.repository()
        });
        let mut siblings: Vec<String> =
            siblings.map(|other| other.repository().to_owned()).collect();
        siblings.dedup();
        let repository = client.repository(&own.registry, &own.repository, tls);
        Ok(Remote { repository, selector: name.selector(), siblings })
    }
}

/// A destination without a registry is at Docker Hub, as with the other tools.
fn full(name: &Name) -> Result<Reference, PushError> {
    let text = name.to_string();
    match name {
        Name::Full(reference) => Ok(reference.clone()),
        Name::Short(short) => {
            short.at_registry(DOCKER_HUB).map_err(|source| PushError::Name { text, source })
        }
    }
}

fn named(select: &Select) -> Option<String> {
    match select {
        Select::Named(name) => Some(name.clone()),
        Select::Only | Select::Index(_) => None,
    }
}
