//! The layers of a pull: side by side, each at most once, none that is there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use creel_base::digest::Digest;
use creel_image::document::Descriptor;
use creel_image::source::VerifyError;
use creel_store::{Owners, Partial, Store, StoreError, Transaction, Wait};

use super::PullError;
use super::download::{Download, Watch, Watched};
use super::origin::Origin;
use super::unpack::{UnpackError, unpack};
use crate::progress::{Event, Progress, Transfer};

/// Layers that are transferred at a time: each keeps two threads busy, and a registry should not
/// see more connections from one client.
const PARALLEL: usize = 4;

/// What it takes to bring layers in.
pub(super) struct Layers<'a> {
    pub(super) store: &'a Store,
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) owners: Owners,
    pub(super) origin: &'a dyn Origin,
    pub(super) progress: &'a dyn Progress,
}

type Layer<'a> = (&'a Descriptor, Digest);

impl Layers<'_> {
    /// Brings in the layers that are not there.
    pub(super) fn bring(
        &self,
        layers: &[Descriptor],
        diff_ids: &[Digest],
    ) -> Result<(), PullError> {
        let unique: BTreeMap<Digest, &Descriptor> =
            diff_ids.iter().copied().zip(layers).rev().collect();
        let mut missing: Vec<Layer<'_>> = Vec::new();
        for (diff_id, layer) in unique {
            if self.is_known(&diff_id) {
                let (layer, how) = (layer.digest, Transfer::Known);
                self.progress.event(&Event::Ended { layer, how });
            } else {
                missing.push((layer, diff_id));
            }
        }
        // Taken from the end: the largest first, so that none is left alone at last.
        missing.sort_by_key(|(layer, _)| layer.size);
        self.bring_missing(missing)
    }

    fn bring_missing(&self, missing: Vec<Layer<'_>>) -> Result<(), PullError> {
        let workers = missing.len().min(PARALLEL);
        let (queue, stop) = (Mutex::new(missing), AtomicBool::new(false));
        let failure: Mutex<Option<PullError>> = Mutex::new(None);
        let work = || {
            while let Some((layer, diff_id)) = next(&queue, &stop) {
                let Err(source) = self.bring_one(layer, diff_id, &stop) else { continue };
                // What comes after the first failure has only been stopped.
                if !stop.swap(true, Ordering::Relaxed) {
                    let digest = layer.digest.into();
                    *lock(&failure) = Some(PullError::Layer { digest, source });
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(work);
            }
        });
        lock(&failure).take().map_or(Ok(()), Err)
    }

    fn bring_one(
        &self,
        layer: &Descriptor,
        diff_id: Digest,
        stop: &AtomicBool,
    ) -> Result<(), UnpackError> {
        self.progress.event(&Event::Begun { layer: layer.digest, size: layer.size });
        let watch = Watch { stop, progress: self.progress };
        let how = match self.origin.resumes() && layer.data.is_none() {
            true => self.download(layer, diff_id, watch)?,
            false => self.read(layer, diff_id, watch)?,
        };
        self.progress.event(&Event::Ended { layer: layer.digest, how });
        Ok(())
    }

    /// Unpacks a layer that is at hand.
    fn read(
        &self,
        layer: &Descriptor,
        diff_id: Digest,
        watch: Watch<'_>,
    ) -> Result<Transfer, UnpackError> {
        let inner = self.origin.blob(layer, 0).map_err(UnpackError::Origin)?;
        let mut blob = Watched { inner, layer: layer.digest, watch };
        unpack(self.transaction, self.owners, &mut blob, Some(diff_id), &[layer.digest])?;
        Ok(Transfer::Done)
    }

    /// Downloads a layer and unpacks it on the way, together with other processes that want it.
    fn download(
        &self,
        layer: &Descriptor,
        diff_id: Digest,
        watch: Watch<'_>,
    ) -> Result<Transfer, UnpackError> {
        let mut partial = self.take(layer)?;
        // Another process may have brought it meanwhile.
        if self.is_known(&diff_id) {
            partial.remove()?;
            return Ok(Transfer::Known);
        }
        let resumed = partial.length() > 0;
        let mut result = self.attempt(layer, diff_id, watch, &mut partial);
        if resumed && result.as_ref().is_err_and(|error| kept(error) == Kept::Nothing) {
            // What an earlier attempt left may be to blame.
            self.progress.event(&Event::Restarted { layer: layer.digest });
            partial.restart(&layer.digest)?;
            result = self.attempt(layer, diff_id, watch, &mut partial);
        }
        match result {
            Err(error) if kept(&error) == Kept::Download => Err(error),
            result => {
                partial.remove()?;
                result.map(|()| Transfer::Done)
            }
        }
    }

    fn take(&self, layer: &Descriptor) -> Result<Partial<'_>, StoreError> {
        if let Some(partial) = self.store.partial(&layer.digest, Wait::No)? {
            return Ok(partial);
        }
        self.progress.event(&Event::Waiting { layer: layer.digest });
        let partial = self.store.partial(&layer.digest, Wait::Forever)?;
        partial.ok_or_else(|| StoreError::Busy { path: self.store.path().to_owned() })
    }

    fn attempt(
        &self,
        layer: &Descriptor,
        diff_id: Digest,
        watch: Watch<'_>,
        partial: &mut Partial<'_>,
    ) -> Result<(), UnpackError> {
        let mut blob = Download::new(self.origin, layer, watch, partial)?;
        let known_as = [layer.digest];
        unpack(self.transaction, self.owners, &mut blob, Some(diff_id), &known_as).map(drop)
    }

    /// Whether a layer is there, whole and verified.
    fn is_known(&self, diff_id: &Digest) -> bool {
        // A recipe that is damaged, or whose tree is, is as good as none: the layer comes anew.
        let recipe = self.store.recipe(diff_id).ok().flatten();
        recipe.is_some_and(|recipe| {
            recipe.verified
                && self.store.listing(&recipe.tree).is_ok()
                && (!recipe.taped || self.store.has_tape(diff_id))
        })
    }
}

/// What is left of a download that failed.
#[derive(PartialEq, Eq)]
enum Kept {
    /// All that came: the next attempt goes on there.
    Download,
    /// Nothing: the bytes are not what they should be.
    Nothing,
}

fn kept(error: &UnpackError) -> Kept {
    let wrong = match error {
        UnpackError::Read(error) => match error.get_ref() {
            Some(inner) => match inner.downcast_ref::<VerifyError>() {
                Some(VerifyError::TooShort { .. }) => false,
                Some(_) => true,
                None => error.kind() == std::io::ErrorKind::InvalidData,
            },
            // What inflates badly; a broken connection carries the registry's error.
            None => true,
        },
        UnpackError::Store(error) => {
            matches!(error, StoreError::Layer { .. } | StoreError::DigestMismatch { .. })
        }
        UnpackError::Origin(_) => false,
    };
    if wrong { Kept::Nothing } else { Kept::Download }
}

fn next<'a>(queue: &Mutex<Vec<Layer<'a>>>, stop: &AtomicBool) -> Option<Layer<'a>> {
    if stop.load(Ordering::Relaxed) { None } else { lock(queue).pop() }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What it guards is replaced as a whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
