//! Reads a chat answer that came as one body.

use serde_json::Value;
use steward_domain::message::Part;
use steward_domain::model::{FinishReason, ModelError, ModelErrorKind};

use super::{calls, reasoning, usage, words};
use crate::egress::Quirks;
use crate::emitter::Emitter;
use crate::{Dialect, error, json};

/// Reads the first choice.
pub(crate) fn decode_response(value: Value, quirks: Quirks, emitter: &mut Emitter) {
    if json::has(&value, "error") {
        emitter.fail(error::decode_embedded(Dialect::OpenAiChat, &value));
        return;
    }
    let Some(choice) = json::list(&value, "choices").first() else {
        emitter.fail(ModelError::new(ModelErrorKind::Malformed, "the provider's answer has no choices"));
        return;
    };
    emitter.usage = value.get("usage").and_then(|object| usage::decode_usage(object, quirks));
    let message = choice.get("message").unwrap_or(&Value::Null);
    for part in reasoning::decode_thoughts(message) {
        emitter.part(part);
    }
    if let Some(content_value) = message.get("content") {
        content(content_value, emitter);
    }
    logprobs(choice, emitter);
    let refusal = json::text(message, "refusal");
    emitter.text(refusal);
    if let Some(annotations) = message
        .get("annotations")
        .filter(|list| list.as_array().is_some_and(|list| !list.is_empty()))
    {
        emitter.opaque(Dialect::OpenAiChat, serde_json::json!({ "annotations": annotations }));
    }
    calls::decode_whole(message, emitter);
    let reason = words::finish_reason(json::text(choice, "finish_reason"));
    emitter.end(if refusal.is_empty() || reason != FinishReason::Stop {
        reason
    } else {
        FinishReason::Refusal
    });
}

/// Probabilities of tokens, which only this dialect's callers understand.
pub(crate) fn logprobs(choice: &Value, emitter: &mut Emitter) {
    if let Some(logprobs) = choice.get("logprobs").filter(|value| !value.is_null()) {
        emitter.opaque(Dialect::OpenAiChat, serde_json::json!({ "logprobs": logprobs }));
    }
}

/// The content of an answer or of a delta: a text, or a list in which thinking may stand beside text.
pub(crate) fn content(value: &Value, emitter: &mut Emitter) {
    match value {
        Value::String(text) => emitter.text(text),
        Value::Array(list) => list.iter().for_each(|part| block(part, emitter)),
        _ => {}
    }
}

fn block(part: &Value, emitter: &mut Emitter) {
    match json::text(part, "type") {
        "text" => emitter.text(json::text(part, "text")),
        "thinking" => match part.get("thinking") {
            Some(Value::String(text)) => emitter.thinking(text),
            _ => json::list(part, "thinking")
                .iter()
                .for_each(|piece| emitter.thinking(json::text(piece, "text"))),
        },
        "" => {}
        _ => emitter.part(Part::Opaque {
            dialect: Dialect::OpenAiChat.name().to_owned(),
            value: part.clone(),
        }),
    }
}
