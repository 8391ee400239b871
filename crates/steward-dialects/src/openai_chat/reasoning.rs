//! Thinking in chat messages: the text as `reasoning_content`, seals as entries of `reasoning_details` with an index each.
//!
//! A sealed thought's entry has its whole text, because a seal holds for exactly one text and a message may have several.

use serde_json::{Value, json};
use steward_domain::message::Part;

use crate::json::{list, text, text_of};
use crate::{Dialect, seal};

/// One entry of `reasoning_details`.
pub(crate) fn detail(index: usize, text: &str, signature: &str, is_redacted: bool) -> Value {
    if is_redacted {
        return json!({ "type": "reasoning.encrypted", "index": index, "data": signature });
    }
    json!({ "type": "reasoning.text", "index": index, "text": text, "signature": signature })
}

/// All thoughts of a message: the joined text, and the entries for those that are sealed.
/// `is_own_wire` keeps only seals that this very dialect may see.
pub(crate) fn encode_thoughts(parts: &[Part], is_own_wire: bool) -> (String, Vec<Value>) {
    let mut joined = String::new();
    let mut details = Vec::new();
    for part in parts {
        let Part::Thinking {
            text,
            signature,
            is_redacted,
        } = part
        else {
            continue;
        };
        joined.push_str(text);
        let kept = signature.as_deref().unwrap_or_default();
        let shown = if is_own_wire {
            seal::for_dialect(Dialect::OpenAiChat, kept).unwrap_or_default()
        } else {
            kept
        };
        if !shown.is_empty() {
            details.push(detail(details.len(), text, shown, *is_redacted));
        }
    }
    (joined, details)
}

/// Thoughts from a message with `reasoning_content` (or `reasoning`) and `reasoning_details`.
pub(crate) fn decode_thoughts(message: &Value) -> Vec<Part> {
    let whole = plain(message).unwrap_or_default();
    let mut parts = Vec::new();
    let mut sealed = String::new();
    for entry in list(message, "reasoning_details") {
        match text(entry, "type") {
            "reasoning.encrypted" => parts.push(thought(String::new(), text_of(entry, "data"), true)),
            "reasoning.summary" => {
                sealed.push_str(text(entry, "summary"));
                parts.push(thought(text(entry, "summary").to_owned(), None, false));
            }
            _ => {
                sealed.push_str(text(entry, "text"));
                let signature = text_of(entry, "signature").filter(|signature| !signature.is_empty());
                parts.push(thought(text(entry, "text").to_owned(), signature, false));
            }
        }
    }
    // A seal without its text belongs to the only text there is.
    if let (
        [
            Part::Thinking {
                text, is_redacted: false, ..
            },
        ],
        true,
    ) = (parts.as_mut_slice(), sealed.is_empty())
    {
        whole.clone_into(text);
        sealed.push_str(whole);
    }
    if let Some(rest) = whole.strip_prefix(sealed.as_str())
        && !rest.is_empty()
    {
        parts.push(thought(rest.to_owned(), None, false));
    }
    parts
}

/// The thinking that stands as plain text, under either of its two names.
pub(crate) fn plain(message: &Value) -> Option<&str> {
    ["reasoning_content", "reasoning"]
        .iter()
        .find_map(|key| message.get(key)?.as_str())
        .filter(|text| !text.is_empty())
}

fn thought(text: String, signature: Option<String>, is_redacted: bool) -> Part {
    Part::Thinking {
        text,
        signature,
        is_redacted,
    }
}
