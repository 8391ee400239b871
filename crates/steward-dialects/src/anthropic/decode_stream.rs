//! Reads a streamed Anthropic answer: blocks that start, grow and stop, each under its index.

use std::collections::HashMap;

use serde_json::{Value, json};
use steward_domain::model::{ModelError, ModelErrorKind};

use super::{ANSWER_TOOL, content, decode_response, usage};
use crate::emitter::Emitter;
use crate::json::{arguments_object, count, text};
use crate::sse::Frame;
use crate::{Dialect, error, json as look, seal};

/// The state of one answer.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    blocks: HashMap<u64, Block>,
    has_answered_by_tool: bool,
    stop_reason: Option<String>,
}

#[derive(Debug)]
enum Block {
    Text,
    Thinking {
        signature: String,
    },
    Call {
        index: usize,
        has_arguments: bool,
        input: Value,
    },
    /// The stand-in for a native schema.
    Answer {
        has_arguments: bool,
        input: Value,
    },
    /// Kept whole until it stops, because its input comes in pieces.
    Opaque {
        block: Value,
        input: String,
    },
}

impl Decoder {
    pub(crate) fn frame(&mut self, frame: &Frame, emitter: &mut Emitter) {
        let data = frame.data.trim();
        if data.is_empty() || data == "[DONE]" {
            return;
        }
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            let start = look::excerpt(data.as_bytes());
            emitter.fail(ModelError::new(
                ModelErrorKind::Malformed,
                format!("a piece of the provider's stream is no JSON: {start}"),
            ));
            return;
        };
        let named = text(&event, "type");
        match if named.is_empty() { frame.event.as_str() } else { named } {
            // A second one, as some proxies send it, brings nothing but its usage.
            "message_start" => {
                if let Some(object) = event.pointer("/message/usage") {
                    usage::merge_usage(&mut emitter.usage, object);
                }
            }
            "content_block_start" => self.start(&event, emitter),
            "content_block_delta" => self.delta(&event, emitter),
            "content_block_stop" => {
                if let Some(block) = self.blocks.remove(&index_of(&event)) {
                    self.stop(block, emitter);
                }
            }
            "message_delta" => {
                if let Some(object) = event.get("usage") {
                    usage::merge_usage(&mut emitter.usage, object);
                }
                if let Some(word) = event.pointer("/delta/stop_reason").and_then(Value::as_str) {
                    self.stop_reason = Some(word.to_owned());
                }
            }
            "message_stop" => self.close(emitter),
            "error" => emitter.fail(error::decode_embedded(Dialect::Anthropic, &event)),
            _ if look::has(&event, "error") => emitter.fail(error::decode_embedded(Dialect::Anthropic, &event)),
            // Pings, and events to come.
            _ => {}
        }
    }

    /// The body has ended. With a stop reason the answer is whole, even without `message_stop`.
    pub(crate) fn end(&mut self, emitter: &mut Emitter) {
        if self.stop_reason.is_some() {
            self.close(emitter);
        }
    }

    fn close(&mut self, emitter: &mut Emitter) {
        self.stop_all(emitter);
        let word = self.stop_reason.as_deref().unwrap_or_default();
        emitter.end(decode_response::reason(word, self.has_answered_by_tool));
    }

    fn stop_all(&mut self, emitter: &mut Emitter) {
        let mut open: Vec<(u64, Block)> = self.blocks.drain().collect();
        open.sort_by_key(|(index, _)| *index);
        for (_, block) in open {
            self.stop(block, emitter);
        }
    }

    fn start(&mut self, event: &Value, emitter: &mut Emitter) {
        let index = index_of(event);
        // A block that was never stopped ends where its index is used again.
        if let Some(open) = self.blocks.remove(&index) {
            self.stop(open, emitter);
        }
        let block = event.get("content_block").cloned().unwrap_or_default();
        let input = block.get("input").cloned().unwrap_or_default();
        let opened = match text(&block, "type") {
            "text" => {
                emitter.text(text(&block, "text"));
                Block::Text
            }
            "thinking" => {
                emitter.thinking(text(&block, "thinking"));
                Block::Thinking {
                    signature: text(&block, "signature").to_owned(),
                }
            }
            "redacted_thinking" => {
                emitter.seal(seal::keep(Dialect::Anthropic, text(&block, "data")), true);
                Block::Text
            }
            "tool_use" if text(&block, "name") == ANSWER_TOOL => Block::Answer {
                has_arguments: false,
                input,
            },
            "tool_use" => {
                let index = emitter.start_call(text(&block, "id"), text(&block, "name"), None);
                Block::Call {
                    index,
                    has_arguments: false,
                    input,
                }
            }
            _ => Block::Opaque {
                block,
                input: String::new(),
            },
        };
        self.blocks.insert(index, opened);
    }

    fn delta(&mut self, event: &Value, emitter: &mut Emitter) {
        let Some(delta) = event.get("delta") else { return };
        let block = self.blocks.get_mut(&index_of(event));
        match (text(delta, "type"), block) {
            ("input_json_delta", Some(Block::Call { index, has_arguments, .. })) => {
                let piece = text(delta, "partial_json");
                *has_arguments |= !piece.is_empty();
                emitter.arguments(*index, piece);
            }
            ("input_json_delta", Some(Block::Answer { has_arguments, .. })) => {
                let piece = text(delta, "partial_json");
                *has_arguments |= !piece.is_empty();
                emitter.text(piece);
            }
            ("input_json_delta", Some(Block::Opaque { input, .. })) => input.push_str(text(delta, "partial_json")),
            ("signature_delta", Some(Block::Thinking { signature })) => signature.push_str(text(delta, "signature")),
            // The delta's own type says what it is, also where a proxy put it into a block of another type or none.
            ("text_delta", _) => emitter.text(text(delta, "text")),
            ("thinking_delta", _) => emitter.thinking(text(delta, "thinking")),
            ("signature_delta", _) => emitter.seal(seal::keep(Dialect::Anthropic, text(delta, "signature")), false),
            ("citations_delta", _) => emitter.opaque(Dialect::Anthropic, delta.clone()),
            _ => {}
        }
    }

    fn stop(&mut self, block: Block, emitter: &mut Emitter) {
        match block {
            Block::Text => {}
            Block::Thinking { signature } => emitter.seal(seal::keep(Dialect::Anthropic, &signature), false),
            Block::Call {
                index,
                has_arguments,
                input,
            } => {
                if !has_arguments {
                    emitter.arguments(index, &whole_input(&input));
                }
            }
            Block::Answer { has_arguments, input } => {
                self.has_answered_by_tool = true;
                if !has_arguments {
                    emitter.text(&whole_input(&input));
                }
            }
            Block::Opaque { mut block, input } => {
                if !input.is_empty()
                    && let Value::Object(fields) = &mut block
                {
                    fields.insert("input".to_owned(), arguments_object(&input));
                }
                emitter.part(content::opaque(block));
            }
        }
    }
}

/// Input that came whole with the start of its block; some servers send it so.
fn whole_input(input: &Value) -> String {
    if input.is_object() {
        input.to_string()
    } else {
        json!({}).to_string()
    }
}

fn index_of(event: &Value) -> u64 {
    count(event, "/index").unwrap_or(0)
}
