//! What the words of a clause say: where something goes, what is to be written, who is to get it.
//!
//! Reads English turns of phrase and listings as people write them. Pure.

use super::super::clause::is_path;

pub(crate) fn is_path_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    matches!(lower.as_str(), "file" | "filename" | "dir" | "directory" | "folder") || lower.contains("path") || lower.ends_with("_file")
}

/// Where the phrase " to PATH" (into, in, as …) begins, and the path; the last such phrase counts.
pub(crate) fn target_at(text: &str) -> Option<(usize, String)> {
    let lower = text.to_ascii_lowercase();
    let mut best: Option<(usize, String)> = None;
    for word in [" to ", " into ", " in ", " as ", " called ", " named ", "file "] {
        for (at, _) in lower.match_indices(word) {
            let rest = &text[at + word.len()..];
            let rest = [
                "a new file called ",
                "a file called ",
                "a file named ",
                "the new file ",
                "the file ",
                "a new file ",
                "a file ",
                "file ",
            ]
            .iter()
            .find_map(|lead| rest.strip_prefix(lead))
            .unwrap_or(rest);
            let path = rest.split_whitespace().next().map(clean).unwrap_or_default();
            if is_path(&path) && best.as_ref().is_none_or(|(best_at, _)| at > *best_at || word != "file ") {
                let is_later = best.as_ref().is_none_or(|(_, best_path)| *best_path != path || word != "file ");
                if is_later {
                    best = Some((at, path));
                }
            }
        }
    }
    best
}

/// Is something to be put into a file ("to PATH", "into PATH", "as PATH")?
pub(crate) fn puts_into_file(clause: &str) -> bool {
    let is_into = |at: usize| {
        [" to ", " into ", " as "]
            .iter()
            .any(|word| clause[at..].get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
    };
    target_at(clause).is_some_and(|(at, _)| is_into(at))
}

pub(crate) fn has_target(clause: &str) -> bool {
    target_at(clause).is_some()
}

/// The text behind the first of these that occurs.
pub(crate) fn after_any<'t>(text: &'t str, leads: &[&str]) -> Option<&'t str> {
    let lower = text.to_ascii_lowercase();
    leads.iter().find_map(|lead| {
        lower
            .find(lead)
            .map(|at| text[at + lead.len()..].trim().trim_end_matches(['.', '!']))
    })
}

/// What is given word by word ("saying …", "with the text …"), without a target behind it.
pub(crate) fn said_in(clause: &str) -> Option<String> {
    let leads = [
        " saying that ",
        " saying ",
        " that says ",
        " which says ",
        " with the text ",
        " with the content ",
        " with the words ",
        " with the line ",
        " containing ",
        " that contains ",
        " which contains ",
        " that reads ",
    ];
    let said = after_any(clause, &leads)?;
    let end = target_at(said).map_or(said.len(), |(at, _)| at);
    Some(unquoted(said[..end].trim()).to_owned())
}

/// The text before " in PATH".
pub(crate) fn without_place(text: &str) -> &str {
    match target_at(text) {
        Some((at, _)) => text[..at].trim(),
        None => text.trim(),
    }
}

pub(crate) fn clean(word: &str) -> String {
    let marks = |letter: char| {
        matches!(
            letter,
            '"' | '\'' | '`' | ',' | ';' | ':' | '!' | '?' | '(' | ')' | '\u{201c}' | '\u{201d}'
        )
    };
    word.trim().trim_matches(marks).trim_end_matches('.').trim_matches(marks).to_owned()
}

pub(crate) fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(text)
}

/// "the docs folder", "folder docs".
pub(crate) fn folder_in(clause: &str) -> Option<String> {
    let words: Vec<String> = clause.split_whitespace().map(clean).collect();
    let is_name = |word: &str| {
        let common = [
            "the", "this", "that", "a", "an", "my", "your", "our", "current", "same", "whole", "is", "are", "for", "and", "here", "of",
            "with", "has", "to", "in", "each", "every",
        ];
        !word.is_empty() && !common.contains(&word.to_ascii_lowercase().as_str())
    };
    let at = words
        .iter()
        .position(|word| matches!(word.to_ascii_lowercase().as_str(), "folder" | "directory" | "subfolder"))?;
    let before = at.checked_sub(1).map(|before| &words[before]).filter(|word| is_name(word));
    let is_after_article = at >= 2 && matches!(words[at - 2].to_ascii_lowercase().as_str(), "the" | "in" | "my");
    let after = words.get(at + 1).filter(|word| is_name(word));
    before.filter(|_| is_after_article).or(after).cloned()
}

/// "List the files in docs": the one plain word at the end.
pub(crate) fn bare_place(clause: &str) -> Option<String> {
    let (_, place) = clause.trim_end_matches(['.', '?', '!']).rsplit_once(" in ")?;
    let common = ["here", "there", "it", "total", "detail", "order", "workspace", "general", "full"];
    let is_plain = !place.contains(' ') && !common.contains(&place.to_ascii_lowercase().as_str());
    is_plain.then(|| clean(place))
}

/// "Ask me which colour I want" asks: "Which colour I want?"
pub(crate) fn question(clause: &str) -> String {
    let lower = clause.to_ascii_lowercase();
    let leads = [
        "ask me whether ",
        "ask me if ",
        "ask me for ",
        "ask me ",
        "ask the user for ",
        "ask the user ",
        "ask ",
    ];
    let lead = leads.iter().find(|lead| lower.starts_with(**lead));
    let rest = clean(lead.map_or(clause, |lead| &clause[lead.len()..]));
    let mut letters = rest.chars();
    match letters.next() {
        Some(first) => format!("{}{}?", first.to_uppercase(), letters.as_str()),
        None => "What should I do?".to_owned(),
    }
}

/// "red or blue", "between red and blue".
pub(crate) fn alternatives(clause: &str) -> Vec<String> {
    let words: Vec<String> = clause.split_whitespace().map(clean).collect();
    let at = words.iter().position(|word| word == "or").or_else(|| {
        let between = words.iter().position(|word| word == "between")?;
        words.iter().skip(between).position(|word| word == "and").map(|and| between + and)
    });
    match at {
        Some(at) if at > 0 && at + 1 < words.len() => vec![words[at - 1].clone(), words[at + 1].clone()],
        Some(_) | None => Vec::new(),
    }
}

/// "Send Ana a message", "message the team", "tell Bob that".
pub(crate) fn recipient(clause: &str) -> Option<String> {
    let words: Vec<String> = clause.split_whitespace().map(clean).collect();
    let named = words
        .iter()
        .skip(1)
        .find(|word| word.chars().next().is_some_and(char::is_uppercase) && word.len() > 1);
    let after_to = words.iter().position(|word| word == "to").map(|at| at + 1);
    let after_verb = words
        .first()
        .filter(|word| {
            ["send", "message", "tell", "notify", "text"]
                .iter()
                .any(|verb| verb.eq_ignore_ascii_case(word))
        })
        .map(|_| 1);
    let is_article = |word: &String| ["the", "my", "our", "a", "an"].contains(&word.as_str());
    let noun = |at: usize| {
        words
            .iter()
            .skip(at)
            .find(|word| !is_article(word))
            .filter(|word| !["message", "note", "mail"].contains(&word.as_str()))
    };
    let person = named
        .or_else(|| after_verb.and_then(noun))
        .or_else(|| after_to.and_then(noun))
        .cloned();
    person.or_else(|| words.iter().any(|word| word == "me").then(|| "me".to_owned()))
}

/// A result without the tool's own remarks in brackets at its end, such as `[exit code 0]`.
pub(crate) fn without_remarks(result: &str) -> &str {
    let mut text = result.trim_end();
    loop {
        let (before, last) = text.rsplit_once('\n').unwrap_or(("", text));
        let is_remark = last.starts_with('[') && last.ends_with(']') && !last.contains("](");
        if !is_remark {
            return text;
        }
        text = before.trim_end();
    }
}

/// Text that a regular expression finds as it stands.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if matches!(
            letter,
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' | '\\'
        ) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// The names in a listing: one a line, without marks, sizes and closing slashes.
pub(crate) fn names_in(listing: &str) -> String {
    let mut names = String::new();
    for line in listing.lines() {
        let line = line
            .trim()
            .trim_start_matches(['-', '*', '\u{2022}', '\u{251c}', '\u{2514}', '\u{2500}', '\u{2502}', ' ']);
        let is_remark = line.is_empty() || line.ends_with(':') || line.starts_with(['(', '[', '<', '#']) || line.starts_with("total ");
        if is_remark {
            continue;
        }
        let columns = line
            .split('\t')
            .flat_map(|column| column.split("  "))
            .map(str::trim)
            .filter(|column| !column.is_empty());
        let columns: Vec<&str> = columns.collect();
        let is_size = |column: &str| column.starts_with(|letter: char| letter.is_ascii_digit()) && !is_path(column);
        let name = columns
            .iter()
            .find(|column| is_path(column))
            .or_else(|| columns.iter().find(|column| !is_size(column)));
        let Some(name) = name.or(columns.first()) else { continue };
        let name = name.split_once(" (").map_or(*name, |(name, _)| name);
        let name = without_size(name).split_once(" - ").map_or(without_size(name), |(name, _)| name);
        let name = name.trim_end_matches(['/', ',']);
        if !name.is_empty() {
            names.push_str(name);
            names.push('\n');
        }
    }
    names
}

/// "notes.md 120", "notes.md 1.2 kB": the name alone.
fn without_size(line: &str) -> &str {
    let is_number = |word: &str| word.starts_with(|letter: char| letter.is_ascii_digit()) && !is_path(word);
    let Some((before, last)) = line.rsplit_once(' ') else { return line };
    if is_number(last) {
        return before.trim_end();
    }
    let is_unit = ["B", "KB", "KIB", "MB", "MIB", "GB", "GIB", "BYTES"].contains(&last.to_ascii_uppercase().as_str());
    match before.trim_end().rsplit_once(' ') {
        Some((name, number)) if is_unit && is_number(number) => name.trim_end(),
        Some(_) | None => line,
    }
}
