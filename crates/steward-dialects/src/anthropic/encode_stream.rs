//! Writes an answer as a stream of Anthropic events for a caller: one block open at a time, indices in order.
//!
//! Calls whose arguments come interleaved are told one after the other: a later one waits until the open one's arguments are whole.

use std::collections::VecDeque;

use serde::de::IgnoredAny;
use serde_json::{Value, json};
use steward_domain::model::{Finish, ModelEvent};

use super::{usage, words};
use crate::ingress::{IngressOptions, encode_error_event, public_status};
use crate::json::text;
use crate::{Dialect, seal, sse};

/// The state of one answer.
#[derive(Debug)]
pub(crate) struct Encoder {
    options: IngressOptions,
    has_begun: bool,
    next_block: usize,
    open: Open,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug, PartialEq)]
enum Open {
    Nothing,
    Text,
    Thinking,
    Call { call: usize, arguments: String },
}

/// A call that began while another was open.
#[derive(Debug)]
struct Waiting {
    call: usize,
    id: String,
    name: String,
    arguments: String,
    /// The seal of the call, told as a hidden thought before it.
    seal: Option<String>,
}

impl Encoder {
    pub(crate) fn new(options: IngressOptions) -> Self {
        Encoder {
            options,
            has_begun: false,
            next_block: 0,
            open: Open::Nothing,
            waiting: VecDeque::new(),
        }
    }

    pub(crate) fn encode(&mut self, event: &ModelEvent) -> Vec<u8> {
        let mut out = Vec::new();
        let is_answer = !matches!(event, ModelEvent::Failed(_));
        if is_answer && !self.has_begun {
            self.has_begun = true;
            out.extend(self.message_start());
        }
        match event {
            ModelEvent::Started(_) => {}
            ModelEvent::Text(text) => {
                self.open_as(Open::Text, json!({ "type": "text", "text": "" }), &mut out);
                out.extend(self.delta(json!({ "type": "text_delta", "text": text })));
            }
            ModelEvent::Thinking(text) => {
                self.open_as(Open::Thinking, thinking_block(), &mut out);
                out.extend(self.delta(json!({ "type": "thinking_delta", "thinking": text })));
            }
            ModelEvent::ThinkingSealed {
                signature,
                is_redacted: true,
            } => {
                self.whole_block(json!({ "type": "redacted_thinking", "data": signature }), None, &mut out);
            }
            ModelEvent::ThinkingSealed {
                signature,
                is_redacted: false,
            } => {
                self.open_as(Open::Thinking, thinking_block(), &mut out);
                out.extend(self.delta(json!({ "type": "signature_delta", "signature": signature })));
                self.close(&mut out);
            }
            ModelEvent::ToolCallStarted {
                index,
                id,
                name,
                signature,
            } => {
                let waiting = Waiting {
                    call: *index,
                    id: id.to_string(),
                    name: name.clone(),
                    arguments: String::new(),
                    seal: signature.as_deref().map(|own| seal::of_call(id, own)),
                };
                self.waiting.push_back(waiting);
                self.open_next_call(&mut out);
            }
            ModelEvent::ToolCallArguments { index, json } => self.arguments(*index, json, &mut out),
            ModelEvent::Opaque { dialect, value } if dialect == Dialect::Anthropic.name() => self.opaque(value, &mut out),
            ModelEvent::Opaque { .. } => {}
            ModelEvent::Finished(finish) => self.finish(finish, &mut out),
            ModelEvent::Failed(error) => {
                let (status, code) = public_status(error.kind);
                out.extend(encode_error_event(Dialect::Anthropic, status, code, &error.message));
            }
        }
        out
    }

    fn message_start(&self) -> Vec<u8> {
        let message = json!({
            "id": self.options.id,
            "type": "message",
            "role": "assistant",
            "model": self.options.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": { "input_tokens": 0, "output_tokens": 0 },
        });
        sse::encode("message_start", &json!({ "type": "message_start", "message": message }))
    }

    fn finish(&mut self, finish: &Finish, out: &mut Vec<u8>) {
        self.flush_calls(out);
        self.close(out);
        let delta = json!({ "stop_reason": words::finish_word(finish.reason), "stop_sequence": null });
        let event = json!({ "type": "message_delta", "delta": delta, "usage": usage::encode_usage(finish) });
        out.extend(sse::encode("message_delta", &event));
        out.extend(sse::encode("message_stop", &json!({ "type": "message_stop" })));
    }

    /// Opens a block of this kind unless one is open.
    fn open_as(&mut self, kind: Open, block: Value, out: &mut Vec<u8>) {
        if self.open == kind {
            return;
        }
        self.flush_calls(out);
        self.close(out);
        self.start(block, out);
        self.open = kind;
    }

    fn start(&mut self, block: Value, out: &mut Vec<u8>) {
        let event = json!({ "type": "content_block_start", "index": self.next_block, "content_block": block });
        out.extend(sse::encode("content_block_start", &event));
    }

    fn delta(&self, delta: Value) -> Vec<u8> {
        let event = json!({ "type": "content_block_delta", "index": self.next_block, "delta": delta });
        sse::encode("content_block_delta", &event)
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open == Open::Nothing {
            return;
        }
        self.open = Open::Nothing;
        self.stop(out);
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        out.extend(sse::encode(
            "content_block_stop",
            &json!({ "type": "content_block_stop", "index": self.next_block }),
        ));
        self.next_block += 1;
    }

    fn whole_block(&mut self, block: Value, delta: Option<Value>, out: &mut Vec<u8>) {
        self.flush_calls(out);
        self.close(out);
        self.start(block, out);
        if let Some(delta) = delta {
            out.extend(self.delta(delta));
        }
        self.stop(out);
    }

    fn arguments(&mut self, call: usize, json: &str, out: &mut Vec<u8>) {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.call == call) {
            waiting.arguments.push_str(json);
            return;
        }
        if let Open::Call { call: open, arguments } = &mut self.open
            && *open == call
        {
            arguments.push_str(json);
            out.extend(self.delta(json!({ "type": "input_json_delta", "partial_json": json })));
            self.open_next_call(out);
        }
    }

    /// Opens the calls that wait, as far as the open one lets them.
    fn open_next_call(&mut self, out: &mut Vec<u8>) {
        while !self.waiting.is_empty() {
            if let Open::Call { arguments, .. } = &self.open {
                let is_whole = serde_json::from_str::<IgnoredAny>(arguments).is_ok();
                if !is_whole {
                    return;
                }
            }
            self.open_call(out);
        }
    }

    fn flush_calls(&mut self, out: &mut Vec<u8>) {
        while !self.waiting.is_empty() {
            self.open_call(out);
        }
    }

    fn open_call(&mut self, out: &mut Vec<u8>) {
        let Some(Waiting {
            call,
            id,
            name,
            arguments,
            seal,
        }) = self.waiting.pop_front()
        else {
            return;
        };
        self.close(out);
        if let Some(seal) = seal {
            self.start(json!({ "type": "redacted_thinking", "data": seal }), out);
            self.stop(out);
        }
        self.start(json!({ "type": "tool_use", "id": id, "name": name, "input": {} }), out);
        if !arguments.is_empty() {
            out.extend(self.delta(json!({ "type": "input_json_delta", "partial_json": arguments })));
        }
        self.open = Open::Call { call, arguments };
    }

    /// A citation belongs into the open text; every other block comes whole, its input as one piece as the vendor's clients expect.
    fn opaque(&mut self, value: &Value, out: &mut Vec<u8>) {
        if text(value, "type") == "citations_delta" {
            self.open_as(Open::Text, json!({ "type": "text", "text": "" }), out);
            out.extend(self.delta(value.clone()));
            return;
        }
        let mut block = value.clone();
        let is_call = text(value, "type").ends_with("tool_use");
        let input = block
            .get_mut("input")
            .filter(|_| is_call)
            .map(|input| std::mem::replace(input, json!({})));
        let delta = input.map(|input| json!({ "type": "input_json_delta", "partial_json": input.to_string() }));
        self.whole_block(block, delta, out);
    }
}

fn thinking_block() -> Value {
    json!({ "type": "thinking", "thinking": "", "signature": "" })
}
