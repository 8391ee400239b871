//! Reads a streamed Gemini answer: pieces that hold parts, the last with a finish reason. There is no closing event.

use serde_json::Value;
use steward_domain::model::{FinishReason, ModelError, ModelErrorKind};

use super::{logprobs, parts, usage, words};
use crate::emitter::Emitter;
use crate::sse::Frame;
use crate::{Dialect, error, json};

/// The state of one answer.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    finish: Option<String>,
}

impl Decoder {
    pub(crate) fn frame(&mut self, frame: &Frame, emitter: &mut Emitter) {
        let data = frame.data.trim();
        if data.is_empty() || data == "[DONE]" {
            return;
        }
        match serde_json::from_str::<Value>(data) {
            Ok(piece) => self.piece(&piece, emitter),
            Err(_) => {
                let start = json::excerpt(data.as_bytes());
                emitter.fail(ModelError::new(
                    ModelErrorKind::Malformed,
                    format!("a piece of the provider's stream is no JSON: {start}"),
                ));
            }
        }
    }

    /// The body has ended. With a finish reason the answer is whole; usage may come after it, so this is the earliest end.
    pub(crate) fn end(&mut self, emitter: &mut Emitter) {
        match self.finish.as_deref() {
            None => {}
            Some("MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "MALFORMED_RESPONSE") if !emitter.has_content() => {
                let word = self.finish.take().unwrap_or_default();
                emitter.fail(ModelError::new(
                    ModelErrorKind::Malformed,
                    format!("the model's answer was no valid call: {word}"),
                ));
            }
            Some(word) => emitter.end(words::finish_reason(word)),
        }
    }

    pub(crate) fn piece(&mut self, piece: &Value, emitter: &mut Emitter) {
        let is_error = json::has(piece, "error")
            || piece
                .as_array()
                .is_some_and(|list| list.iter().any(|item| json::has(item, "error")));
        if is_error {
            emitter.fail(error::decode_embedded(Dialect::Gemini, piece));
            return;
        }
        // Some gateways wrap each piece.
        let piece = piece.get("response").unwrap_or(piece);
        if let Some(reported) = piece.get("usageMetadata").and_then(usage::decode_usage) {
            emitter.usage = Some(reported);
        }
        let Some(candidate) = json::list(piece, "candidates").first() else {
            // A prompt that is blocked has no candidates at all.
            if piece.pointer("/promptFeedback/blockReason").is_some() {
                emitter.end(FinishReason::ContentFilter);
            }
            return;
        };
        if let Some(result) = candidate.get("logprobsResult").filter(|result| result.is_object()) {
            emitter.opaque(Dialect::OpenAiChat, logprobs::decode(result));
        }
        for part in candidate.get("content").map_or(&[][..], |content| json::list(content, "parts")) {
            parts::decode_part(part, emitter);
        }
        if let Some(grounding) = candidate
            .get("groundingMetadata")
            .filter(|value| value.as_object().is_some_and(|map| !map.is_empty()))
        {
            emitter.opaque(Dialect::Gemini, serde_json::json!({ "groundingMetadata": grounding }));
        }
        if let Some(word) = candidate
            .get("finishReason")
            .and_then(Value::as_str)
            .filter(|word| *word != "FINISH_REASON_UNSPECIFIED")
        {
            self.finish = Some(word.to_owned());
        }
    }
}
