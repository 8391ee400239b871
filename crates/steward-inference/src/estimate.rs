//! Estimates tokens where no provider has counted them.
//!
//! Every figure from here is marked as an estimate in the ledger; it is never passed off as a count.

use steward_domain::message::{Message, Part};
use steward_domain::model::{ModelEvent, ModelRequest};
use steward_domain::usage::Usage;

/// Characters of English text that make about one token.
const CHARS_PER_TOKEN: usize = 4;

/// Tokens that an image or a document costs about, whatever its size in bytes.
const TOKENS_PER_MEDIA: usize = 1_000;

/// Tokens around each message: its role and its borders.
const TOKENS_PER_MESSAGE: usize = 4;

/// About how many input tokens a request is.
pub fn estimate_tokens(request: &ModelRequest) -> u64 {
    let messages: usize = request.messages.iter().map(message_tokens).sum();
    let tools: usize = request
        .tools
        .iter()
        .map(|tool| tokens_of(tool.name.len() + tool.description.len() + json_bytes(&tool.input_schema)))
        .sum();
    (messages + tools) as u64
}

/// About how many tokens this many characters are.
pub(crate) fn tokens_of_chars(chars: u64) -> u64 {
    chars.div_ceil(CHARS_PER_TOKEN as u64)
}

/// How many characters of billed output an event brings.
pub(crate) fn output_chars(event: &ModelEvent) -> u64 {
    let chars = match event {
        ModelEvent::Text(text) | ModelEvent::Thinking(text) => text.chars().count(),
        ModelEvent::ToolCallStarted { name, .. } => name.chars().count(),
        ModelEvent::ToolCallArguments { json, .. } => json.chars().count(),
        ModelEvent::Started(_)
        | ModelEvent::ThinkingSealed { .. }
        | ModelEvent::Opaque { .. }
        | ModelEvent::Finished(_)
        | ModelEvent::Failed(_) => 0,
    };
    chars as u64
}

/// What a call used that broke off: what the provider reported so far, made up to what was delivered.
pub(crate) fn usage_of_broken(reported: Option<Usage>, input_tokens: u64, delivered_chars: u64) -> Usage {
    let mut usage = reported.unwrap_or_default();
    if usage.total_input() == 0 {
        usage.input = input_tokens;
    }
    let delivered = tokens_of_chars(delivered_chars);
    usage.output = usage.output.max(delivered.saturating_sub(usage.reasoning));
    usage
}

fn tokens_of(chars: usize) -> usize {
    chars.div_ceil(CHARS_PER_TOKEN)
}

fn message_tokens(message: &Message) -> usize {
    TOKENS_PER_MESSAGE + message.parts.iter().map(part_tokens).sum::<usize>()
}

fn part_tokens(part: &Part) -> usize {
    match part {
        Part::Text { text, .. } => tokens_of(text.chars().count()),
        Part::Thinking { text, signature, .. } => tokens_of(text.chars().count() + signature.as_ref().map_or(0, String::len)),
        Part::Image { .. } | Part::File { .. } => TOKENS_PER_MEDIA,
        Part::ToolCall(call) => tokens_of(call.name.len() + call.arguments.chars().count()),
        Part::ToolResult { name, content, .. } => tokens_of(name.len()) + content.iter().map(part_tokens).sum::<usize>(),
        Part::Opaque { value, .. } => tokens_of(json_bytes(value)),
    }
}

/// The length of a value as JSON, without writing it down.
fn json_bytes(value: &serde_json::Value) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).map_or(0, |()| counter.0)
}
