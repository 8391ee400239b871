//! Reads a response that came as one body, and the response object that ends a stream.

use serde_json::Value;
use steward_domain::model::{FinishReason, ModelError, ModelErrorKind};

use super::{items, usage};
use crate::emitter::Emitter;
use crate::{Dialect, error, json};

/// Reads the whole response.
pub(crate) fn decode_response(value: Value, emitter: &mut Emitter) {
    if json::has(&value, "error") || json::text(&value, "status") == "failed" {
        emitter.fail(error::decode_embedded(Dialect::OpenAiResponses, &value));
        return;
    }
    if value.get("output").is_none() {
        emitter.fail(ModelError::new(ModelErrorKind::Malformed, "the provider's answer has no output"));
        return;
    }
    let mut has_refused = false;
    for item in json::list(&value, "output") {
        has_refused |= items::decode_item(item, emitter);
    }
    end(&value, has_refused, emitter);
}

/// Ends the answer as its response object says.
pub(crate) fn end(response: &Value, has_refused: bool, emitter: &mut Emitter) {
    if let Some(reported) = response.get("usage").and_then(usage::decode_usage) {
        emitter.usage = Some(reported);
    }
    let is_whole = json::text(response, "status") != "incomplete";
    let reason = match response.pointer("/incomplete_details/reason").and_then(Value::as_str) {
        Some("content_filter") => FinishReason::ContentFilter,
        Some(_) => FinishReason::Length,
        None if !is_whole => FinishReason::Length,
        None if has_refused => FinishReason::Refusal,
        None => FinishReason::Stop,
    };
    emitter.end(reason);
}
