//! The fuzz target's seeds, replayed.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

use creel_registry::auth::challenge::{fuzz, parse};

fn seeds() -> Vec<(String, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/www_authenticate");
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
}

#[test]
fn www_authenticate_seeds_keep_the_limits() {
    let seeds = seeds();
    assert!(seeds.len() >= 15);
    for (_, bytes) in &seeds {
        fuzz(bytes);
    }
}

#[test]
fn www_authenticate_seeds_read_as_named() {
    let good = ["bearer", "mixed", "bare_scheme", "basic", "spaces_and_case", "comma_in_quotes"];
    let bad = [
        "unterminated",
        "parameter_without_scheme",
        "twice",
        "escape_at_end",
        "control_character",
        "header_injection",
        "no_value",
        "many_schemes",
        "many_parameters",
        "too_long",
    ];
    for (name, bytes) in seeds() {
        let parsed = std::str::from_utf8(&bytes).ok().map(parse);
        assert!(!good.contains(&name.as_str()) || matches!(parsed, Some(Ok(_))), "{name}");
        assert!(!bad.contains(&name.as_str()) || matches!(parsed, Some(Err(_))), "{name}");
    }
}
