//! Tapes are written and read.

#![allow(clippy::unwrap_used, clippy::panic)]

use creel_base::digest::ObjectId;
use creel_codec::tape::{MAX_BYTES, Part, Record, TapeReader, TapeWriter};

fn sample() -> Vec<u8> {
    let mut tape = TapeWriter::new(Vec::new());
    let object = |text: &[u8]| ObjectId::of(text);
    tape.verbatim(b"head").unwrap();
    tape.verbatim(b"er").unwrap();
    tape.begin();
    tape.data(10);
    tape.data(20);
    tape.end(&object(b"plain")).unwrap();
    tape.begin();
    tape.end(&object(b"")).unwrap();
    tape.begin();
    tape.hole(100);
    tape.data(5);
    tape.hole(50);
    tape.verbatim(b"between").unwrap();
    tape.data(1);
    tape.hole(7);
    tape.end(&object(b"sparse")).unwrap();
    tape.verbatim(&[0; MAX_BYTES + 1]).unwrap();
    tape.finish().unwrap()
}

#[test]
fn what_is_recorded_is_played() {
    let bytes = sample();
    let mut tape = TapeReader::new(&bytes[..]);
    let (plain, sparse) = (ObjectId::of(b"plain"), ObjectId::of(b"sparse"));
    let part =
        |object, size, offset, length| Record::Content(Part { object, size, offset, length });
    for expected in [
        Record::Bytes(b"header"),
        part(plain, 30, 0, 30),
        part(sparse, 163, 100, 5),
        Record::Bytes(b"between"),
        part(sparse, 163, 155, 1),
        Record::Bytes(&[0; MAX_BYTES]),
        Record::Bytes(&[0]),
    ] {
        assert_eq!(tape.next().unwrap(), Some(expected));
    }
    assert_eq!(tape.next().unwrap(), None);
    assert_eq!(tape.next().unwrap(), None);
}

/// The format does not change without a new version: `docs/formats/tape.md`.
#[test]
fn golden_tape() {
    assert_eq!(
        ObjectId::of(&sample()).hex(),
        "0666befa71ddf343a04f2800069fa54c4455b075c87cda480c5a18819cc6b901"
    );
}

#[test]
fn damage_is_an_error_or_another_tape_but_no_panic() {
    let bytes = sample();
    let play = |bytes: &[u8]| {
        let mut tape = TapeReader::new(bytes);
        while tape.next().ok()?.is_some() {}
        Some(())
    };
    for end in (0..300).chain(bytes.len() - 300..bytes.len()) {
        assert_eq!(play(&bytes[..end]), None, "cut at {end}");
    }
    assert_eq!(play(&[&bytes[..], &[0]].concat()), None);
    for at in 0..300 {
        for value in [0, 1, 2, 3, 4, 0x7f, 0xff] {
            let mut changed = bytes.clone();
            changed[at] = value;
            play(&changed);
        }
    }
    for bad in [&[4][..], &[3; 17], &[1, 0, 0, 0, 0], &[1, 1, 0, 1, 0]] {
        assert_eq!(play(bad), None);
    }
}
