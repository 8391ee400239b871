//! Writes an answer as one Anthropic message for a caller.

use serde_json::{Value, json};
use steward_domain::message::{Part, ToolCall};

use super::{usage, words};
use crate::fold::Answer;
use crate::ingress::IngressOptions;
use crate::json::{arguments_object, text};
use crate::{Dialect, seal};

/// See [`crate::ingress::encode_response`].
pub(crate) fn encode_response(answer: &Answer, options: &IngressOptions) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    for part in &answer.message.parts {
        match part {
            Part::Opaque { dialect, value } if dialect == Dialect::Anthropic.name() && text(value, "type") == "citations_delta" => {
                add_citation(&mut blocks, value);
            }
            part => {
                if let Part::ToolCall(ToolCall {
                    id, signature: Some(own), ..
                }) = part
                {
                    blocks.push(json!({ "type": "redacted_thinking", "data": seal::of_call(id, own) }));
                }
                blocks.extend(block_of(part));
            }
        }
    }
    json!({
        "id": options.id,
        "type": "message",
        "role": "assistant",
        "model": options.model,
        "content": blocks,
        "stop_reason": words::finish_word(answer.finish.reason),
        "stop_sequence": null,
        "usage": usage::encode_usage(&answer.finish),
    })
}

/// A caller sees every thought, whoever sealed it.
fn block_of(part: &Part) -> Option<Value> {
    match part {
        Part::Text { text, .. } => Some(json!({ "type": "text", "text": text })),
        Part::Thinking {
            text,
            signature,
            is_redacted,
        } => {
            let seal = signature.as_deref().unwrap_or_default();
            Some(match is_redacted {
                true => json!({ "type": "redacted_thinking", "data": seal }),
                false => json!({ "type": "thinking", "thinking": text, "signature": seal }),
            })
        }
        Part::ToolCall(ToolCall { id, name, arguments, .. }) => {
            Some(json!({ "type": "tool_use", "id": id, "name": name, "input": arguments_object(arguments) }))
        }
        Part::Opaque { dialect, value } => (dialect == Dialect::Anthropic.name()).then(|| value.clone()),
        Part::Image { .. } | Part::File { .. } | Part::ToolResult { .. } => None,
    }
}

fn add_citation(blocks: &mut [Value], value: &Value) {
    let Some(Value::Object(block)) = blocks.last_mut() else { return };
    let citations = block.entry("citations").or_insert_with(|| json!([]));
    if let (Value::Array(list), Some(citation)) = (citations, value.get("citation")) {
        list.push(citation.clone());
    }
}
