//! Finds in a reply the claim of a deed that no successful call of the turn shows.
//!
//! It looks for first-person and passive statements of the present turn, outside of what the reply quotes or reports;
//! it is a net for "done" that was not done, not a judge of everything a model may say.

mod quoted;

use steward_domain::decision::Effect;
use steward_domain::journal::CallIntent;
use steward_domain::tool::ToolOutcome;

struct Deed {
    verbs: &'static [&'static str],
    shown_by: fn(&CallIntent) -> bool,
}

const DEEDS: [Deed; 3] = [
    Deed {
        verbs: &["sent", "e-mailed", "emailed", "messaged", "forwarded", "posted"],
        shown_by: |call| call.effect == Effect::Sends || call.tool == "shell",
    },
    Deed {
        verbs: &[
            "written", "wrote", "saved", "created", "updated", "edited", "deleted", "removed", "renamed", "moved", "added",
        ],
        shown_by: |call| matches!(call.effect, Effect::Writes | Effect::Destroys | Effect::Sends | Effect::Spends),
    },
    Deed {
        verbs: &["ran", "executed", "scheduled", "installed", "booked", "ordered", "paid"],
        shown_by: |call| call.effect > Effect::Reads || call.tool.starts_with("shell"),
    },
];

/// Words that place a deed in the past or the future, or deny it.
const NOT_NOW: [&str; 16] = [
    "earlier",
    "already",
    "previously",
    "last time",
    "yesterday",
    "before",
    "not ",
    "n't ",
    "would",
    "could",
    "can ",
    "will ",
    "should",
    "may ",
    "if ",
    "?",
];

/// The verb of the first claim that nothing shows.
pub(crate) fn unshown(reply: &str, finished: &[(CallIntent, ToolOutcome)]) -> Option<String> {
    quoted::blanked(reply)
        .split_inclusive(['.', '!', '?', '\n'])
        .find_map(|sentence| unshown_in(sentence, finished))
        .map(str::to_owned)
}

fn unshown_in<'a>(sentence: &'a str, finished: &[(CallIntent, ToolOutcome)]) -> Option<&'a str> {
    let lower = sentence.to_lowercase();
    if NOT_NOW.iter().any(|word| lower.contains(word)) {
        return None;
    }
    let words: Vec<&str> = sentence.split_whitespace().collect();
    for (position, word) in words.iter().enumerate() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '-');
        let Some(deed) = DEEDS
            .iter()
            .find(|deed| deed.verbs.iter().any(|verb| verb.eq_ignore_ascii_case(bare)))
        else {
            continue;
        };
        if !is_claimed(&words[..position]) || is_reported(&words[..position]) {
            continue;
        }
        let is_shown = finished
            .iter()
            .any(|(call, outcome)| matches!(outcome, ToolOutcome::Done(_)) && (deed.shown_by)(call));
        if !is_shown {
            return Some(bare);
        }
    }
    None
}

/// Do the words before a verb make it a claim: "I have", "I've", "I", "has been", "was"?
fn is_claimed(before: &[&str]) -> bool {
    let near: Vec<String> = before.iter().rev().take(3).map(|word| word.to_lowercase()).collect();
    let is_own = near
        .iter()
        .any(|word| matches!(word.as_str(), "i" | "i've" | "i\u{2019}ve" | "successfully"));
    let is_passive = near.first().is_some_and(|word| word == "been") && near.iter().any(|word| matches!(word.as_str(), "has" | "have"));
    is_own || is_passive
}

/// Do the words before a verb say that someone or something else says so: "the log says that I", "it reads: I"?
fn is_reported(before: &[&str]) -> bool {
    const REPORTS: [&str; 13] = [
        "says", "said", "reads", "states", "stated", "claims", "claimed", "reports", "reported", "wrote", "writes", "contains", "shows",
    ];
    before.iter().enumerate().any(|(position, word)| {
        let bare = word.trim_end_matches([':', ',']).to_lowercase();
        let leads_in = word.ends_with(':') || before.get(position + 1).is_some_and(|next| next.eq_ignore_ascii_case("that"));
        let is_own = position > 0 && before[position - 1].eq_ignore_ascii_case("i");
        REPORTS.contains(&bare.as_str()) && leads_in && !is_own
    })
}

#[cfg(test)]
mod tests;
