//! Writes an answer as a stream of response events for a caller: items one after the other, each added, filled and done.

use serde_json::{Map, Value, json};
use steward_domain::model::{Finish, ModelError, ModelEvent};

use super::encode_response::{end_status, response_object};
use super::{items, usage};
use crate::ingress::{IngressOptions, encode_error_event, public_status};
use crate::{Dialect, seal, sse};

/// The state of one answer.
#[derive(Debug)]
pub(crate) struct Encoder {
    options: IngressOptions,
    has_begun: bool,
    sequence: u64,
    output: Vec<Item>,
    /// Probabilities that wait for the text they belong to.
    logprobs: Vec<Value>,
}

/// One output item and how far it is.
#[derive(Debug)]
struct Item {
    kind: Kind,
    text: String,
    annotations: Vec<Value>,
    logprobs: Vec<Value>,
    /// The item as it is when done; null until then.
    done: Value,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Message,
    Reasoning,
    Call { index: usize, id: String, name: String },
    Opaque,
}

impl Item {
    fn new(kind: Kind, done: Value) -> Self {
        Item {
            kind,
            text: String::new(),
            annotations: Vec::new(),
            logprobs: Vec::new(),
            done,
        }
    }

    fn whole_text(&self) -> Value {
        json!({ "type": "output_text", "text": self.text, "annotations": self.annotations, "logprobs": self.logprobs })
    }
}

impl Encoder {
    pub(crate) fn new(options: IngressOptions) -> Self {
        Encoder {
            options,
            has_begun: false,
            sequence: 0,
            output: Vec::new(),
            logprobs: Vec::new(),
        }
    }

    pub(crate) fn encode(&mut self, event: &ModelEvent) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.has_begun && !matches!(event, ModelEvent::Failed(_)) {
            self.has_begun = true;
            for kind in ["response.created", "response.in_progress"] {
                let response = response_object(&self.options, Vec::new(), "in_progress");
                self.emit(kind, json!({ "response": response }), &mut out);
            }
        }
        match event {
            ModelEvent::Started(_) => {}
            ModelEvent::Text(text) => self.grow(Kind::Message, text, &mut out),
            ModelEvent::Thinking(text) => self.grow(Kind::Reasoning, text, &mut out),
            ModelEvent::ThinkingSealed { signature, is_redacted } => {
                let shown = seal::show(Dialect::OpenAiResponses, signature, *is_redacted);
                self.seal(&shown, *is_redacted, &mut out);
            }
            ModelEvent::ToolCallStarted {
                index,
                id,
                name,
                signature,
            } => {
                if let Some(own) = signature {
                    self.seal(&seal::of_call(id, own), true, &mut out);
                }
                self.close_last(&mut out);
                self.add(
                    Kind::Call {
                        index: *index,
                        id: id.to_string(),
                        name: name.clone(),
                    },
                    &mut out,
                );
            }
            ModelEvent::ToolCallArguments { index, json } => self.arguments(*index, json, &mut out),
            ModelEvent::Opaque { dialect, value } => self.opaque(dialect, value, &mut out),
            ModelEvent::Finished(finish) => self.finish(finish, &mut out),
            ModelEvent::Failed(error) => self.fail(error, &mut out),
        }
        out
    }

    fn emit(&mut self, kind: &str, fields: Value, out: &mut Vec<u8>) {
        let mut event = Map::new();
        event.insert("type".to_owned(), Value::from(kind));
        event.insert("sequence_number".to_owned(), Value::from(self.sequence));
        event.extend(crate::json::object(fields));
        self.sequence += 1;
        out.extend(sse::encode(kind, &Value::Object(event)));
    }

    fn id_of(&self, place: usize) -> String {
        let prefix = match self.output[place].kind {
            Kind::Message => "msg",
            Kind::Reasoning => "rs",
            Kind::Call { .. } => "fc",
            Kind::Opaque => "item",
        };
        format!("{prefix}_{}_{place}", self.options.id)
    }

    fn add(&mut self, kind: Kind, out: &mut Vec<u8>) {
        self.output.push(Item::new(kind, Value::Null));
        let place = self.output.len() - 1;
        let item = self.item_object(place, "in_progress", None);
        self.emit("response.output_item.added", json!({ "output_index": place, "item": item }), out);
        let part = match self.output[place].kind {
            Kind::Message => (
                "response.content_part.added",
                "content_index",
                json!({ "type": "output_text", "text": "", "annotations": [], "logprobs": [] }),
            ),
            Kind::Reasoning => (
                "response.reasoning_summary_part.added",
                "summary_index",
                json!({ "type": "summary_text", "text": "" }),
            ),
            Kind::Call { .. } | Kind::Opaque => return,
        };
        let id = self.id_of(place);
        self.emit(
            part.0,
            json!({ "item_id": id, "output_index": place, part.1: 0, "part": part.2 }),
            out,
        );
    }

    fn item_object(&self, place: usize, status: &str, seal: Option<&str>) -> Value {
        let item = &self.output[place];
        let id = self.id_of(place);
        let is_done = status == "completed";
        match &item.kind {
            Kind::Message => {
                let content = if is_done { json!([item.whole_text()]) } else { json!([]) };
                json!({ "id": id, "type": "message", "status": status, "role": "assistant", "content": content })
            }
            Kind::Reasoning => {
                let has_summary = is_done && !item.text.is_empty();
                let summary = if has_summary {
                    json!([{ "type": "summary_text", "text": item.text }])
                } else {
                    json!([])
                };
                json!({ "id": id, "type": "reasoning", "summary": summary, "encrypted_content": seal })
            }
            Kind::Call { id: call, name, .. } => {
                let arguments = if is_done && item.text.is_empty() { "{}" } else { &item.text };
                json!({ "id": id, "type": "function_call", "status": status, "call_id": call, "name": name, "arguments": arguments })
            }
            Kind::Opaque => item.done.clone(),
        }
    }

    /// Adds to the open item of this kind, or opens one.
    fn grow(&mut self, kind: Kind, piece: &str, out: &mut Vec<u8>) {
        let is_open = self.output.last().is_some_and(|last| last.kind == kind && last.done.is_null());
        if !is_open {
            self.close_last(out);
            self.add(kind, out);
        }
        let place = self.output.len() - 1;
        self.output[place].text.push_str(piece);
        let id = self.id_of(place);
        if self.output[place].kind == Kind::Reasoning {
            let fields = json!({ "item_id": id, "output_index": place, "summary_index": 0, "delta": piece });
            self.emit("response.reasoning_summary_text.delta", fields, out);
            return;
        }
        let logprobs = std::mem::take(&mut self.logprobs);
        self.output[place].logprobs.extend(logprobs.iter().cloned());
        let fields = json!({ "item_id": id, "output_index": place, "content_index": 0, "delta": piece, "logprobs": logprobs });
        self.emit("response.output_text.delta", fields, out);
    }

    /// Ends the open thought with its seal. A hidden one is an item of its own, without a summary.
    fn seal(&mut self, shown: &str, is_hidden: bool, out: &mut Vec<u8>) {
        let is_open = self
            .output
            .last()
            .is_some_and(|last| last.kind == Kind::Reasoning && last.done.is_null());
        if !is_open || is_hidden {
            self.close_last(out);
            self.output.push(Item::new(Kind::Reasoning, Value::Null));
            let place = self.output.len() - 1;
            let item = self.item_object(place, "in_progress", None);
            self.emit("response.output_item.added", json!({ "output_index": place, "item": item }), out);
            let item = self.item_object(place, "completed", Some(shown));
            self.emit("response.output_item.done", json!({ "output_index": place, "item": item }), out);
            self.output[place].done = item;
            return;
        }
        self.close(self.output.len() - 1, Some(shown), out);
    }

    fn arguments(&mut self, index: usize, piece: &str, out: &mut Vec<u8>) {
        let is_call = |item: &Item| matches!(&item.kind, Kind::Call { index: known, .. } if *known == index);
        let Some(place) = self.output.iter().position(is_call) else {
            return;
        };
        self.output[place].text.push_str(piece);
        let id = self.id_of(place);
        let fields = json!({ "item_id": id, "output_index": place, "delta": piece });
        self.emit("response.function_call_arguments.delta", fields, out);
    }

    /// Calls stay open to the end, since their arguments may come interleaved.
    fn close_last(&mut self, out: &mut Vec<u8>) {
        let Some(place) = self.output.len().checked_sub(1) else { return };
        if !matches!(self.output[place].kind, Kind::Call { .. }) {
            self.close(place, None, out);
        }
    }

    fn close(&mut self, place: usize, seal: Option<&str>, out: &mut Vec<u8>) {
        if !self.output[place].done.is_null() {
            return;
        }
        let id = self.id_of(place);
        if self.output[place].kind == Kind::Message {
            let rest = std::mem::take(&mut self.logprobs);
            self.output[place].logprobs.extend(rest);
        }
        let item = self.item_object(place, "completed", seal);
        let text = self.output[place].text.clone();
        match self.output[place].kind {
            Kind::Message => {
                let part = self.output[place].whole_text();
                let base = json!({ "item_id": id, "output_index": place, "content_index": 0, "logprobs": part["logprobs"] });
                self.emit("response.output_text.done", with(&base, "text", Value::from(text)), out);
                let base = json!({ "item_id": id, "output_index": place, "content_index": 0 });
                self.emit("response.content_part.done", with(&base, "part", part), out);
            }
            Kind::Reasoning => {
                let part = json!({ "type": "summary_text", "text": text });
                let base = json!({ "item_id": id, "output_index": place, "summary_index": 0 });
                self.emit("response.reasoning_summary_text.done", with(&base, "text", Value::from(text)), out);
                self.emit("response.reasoning_summary_part.done", with(&base, "part", part), out);
            }
            Kind::Call { .. } => {
                let fields = json!({ "item_id": id, "output_index": place, "arguments": item["arguments"] });
                self.emit("response.function_call_arguments.done", fields, out);
            }
            Kind::Opaque => {}
        }
        self.emit("response.output_item.done", json!({ "output_index": place, "item": item }), out);
        self.output[place].done = item;
    }

    fn opaque(&mut self, dialect: &str, value: &Value, out: &mut Vec<u8>) {
        if let Some(entries) = items::logprobs_of(dialect, value) {
            self.logprobs.extend(entries.iter().cloned());
            return;
        }
        if let Some(annotations) = items::own_annotations(dialect, value) {
            annotations.iter().for_each(|annotation| self.annotate(annotation, out));
            return;
        }
        let is_item = dialect == Dialect::OpenAiResponses.name() && value.get("type").is_some();
        if !is_item {
            return;
        }
        self.close_last(out);
        self.output.push(Item::new(Kind::Opaque, value.clone()));
        let place = self.output.len() - 1;
        for kind in ["response.output_item.added", "response.output_item.done"] {
            self.emit(kind, json!({ "output_index": place, "item": value }), out);
        }
    }

    /// A citation goes into the open message.
    fn annotate(&mut self, annotation: &Value, out: &mut Vec<u8>) {
        let Some(place) = self.output.len().checked_sub(1) else { return };
        let last = &mut self.output[place];
        if last.kind != Kind::Message || !last.done.is_null() {
            return;
        }
        last.annotations.push(annotation.clone());
        let index = last.annotations.len() - 1;
        let fields = json!({
            "item_id": self.id_of(place), "output_index": place, "content_index": 0, "annotation_index": index, "annotation": annotation,
        });
        self.emit("response.output_text.annotation.added", fields, out);
    }

    fn finish(&mut self, finish: &Finish, out: &mut Vec<u8>) {
        for place in 0..self.output.len() {
            self.close(place, None, out);
        }
        let (status, reason) = end_status(finish.reason);
        let output: Vec<Value> = self.output.iter().map(|item| item.done.clone()).collect();
        let mut response = response_object(&self.options, output, status);
        response["usage"] = usage::encode_usage(finish);
        if let Some(reason) = reason {
            response["incomplete_details"] = json!({ "reason": reason });
        }
        self.emit(&format!("response.{status}"), json!({ "response": response }), out);
    }

    fn fail(&mut self, error: &ModelError, out: &mut Vec<u8>) {
        let (status, code) = public_status(error.kind);
        out.extend(encode_error_event(Dialect::OpenAiResponses, status, code, &error.message));
    }
}

fn with(base: &Value, key: &str, value: Value) -> Value {
    let mut fields = base.clone();
    fields[key] = value;
    fields
}
