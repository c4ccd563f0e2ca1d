//! The EROFS image of a tree: derived from the listing, kept beside it, and made again when lost.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use creel_base::digest::ObjectId;
use creel_codec::erofs::{self, Device, OverlayMarks, Placement};

use crate::config::Backend;
use crate::error::{Result, StoreError};
use crate::layout::Layout;
use crate::pack::{BLOCK, PackId};
use crate::store::Store;
use crate::transaction::Transaction;

/// Ending of an image's name; before it stands the tree's id in hex.
pub(crate) const SUFFIX: &str = ".erofs";
/// Where the superblock begins, and in it the number of extra devices and the offset of their
/// table in slots (`struct erofs_super_block` in `fs/erofs/erofs_fs.h`, Linux 6.18).
const SUPERBLOCK: u64 = 1024;
const DEVICES_AT: usize = 86;
const TABLE_AT: usize = 88;
/// Bytes of a device slot, which begins with the tag.
const SLOT: usize = 128;
/// Hex digits of a pack id, which is the tag.
const TAG: usize = 32;

/// The EROFS image of a tree, open.
#[derive(Debug)]
pub struct Image {
    pub(crate) file: File,
    path: PathBuf,
    packs: Vec<PackId>,
}

impl Image {
    /// Where the image is.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The packs it points at, in the order of its device table.
    pub fn packs(&self) -> &[PackId] {
        &self.packs
    }
}

impl Store {
    /// Opens the EROFS image of a tree, and makes it first where there is none or where what it
    /// points at has gone.
    ///
    /// # Errors
    ///
    /// Beyond those of reading and writing: [`StoreError::WrongBackend`] in a loose store, and
    /// [`StoreError::Image`] for a tree that EROFS cannot hold.
    pub fn image(&self, tree: &ObjectId) -> Result<Image> {
        if self.description().backend != Backend::Packed {
            return Err(StoreError::WrongBackend { what: "an EROFS image", backend: "packed" });
        }
        if let Some(image) = self.existing_image(tree)? {
            return Ok(image);
        }
        let transaction = self.begin()?;
        self.make_image(&transaction, tree)?;
        let path = self.trees.path_of(image_name(tree));
        self.existing_image(tree)?
            .ok_or_else(|| StoreError::damaged(&path, "image just made is gone"))
    }

    /// Removes the image of a tree; says whether there was one. The next use makes it again.
    pub fn remove_image(&self, tree: &ObjectId) -> Result<bool> {
        self.writable()?;
        self.trees.remove(image_name(tree))
    }

    /// Opens the image of a tree; `None` when it has to be made.
    fn existing_image(&self, tree: &ObjectId) -> Result<Option<Image>> {
        let name = image_name(tree);
        let Some(file) = self.trees.open_file(&name)? else { return Ok(None) };
        let path = self.trees.path_of(name);
        let packs = read_devices(&file).map_err(StoreError::io("read", &path))?;
        let Some(packs) = packs else { return Ok(None) };
        for pack in &packs {
            match self.objects.pack(*pack) {
                Ok(_) => {}
                Err(StoreError::NoPack { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(Image { file, path, packs }))
    }

    fn make_image(&self, transaction: &Transaction<'_>, id: &ObjectId) -> Result<()> {
        let tree = self.tree(id)?;
        let layout = Layout::new(transaction, &tree)?;
        let numbers: HashMap<_, _> =
            layout.devices.iter().zip(0_u16..).map(|(pack, number)| (*pack, number)).collect();
        let place = |object: &ObjectId, _size| {
            if let Some(content) = layout.inline.get(object) {
                return Some(Placement::Inline(content.clone()));
            }
            let at = layout.chunks.get(object)?;
            let block = u32::try_from(at.offset / BLOCK).ok()?;
            Some(Placement::Chunk { device: *numbers.get(&at.pack)?, block })
        };
        let devices =
            layout.devices.iter().map(|pack| self.device(*pack)).collect::<Result<_>>()?;
        let options = erofs::Options { tree: *id, devices, overlay: OverlayMarks::Trusted };
        let image = erofs::write(&tree, &place, &options)
            .map_err(|source| StoreError::Image { tree: *id, source: Box::new(source) })?;
        self.trees.replace(image_name(id), &image)
    }

    fn device(&self, pack: PackId) -> Result<Device> {
        let path = self.objects.dir().path_of(pack.pack_name());
        let file = self.objects.pack(pack)?;
        let length = file.metadata().map_err(StoreError::io("measure", &path))?.len();
        let blocks = u32::try_from(length / BLOCK);
        let blocks = blocks.map_err(|_| StoreError::TooLarge { what: "pack" })?;
        Ok(Device { tag: pack.hex().into_bytes(), blocks })
    }
}

/// The name of a tree's image in `trees/`.
pub(crate) fn image_name(tree: &ObjectId) -> String {
    format!("{}{SUFFIX}", tree.hex())
}

/// Reads which packs an image points at; `None` for what is no image of this store's making.
pub(crate) fn read_devices(file: &File) -> io::Result<Option<Vec<PackId>>> {
    let mut superblock = [0; SLOT];
    if !read_whole(file, &mut superblock, SUPERBLOCK)? {
        return Ok(None);
    }
    let field = |at: usize| {
        let bytes = superblock.get(at..).and_then(|bytes| bytes.first_chunk());
        u16::from_le_bytes(bytes.copied().unwrap_or_default())
    };
    let mut table = vec![0; usize::from(field(DEVICES_AT)) * SLOT];
    if !read_whole(file, &mut table, u64::from(field(TABLE_AT)) * SLOT as u64)? {
        return Ok(None);
    }
    let slots = table.chunks_exact(SLOT);
    Ok(slots.map(|slot| PackId::from_hex(slot.get(..TAG)?)).collect())
}

/// Fills `bytes`; says whether the file goes so far.
fn read_whole(file: &File, bytes: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
