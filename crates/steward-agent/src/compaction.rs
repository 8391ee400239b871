//! Makes room in a conversation that would not fit: old tool outputs first, then old turns into a checkpoint.
//!
//! A tool call is never parted from its result. The journal keeps everything; only what the model sees shrinks.

use steward_domain::message::{Message, Part, Role};

use crate::context::cut;
use crate::tokens;

/// Characters that stay of a trimmed tool output.
const TRIMMED_CHARS: usize = 200;
/// Messages at the end that are never trimmed: the last two steps.
const FRESH_MESSAGES: usize = 4;
/// Characters of each message in a checkpoint made without a model.
const EXTRACT_CHARS: usize = 300;
/// Characters of a whole checkpoint made without a model.
const EXTRACT_TOTAL_CHARS: usize = 6_000;

/// Estimated tokens of messages.
pub fn tokens_of(messages: &[Message]) -> u64 {
    messages.iter().map(tokens::of_message).sum()
}

/// Shortens tool outputs older than the last two steps. True if anything became shorter.
pub fn trim_old_outputs(messages: &mut [Message]) -> bool {
    let end = messages.len().saturating_sub(FRESH_MESSAGES);
    let mut did_trim = false;
    for part in messages[..end].iter_mut().flat_map(|message| &mut message.parts) {
        let Part::ToolResult { content, .. } = part else { continue };
        for piece in content {
            let Part::Text { text, .. } = piece else { continue };
            let (kept, cut_chars) = cut(text, TRIMMED_CHARS);
            if cut_chars > TRIMMED_CHARS {
                *text = format!("{kept}\n[{cut_chars} characters of this old result are left out; run the call again if you need them]");
                did_trim = true;
            }
        }
    }
    did_trim
}

/// Where to cut: the first index from which the rest fits `keep_tokens` and no result stands without its call.
///
/// `None` when there is nothing that could be cut away.
pub fn cut_point(messages: &[Message], keep_tokens: u64) -> Option<usize> {
    let mut kept = 0;
    let mut point = messages.len();
    for (index, message) in messages.iter().enumerate().rev() {
        kept += tokens::of_message(message);
        let is_over = kept > keep_tokens;
        if is_over && point < messages.len() {
            break;
        }
        if !holds_results(message) {
            point = index;
        }
        if is_over {
            break;
        }
    }
    (point > 0 && point < messages.len()).then_some(point)
}

fn holds_results(message: &Message) -> bool {
    message.parts.iter().any(|part| matches!(part, Part::ToolResult { .. }))
}

/// A checkpoint made by code, for when no model can make one: the person's words in full measure, the rest in short.
pub fn extract(checkpoint: Option<&str>, messages: &[Message]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for message in messages {
        let text = message.joined_text();
        let who = match message.role {
            Role::User => "person",
            Role::Assistant => "me",
            Role::System => "system",
        };
        if !text.trim().is_empty() {
            lines.push(format!("{who}: {}", cut(text.trim(), EXTRACT_CHARS).0));
        }
        for part in &message.parts {
            if let Part::ToolCall(call) = part {
                lines.push(format!("me: called {} {}", call.name, cut(&call.arguments, EXTRACT_CHARS).0));
            }
        }
    }
    let mut text = lines.join("\n");
    let total_chars = text.chars().count();
    if total_chars > EXTRACT_TOTAL_CHARS {
        text = text.chars().skip(total_chars - EXTRACT_TOTAL_CHARS).collect();
    }
    match checkpoint {
        Some(earlier) => format!("{}\n{text}", cut(earlier, EXTRACT_TOTAL_CHARS).0),
        None => text,
    }
}

#[cfg(test)]
mod tests;
