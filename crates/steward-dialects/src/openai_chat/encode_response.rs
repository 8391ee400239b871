//! Writes an answer as one chat completion for a caller.

use serde_json::{Map, Value, json};
use steward_domain::message::{Part, ToolCall};
use steward_domain::model::FinishReason;

use super::{reasoning, usage, words};
use crate::Dialect;
use crate::fold::Answer;
use crate::ingress::IngressOptions;

/// See [`crate::ingress::encode_response`].
pub(crate) fn encode_response(answer: &Answer, options: &IngressOptions) -> Value {
    let parts = &answer.message.parts;
    let text = answer.message.joined_text();
    let is_refusal = answer.finish.reason == FinishReason::Refusal && !text.is_empty();
    let mut message = Map::new();
    message.insert("role".to_owned(), Value::from("assistant"));
    let content = if text.is_empty() || is_refusal {
        Value::Null
    } else {
        Value::from(text.as_str())
    };
    message.insert("content".to_owned(), content);
    message.insert("refusal".to_owned(), if is_refusal { Value::from(text) } else { Value::Null });
    let (thoughts, details) = reasoning::encode_thoughts(parts, false);
    if !thoughts.is_empty() {
        message.insert("reasoning_content".to_owned(), Value::from(thoughts));
    }
    if !details.is_empty() {
        message.insert("reasoning_details".to_owned(), Value::Array(details));
    }
    let calls: Vec<Value> = parts.iter().filter_map(encode_call).collect();
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    for part in parts {
        add_opaque(&mut message, part);
    }
    let logprobs = message.shift_remove("logprobs").unwrap_or_default();
    json!({
        "id": options.id,
        "object": "chat.completion",
        "created": options.created_unix,
        "model": options.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": logprobs,
            "finish_reason": words::finish_word(answer.finish.reason),
        }],
        "usage": usage::encode_usage(&answer.finish),
    })
}

fn encode_call(part: &Part) -> Option<Value> {
    let Part::ToolCall(ToolCall {
        id,
        name,
        arguments,
        signature,
    }) = part
    else {
        return None;
    };
    let arguments = if arguments.is_empty() { "{}" } else { arguments };
    let mut call = json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    if let Some(signature) = signature {
        call["extra_content"] = json!({ "google": { "thought_signature": signature } });
    }
    Some(call)
}

/// Fields of this dialect that no one here reads, such as annotations, stand in the message under their own names.
fn add_opaque(message: &mut Map<String, Value>, part: &Part) {
    let Part::Opaque {
        dialect,
        value: Value::Object(fields),
    } = part
    else {
        return;
    };
    if dialect != Dialect::OpenAiChat.name() || fields.contains_key("type") {
        return;
    }
    for (key, value) in fields {
        match message.get_mut(key) {
            Some(known) => join(known, value),
            None => {
                message.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Lists grow, also those inside of an object; a stream brings them in pieces.
fn join(known: &mut Value, more: &Value) {
    match (known, more) {
        (Value::Array(list), Value::Array(more)) => list.extend(more.iter().cloned()),
        (Value::Object(fields), Value::Object(more)) => {
            for (key, value) in more {
                if let Some(Value::Array(list)) = fields.get_mut(key) {
                    list.extend(value.as_array().into_iter().flatten().cloned());
                }
            }
        }
        _ => {}
    }
}
