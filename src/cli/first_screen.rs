//! The first screens: the commands in groups, and the next steps for a user who names no command. Must never leave a
//! command out.

use std::fmt::Write;

use clap::Command;

/// Every command, in the order in which a newcomer meets them.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Submit", &["submit", "watch", "priority"]),
    ("Look up", &["status", "queue", "jobs", "tasks", "videos", "events"]),
    ("Decide", &["retry", "cancel", "refresh", "adopt", "pause", "resume"]),
    (
        "Run",
        &[
            "demo",
            "init",
            "serve",
            "doctor",
            "check-config",
            "subscribers",
            "backup",
            "restore",
            "simulate",
            "health",
            "completions",
        ],
    ),
];

/// The text for a user who names no command.
pub(super) const NEXT_STEPS: &str = "\
scrapehook submits video URLs to memories.ai, and follows each until it has its video.

  See it work, without an API key:     scrapehook demo
  Write a configuration:               scrapehook init
  Start the service with it:           scrapehook serve --config scrapehook.toml

All commands: scrapehook --help";

/// Returns the command line with its commands in groups.
pub(super) fn in_groups(command: Command) -> Command {
    let groups = groups(&command);
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}Options:\n{{options}}\n"
    ))
}

fn groups(command: &Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{heading}:");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let _ = writeln!(text, "  {name:14}{}", about.map(ToString::to_string).unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_is_in_one_group() {
        let command = Cli::command();
        let known: Vec<&str> = command
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .map(Command::get_name)
            .collect();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        assert_eq!(grouped.len(), grouped.iter().collect::<BTreeSet<_>>().len(), "one is named twice");
        assert_eq!(known.iter().collect::<BTreeSet<_>>(), grouped.iter().collect());
    }

    #[test]
    fn a_terminal_of_eighty_columns_shows_each_command_on_one_line() {
        for line in groups(&Cli::command()).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
