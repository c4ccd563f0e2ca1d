//! The names and the ways of writing by which other programs call this one.

use std::ffi::OsString;
use std::path::Path;

use clap::Command;

/// Names under which this program is an OCI runtime.
const RUNTIMES: [&str; 3] = ["runc", "crun", "creel-oci"];

/// Adds the command that the program's name stands for, unless that is a whole runtime.
pub(crate) fn spell_out(mut argv: Vec<OsString>) -> Vec<OsString> {
    if argv.first().is_some_and(|name| is_named(name, "minijail0")) {
        argv.insert(1, "jail".into());
    }
    argv
}

/// Whether the program's name stands for an OCI runtime.
pub(crate) fn is_oci(argv: &[OsString]) -> bool {
    argv.first().is_some_and(is_runtime)
}

/// Gives long options of `creel oci` with one dash, as Go programs write them, a second one. `command`
/// has at least the subcommands that are named.
pub(crate) fn lengthen_options(mut argv: Vec<OsString>, command: &Command) -> Vec<OsString> {
    if argv.get(1).is_some_and(|word| word == "oci")
        && let Some(oci) = command.find_subcommand("oci")
    {
        lengthen(argv.iter_mut().skip(2), oci);
    }
    argv
}

/// Does the same for a program that is called as a runtime.
pub(crate) fn lengthen_options_of_runtime(
    mut argv: Vec<OsString>,
    command: &Command,
) -> Vec<OsString> {
    lengthen(argv.iter_mut().skip(1), command);
    argv
}

fn is_runtime(name: &OsString) -> bool {
    RUNTIMES.iter().any(|known| is_named(name, known))
}

fn is_named(program: &OsString, name: &str) -> bool {
    Path::new(program).file_name().is_some_and(|found| found == name)
}

/// Gives long options with one dash a second one, up to where the words of others begin.
fn lengthen<'a>(words: impl Iterator<Item = &'a mut OsString>, oci: &Command) {
    let mut scope = vec![oci];
    for word in words {
        let Some(text) = word.to_str() else { continue };
        if text == "--" {
            return;
        }
        match text.strip_prefix('-').filter(|rest| !rest.starts_with('-')) {
            Some(rest) if is_long(rest, &scope) => *word = format!("-{text}").into(),
            Some(_) => {}
            None => match oci.find_subcommand(text).filter(|_| scope.len() == 1) {
                Some(command) => scope.push(command),
                // After the container come words that may look like options and are none.
                None if scope.last().is_some_and(|last| last.get_name() == "exec") => return,
                None => {}
            },
        }
    }
}

fn is_long(text: &str, scope: &[&Command]) -> bool {
    let name = text.split_once('=').map_or(text, |(name, _)| name);
    let known = |command: &&Command| {
        command.get_arguments().any(|argument| {
            argument.get_long() == Some(name)
                || argument.get_all_aliases().is_some_and(|all| all.contains(&name))
        })
    };
    name.len() > 1 && scope.iter().any(known)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn translated(line: &str) -> String {
        let argv: Vec<_> = line.split(' ').map(OsString::from).collect();
        let argv = match is_oci(&argv) {
            true => lengthen_options_of_runtime(argv, &crate::commands::Runtime::command()),
            false => lengthen_options(argv, &crate::command()),
        };
        argv.join(&OsString::from(" ")).into_string().unwrap()
    }

    #[test]
    fn command_lines_of_other_runtimes_are_understood() {
        for (line, expected) in [
            ("/usr/bin/runc -root /x state -a y", "/usr/bin/runc --root /x state -a y"),
            ("crun create -bundle=/b -b /c id", "crun create --bundle=/b -b /c id"),
            ("creel oci exec -tty id ls -root", "creel oci exec --tty id ls -root"),
            ("creel oci -debug list -- -quiet", "creel oci --debug list -- -quiet"),
            ("creel run -rm image", "creel run -rm image"),
        ] {
            assert_eq!(translated(line), expected);
        }
    }
}
