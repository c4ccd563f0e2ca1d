//! Packs large enough to be written back while they grow, from pieces of every size.

use super::*;

/// Bytes that nothing else has, `length` of them.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let word = |n: u32| n.wrapping_mul(2_654_435_761).wrapping_add(seed).rotate_left(15);
    (0..(length as u32).div_ceil(4)).flat_map(|n| word(n).to_le_bytes()).take(length).collect()
}

#[test]
fn big_contents_come_back_whatever_pieces_they_came_in() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let transaction = store.begin().unwrap();
    let mut pack = transaction.pack().unwrap();
    let mut contents = Vec::new();
    let sizes = [12_000_000, 3_000_001, 1 << 20, (1 << 20) + 1, 70_000, 5000, 900, 9_000_000];
    for (seed, size) in (0..).zip(sizes) {
        let content = noise(seed, size);
        for piece in [256 << 10, 65_537, 100_000, 4096] {
            // The first time it is new, then it is taken back.
            pack.begin().unwrap();
            content.chunks(piece).for_each(|piece| pack.data(piece).unwrap());
            assert_eq!(pack.end().unwrap(), ObjectId::of(&content), "{size} bytes by {piece}");
        }
        contents.push(content);
    }
    transaction.seal(pack).unwrap();
    for content in &contents {
        assert_eq!(&read(&store, &ObjectId::of(content)).unwrap(), content);
    }
    assert_eq!(store.check(Mode::Check).unwrap(), []);
}

#[test]
fn packs_sealed_at_once_are_all_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let transaction = store.begin().unwrap();
    for round in 0..60_u32 {
        let barrier = std::sync::Barrier::new(4);
        let seal = |content: Vec<u8>| {
            let mut pack = transaction.pack().unwrap();
            let id = pack.add(&content).unwrap();
            barrier.wait();
            transaction.seal(pack).unwrap();
            id
        };
        let ids: Vec<_> = std::thread::scope(|scope| {
            let contents = (0..4_u32).map(|thread| noise(round * 4 + thread, 100));
            let threads: Vec<_> = contents.map(|c| scope.spawn(|| seal(c))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for id in ids {
            assert!(store.objects.find(&id).unwrap().is_some(), "round {round}");
        }
    }
}
