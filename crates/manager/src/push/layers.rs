//! The layers of a push: found at the destination, or made anew and sent.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use creel_base::digest::{Algorithm, Digest, Hasher};
use creel_base::media_type::{self, MediaType};
use creel_codec::compress::{Compression, Encoder};
use creel_image::document::Descriptor;
use creel_store::{Store, StoreError};

use super::PushError;
use super::target::{Content, Target, layer_type};
use crate::progress::{Event, Progress};
use crate::pull::spool;

/// Layers that are made and sent at a time.
const PARALLEL: usize = 4;

/// What it takes to bring layers to a destination.
pub(super) struct Layers<'a> {
    pub(super) store: &'a Store,
    pub(super) target: &'a dyn Target,
    pub(super) progress: &'a dyn Progress,
    /// How layers are compressed that have to be made; `None` is as they were.
    pub(super) compression: Option<Compression>,
}

impl Layers<'_> {
    /// Brings all layers there and returns how they are described there.
    pub(super) fn bring(
        &self,
        layers: &[Descriptor],
        diff_ids: &[Digest],
    ) -> Result<Vec<Descriptor>, PushError> {
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(usize, Result<Descriptor, PushError>)>> = Mutex::default();
        let lock = || done.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let (Some(layer), Some(diff_id)) = (layers.get(number), diff_ids.get(number))
                else {
                    return;
                };
                let result = self.bring_one(layer, diff_id);
                if result.is_err() {
                    // The others need not begin.
                    next.store(layers.len(), Ordering::Relaxed);
                }
                lock().push((number, result));
            }
        };
        thread::scope(|scope| {
            for _ in 0..layers.len().min(PARALLEL) {
                scope.spawn(work);
            }
        });
        let mut done = std::mem::take(&mut *lock());
        done.sort_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, result)| result).collect()
    }

    fn bring_one(&self, layer: &Descriptor, diff_id: &Digest) -> Result<Descriptor, PushError> {
        let known = self.store.recipe(diff_id)?.map(|recipe| recipe.compressed).unwrap_or_default();
        if let Some((found, how)) = self.target.find(layer, &known)? {
            self.progress.event(&Event::Ended { layer: layer.digest, how });
            return Ok(found);
        }
        self.progress.event(&Event::Begun { layer: layer.digest, size: 0 });
        let (file, made) = self.make(layer, diff_id)?;
        let how = self.target.put(&made, &Content::File(&file))?;
        self.progress.event(&Event::Ended { layer: layer.digest, how });
        if !known.contains(&made.digest) {
            // What is known of a layer saves time and nothing else.
            let _ = self.store.begin().and_then(|t| {
                t.know_layer(diff_id, &[made.digest])?;
                t.commit(&[])
            });
        }
        // Made the same as it came: described as it was.
        Ok(if made.digest == layer.digest { layer.clone() } else { made })
    }

    /// Writes the layer's tar anew, compressed, into a file without a name.
    fn make(&self, layer: &Descriptor, diff_id: &Digest) -> Result<(File, Descriptor), PushError> {
        let failed = |source| PushError::Compress { diff_id: (*diff_id).into(), source };
        let compression = self.compression.unwrap_or_else(|| compression_of(layer));
        let file = spool(self.store.path()).map_err(failed)?;
        let out = Counted { inner: file, hasher: Hasher::new(Algorithm::Sha256), size: 0 };
        let out = BufWriter::with_capacity(1 << 18, out);
        let mut encoder = Encoder::new(out, compression).map_err(failed)?;
        let mut watched = Watched { inner: &mut encoder, layer: layer.digest, to: self.progress };
        match self.store.export_layer(diff_id, &mut watched) {
            Err(StoreError::Output { source }) => return Err(failed(source)),
            Err(source) => return Err(PushError::Layer { diff_id: (*diff_id).into(), source }),
            Ok(()) => {}
        }
        let out = encoder.finish().map_err(failed)?;
        let out = out.into_inner().map_err(|error| failed(error.into_error()))?;
        let kind = layer_type(layer, compression);
        Ok((out.inner, Descriptor::new(kind, out.hasher.finish(), out.size)))
    }
}

/// As the manifest has it; plain layers are compressed, as all tools do.
fn compression_of(layer: &Descriptor) -> Compression {
    match &layer.media_type {
        MediaType::Layer(layer) if layer.compression == media_type::Compression::Zstd => {
            Compression::Zstd
        }
        _ => Compression::Gzip,
    }
}

/// Hashes and counts what it passes on.
struct Counted {
    inner: File,
    hasher: Hasher,
    size: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.size = self.size.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Tells how much has been read of the layer.
struct Watched<'a> {
    inner: &'a mut dyn Write,
    layer: Digest,
    to: &'a dyn Progress,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.to.event(&Event::Advanced { layer: self.layer, bytes: written as u64 });
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
