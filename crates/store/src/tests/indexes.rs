//! Damaged indexes: those of single packs, and merged ones, which are hints.

use std::path::PathBuf;

use super::*;

/// Contents of different sizes; each commit has two of its own.
fn commits() -> Vec<Vec<Vec<u8>>> {
    (0..6_u8).map(|seed| vec![vec![seed; 4097], vec![seed + 100; 9000]]).collect()
}

/// The bytes of a store's one merged index, and where its entries begin.
struct Merged {
    store: Store,
    path: PathBuf,
    name: Vec<u8>,
    whole: Vec<u8>,
    entries_at: usize,
}

impl Merged {
    fn new(dir: &tempfile::TempDir) -> Self {
        let store = create(dir);
        for (seed, contents) in (b'a'..).zip(commits()) {
            write(&store, &[seed], &contents).unwrap();
        }
        let [name] = store.objects.merged().unwrap().try_into().unwrap();
        let path = store.objects.dir().path_of(std::str::from_utf8(&name).unwrap());
        let whole = std::fs::read(&path).unwrap();
        let field = |at: usize| u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
        let entries_at = 64 + 32 * field(20) + (4 << field(12));
        Self { store, path, name, whole, entries_at }
    }

    fn entries(&self) -> usize {
        (self.whole.len() - 32 - self.entries_at) / 64
    }

    /// Opens the store as if its merged index had these bytes.
    fn with(&self, bytes: &[u8]) -> Store {
        std::fs::write(&self.path, bytes).unwrap();
        Store::open(self.store.path()).unwrap()
    }
}

fn find_everything(store: &Store) {
    for content in commits().concat() {
        let id = ObjectId::of(&content);
        assert_eq!(read(store, &id).unwrap(), content);
        let place = store.locate(&id).unwrap().unwrap();
        assert_eq!(store.objects.find_all(&id).unwrap(), [place]);
    }
}

#[test]
fn a_flipped_bit_of_a_merged_index_is_named_and_misleads_no_one() {
    let dir = tempfile::tempdir().unwrap();
    let merged = Merged::new(&dir);
    assert_eq!(merged.store.check(Mode::Check).unwrap(), []);
    // Of an entry: the id, the offset, both lengths, the pack and the state.
    let in_entries = (0..merged.entries())
        .flat_map(|entry| [0, 33, 41, 49, 56, 61].map(|at| merged.entries_at + 64 * entry + at));
    // The magic, the header, a pack, the fan-out and the checksum.
    let elsewhere = [0, 17, 70, merged.entries_at - 3, merged.whole.len() - 1];
    for at in in_entries.chain(elsewhere) {
        let mut bytes = merged.whole.clone();
        bytes[at] ^= 1;
        let store = merged.with(&bytes);
        find_everything(&store);
        assert_eq!(store.check(Mode::Check).unwrap(), [Problem::Merged(merged.name.clone())]);
    }
    let store = Store::open(merged.store.path()).unwrap();
    assert_eq!(store.check(Mode::Repair).unwrap(), [Problem::Merged(merged.name.clone())]);
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    assert!(!merged.path.exists());
    find_everything(&store);
}

/// A merged index of the right form, over all packs, that lacks an object.
#[test]
fn what_a_merged_index_lacks_is_found_by_the_index_of_the_pack() {
    let dir = tempfile::tempdir().unwrap();
    let merged = Merged::new(&dir);
    let (packs, mut records) = {
        let store = merged.with(&merged.whole);
        let index = store.objects.open_index(&merged.name).unwrap().unwrap();
        let mut records = Vec::new();
        index
            .for_each(|entry| {
                records.push(entry.record);
                Ok(())
            })
            .unwrap();
        (index.packs().to_vec(), records)
    };
    records.remove(3);
    let name = std::str::from_utf8(&merged.name).unwrap();
    crate::pack::writer::write_index(&merged.store.objects, name, &packs, &records).unwrap();
    let store = Store::open(merged.store.path()).unwrap();
    find_everything(&store);
    assert_eq!(store.check(Mode::Check).unwrap(), [Problem::Merged(merged.name.clone())]);
    // It must not come to believe that the tree's contents are missing.
    let objects: Vec<_> =
        commits().concat().iter().map(|c| (ObjectId::of(c), c.len() as u64)).collect();
    store.begin().unwrap().put_tree(&tree_of(&objects)).unwrap();
}

#[test]
fn damage_does_not_go_from_one_merged_index_into_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let merged = Merged::new(&dir);
    let mut bytes = merged.whole.clone();
    bytes[merged.entries_at + 33] ^= 0x10;
    let store = merged.with(&bytes);
    for seed in 0..6_u8 {
        write(&store, &[b'p', b'a' + seed], &[vec![seed + 50; 5000]]).unwrap();
    }
    assert!(!merged.path.exists());
    assert_eq!(store.check(Mode::Check).unwrap(), []);
}

#[test]
fn an_image_is_neither_made_nor_confirmed_by_a_merged_index() {
    let dir = tempfile::tempdir().unwrap();
    let merged = Merged::new(&dir);
    let tree = merged.store.trees().unwrap()[0];
    let path = merged.store.image(&tree).unwrap().path().to_owned();
    let good = std::fs::read(&path).unwrap();
    merged.store.remove_image(&tree).unwrap();
    let mut bytes = merged.whole.clone();
    for entry in 0..merged.entries() {
        bytes[merged.entries_at + 64 * entry + 33] ^= 0x10;
    }
    let store = merged.with(&bytes);
    store.image(&tree).unwrap();
    assert!(std::fs::read(&path).unwrap() == good);
    assert_eq!(store.check(Mode::Check).unwrap(), [Problem::Merged(merged.name.clone())]);
}

#[test]
fn what_only_a_damaged_index_vouches_for_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let tree = write(&store, b"x", &[vec![1; 9000]]).unwrap();
    write(&store, b"y", &[vec![2; 9000]]).unwrap();
    let object = ObjectId::of(&[1; 9000]);
    let pack = store.locate(&object).unwrap().unwrap().pack;
    let path = store.objects.dir().path_of(pack.index_name());
    let whole = std::fs::read(&path).unwrap();
    // The magic, without which it does not even open, and an offset.
    for at in [0, whole.len() - 32 - 64 + 33] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let store = Store::open(store.path()).unwrap();
        let expected = [Problem::Index(pack), Problem::MissingObject { tree, object }];
        assert_eq!(store.check(Mode::Check).unwrap(), expected);
        // Nobody knows what is in it, so nothing may be thought to be garbage.
        assert!(store.collect(&Nothing, Wait::No).is_err());
    }
    Store::open(store.path()).unwrap().check(Mode::Repair).unwrap();
    let store = Store::open(store.path()).unwrap();
    assert_eq!(write(&store, b"x", &[vec![1; 9000]]).unwrap(), tree);
    assert_eq!(store.check(Mode::Check).unwrap(), []);
}
