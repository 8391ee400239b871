//! Reads a streamed chat answer: chunks with deltas, closed by `[DONE]` or by the end of the body after a finish reason.

use serde_json::Value;
use steward_domain::model::{FinishReason, ModelError, ModelErrorKind};

use super::calls::Calls;
use super::{decode_response, reasoning, usage, words};
use crate::egress::Quirks;
use crate::emitter::Emitter;
use crate::sse::Frame;
use crate::{Dialect, error, json, seal};

/// The state of one answer.
#[derive(Debug)]
pub(crate) struct Decoder {
    quirks: Quirks,
    calls: Calls,
    reason: Option<FinishReason>,
    has_refused: bool,
    /// The open thought has come as plain text, so its entries in `reasoning_details` only repeat it.
    has_plain_thought: bool,
}

impl Decoder {
    pub(crate) fn new(quirks: Quirks) -> Self {
        Decoder {
            quirks,
            calls: Calls::default(),
            reason: None,
            has_refused: false,
            has_plain_thought: false,
        }
    }

    pub(crate) fn frame(&mut self, frame: &Frame, emitter: &mut Emitter) {
        let data = frame.data.trim();
        if data.is_empty() {
            return;
        }
        if data == "[DONE]" {
            let has_answered = emitter.has_content() || self.reason.is_some();
            if has_answered {
                self.close(emitter);
            }
            return;
        }
        let Ok(chunk) = serde_json::from_str::<Value>(data) else {
            let start = json::excerpt(data.as_bytes());
            emitter.fail(ModelError::new(
                ModelErrorKind::Malformed,
                format!("a piece of the provider's stream is no JSON: {start}"),
            ));
            return;
        };
        if json::has(&chunk, "error") || frame.event == "error" {
            emitter.fail(error::decode_embedded(Dialect::OpenAiChat, &chunk));
            return;
        }
        self.chunk(&chunk, emitter);
    }

    /// The body has ended. Without a finish reason the answer is cut.
    pub(crate) fn end(&mut self, emitter: &mut Emitter) {
        if self.reason.is_some() {
            self.close(emitter);
        }
    }

    fn close(&mut self, emitter: &mut Emitter) {
        self.calls.end(emitter);
        let reason = self.reason.unwrap_or(FinishReason::Stop);
        emitter.end(if self.has_refused && reason == FinishReason::Stop {
            FinishReason::Refusal
        } else {
            reason
        });
    }

    fn chunk(&mut self, chunk: &Value, emitter: &mut Emitter) {
        let choice = json::list(chunk, "choices")
            .iter()
            .find(|choice| json::count(choice, "/index").unwrap_or(0) == 0);
        let places = [
            chunk.get("usage"),
            chunk.pointer("/x_groq/usage"),
            choice.and_then(|choice| choice.get("usage")),
        ];
        if let Some(reported) = places
            .into_iter()
            .flatten()
            .find_map(|value| usage::decode_usage(value, self.quirks))
        {
            emitter.usage = Some(reported);
        }
        let Some(choice) = choice else { return };
        if json::has(choice, "error") {
            emitter.fail(error::decode_embedded(Dialect::OpenAiChat, choice));
            return;
        }
        decode_response::logprobs(choice, emitter);
        if let Some(delta) = choice.get("delta").or_else(|| choice.get("message")) {
            self.delta(delta, emitter);
        }
        if let Some(word) = choice.get("finish_reason").and_then(Value::as_str).filter(|word| !word.is_empty()) {
            if word == "error" {
                let message = "the provider ended the answer with an error without saying which";
                return emitter.fail(ModelError::new(ModelErrorKind::Server, message));
            }
            self.reason = Some(words::finish_reason(word));
        }
    }

    fn delta(&mut self, delta: &Value, emitter: &mut Emitter) {
        if let Some(text) = reasoning::plain(delta) {
            self.has_plain_thought = true;
            emitter.thinking(text);
        }
        for entry in json::list(delta, "reasoning_details") {
            self.detail(entry, emitter);
        }
        if let Some(content) = delta.get("content") {
            decode_response::content(content, emitter);
        }
        let refusal = json::text(delta, "refusal");
        if !refusal.is_empty() {
            self.has_refused = true;
            emitter.text(refusal);
        }
        if let Some(annotations) = delta
            .get("annotations")
            .filter(|list| list.as_array().is_some_and(|list| !list.is_empty()))
        {
            emitter.opaque(Dialect::OpenAiChat, serde_json::json!({ "annotations": annotations }));
        }
        for entry in json::list(delta, "tool_calls") {
            self.calls.delta(entry, emitter);
        }
        if let Some(function) = delta.get("function_call").filter(|call| call.is_object()) {
            let entry = serde_json::json!({ "index": 0, "function": function });
            self.calls.delta(&entry, emitter);
        }
    }

    fn detail(&mut self, entry: &Value, emitter: &mut Emitter) {
        if json::text(entry, "type") == "reasoning.encrypted" {
            emitter.seal(seal::keep(Dialect::OpenAiChat, json::text(entry, "data")), true);
            return;
        }
        if !self.has_plain_thought {
            emitter.thinking(json::text(entry, "text"));
            emitter.thinking(json::text(entry, "summary"));
        }
        let signature = json::text(entry, "signature");
        if !signature.is_empty() {
            emitter.seal(seal::keep(Dialect::OpenAiChat, signature), false);
            self.has_plain_thought = false;
        }
    }
}
