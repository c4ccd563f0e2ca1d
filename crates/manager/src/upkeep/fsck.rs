//! Whether a store is whole.

use std::collections::BTreeSet;

use creel_store::{KernelProbe, Mode, Store, StoreError};
use serde::Serialize;

use super::UpkeepError;
use super::finding::{Finding, Hit, lost};
use crate::{Engine, Settings};

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Check {
    /// What is wrong; empty for a store that is whole.
    pub problems: Vec<Finding>,
    /// Names of images that are not whole and have to be pulled or made again.
    pub broken_images: Vec<String>,
    /// Whether what was damaged has been dropped.
    pub repaired: bool,
}

impl Engine {
    /// Does what [`Engine::check`] does with [`Mode::Repair`], on a store that may not even open:
    /// what it needs for that is made again first.
    ///
    /// # Errors
    ///
    /// [`UpkeepError`] for what keeps the check from going on.
    pub fn repair(settings: Settings) -> Result<Check, UpkeepError> {
        let mended = match Store::mend(&settings.store, &KernelProbe) {
            // To be told as every command tells it.
            Err(StoreError::NoStore { .. }) => Vec::new(),
            mended => mended?,
        };
        let mut check = Self::open_existing(settings)?.check(Mode::Repair)?;
        check.problems.splice(..0, mended.iter().map(Finding::mended));
        Ok(check)
    }

    /// Reads everything in the store, and says what is damaged or missing and which images that
    /// hits. With [`Mode::Repair`] drops what is damaged, so that a new pull restores it.
    ///
    /// # Errors
    ///
    /// [`UpkeepError`] for what keeps the check from going on.
    pub fn check(&self, mode: Mode) -> Result<Check, UpkeepError> {
        // Before anything is dropped: afterwards nothing leads from the images to it.
        let inventory = self.inventory()?;
        let mut hit = Hit::new(self, &inventory);
        let problems = self.store.check(mode)?;
        hit.lost = lost(&problems);
        let mut found: Vec<Finding> = problems.iter().map(|problem| hit.finding(problem)).collect();
        for needs in &inventory {
            found.extend(needs.missing.iter().map(|missing| Finding::missing(missing, needs)));
        }
        let broken: BTreeSet<&String> = found.iter().flat_map(|found| &found.images).collect();
        let broken_images = broken.into_iter().cloned().collect();
        Ok(Check { problems: found, broken_images, repaired: mode == Mode::Repair })
    }
}
