//! The archive of a tree is read as that tree, or the tree has none.
#![no_main]

use core::convert::Infallible;

use creel_base::digest::ObjectId;
use creel_codec::layer::{self, LayerReader, LayerSink, Limits};
use creel_codec::listing;
use creel_codec::tree::{Kind, Meta, Tree};

/// Gives each file the content that the tree says, in order.
struct Contents(std::vec::IntoIter<ObjectId>);

/// An error that cannot be.
#[derive(Debug)]
struct Never(Infallible);

impl From<Never> for layer::SinkError {
    fn from(never: Never) -> Self {
        match never.0 {}
    }
}

impl LayerSink for Contents {
    type Error = Never;

    fn begin(&mut self, _size: u64) -> Result<(), Never> {
        Ok(())
    }

    fn data(&mut self, _data: &[u8]) -> Result<(), Never> {
        Ok(())
    }

    fn hole(&mut self, _length: u64) -> Result<(), Never> {
        Ok(())
    }

    fn end(&mut self) -> Result<ObjectId, Never> {
        Ok(self.0.next().unwrap_or_default())
    }

    fn verbatim(&mut self, _bytes: &[u8]) -> Result<(), Never> {
        Ok(())
    }
}

/// Writes the archive; `None` where the tree has what no archive can hold.
fn write(tree: &Tree) -> Option<(Vec<u8>, Vec<ObjectId>)> {
    let (mut archive, mut objects) = (Vec::new(), Vec::new());
    for (index, entry) in tree.entries.iter().enumerate() {
        archive.extend(layer::member(tree, index).ok()?);
        match entry.kind {
            Kind::File { size, object } if size < 1 << 16 => {
                objects.push(object);
                archive.resize(archive.len() + size as usize + layer::padding(size), 0);
            }
            Kind::File { .. } => return None,
            Kind::Whiteout | Kind::Directory { opaque: true, .. } => {
                objects.push(ObjectId::default());
            }
            _ => {}
        }
        // Resolved directories are no longer implied, and one with nothing below it is not there.
        if let Kind::Directory { opaque, implied: true } = entry.kind {
            let plain = entry.meta == (Meta { mode: 0o755, ..Meta::default() });
            if !plain || index > 0 && !opaque && tree.below(index).is_empty() {
                return None;
            }
        }
        if entry.meta.xattrs.iter().any(|xattr| *xattr.name == *b"security.selinux") {
            return None;
        }
    }
    archive.extend(layer::END);
    Some((archive, objects))
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(tree) = listing::decode(data, &listing::Limits::default()) else { return };
    let Some((archive, objects)) = write(&tree) else { return };
    let mut contents = Contents(objects.into_iter());
    let mut reader = LayerReader::new(Limits::default());
    // What reading refuses on top, as links that name what the layer hides, is no archive's fault.
    if reader.feed(&archive, &mut contents).is_err() {
        return;
    }
    if let Ok(read) = reader.finish(&mut contents) {
        let lower =
            |tree: &Tree| tree.entries.iter().any(|e| matches!(e.kind, Kind::LowerLink { .. }));
        assert!(read == tree || lower(&tree));
    }
});
