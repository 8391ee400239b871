//! Reads a streamed response: items that are added, grow and are done, closed by an event that holds the whole response.

use std::collections::HashMap;

use serde_json::Value;
use steward_domain::model::{ModelError, ModelErrorKind};

use super::{decode_response, items};
use crate::emitter::Emitter;
use crate::json::{count, text};
use crate::sse::Frame;
use crate::{Dialect, error, json};

/// The state of one answer.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    items: HashMap<u64, Item>,
    has_refused: bool,
}

/// What an output item has given so far.
#[derive(Debug, Default)]
struct Item {
    call: Option<usize>,
    has_text: bool,
    has_thinking: bool,
    has_arguments: bool,
    summaries: usize,
}

impl Decoder {
    pub(crate) fn frame(&mut self, frame: &Frame, emitter: &mut Emitter) {
        let data = frame.data.trim();
        if data.is_empty() || data == "[DONE]" {
            return;
        }
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            let start = json::excerpt(data.as_bytes());
            emitter.fail(ModelError::new(
                ModelErrorKind::Malformed,
                format!("a piece of the provider's stream is no JSON: {start}"),
            ));
            return;
        };
        let named = text(&event, "type");
        let kind = if named.is_empty() { frame.event.as_str() } else { named };
        let response = event.get("response").unwrap_or(&Value::Null);
        match kind {
            "response.completed" | "response.incomplete" => decode_response::end(response, self.has_refused, emitter),
            "response.failed" => emitter.fail(error::decode_embedded(Dialect::OpenAiResponses, response)),
            "error" => emitter.fail(error::decode_embedded(Dialect::OpenAiResponses, &event)),
            "response.output_item.added" => self.added(&event, emitter),
            "response.output_item.done" => self.done(&event, emitter),
            _ if kind.ends_with(".delta") => self.delta(kind, &event, emitter),
            "response.reasoning_summary_part.added" => {
                let item = self.item(&event);
                item.summaries += 1;
                if item.summaries > 1 && item.has_thinking {
                    emitter.thinking("\n\n");
                }
            }
            _ if json::has(&event, "error") => emitter.fail(error::decode_embedded(Dialect::OpenAiResponses, &event)),
            _ => {}
        }
    }

    /// The body has ended. Only the closing event says that the answer is whole.
    pub(crate) fn end(&mut self, _emitter: &mut Emitter) {}

    fn item(&mut self, event: &Value) -> &mut Item {
        self.items.entry(count(event, "/output_index").unwrap_or(0)).or_default()
    }

    fn added(&mut self, event: &Value, emitter: &mut Emitter) {
        let Some(added) = event.get("item") else { return };
        let item = self.item(event);
        *item = Item::default();
        if text(added, "type") == "function_call" {
            item.call = Some(emitter.start_call(text(added, "call_id"), text(added, "name"), None));
        }
    }

    fn delta(&mut self, kind: &str, event: &Value, emitter: &mut Emitter) {
        let piece = text(event, "delta");
        let is_refusal = kind == "response.refusal.delta";
        self.has_refused |= is_refusal;
        let item = self.item(event);
        match kind {
            "response.output_text.delta" | "response.refusal.delta" => {
                item.has_text |= !piece.is_empty();
                items::decode_logprobs(event, emitter);
                emitter.text(piece);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                item.has_thinking |= !piece.is_empty();
                emitter.thinking(piece);
            }
            "response.function_call_arguments.delta" => {
                // Arguments of a call that was never announced wait for its end, which has them whole.
                if let Some(call) = item.call {
                    item.has_arguments |= !piece.is_empty();
                    emitter.arguments(call, piece);
                }
            }
            _ => {}
        }
    }

    /// The end of an item brings what its pieces did not.
    fn done(&mut self, event: &Value, emitter: &mut Emitter) {
        let Some(done) = event.get("item") else { return };
        let item = std::mem::take(self.item(event));
        match text(done, "type") {
            "message" if item.has_text => {
                json::list(done, "content")
                    .iter()
                    .for_each(|content| items::decode_annotations(content, emitter));
            }
            "reasoning" if item.has_thinking => items::decode_seal(done, emitter),
            "function_call" if item.call.is_some() => {
                if let (Some(call), false) = (item.call, item.has_arguments) {
                    emitter.arguments(call, text(done, "arguments"));
                }
            }
            _ => self.has_refused |= items::decode_item(done, emitter),
        }
    }
}
