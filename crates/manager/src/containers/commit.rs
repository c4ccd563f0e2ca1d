//! Making an image of what a container has changed.

use creel_base::media_type::{Compression, Layer, MediaType};
use creel_base::reference::Reference;
use creel_image::change;
use creel_image::document::{Descriptor, History};
use creel_image::edit::Draft;
use jiff::Timestamp;

use super::catalog::Container;
use super::changes;
use super::changes_error::ChangesError;
use super::error::ContainerError;
use super::record::{Record, Root, State};
use crate::Engine;
use crate::counter::Counter;
use crate::images::Image;

/// What an image of a container is besides its files.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Instructions such as `CMD ["/bin/sh"]`, in order.
    pub changes: Vec<String>,
    /// A remark for the image's history.
    pub message: Option<String>,
    /// Who made it.
    pub author: Option<String>,
}

impl Engine {
    /// Makes an image of a container that does not run, and gives it a name or none: the layers of
    /// its image, and one of what it has changed.
    ///
    /// # Errors
    /// [`ChangesError`].
    pub fn commit(
        &self,
        container: Container,
        what: &Commit,
        name: Option<&Reference>,
    ) -> Result<Image, ChangesError> {
        let catalog = self.containers()?;
        if let State::Lost(Some(process)) = catalog.state(&container)? {
            let (name, pid) = (container.record.name, process.pid);
            return Err(ContainerError::Orphaned { name, pid }.into());
        }
        let owned = catalog.own(container)?;
        let record = owned.record();
        let Root::Image(root) = &record.root else {
            return Err(ChangesError::NoImage { name: record.name.clone() });
        };
        let transaction = self.store().begin()?;
        let base = self.load(root.manifest, Vec::new())?;
        let mut draft = Draft::on(&base.manifest, base.config)?;
        for line in &what.changes {
            change::apply(&mut draft.config.config, line)?;
        }
        let created = Some(Timestamp::now().to_string());
        draft.config.created.clone_from(&created);
        if let Some(upper) = changes::upper(&owned.container.dir)? {
            let (tree, _) = transaction.snapshot(&upper, self.origin(), self.owners_in(record))?;
            let mut size = Counter::default();
            let diff_id = self.store().write_layer(&tree, &mut size)?;
            transaction.record_layer(&diff_id, tree, &[])?;
            let kind = MediaType::Layer(Layer::oci(Compression::None));
            let layer = Descriptor::new(kind, diff_id, size.bytes());
            draft.push(layer, diff_id, history(record, what, created));
        }
        Ok(self.publish(transaction, draft, name)?)
    }
}

fn history(record: &Record, what: &Commit, created: Option<String>) -> History {
    History {
        created,
        created_by: Some(record.command().join(" ")),
        comment: what.message.clone(),
        author: what.author.clone(),
        ..History::default()
    }
}
