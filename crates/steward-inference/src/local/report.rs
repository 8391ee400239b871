//! Says in plain words what came of the calls of a turn. Tells only what the results show.

use serde_json::Value;

use super::prompt::shorten;
use super::propose::{Done, Scene, asks_for_new_text, gives, past_of};

/// Of something found this many letters are shown.
const SHOWN_CHARS: usize = 2_000;
/// Of a failure this many.
const REASON_CHARS: usize = 400;

/// The report on all calls.
pub(crate) fn of(scene: &Scene) -> String {
    if let Some(at) = scene.done.iter().position(|done| done.is_error) {
        let failed = &scene.done[at];
        let reason = shorten(failed.result.as_deref().unwrap_or("no reason was given"), REASON_CHARS);
        let before = if at == 0 {
            String::new()
        } else {
            format!("{} ", sentence(&scene.done[..at]))
        };
        let subject = about(failed).map_or_else(|| failed.tool.clone(), |about| format!("{} {about}", failed.tool));
        return format!("{before}I could not finish: {subject} did not succeed. {reason}");
    }
    match scene.done.last() {
        Some(last) if gives(&last.tool) => {
            let found = shorten(last.result.as_deref().unwrap_or_default(), SHOWN_CHARS);
            let told = sentence(&scene.done);
            if found.trim().is_empty() {
                format!("{told} Nothing was found.")
            } else {
                format!("{told}\n\n{found}")
            }
        }
        Some(_) => sentence(&scene.done),
        None => String::new(),
    }
}

/// "I listed the workspace, then wrote inventory.md."
fn sentence(done: &[Done]) -> String {
    let deeds: Vec<String> = done.iter().map(deed).collect();
    format!("I {}.", deeds.join(", then "))
}

fn deed(done: &Done) -> String {
    let past = past_of(&done.tool);
    match about(done) {
        Some(about) => format!("{past} {about}"),
        None => past
            .trim_end_matches(" to")
            .trim_end_matches(" for")
            .trim_end_matches(" with")
            .to_owned(),
    }
}

/// What the call was about: its file, address, command …
fn about(done: &Done) -> Option<String> {
    let fields = done.arguments.as_object()?;
    let keys = ["path", "file_path", "file", "url", "command", "query", "pattern", "to", "question"];
    let about = keys.iter().find_map(|key| fields.get(*key).and_then(Value::as_str))?;
    match about {
        "" => None,
        "." => Some("the folder".to_owned()),
        _ => Some(shorten(about, 80)),
    }
}

/// Does the request want an answer and not only to see what was found?
pub(crate) fn is_question(request: &str) -> bool {
    let lower = request.to_lowercase();
    // What is in something is best shown as it is.
    let wants_to_see = ["what is in ", "what's in ", "what files", "which files", "what does ", "show "]
        .iter()
        .any(|start| lower.contains(start));
    !wants_to_see && (lower.contains('?') || lower.contains("tell me") || asks_for_new_text(&lower))
}

#[cfg(test)]
mod tests;
