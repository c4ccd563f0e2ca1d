//! Stores that do not open any more.

use super::*;
use crate::Mended;

/// A packed and a loose store with an image's tree each, and a good `store.json` of theirs.
fn stores(dir: &tempfile::TempDir) -> [(Store, Vec<u8>); 2] {
    let packed = create(dir);
    write(&packed, b"x", &contents(1)).unwrap();
    let loose = Store::create(&dir.path().join("loose"), &Backend::Loose, Vec::new()).unwrap();
    let transaction = loose.begin().unwrap();
    transaction.put_tree(&tree_of(&[])).unwrap();
    transaction.commit(&[]).unwrap();
    [packed, loose].map(|store| {
        let description = std::fs::read(store.path().join("store.json")).unwrap();
        (store, description)
    })
}

/// A probe that is not to be asked.
struct Never;

impl crate::Probe for Never {
    fn backend(&self, _: &Path) -> Result<Backend> {
        unreachable!("the store's contents tell")
    }
}

#[test]
fn a_flipped_bit_of_the_description_is_mended_by_what_the_store_holds() {
    let dir = tempfile::tempdir().unwrap();
    for (store, good) in stores(&dir) {
        let path = store.path().join("store.json");
        let mut mended = 0;
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            match Store::open(store.path()) {
                Err(StoreError::BadDescription { .. }) => {}
                // It may be as it says.
                Ok(_) | Err(StoreError::NewerFormat { .. }) => continue,
                Err(error) => panic!("{error} after bit {bit}"),
            }
            assert_eq!(Store::mend(store.path(), &Never).unwrap(), [Mended::Description]);
            assert_eq!(std::fs::read(&path).unwrap(), good, "after bit {bit}");
            mended += 1;
        }
        assert!(mended > 500, "{mended}");
        assert_eq!(Store::mend(store.path(), &Never).unwrap(), []);
        for lost in [Some(""), None] {
            match lost {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let refused = Store::open(store.path()).unwrap_err();
            assert!(matches!(refused, StoreError::BadDescription { .. }), "{refused}");
            Store::mend(store.path(), &Never).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), good);
        }
    }
}

#[test]
fn a_description_is_not_guessed_where_it_may_have_said_more() {
    let dir = tempfile::tempdir().unwrap();
    let [(store, good), (loose, _)] = stores(&dir);
    let path = store.path().join("store.json");
    let good = String::from_utf8(good).unwrap();
    let other = dir.path().join("other");
    Store::create(&other, &Backend::Packed, Vec::new()).unwrap();
    let list = format!("\"alternates\": [\"{}\"]", other.display());
    let with_other = good.replace("\"alternates\": []", &list);
    // Still JSON: the list is kept.
    std::fs::write(&path, with_other.replace("4096", "4097")).unwrap();
    Store::mend(store.path(), &Never).unwrap();
    assert_eq!(Store::open(store.path()).unwrap().description().alternates, [other]);
    let undecided = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let refused = Store::mend(store.path(), &Never).unwrap_err();
        assert!(matches!(refused, StoreError::Undecided { .. }), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    };
    undecided(&with_other.replace('{', ""));
    undecided(&with_other.replace("4096", "4097").replace("[\"", "[7, \""));
    let newer = good.replace("\"format\": 1", "\"format\": 2");
    std::fs::write(&path, newer).unwrap();
    assert!(matches!(Store::mend(store.path(), &Never), Err(StoreError::NewerFormat { .. })));
    let checkout = std::fs::read_dir(loose.path().join("checkouts")).unwrap().next().unwrap();
    let name = checkout.unwrap().file_name();
    std::fs::create_dir(store.path().join("checkouts").join(name)).unwrap();
    undecided("");
}

#[test]
fn directories_come_back_empty_and_what_was_in_them_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let tree = write(&store, b"x", &contents(1)).unwrap();
    for name in crate::mend::DIRECTORIES {
        std::fs::rename(store.path().join(name), dir.path().join("away")).unwrap();
        let refused = Store::open(store.path()).unwrap_err();
        assert!(matches!(refused, StoreError::NoDirectory { .. }), "{refused}");
        let mended = Store::mend(store.path(), &Never).unwrap();
        assert_eq!(mended[0], Mended::Directory(name));
        let found = Store::open(store.path()).unwrap().check(Mode::Check).unwrap();
        let missing = |problem: &Problem| matches!(problem, Problem::MissingObject { tree: of, .. } if *of == tree);
        assert_eq!(
            found.len(),
            if name == "objects" { contents(1).len() } else { usize::from(name == "trees") }
        );
        assert!(name != "objects" || found.iter().all(missing), "{found:?}");
        std::fs::remove_dir_all(store.path().join(name)).unwrap();
        std::fs::rename(dir.path().join("away"), store.path().join(name)).unwrap();
    }
    assert_eq!(store.check(Mode::Check).unwrap(), []);
}

#[test]
fn what_is_no_store_is_not_made_one() {
    let dir = tempfile::tempdir().unwrap();
    let mend = |path: &str| Store::mend(&dir.path().join(path), &Never).unwrap_err();
    assert!(matches!(mend("nowhere"), StoreError::NoStore { .. }));
    assert!(matches!(mend(""), StoreError::NoStore { .. }));
    std::fs::write(dir.path().join("store.json"), "someone else's").unwrap();
    assert!(matches!(mend(""), StoreError::Undecided { .. }));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
