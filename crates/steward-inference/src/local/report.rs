//! Says in plain words what came of the calls of a turn. Tells only what the results show.

use serde_json::Value;

use super::prompt::shorten;
use super::propose::{Done, Scene, asks_for_new_text, gives};

/// Of something found this many letters are shown.
const SHOWN_CHARS: usize = 2_000;
/// Of a failure this many.
const REASON_CHARS: usize = 400;

/// The report on all calls.
pub(crate) fn of(scene: &Scene) -> String {
    if let Some(failed) = scene.done.iter().find(|done| done.is_error) {
        let reason = shorten(failed.result.as_deref().unwrap_or("no reason was given"), REASON_CHARS);
        return format!("I could not finish this: {} failed. {reason}", named(failed));
    }
    let sentence = match scene.done.as_slice() {
        [] => return String::new(),
        [only] => format!("Done: {}.", named(only)),
        [before @ .., last] => format!("Done: {}, then {}.", before.iter().map(named).collect::<Vec<_>>().join(", "), named(last)),
    };
    match scene.done.last() {
        Some(last) if gives(&last.tool) => {
            let found = shorten(last.result.as_deref().unwrap_or_default(), SHOWN_CHARS);
            if found.trim().is_empty() {
                format!("{} gave nothing.", named(last))
            } else {
                format!("{}:\n{found}", named(last))
            }
        }
        Some(_) | None => sentence,
    }
}

/// The tool with what it was about, such as "write inventory.md".
fn named(done: &Done) -> String {
    let about = done.arguments.as_object().and_then(|fields| {
        let keys = ["path", "file", "url", "command", "query", "pattern", "to"];
        keys.iter().find_map(|key| fields.get(*key).and_then(Value::as_str))
    });
    match about {
        Some(about) if !about.is_empty() => format!("{} {}", done.tool, shorten(about, 80)),
        Some(_) | None => done.tool.clone(),
    }
}

/// Does the request want an answer and not only to see what was found?
pub(crate) fn is_question(request: &str) -> bool {
    let lower = request.to_lowercase();
    // What is in something is best shown as it is.
    let wants_to_see = ["what is in ", "what's in ", "what files", "which files", "what does ", "show "].iter().any(|start| lower.contains(start));
    !wants_to_see && (lower.contains('?') || lower.contains("tell me") || asks_for_new_text(&lower))
}

#[cfg(test)]
mod tests;
