//! Commands that pass on arguments which they do not know: their own are taken wherever they stand.

use std::ffi::{OsStr, OsString};

use clap::Command;

/// Puts a command's own switches before the arguments that it passes on. clap gives all that follows the first unknown argument
/// to the other program. What follows `--` is that program's in any case.
pub(crate) fn ours_first(
    root: &Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    let name = arguments.get(1).and_then(|name| name.to_str());
    let Some(command) = name.and_then(|name| root.find_subcommand(name)) else {
        return arguments;
    };
    if !passes_on(command) {
        return arguments;
    }
    let mut rest = arguments.split_off(2);
    let end = rest.iter().position(|one| one == "--");
    let mut theirs = rest.split_off(end.unwrap_or(rest.len()));
    let (ours, unknown): (Vec<_>, Vec<_>) = rest.into_iter().partition(|one| is_own(command, one));
    if !unknown.is_empty() && !theirs.is_empty() {
        // After an unknown argument, clap would pass the dashes on too.
        theirs.remove(0);
    }
    arguments.extend(ours.into_iter().chain(unknown).chain(theirs));
    arguments
}

fn passes_on(command: &Command) -> bool {
    command
        .get_positionals()
        .any(clap::Arg::is_trailing_var_arg_set)
}

/// A switch of the command itself: `--yes`, `-y`, or several letters at once.
fn is_own(command: &Command, argument: &OsStr) -> bool {
    let Some(argument) = argument.to_str() else {
        return false;
    };
    let switches = || command.get_arguments().filter(|one| !one.is_positional());
    if let Some(long) = argument.strip_prefix("--") {
        return switches().any(|one| one.get_long() == Some(long));
    }
    let letters = argument.strip_prefix('-').unwrap_or_default();
    let known = |letter| switches().any(|one| one.get_short() == Some(letter));
    !letters.is_empty() && letters.chars().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arguments, Commands};
    use clap::{CommandFactory, Parser};

    fn parse(line: &str) -> Commands {
        let words = line.split(' ').map(OsString::from);
        let words = ours_first(&Arguments::command(), words);
        let arguments = Arguments::try_parse_from(words);
        arguments
            .unwrap_or_else(|error| panic!("{line}: {error}"))
            .command
    }

    #[test]
    fn own_switches_may_stand_anywhere() {
        for line in [
            "xtask demo --yes --verbose --two-processes --json --size 64x64",
            "xtask demo --json --yes --size 64x64 --verbose --two-processes",
            "xtask demo --json --size 64x64 --two-processes -yv",
        ] {
            let Commands::Demo(options) = parse(line) else {
                panic!("{line} is the demo");
            };
            let ours = (options.consent.yes, options.verbose, options.two_processes);
            assert_eq!(ours, (true, true, true), "{line}");
            assert_eq!(options.demo, ["--json", "--size", "64x64"], "{line}");
        }
        let Commands::Bench(options) = parse("xtask bench --quick --no-install") else {
            panic!("it is the benchmark");
        };
        assert!(options.consent.no_install);
        assert_eq!(options.bench, ["--quick"]);
    }

    #[test]
    fn what_follows_two_dashes_is_the_other_programs() {
        let Commands::Demo(options) = parse("xtask demo --json -- --yes --help") else {
            panic!("it is the demo");
        };
        assert!(!options.consent.yes);
        assert_eq!(options.demo, ["--json", "--yes", "--help"]);
    }

    /// A switch with a value would leave its value behind.
    #[test]
    fn commands_that_pass_on_have_switches_only() {
        let root = Arguments::command();
        let mut found = 0;
        for command in root.get_subcommands().filter(|one| passes_on(one)) {
            found += 1;
            for one in command.get_arguments().filter(|one| !one.is_positional()) {
                let takes_value = one.get_action().takes_values();
                assert!(!takes_value, "{} {}", command.get_name(), one.get_id());
            }
        }
        assert_eq!(found, 2, "demo and bench");
    }
}
