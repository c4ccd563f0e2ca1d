//! Command trees with no more than a command line can mean.
//!
//! Defining all options of all commands takes longer than most commands take, in processor time and
//! in memory that is touched for the first time; a run needs one of them.

use std::ffi::OsString;

use clap::Command;

/// A command's name, and what gives a command of this name its options.
pub(super) type Definition = (&'static str, fn(Command) -> Command);

/// Adds the subcommands whose names are among the words. What a whole tree makes of these words, this
/// one does too, or it makes an error of them: nothing else can be the name of a subcommand. None if
/// no word is.
pub(super) fn with_named(
    command: Command,
    definitions: &[Definition],
    argv: &[OsString],
) -> Option<Command> {
    let named = |(name, _): &&Definition| argv.iter().skip(1).any(|word| word == *name);
    let mut named = definitions.iter().filter(named).peekable();
    named.peek()?;
    Some(command.subcommands(named.map(|(name, define)| define(Command::new(*name)))))
}

/// Compares every subcommand of a whole tree with its definition here.
#[cfg(test)]
pub(super) fn assert_same(whole: &Command, definitions: &[Definition]) {
    let help = |command: &Command| command.clone().render_long_help().to_string();
    let defined: Vec<_> = definitions.iter().map(|(name, _)| *name).collect();
    let names: Vec<_> = whole.get_subcommands().map(Command::get_name).collect();
    assert_eq!(defined, names);
    for ((name, define), whole) in definitions.iter().zip(whole.get_subcommands()) {
        assert_eq!(help(&define(Command::new(*name))), help(whole));
    }
}
