//! Cuts a request into orders ("list the files" · "write their names to inventory.md") and finds the tangible things in a text:
//! paths, addresses, quoted texts, code.
//!
//! Works on letters only; what an order means is decided elsewhere. Never cuts inside quotes.

/// Tangible things in a text, in the order in which they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Things {
    pub(crate) paths: Vec<String>,
    pub(crate) urls: Vec<String>,
    pub(crate) quotes: Vec<String>,
    pub(crate) codes: Vec<String>,
}

/// Finds the things in a text.
pub(crate) fn things_in(text: &str) -> Things {
    let mut things = Things::default();
    let mut plain = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Plain(words) => plain.push_str(words),
            Piece::Quote(quote) => {
                if is_path(quote) {
                    things.paths.push(quote.to_owned());
                } else {
                    things.quotes.push(quote.to_owned());
                }
                plain.push('\u{1}');
            }
            Piece::Code(code) => {
                if is_path(code) {
                    things.paths.push(code.to_owned());
                } else {
                    things.codes.push(code.to_owned());
                }
                plain.push('\u{1}');
            }
        }
    }
    for word in plain.split(|letter: char| letter.is_whitespace() || letter == '\u{1}') {
        let word = word.trim_matches(|letter: char| matches!(letter, ',' | ';' | ':' | '!' | '?' | '(' | ')' | '<' | '>' | '[' | ']'));
        let word = word.trim_end_matches(['.', '\'']);
        let word = word.strip_suffix("'s").unwrap_or(word);
        if word.starts_with("http://") || word.starts_with("https://") {
            things.urls.push(word.to_owned());
        } else if is_path(word) {
            things.paths.push(word.to_owned());
        }
    }
    things
}

/// Does a word look like the name of a file or folder?
pub(crate) fn is_path(word: &str) -> bool {
    let allowed = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_' | '/' | '~' | '+' | '@');
    if word.is_empty() || word.contains("//") || !word.chars().all(allowed) || !word.chars().any(char::is_alphanumeric) {
        return false;
    }
    if word.starts_with("./") || word.starts_with("../") || word.starts_with("~/") || word.starts_with('/') || word.ends_with('/') {
        return true;
    }
    let last = word.rsplit('/').next().unwrap_or(word);
    match last.rsplit_once('.') {
        // "e.g" and "3.14" are no files; an extension is short and begins with a letter.
        Some((stem, extension)) => {
            let is_extension = (1..=8).contains(&extension.len()) && extension.chars().all(char::is_alphanumeric);
            let is_named = stem.is_empty() || stem.chars().count() > 1 || extension.len() > 1;
            is_extension && is_named && extension.starts_with(char::is_alphabetic)
        }
        None => word.contains('/') && word.chars().filter(|letter| letter.is_alphabetic()).count() > 5,
    }
}

#[derive(Clone, Copy, Debug)]
enum Piece<'a> {
    Plain(&'a str),
    Quote(&'a str),
    Code(&'a str),
}

/// Cuts a text at its quotes and code marks.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut plain_from = 0;
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let after = at + letter.len_utf8();
        let is_at_word_start = text[..at].chars().next_back().is_none_or(char::is_whitespace);
        let close = match letter {
            '"' => Some('"'),
            '\u{201c}' => Some('\u{201d}'),
            '`' => Some('`'),
            '\'' if is_at_word_start => Some('\''),
            _ => None,
        };
        let end = close.and_then(|close| closing_mark(&text[after..], close));
        let (Some(close), Some(len)) = (close, end) else {
            at = after;
            continue;
        };
        found.push(Piece::Plain(&text[plain_from..at]));
        let inner = &text[after..after + len];
        found.push(if letter == '`' {
            Piece::Code(inner.trim_matches('`'))
        } else {
            Piece::Quote(inner)
        });
        at = after + len + close.len_utf8();
        plain_from = at;
    }
    found.push(Piece::Plain(&text[plain_from..]));
    found
}

/// Where the closing mark is; an apostrophe inside a word closes nothing.
fn closing_mark(text: &str, close: char) -> Option<usize> {
    text.char_indices().find_map(|(at, letter)| {
        let is_inside_word = close == '\'' && text[at + letter.len_utf8()..].chars().next().is_some_and(char::is_alphanumeric);
        (letter == close && at > 0 && !is_inside_word).then_some(at)
    })
}

/// Cuts a request into orders. `verbs` are the words that an order begins with.
pub(crate) fn clauses(text: &str, verbs: &[String]) -> Vec<String> {
    let guarded = guarded_ranges(text);
    let is_guarded = |at: usize| guarded.iter().any(|(from, to)| (*from..*to).contains(&at));
    let lower = text.to_ascii_lowercase();
    let mut cuts = Vec::new();
    for mark in [
        ", and then ",
        ", then ",
        " and then ",
        ", and ",
        " and ",
        " then ",
        "; ",
        ". ",
        "! ",
        "? ",
        "\n",
        ", ",
    ] {
        for (at, _) in lower.match_indices(mark) {
            let is_sentence_end = matches!(mark, ". " | "! " | "? " | "\n" | "; ");
            let is_place = mark == ", " && begins_place(&lower[..at]);
            if !is_guarded(at) && !is_place && (is_sentence_end || begins_order(&lower[at + mark.len()..], verbs)) {
                cuts.push((at, at + mark.len()));
            }
        }
    }
    cuts.sort_unstable();
    let mut found = Vec::new();
    let mut from = 0;
    for (cut, next) in cuts {
        if cut >= from {
            found.push(text[from..cut].trim());
            from = next;
        }
    }
    found.push(text[from..].trim());
    let trimmed = found
        .into_iter()
        .map(strip_lead)
        .filter(|clause| clause.chars().any(char::is_alphanumeric));
    trimmed.map(str::to_owned).collect()
}

/// Ranges in quotes and code, and all that follows a colon: nothing is cut there.
fn guarded_ranges(text: &str) -> Vec<(usize, usize)> {
    let base = text.as_ptr() as usize;
    let range = |inner: &str| {
        let from = inner.as_ptr() as usize - base;
        (from, from + inner.len())
    };
    let quoted = pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Plain(_) => None,
        Piece::Quote(inner) | Piece::Code(inner) => Some(range(inner)),
    });
    let after_colon = text.find(": ").or_else(|| text.find(":\n")).map(|at| (at, text.len()));
    quoted.chain(after_colon).collect()
}

fn begins_order(text: &str, verbs: &[String]) -> bool {
    let text = strip_lead(text.trim_start());
    let word: String = text.chars().take_while(|letter| letter.is_alphabetic()).collect();
    verbs.iter().any(|verb| verb.eq_ignore_ascii_case(&word))
}

/// Is the last part only a place ("In config.toml, …")?
fn begins_place(before: &str) -> bool {
    let part = before.rsplit([';', '\n']).next().unwrap_or(before);
    let part = part.rsplit(". ").next().unwrap_or(part);
    let places = ["in", "from", "on", "at", "with", "using", "for", "inside", "within"];
    places.contains(&strip_lead(part).split_whitespace().next().unwrap_or_default())
}

/// Takes off words that only join or soften.
fn strip_lead(clause: &str) -> &str {
    let mut clause = clause.trim();
    let leads = [
        "please ",
        "then ",
        "also ",
        "and ",
        "now ",
        "finally ",
        "next ",
        "first ",
        "afterwards ",
        "first, ",
        "can you ",
        "could you ",
        "would you ",
    ];
    loop {
        let lead = leads
            .iter()
            .find(|lead| clause.get(..lead.len()).is_some_and(|start| start.eq_ignore_ascii_case(lead)));
        match lead {
            Some(lead) => clause = clause[lead.len()..].trim_start(),
            None => return clause,
        }
    }
}

/// Does the text point back to something said or found before ("it", "their names", "the result")?
pub(crate) fn refers_back(text: &str) -> bool {
    let words = ["it", "its", "them", "their", "they", "that", "this", "these", "those"];
    let nouns = [
        "result", "results", "output", "answer", "names", "list", "summary", "content", "contents", "text", "file", "page", "listing",
        "matches",
    ];
    let found: Vec<String> = text
        .to_lowercase()
        .split(|letter: char| !letter.is_alphanumeric())
        .map(str::to_owned)
        .collect();
    let is_pronoun = found.iter().any(|word| words.contains(&word.as_str()));
    is_pronoun || found.windows(2).any(|pair| pair[0] == "the" && nouns.contains(&pair[1].as_str()))
}

#[cfg(test)]
mod tests;
