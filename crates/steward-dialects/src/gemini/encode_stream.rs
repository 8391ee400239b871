//! Writes an answer as a stream of Gemini pieces for a caller. Calls are told whole, since the dialect knows no pieces of one.

use serde_json::{Value, json};
use steward_domain::message::{Part, ToolCall};
use steward_domain::model::{Finish, ModelEvent};

use super::{logprobs, parts, usage, words};
use crate::ingress::{IngressOptions, encode_error_event, public_status};
use crate::{Dialect, seal, sse};

/// The state of one answer.
#[derive(Debug)]
pub(crate) struct Encoder {
    options: IngressOptions,
    /// Calls not yet told, by their index.
    calls: Vec<(usize, ToolCall)>,
}

impl Encoder {
    pub(crate) fn new(options: IngressOptions) -> Self {
        Encoder {
            options,
            calls: Vec::new(),
        }
    }

    pub(crate) fn encode(&mut self, event: &ModelEvent) -> Vec<u8> {
        match event {
            ModelEvent::Started(_) => Vec::new(),
            ModelEvent::Text(text) => self.piece_after_calls(json!({ "text": text })),
            ModelEvent::Thinking(text) => self.piece_after_calls(json!({ "text": text, "thought": true })),
            ModelEvent::ThinkingSealed { signature, is_redacted } => {
                let sealed = json!({ "text": "", "thoughtSignature": seal::show(Dialect::Gemini, signature, *is_redacted) });
                self.piece_after_calls(sealed)
            }
            ModelEvent::ToolCallStarted {
                index,
                id,
                name,
                signature,
            } => {
                let call = ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    arguments: String::new(),
                    signature: signature.clone(),
                };
                self.calls.push((*index, call));
                Vec::new()
            }
            ModelEvent::ToolCallArguments { index, json } => {
                if let Some((_, call)) = self.calls.iter_mut().find(|(known, _)| known == index) {
                    call.arguments.push_str(json);
                }
                Vec::new()
            }
            ModelEvent::Opaque { dialect, value } if dialect == Dialect::OpenAiChat.name() => match value.get("logprobs") {
                Some(entries) => self.piece(json!({ "index": 0, "logprobsResult": logprobs::encode(entries) }), None),
                None => Vec::new(),
            },
            ModelEvent::Opaque { dialect, value } => match dialect == Dialect::Gemini.name() {
                true if value.get("groundingMetadata").is_some() => {
                    self.piece(json!({ "index": 0, "groundingMetadata": value["groundingMetadata"] }), None)
                }
                true => self.piece_after_calls(value.clone()),
                false => Vec::new(),
            },
            ModelEvent::Finished(finish) => self.finish(finish),
            ModelEvent::Failed(error) => {
                let (status, code) = public_status(error.kind);
                encode_error_event(Dialect::Gemini, status, code, &error.message)
            }
        }
    }

    fn finish(&mut self, finish: &Finish) -> Vec<u8> {
        let mut out = self.flush_calls();
        let content = json!({ "role": "model", "parts": [{ "text": "" }] });
        let candidate = json!({ "content": content, "finishReason": words::finish_word(finish.reason), "index": 0 });
        out.extend(self.piece(candidate, Some(usage::encode_usage(finish))));
        out
    }

    /// Interleaved arguments are whole once something else follows the calls.
    fn flush_calls(&mut self) -> Vec<u8> {
        let calls = std::mem::take(&mut self.calls);
        let told = calls
            .into_iter()
            .filter_map(|(_, call)| parts::encode_answer_part(&Part::ToolCall(call)));
        told.flat_map(|part| self.piece(candidate_of(part), None)).collect()
    }

    fn piece_after_calls(&mut self, part: Value) -> Vec<u8> {
        let mut out = self.flush_calls();
        out.extend(self.piece(candidate_of(part), None));
        out
    }

    fn piece(&self, candidate: Value, usage: Option<Value>) -> Vec<u8> {
        let mut piece = json!({ "candidates": [candidate], "modelVersion": self.options.model, "responseId": self.options.id });
        if let Some(usage) = usage {
            piece["usageMetadata"] = usage;
        }
        sse::encode("", &piece)
    }
}

/// The same pieces as elements of one JSON list.
pub(crate) fn as_list(frames: &[u8], has_begun: &mut bool, is_last: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(frames.len() + 2);
    // Our own frames hold one line of data each, and JSON has no bare line feeds.
    for line in frames.split(|byte| *byte == b'\n') {
        let Some(piece) = line.strip_prefix(b"data: ") else { continue };
        out.extend_from_slice(if *has_begun { b",\r\n" } else { b"[" });
        out.extend_from_slice(piece);
        *has_begun = true;
    }
    if is_last && *has_begun {
        out.push(b']');
    }
    out
}

fn candidate_of(part: Value) -> Value {
    json!({ "content": { "role": "model", "parts": [part] }, "index": 0 })
}
