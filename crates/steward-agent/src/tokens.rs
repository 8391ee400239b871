//! Estimates tokens without a vocabulary, for caps and compaction.
//!
//! A real vocabulary costs tens of megabytes of memory; the estimate errs high. What a call really used is always the
//! provider's own figure.

use steward_domain::message::{Message, Part};
use steward_domain::model::ToolDefinition;

/// Tokens that an image is counted with.
const IMAGE_TOKENS: u64 = 1_200;
/// Tokens that the frame of a message costs.
const MESSAGE_TOKENS: u64 = 4;

/// Estimated tokens of a text: a word of up to six letters is one, a longer one more, other signs nearly one each.
pub fn of_text(text: &str) -> u64 {
    let mut tokens = 0;
    let mut word_letters = 0_u64;
    let mut run_spaces = 0_u64;
    for c in text.chars() {
        if c.is_ascii_alphabetic() {
            word_letters += 1;
            run_spaces = 0;
            continue;
        }
        tokens += word_letters.div_ceil(6);
        word_letters = 0;
        if c == ' ' {
            // The first space belongs to the next word; a run of them is one more token.
            run_spaces += 1;
            tokens += u64::from(run_spaces == 2);
            continue;
        }
        run_spaces = 0;
        tokens += 1;
    }
    tokens + word_letters.div_ceil(6)
}

/// Estimated tokens of one message.
pub fn of_message(message: &Message) -> u64 {
    MESSAGE_TOKENS + message.parts.iter().map(of_part).sum::<u64>()
}

/// Estimated tokens of a tool's definition.
pub fn of_definition(tool: &ToolDefinition) -> u64 {
    of_text(&tool.name) + of_text(&tool.description) + of_text(&tool.input_schema.to_string()) / 2 + MESSAGE_TOKENS
}

fn of_part(part: &Part) -> u64 {
    match part {
        Part::Text { text, .. } | Part::Thinking { text, .. } => of_text(text),
        Part::Image { .. } | Part::File { .. } => IMAGE_TOKENS,
        Part::ToolCall(call) => of_text(&call.name) + of_text(&call.arguments) + MESSAGE_TOKENS,
        Part::ToolResult { content, .. } => content.iter().map(of_part).sum::<u64>() + MESSAGE_TOKENS,
        Part::Opaque { value, .. } => of_text(&value.to_string()),
    }
}
