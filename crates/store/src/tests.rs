//! The store as a whole: round trips, damage, collection, and a crash at every step.

use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use creel_base::digest::{Digest, ObjectId};
use creel_codec::tree::{Entry, Kind, Meta, Tree};

use crate::fault;
use crate::{
    Access, Backend, Collected, Mode, Problem, Recipe, References, Result, Store, StoreError, Wait,
};

mod indexes;
mod layers;
mod loose;
mod mend;
mod packs;
mod references;
mod snapshot;
mod tapes;

struct Nothing;

impl References for Nothing {
    fn of_blob(
        &self,
        _: &Digest,
        _: &[u8],
    ) -> std::result::Result<Vec<Digest>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Vec::new())
    }

    fn pinned(&self) -> std::result::Result<Vec<Digest>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Vec::new())
    }
}

fn create(dir: &tempfile::TempDir) -> Store {
    Store::create(&dir.path().join("store"), &Backend::Packed, Vec::new()).unwrap()
}

fn tree_of(contents: &[(ObjectId, u64)]) -> Tree {
    let directory = Kind::Directory { opaque: false, implied: false };
    let meta = Meta { mode: 0o755, ..Meta::default() };
    let mut entries = vec![Entry { path: Box::default(), meta: meta.clone(), kind: directory }];
    for (number, (object, size)) in contents.iter().enumerate() {
        let path = format!("f{number:05}").into_bytes().into();
        let kind = Kind::File { size: *size, object: *object };
        entries.push(Entry { path, meta: meta.clone(), kind });
    }
    Tree { entries }
}

/// Contents of sizes around every limit, different for each `seed`.
fn contents(seed: u8) -> Vec<Vec<u8>> {
    [0, 1, 2047, 2048, 2049, 4096, 4097, 300_000].iter().map(|size| vec![seed; *size]).collect()
}

fn write(store: &Store, name: &[u8], contents: &[Vec<u8>]) -> Result<ObjectId> {
    let transaction = store.begin()?;
    let mut pack = transaction.pack()?;
    let mut objects = Vec::new();
    for content in contents {
        objects.push((pack.add(content)?, content.len() as u64));
    }
    transaction.seal(pack)?;
    let tree = transaction.put_tree(&tree_of(&objects))?;
    transaction.commit(&[(name, tree.into())])?;
    Ok(tree)
}

fn read(store: &Store, id: &ObjectId) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    store.read_object(id, |piece| {
        content.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(content)
}

#[test]
fn contents_come_back_and_are_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let tree = write(&store, b"a/b:1", &contents(1)).unwrap();
    let again = write(&store, b"a/b:2", &contents(1)).unwrap();
    assert_eq!(tree, again);
    assert_eq!(store.objects.packs().len(), 1);
    let reopened = Store::open(store.path()).unwrap();
    for content in contents(1) {
        assert_eq!(read(&reopened, &ObjectId::of(&content)).unwrap(), content);
    }
    assert_eq!(reopened.reference(b"a/b:2").unwrap(), Some(tree.into()));
    assert_eq!(reopened.references().unwrap().len(), 2);
    assert_eq!(reopened.check(Mode::Check).unwrap(), []);
    assert_eq!(std::fs::metadata(store.path()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn large_and_small_objects_are_aligned() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    write(&store, b"x", &contents(1)).unwrap();
    for content in contents(1) {
        let at = store.locate(&ObjectId::of(&content)).unwrap().unwrap();
        let to = if content.len() > 2048 { 4096 } else { 8 };
        assert_eq!(at.offset % to, 0);
        assert!(at.offset >= 4096);
    }
}

#[test]
fn holes_take_no_space_and_read_as_zeros() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let transaction = store.begin().unwrap();
    let mut pack = transaction.pack().unwrap();
    // Known content written and taken back must not show through a later hole.
    pack.add(&vec![7; 3 << 20]).unwrap();
    pack.add(&vec![7; 3 << 20]).unwrap();
    pack.begin().unwrap();
    pack.data(b"head").unwrap();
    pack.hole(64 << 20).unwrap();
    pack.data(b"tail").unwrap();
    let id = pack.end().unwrap();
    let sealed = transaction.seal(pack).unwrap().unwrap();
    let content = read(&store, &id).unwrap();
    assert_eq!(content.len(), (64 << 20) + 8);
    assert!(content[4..64 << 20].iter().all(|byte| *byte == 0));
    let file = store.path().join("objects").join(sealed.pack_name());
    assert!(std::fs::metadata(file).unwrap().blocks() * 512 < 8 << 20);
}

#[test]
fn many_packs_are_found_through_few_indexes() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    for number in 0..20_u8 {
        write(&store, &[b'a' + number], &contents(number)).unwrap();
    }
    let names = store.objects.dir().names().unwrap();
    assert!(names.iter().filter(|name| name.starts_with(b"multi-")).count() <= 4);
    for number in 0..20 {
        for content in contents(number) {
            assert_eq!(read(&store, &ObjectId::of(&content)).unwrap(), content);
        }
    }
}

#[test]
fn collection_keeps_what_is_named_and_frees_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let shared = vec![9; 5000];
    let both = [contents(1), vec![shared.clone()]].concat();
    write(&store, b"old", &both).unwrap();
    write(&store, b"new", &[shared.clone(), vec![2; 9000]]).unwrap();
    write(&store, b"gone", &contents(3)).unwrap();
    let gone = [b"gone".to_vec(), b"old".to_vec()];
    let expected = store.collectable(&Nothing, &gone).unwrap();
    assert_eq!(store.collectable(&Nothing, &[]).unwrap(), Collected::default());
    for name in gone {
        store.remove_reference(&name).unwrap();
    }
    assert_eq!(store.collectable(&Nothing, &[]).unwrap(), expected);
    assert_eq!(store.trees().unwrap().len(), 3);
    let done = store.collect(&Nothing, Wait::No).unwrap();
    assert_eq!((done.trees, done.packs), (2, 1));
    assert_eq!(done, expected);
    assert_eq!(store.trees().unwrap().len(), 1);
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    assert_eq!(read(&store, &ObjectId::of(&shared)).unwrap(), shared);
    assert!(store.locate(&ObjectId::of(&contents(1)[7])).unwrap().is_none());
    assert_eq!(store.collect(&Nothing, Wait::No).unwrap(), Collected::default());
    // What was dropped can be stored again.
    write(&store, b"old", &both).unwrap();
    assert_eq!(read(&store, &ObjectId::of(&contents(1)[7])).unwrap(), contents(1)[7]);
}

#[test]
fn collection_does_not_run_beside_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let transaction = store.begin().unwrap();
    assert!(matches!(store.collect(&Nothing, Wait::No), Err(StoreError::Busy { .. })));
    drop(transaction);
    store.collect(&Nothing, Wait::No).unwrap();
}

#[test]
fn damage_is_named_and_a_new_pull_restores_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let tree = write(&store, b"x", &contents(1)).unwrap();
    let bad = ObjectId::of(&contents(1)[7]);
    let at = store.locate(&bad).unwrap().unwrap();
    let path = store.path().join("objects").join(at.pack.pack_name());
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(b"?", at.offset + 77).unwrap();
    assert!(matches!(read(&store, &bad), Err(StoreError::DigestMismatch { .. })));
    assert_eq!(store.check(Mode::Check).unwrap(), [Problem::Object(bad, at.pack)]);
    store.check(Mode::Repair).unwrap();
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    assert_eq!(write(&store, b"x", &contents(1)).unwrap(), tree);
    assert_eq!(read(&store, &bad).unwrap(), contents(1)[7]);
}

#[test]
fn an_image_that_differs_from_its_listing_is_named_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let tree = write(&store, b"x", &contents(1)).unwrap();
    let path = store.image(&tree).unwrap().path().to_owned();
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    let whole = std::fs::read(&path).unwrap();
    // Whatever is in use between the superblock and the end; blocks end in padding.
    let mut named = 0;
    for at in (1024..whole.len()).step_by(61).filter(|at| whole[*at] != 0) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let found = store.check(Mode::Check).unwrap();
        assert!(found.is_empty() || found == [Problem::Image(tree)], "{at}: {found:?}");
        named += found.len();
    }
    assert!(named > 20, "{named}");
    // A letter of a name: the image is valid, and another.
    let at = whole.windows(6).position(|bytes| bytes == b"f00007").unwrap();
    let mut renamed = whole.clone();
    renamed[at] = b'g';
    std::fs::write(&path, renamed).unwrap();
    assert_eq!(store.check(Mode::Repair).unwrap(), [Problem::Image(tree)]);
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    store.image(&tree).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[test]
fn descriptions_of_other_formats_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let path = store.path().join("store.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let open = |text: String| {
        std::fs::write(&path, text).unwrap();
        Store::open(store.path())
    };
    let newer = open(r#"{"format": 2, "backend": {"new": true}}"#.into());
    assert!(matches!(newer, Err(StoreError::NewerFormat { found: 2, .. })));
    let unknown = open(text.replace(r#""incompatible": []"#, r#""incompatible": ["zip"]"#));
    assert!(matches!(unknown, Err(StoreError::UnknownFeature { .. })));
    let read_only =
        open(text.replace(r#""ro_compatible": []"#, r#""ro_compatible": ["x"]"#)).unwrap();
    assert_eq!(read_only.access(), Access::ReadOnly);
    assert!(matches!(read_only.begin(), Err(StoreError::ReadOnly { .. })));
    assert!(matches!(Store::open(Path::new("/nonexistent")), Err(StoreError::NoStore { .. })));
}

#[test]
fn alternates_are_read_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let base = create(&dir);
    write(&base, b"x", &contents(1)).unwrap();
    let path = dir.path().join("second");
    let store = Store::create(&path, &Backend::Packed, vec![base.path().to_owned()]).unwrap();
    write(&store, b"x", &contents(1)).unwrap();
    assert!(store.objects.packs().is_empty());
    assert_eq!(read(&store, &ObjectId::of(&contents(1)[7])).unwrap(), contents(1)[7]);
}

#[test]
fn recipes_keep_their_trees_and_go_with_their_layers() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let tree = write(&store, b"tree", &contents(1)).unwrap();
    let diff_id = Digest::sha256(b"layer");
    let compressed = vec![Digest::sha256(b"gz")];
    let recipe = Recipe { tree, compressed, verified: true, taped: false };
    let transaction = store.begin().unwrap();
    transaction.put_recipe(&diff_id, &recipe).unwrap();
    transaction.put_blob(&Digest::sha256(b"{}"), b"{}").unwrap();
    assert!(transaction.put_blob(&Digest::sha256(b"{}"), b"{ }").is_err());
    transaction.commit(&[(b"image", diff_id)]).unwrap();
    store.remove_reference(b"tree").unwrap();
    assert_eq!(store.collect(&Nothing, Wait::No).unwrap().trees, 0);
    assert_eq!(store.recipe(&diff_id).unwrap(), Some(recipe));
    store.remove_reference(b"image").unwrap();
    assert_eq!(store.collect(&Nothing, Wait::No).unwrap().trees, 1);
    assert_eq!(store.recipe(&diff_id).unwrap(), None);
}

#[test]
fn downloads_resume_and_are_held_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let digest = Digest::sha256(b"hello world");
    let mut first = store.partial(&digest, Wait::No).unwrap().unwrap();
    first.append(b"hello ").unwrap();
    assert!(store.partial(&digest, Wait::No).unwrap().is_none());
    drop(first);
    let mut second = store.partial(&digest, Wait::No).unwrap().unwrap();
    assert_eq!(second.length(), 6);
    second.append(b"world").unwrap();
    assert_eq!(second.digest(), digest);
    second.restart(&digest).unwrap();
    assert_eq!(second.length(), 0);
    assert_eq!(store.remove_partials().unwrap(), 0);
    second.remove().unwrap();
    assert_eq!(store.remove_partials().unwrap(), 0);
    assert_eq!(store.partial(&digest, Wait::No).unwrap().unwrap().length(), 0);
    // What was left is nobody's now.
    assert_eq!(store.remove_partials().unwrap(), 1);
}

#[test]
fn a_loose_store_takes_no_packs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("loose"), &Backend::Loose, Vec::new()).unwrap();
    let pack = store.begin().unwrap().pack();
    assert!(matches!(pack, Err(StoreError::WrongBackend { .. })));
}

#[test]
fn images_are_made_on_demand_and_go_with_their_trees() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let tree = write(&store, b"x", &contents(1)).unwrap();
    let image = store.image(&tree).unwrap();
    assert_eq!(image.packs().len(), 1);
    let bytes = std::fs::read(image.path()).unwrap();
    assert!(store.remove_image(&tree).unwrap());
    assert!(!store.remove_image(&tree).unwrap());
    assert_eq!(std::fs::read(store.image(&tree).unwrap().path()).unwrap(), bytes);
    std::fs::write(image.path(), b"no image").unwrap();
    assert_eq!(std::fs::read(store.image(&tree).unwrap().path()).unwrap(), bytes);
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    store.collect(&Nothing, Wait::No).unwrap();
    assert!(image.path().exists());
    store.remove_reference(b"x").unwrap();
    assert_eq!(store.collect(&Nothing, Wait::No).unwrap().trees, 1);
    assert!(!image.path().exists());
    assert!(matches!(store.image(&tree), Err(StoreError::NoTree { .. })));
}

#[test]
fn an_image_never_shows_what_lies_behind_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    write(&store, b"x", &contents(1)).unwrap();
    for content in [&contents(1)[1], &contents(1)[5]] {
        let transaction = store.begin().unwrap();
        let size = content.len() as u64 + 4096;
        let tree = transaction.put_tree(&tree_of(&[(ObjectId::of(content), size)])).unwrap();
        drop(transaction);
        assert!(matches!(store.image(&tree), Err(StoreError::WrongSize { .. })));
    }
}

#[test]
fn a_recipe_without_its_tree_is_named_and_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let tree = write(&store, b"x", &contents(1)).unwrap();
    let (good, bad) = (Digest::sha256(b"good"), Digest::sha256(b"bad"));
    let transaction = store.begin().unwrap();
    let recipe = Recipe { tree, compressed: Vec::new(), verified: true, taped: false };
    transaction.put_recipe(&good, &recipe).unwrap();
    transaction.put_recipe(&bad, &recipe).unwrap();
    transaction.commit(&[(b"layer", good)]).unwrap();
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    let path = store.path().join("recipes").join(format!("sha256-{}", bad.hex()));
    let text = std::fs::read_to_string(&path).unwrap();
    for broken in ["{".to_owned(), text.replace(&tree.hex(), &ObjectId::of(b"").hex())] {
        std::fs::write(&path, broken).unwrap();
        assert_eq!(store.check(Mode::Check).unwrap(), [Problem::Recipe(bad)]);
    }
    store.check(Mode::Repair).unwrap();
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    assert!(store.recipe(&good).unwrap().is_some());
}

#[test]
fn usage_counts_everything_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    assert_eq!(store.usage().unwrap(), crate::Usage::default());
    let tree = write(&store, b"x", &contents(1)).unwrap();
    store.image(&tree).unwrap();
    let usage = store.usage().unwrap();
    let logical = contents(1).iter().map(|content| content.len() as u64).sum();
    assert_eq!((usage.objects.count, usage.objects.bytes), (8, logical));
    assert_eq!((usage.packs.count, usage.indexes.count), (1, 1));
    assert_eq!((usage.trees.count, usage.images.count), (1, 1));
    assert!(usage.disk_bytes() > usage.packs.bytes && usage.packs.bytes > 300_000);
}

/// Every step that changes the disk is made the last one once, in writing and in collecting.
#[test]
fn a_crash_at_any_step_leaves_a_whole_store() {
    for steps in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let store = create(&dir);
        write(&store, b"keep", &contents(1)).unwrap();
        write(&store, b"drop", &[vec![5; 9000], contents(1)[7].clone()]).unwrap();
        fault::inject(Some(steps));
        let failed = write(&store, b"next", &contents(2)).and_then(|id| store.image(&id)).is_err()
            | store.remove_reference(b"drop").is_err()
            | store.collect(&Nothing, Wait::No).is_err();
        fault::inject(None);
        let store = Store::open(store.path()).unwrap();
        assert_eq!(store.check(Mode::Check).unwrap(), [], "after {steps} steps");
        assert!(store.reference(b"keep").unwrap().is_some());
        let next = write(&store, b"next", &contents(2)).unwrap();
        assert_eq!(store.image(&next).unwrap().packs().len(), 1);
        store.collect(&Nothing, Wait::No).unwrap();
        assert_eq!(store.check(Mode::Check).unwrap(), []);
        let temporary = store.objects.dir().all_names().unwrap();
        assert!(!temporary.iter().any(|name| name.starts_with(b".tmp-")));
        if !failed {
            assert!(steps > 20);
            return;
        }
    }
}
