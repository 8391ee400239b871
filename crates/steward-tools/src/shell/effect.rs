//! What a command would do, from its text: reads, writes, or destroys.
//!
//! Errs on the side of more. What it calls a read runs with a read-only workspace, so it can only be wrong in being too careful.

use steward_domain::decision::Effect;

use super::Words;

/// Programs that only look, whatever their arguments.
const READERS: [&str; 44] = [
    "ls",
    "cat",
    "head",
    "tail",
    "wc",
    "pwd",
    "date",
    "echo",
    "printf",
    "grep",
    "egrep",
    "fgrep",
    "rg",
    "stat",
    "file",
    "du",
    "df",
    "tree",
    "which",
    "basename",
    "dirname",
    "realpath",
    "readlink",
    "cmp",
    "diff",
    "cut",
    "tr",
    "uniq",
    "nl",
    "tac",
    "rev",
    "id",
    "whoami",
    "uname",
    "hostname",
    "true",
    "false",
    "test",
    "sha256sum",
    "sha1sum",
    "md5sum",
    "jq",
    "ps",
    "column",
];
/// What git only looks with.
const GIT_READERS: [&str; 10] = [
    "status",
    "log",
    "diff",
    "show",
    "blame",
    "rev-parse",
    "ls-files",
    "describe",
    "shortlog",
    "grep",
];
/// Programs whose work cannot be undone.
const DESTROYERS: [&str; 14] = [
    "dd",
    "shred",
    "truncate",
    "wipefs",
    "fdisk",
    "sfdisk",
    "parted",
    "mkswap",
    "blkdiscard",
    "unlink",
    "rmdir",
    "killall",
    "pkill",
    "srm",
];
/// Programs that run what follows them.
const WRAPPERS: [&str; 18] = [
    "sudo", "doas", "env", "nohup", "time", "nice", "ionice", "timeout", "xargs", "command", "exec", "builtin", "setsid", "stdbuf",
    "busybox", "then", "do", "else",
];
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ksh", "eval"];
/// Any of these makes a line more than a list of plain commands.
const NOT_PLAIN: &[char] = &['`', '$', '<', '>', '(', ')', '{', '}', '\\', '!', '#', '=', '~'];
const MAX_DEPTH: usize = 4;

/// What a command would do.
pub(crate) fn effect_of(words: &Words) -> Effect {
    match words {
        Words::Line(line) => effect_of_line(line),
        Words::Argv(argv) => {
            let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
            effect_of_words(&argv, 0)
        }
    }
}

/// What a line would do in a shell.
pub(crate) fn effect_of_line(line: &str) -> Effect {
    if destroys_somewhere(line, 0) {
        return Effect::Destroys;
    }
    if reads_only(line) { Effect::Reads } else { Effect::Writes }
}

fn effect_of_words(argv: &[&str], depth: usize) -> Effect {
    if destroys(argv, depth) {
        return Effect::Destroys;
    }
    if reads(argv) { Effect::Reads } else { Effect::Writes }
}

/// Only plain commands, joined by `|`, `;`, `&&`, `||` or line ends, each of which only looks.
fn reads_only(line: &str) -> bool {
    let joined = line.replace("&&", "\n").replace("||", "\n").replace([';', '|'], "\n");
    if joined.contains(NOT_PLAIN) || joined.contains('&') {
        return false;
    }
    let mut commands = joined.lines().map(words_of).filter(|words| !words.is_empty()).peekable();
    commands.peek().is_some() && commands.all(|words| reads(&words.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// Splits at blanks and takes quotes away. Quoted blanks split too: that can only make a command look stranger.
fn words_of(command: &str) -> Vec<String> {
    command.split_whitespace().map(|word| word.replace(['"', '\''], "")).collect()
}

fn reads(argv: &[&str]) -> bool {
    let Some((program, arguments)) = argv.split_first() else {
        return false;
    };
    match *program {
        "git" => reads_with_git(arguments),
        "find" => !arguments
            .iter()
            .any(|word| word.starts_with("-exec") || word.starts_with("-ok") || word.starts_with("-f") || *word == "-delete"),
        "sort" => !arguments
            .iter()
            .any(|word| word.starts_with("-o") || word.starts_with("--o") || word.starts_with("--compress")),
        "rg" => !arguments.iter().any(|word| word.starts_with("--pre")),
        "date" => !arguments.iter().any(|word| word.starts_with("-s") || word.starts_with("--s")),
        "hostname" => arguments.is_empty(),
        program => READERS.contains(&program),
    }
}

fn reads_with_git(arguments: &[&str]) -> bool {
    // Options before the verb, and some after it, run programs or write files.
    let is_look = arguments.first().is_some_and(|verb| GIT_READERS.contains(verb));
    let is_suspect =
        |word: &&str| word.starts_with("--out") || word.starts_with("--ext") || word.starts_with("--open") || word.starts_with("-O");
    is_look && !arguments.iter().any(is_suspect)
}

/// Looks at every piece that could be a command, also inside quotes and substitutions.
fn destroys_somewhere(line: &str, depth: usize) -> bool {
    line.split(['\n', ';', '|', '&', '(', ')', '{', '}', '`']).any(|piece| {
        let words = words_of(piece);
        destroys(&words.iter().map(String::as_str).collect::<Vec<_>>(), depth)
    })
}

fn destroys(argv: &[&str], depth: usize) -> bool {
    let Some((first, arguments)) = argv.split_first() else {
        return false;
    };
    // `\rm` and `/bin/rm` are rm.
    let program = first.trim_start_matches(['\\', '$', '!']).rsplit('/').next().unwrap_or(first);
    let is_assignment = program.contains('=');
    let is_wrapper = is_assignment || program.is_empty() || WRAPPERS.contains(&program);
    if is_wrapper {
        // Options of the wrapper, and their values, may stand before the command.
        return (0..arguments.len()).any(|start| depth < MAX_DEPTH && destroys(&arguments[start..], depth + 1));
    }
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    match program {
        "rm" => has_flag(arguments, &['r', 'R'], "--recursive") || arguments.iter().any(|word| word.contains('*')),
        "git" => git_destroys(arguments),
        "find" => {
            has(&["-delete"])
                || arguments
                    .iter()
                    .position(|word| word.starts_with("-exec") || word.starts_with("-ok"))
                    .is_some_and(|at| {
                        arguments[at + 1..]
                            .first()
                            .is_some_and(|word| matches!(word.rsplit('/').next(), Some("rm" | "shred" | "truncate" | "dd" | "sh" | "bash")))
                    })
        }
        "chmod" | "chown" => has_flag(arguments, &['R'], "--recursive"),
        "rsync" => arguments
            .iter()
            .any(|word| word.starts_with("--delete") || word.starts_with("--remove")),
        "crontab" => has(&["-r"]),
        program if SHELLS.contains(&program) => {
            // The script may stand after options of the shell.
            depth < MAX_DEPTH && (0..arguments.len()).any(|start| destroys_somewhere(&arguments[start..].join(" "), depth + 1))
        }
        program => DESTROYERS.contains(&program) || program.starts_with("mkfs"),
    }
}

fn git_destroys(arguments: &[&str]) -> bool {
    let has = |wanted: &[&str]| arguments.iter().any(|word| wanted.contains(word));
    let has_start = |start: &str| arguments.iter().any(|word| word.starts_with(start));
    let forces = has_flag(arguments, &['f'], "--force");
    let is_force_push =
        has(&["push"]) && (forces || has_start("--force") || has_start("+") || has_start(":") || has(&["--delete", "-d", "--mirror"]));
    let drops_changes = has(&["reset"]) && has(&["--hard", "--merge", "--keep"]) || has(&["clean"]) && forces;
    let drops_files =
        has(&["restore"]) || has(&["checkout"]) && (forces || has(&["--", "."])) || has(&["switch"]) && has(&["--discard-changes", "-f"]);
    let drops_history = has(&["filter-branch", "filter-repo", "prune", "gc"])
        || has(&["branch"]) && has(&["-D", "-d", "--delete"])
        || has(&["tag"]) && has(&["-d", "--delete"])
        || has(&["stash"]) && has(&["drop", "clear"])
        || has(&["reflog"]) && has(&["expire", "delete"])
        || has(&["update-ref"]) && has(&["-d"]);
    is_force_push || drops_changes || drops_files || drops_history
}

/// A short option, alone or among others, or its long form.
fn has_flag(arguments: &[&str], short: &[char], long: &str) -> bool {
    arguments.iter().any(|word| {
        let is_short = word.starts_with('-') && !word.starts_with("--") && word.contains(short);
        // Long options may be cut short: `--rec` is `--recursive`.
        let is_long = word.len() > 3 && word.starts_with("--") && long.starts_with(word);
        is_short || is_long
    })
}

#[cfg(test)]
mod tests;
