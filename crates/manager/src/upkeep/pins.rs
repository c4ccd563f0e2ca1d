//! What is in use without a name.

use creel_base::digest::{Digest, ObjectId};
use serde::Serialize;

use super::UpkeepError;
use crate::Engine;
use crate::containers::{Record, Root};

/// Something that keeps trees from being collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The container's name.
    pub name: String,
    /// The trees it needs.
    #[serde(serialize_with = "hex")]
    pub trees: Vec<ObjectId>,
    /// The manifest of the image it was made from, as text.
    #[serde(skip)]
    pub manifest: Option<Digest>,
}

/// All that is in use without a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// Who uses what.
    pub holders: Vec<Holder>,
}

impl Engine {
    /// Lists what containers use.
    ///
    /// # Errors
    ///
    /// [`UpkeepError`], also for a container whose record cannot be read: what it uses must not go.
    pub fn pins(&self) -> Result<Pins, UpkeepError> {
        let Some(catalog) = self.existing_containers()? else { return Ok(Pins::default()) };
        let (containers, mut broken) = catalog.list()?;
        if let Some(error) = broken.pop() {
            return Err(error.into());
        }
        Ok(Pins {
            holders: containers.into_iter().map(|container| holder(container.record)).collect(),
        })
    }
}

impl Pins {
    /// What a collection must keep.
    pub fn digests(&self) -> Vec<Digest> {
        let trees = self.holders.iter().flat_map(|holder| &holder.trees);
        let manifests = self.holders.iter().filter_map(|holder| holder.manifest);
        trees.map(|tree| Digest::from(*tree)).chain(manifests).collect()
    }

    /// The names of the containers made from the image with this manifest.
    pub fn users(&self, manifest: &Digest) -> Vec<String> {
        let users = self.holders.iter().filter(|holder| holder.manifest == Some(*manifest));
        users.map(|holder| holder.name.clone()).collect()
    }
}

fn holder(record: Record) -> Holder {
    let trees = record.root.trees().to_vec();
    let manifest = match record.root {
        Root::Image(image) => Some(image.manifest),
        Root::Host(_) => None,
    };
    Holder { name: record.name, trees, manifest }
}

fn hex<S: serde::Serializer>(trees: &[ObjectId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(trees.iter().map(ObjectId::hex))
}
