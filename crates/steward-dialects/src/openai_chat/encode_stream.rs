//! Writes an answer as a stream of chat chunks for a caller.
//!
//! Every entry of a list carries its index, as the vendors' clients need it to put pieces together.

use serde_json::{Map, Value, json};
use steward_domain::model::{Finish, ModelEvent};

use super::{reasoning, usage, words};
use crate::ingress::{IngressOptions, encode_error_event, public_status};
use crate::{Dialect, sse};

/// The state of one answer.
#[derive(Debug)]
pub(crate) struct Encoder {
    options: IngressOptions,
    has_begun: bool,
    /// The text of the open thought, repeated beside its seal.
    thought: String,
    details: usize,
    annotations: usize,
    has_arguments: Vec<bool>,
}

impl Encoder {
    pub(crate) fn new(options: IngressOptions) -> Self {
        Encoder {
            options,
            has_begun: false,
            thought: String::new(),
            details: 0,
            annotations: 0,
            has_arguments: Vec::new(),
        }
    }

    pub(crate) fn encode(&mut self, event: &ModelEvent) -> Vec<u8> {
        let mut out = Vec::new();
        let is_answer = !matches!(event, ModelEvent::Failed(_));
        if is_answer && !self.has_begun {
            self.has_begun = true;
            out.extend(self.delta(json!({ "role": "assistant", "content": "" })));
        }
        match event {
            ModelEvent::Started(_) => {}
            ModelEvent::Text(text) => {
                self.thought.clear();
                out.extend(self.delta(json!({ "content": text })));
            }
            ModelEvent::Thinking(text) => {
                self.thought.push_str(text);
                out.extend(self.delta(json!({ "reasoning_content": text })));
            }
            ModelEvent::ThinkingSealed { signature, is_redacted } => {
                let text = std::mem::take(&mut self.thought);
                let entry = reasoning::detail(self.details, &text, signature, *is_redacted);
                self.details += 1;
                out.extend(self.delta(json!({ "reasoning_details": [entry] })));
            }
            ModelEvent::ToolCallStarted {
                index,
                id,
                name,
                signature,
            } => {
                self.thought.clear();
                let function = json!({ "name": name, "arguments": "" });
                let mut call = json!({ "index": index, "id": id, "type": "function", "function": function });
                if let Some(signature) = signature {
                    call["extra_content"] = json!({ "google": { "thought_signature": signature } });
                }
                self.note_call(*index, false);
                out.extend(self.delta(json!({ "tool_calls": [call] })));
            }
            ModelEvent::ToolCallArguments { index, json } => {
                self.note_call(*index, true);
                out.extend(self.arguments(*index, json));
            }
            ModelEvent::Opaque { dialect, value } => out.extend(self.opaque(dialect, value)),
            ModelEvent::Finished(finish) => self.finish(finish, &mut out),
            ModelEvent::Failed(error) => {
                let (status, code) = public_status(error.kind);
                out.extend(encode_error_event(Dialect::OpenAiChat, status, code, &error.message));
            }
        }
        out
    }

    fn finish(&self, finish: &Finish, out: &mut Vec<u8>) {
        // A call without arguments still needs an object that its reader can parse.
        for (index, has_arguments) in self.has_arguments.iter().enumerate() {
            if !has_arguments {
                out.extend(self.arguments(index, "{}"));
            }
        }
        let choice = json!({ "index": 0, "delta": {}, "logprobs": null, "finish_reason": words::finish_word(finish.reason) });
        out.extend(self.chunk(json!([choice]), None));
        if self.options.wants_usage {
            out.extend(self.chunk(json!([]), Some(usage::encode_usage(finish))));
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn note_call(&mut self, index: usize, has_arguments: bool) {
        if self.has_arguments.len() <= index {
            self.has_arguments.resize(index + 1, true);
            self.has_arguments[index] = has_arguments;
        }
        self.has_arguments[index] |= has_arguments;
    }

    fn arguments(&self, index: usize, json: &str) -> Vec<u8> {
        self.delta(json!({ "tool_calls": [{ "index": index, "function": { "arguments": json } }] }))
    }

    fn opaque(&mut self, dialect: &str, value: &Value) -> Vec<u8> {
        let is_ours = dialect == Dialect::OpenAiChat.name();
        if let Some(logprobs) = value.get("logprobs").filter(|_| is_ours) {
            return self.chunk(
                json!([{ "index": 0, "delta": {}, "logprobs": logprobs, "finish_reason": null }]),
                None,
            );
        }
        let Some(Value::Array(annotations)) = value.get("annotations").filter(|_| is_ours) else {
            return Vec::new();
        };
        let indexed: Vec<Value> = annotations.iter().map(|annotation| self.with_index(annotation)).collect();
        self.delta(json!({ "annotations": indexed }))
    }

    fn with_index(&mut self, annotation: &Value) -> Value {
        let mut entry = crate::json::object(annotation.clone());
        entry.insert("index".to_owned(), Value::from(self.annotations));
        self.annotations += 1;
        Value::Object(entry)
    }

    fn delta(&self, delta: Value) -> Vec<u8> {
        self.chunk(
            json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": null }]),
            None,
        )
    }

    fn chunk(&self, choices: Value, usage: Option<Value>) -> Vec<u8> {
        let mut chunk = Map::new();
        chunk.insert("id".to_owned(), Value::from(self.options.id.as_str()));
        chunk.insert("object".to_owned(), Value::from("chat.completion.chunk"));
        chunk.insert("created".to_owned(), Value::from(self.options.created_unix));
        chunk.insert("model".to_owned(), Value::from(self.options.model.as_str()));
        chunk.insert("choices".to_owned(), choices);
        if self.options.wants_usage {
            chunk.insert("usage".to_owned(), usage.unwrap_or(Value::Null));
        }
        sse::encode("", &Value::Object(chunk))
    }
}
