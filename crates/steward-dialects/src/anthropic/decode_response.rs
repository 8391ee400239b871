//! Reads an Anthropic message that came as one body.

use serde_json::Value;
use steward_domain::model::{FinishReason, ModelError, ModelErrorKind};

use super::{ANSWER_TOOL, content, usage, words};
use crate::emitter::Emitter;
use crate::{Dialect, error, json};

/// Reads the message.
pub(crate) fn decode_response(mut value: Value, emitter: &mut Emitter) {
    if json::has(&value, "error") {
        emitter.fail(error::decode_embedded(Dialect::Anthropic, &value));
        return;
    }
    let Some(Value::Array(blocks)) = value.get_mut("content").map(Value::take) else {
        emitter.fail(ModelError::new(ModelErrorKind::Malformed, "the provider's answer has no content"));
        return;
    };
    if let Some(object) = value.get("usage") {
        usage::merge_usage(&mut emitter.usage, object);
    }
    let mut has_answered_by_tool = false;
    for block in blocks {
        if is_answer(&block) {
            has_answered_by_tool = true;
            emitter.text(&block["input"].to_string());
            continue;
        }
        // A text with citations is told as its text and then each citation, as a stream tells it.
        if json::text(&block, "type") == "text" {
            emitter.text(json::text(&block, "text"));
            for citation in json::list(&block, "citations") {
                emitter.opaque(
                    Dialect::Anthropic,
                    serde_json::json!({ "type": "citations_delta", "citation": citation }),
                );
            }
            continue;
        }
        match content::decode_block(block, "content", &|_| String::new()) {
            Ok(part) => emitter.part(part),
            Err(sentence) => emitter.fail(ModelError::new(
                ModelErrorKind::Malformed,
                format!("the provider's answer: {sentence}"),
            )),
        }
    }
    emitter.end(reason(json::text(&value, "stop_reason"), has_answered_by_tool));
}

/// Is it the call that stands in for a native schema?
fn is_answer(block: &Value) -> bool {
    json::text(block, "type") == "tool_use" && json::text(block, "name") == ANSWER_TOOL
}

/// An answer given through the stand-in tool is an answer, not a call.
pub(crate) fn reason(word: &str, has_answered_by_tool: bool) -> FinishReason {
    match words::finish_reason(word) {
        FinishReason::ToolCalls if has_answered_by_tool => FinishReason::Stop,
        other => other,
    }
}
