//! Every verb and its options, from the tree of commands.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use super::{cell, head};
use crate::cli::Cli;

/// The page.
pub(super) fn text() -> String {
    let mut tree = Cli::command();
    tree.build();
    let mut page = head(
        "Command line",
        "`steward` alone opens the terminal client. Listings take `--json`. Exit codes: 0 done or waiting for a person, 1 failed, 2 usage, 3 refused, \
         4 not found, 5 server not reached, 130 interrupted.",
    );
    page.push_str("\n## Options of every command\n");
    page.push_str(&options(tree.get_arguments().filter(|option| option.is_global_set())));
    for verb in tree.get_subcommands_mut().filter(|verb| is_shown(verb)) {
        section(&mut page, verb, "##", "steward");
    }
    page
}

fn is_shown(command: &Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}

fn section(page: &mut String, command: &mut Command, heading: &str, parent: &str) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(page, "\n{heading} `{name}`\n\n{about}.\n");
    if command.has_subcommands() {
        for verb in command.get_subcommands_mut().filter(|verb| is_shown(verb)) {
            section(page, verb, "###", &name);
        }
        return;
    }
    let usage = command.render_usage().to_string();
    let _ = write!(page, "\n`{}`\n", usage.trim_start_matches("Usage: "));
    page.push_str(&options(command.get_arguments().filter(|option| !option.is_global_set())));
}

/// A table of options; nothing where there are none.
fn options<'a>(all: impl Iterator<Item = &'a Arg>) -> String {
    let rows: Vec<String> = all
        .filter(|option| option.get_id() != "help" && option.get_id() != "version")
        .map(row)
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("\n| option | default | meaning |\n| --- | --- | --- |\n{}", rows.concat())
}

fn row(option: &Arg) -> String {
    let value = option.get_value_names().and_then(<[_]>::first).map(ToString::to_string);
    let takes_value = option.get_action().takes_values();
    let value = value.filter(|_| takes_value).map(|value| format!(" {value}")).unwrap_or_default();
    let name = match (option.get_short(), option.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}{value}"),
        (None, Some(long)) => format!("--{long}{value}"),
        (Some(short), None) => format!("-{short}{value}"),
        (None, None) => value.trim().to_owned(),
    };
    let defaults = option.get_default_values().iter().filter(|_| takes_value);
    let default: Vec<String> = defaults
        .filter(|value| !value.is_empty())
        .map(|value| format!("`{}`", value.display()))
        .collect();
    let help = option.get_help().map(ToString::to_string).unwrap_or_default();
    let environment = option
        .get_env()
        .map(|name| format!("; or the environment's `{}`", name.display()))
        .unwrap_or_default();
    format!("| `{}` | {} | {}{environment} |\n", cell(&name), default.join(", "), cell(&help))
}
