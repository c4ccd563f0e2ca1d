//! The whole command line as a golden file, so that no change to it slips through.
//!
//! `CREEL_WRITE_GOLDEN=1 cargo test -p creel-cli --test reference` writes it anew.
#![allow(clippy::unwrap_used)] // in the helpers of tests

use std::fmt::Write as _;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");

#[test]
fn the_reference_is_up_to_date() {
    let mut found = String::from("# The creel command line\n\nMade from the program's own help.\n");
    let mut root = creel_cli::command().term_width(80);
    root.build();
    describe(&mut root, &mut found);
    if std::env::var_os("CREEL_WRITE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &found).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(golden == found, "docs/reference/cli.md is stale: see the top of this test's file");
}

fn describe(command: &mut clap::Command, into: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    write!(into, "\n## `{name}`\n\n```text\n{}\n```\n", help.trim_end()).unwrap();
    for inner in command.get_subcommands_mut().filter(|c| c.get_name() != "help") {
        describe(inner, into);
    }
}

#[test]
fn every_argument_is_explained() {
    let mut root = creel_cli::command();
    root.build();
    explained(&root);
}

fn explained(command: &clap::Command) {
    let name = command.get_name();
    assert!(command.get_about().is_some(), "`{name}` has no help");
    for argument in command.get_arguments() {
        assert!(argument.get_help().is_some(), "`{name}` {} has no help", argument.get_id());
    }
    command.get_subcommands().filter(|c| c.get_name() != "help").for_each(explained);
}
