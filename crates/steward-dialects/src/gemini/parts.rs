//! Parts of Gemini contents, both ways.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use steward_domain::message::{MediaSource, Message, Part, ToolCall};

use crate::egress::Quirks;
use crate::emitter::Emitter;
use crate::json::{arguments_object, has, put, text};
use crate::{Dialect, media, seal};

const DIALECT: Dialect = Dialect::Gemini;

/// What Gemini's own documentation gives as the signature of a call that another model made.
const FOREIGN_CALL: &str = "skip_thought_signature_validator";

/// What the parts of one message are written with.
pub(crate) struct PartEncoder<'a> {
    /// The tool of each call, for results that do not name it.
    pub(crate) names: HashMap<&'a str, &'a str>,
    /// The model refuses calls without a signature.
    pub(crate) needs_signatures: bool,
    pub(crate) quirks: Quirks,
}

impl PartEncoder<'_> {
    /// All parts of a message.
    pub(crate) fn encode(&self, message: &Message) -> Vec<Value> {
        let mut parts = Vec::new();
        for part in &message.parts {
            match part {
                Part::ToolCall(call) => parts.push(self.call(call)),
                Part::ToolResult { .. } => self.result(part, &mut parts),
                part => parts.extend(encode_plain(part)),
            }
        }
        self.sign_first_call(&mut parts);
        parts
    }

    fn call(&self, call: &ToolCall) -> Value {
        let ToolCall {
            id,
            name,
            arguments,
            signature,
        } = call;
        let mut function = Map::new();
        if !self.quirks.rejects_call_ids {
            function.insert("id".to_owned(), Value::from(id.as_str()));
        }
        function.insert("name".to_owned(), Value::from(name.as_str()));
        function.insert("args".to_owned(), arguments_object(arguments));
        let mut part = Map::new();
        part.insert("functionCall".to_owned(), Value::Object(function));
        put(&mut part, "thoughtSignature", signature.clone());
        Value::Object(part)
    }

    /// Of parallel calls only the first carries a signature.
    fn sign_first_call(&self, parts: &mut [Value]) {
        let is_signed = parts.iter().any(|part| has(part, "functionCall") && has(part, "thoughtSignature"));
        if !self.needs_signatures || is_signed {
            return;
        }
        if let Some(first) = parts.iter_mut().find(|part| has(part, "functionCall")) {
            first["thoughtSignature"] = Value::from(FOREIGN_CALL);
        }
    }

    /// What a tool gave beside text follows its response as parts of their own.
    fn result(&self, part: &Part, out: &mut Vec<Value>) {
        let Part::ToolResult {
            call_id,
            name,
            content,
            is_error,
        } = part
        else {
            return;
        };
        let (text, attachments) = media::split_content(content);
        let response = match serde_json::from_str(&text) {
            Ok(Value::Object(object)) if !is_error => Value::Object(object),
            _ if *is_error => json!({ "error": text }),
            _ => json!({ "result": text }),
        };
        let known = self.names.get(call_id.as_str()).copied().unwrap_or_default();
        let name = if name.is_empty() { known } else { name };
        let mut function = Map::new();
        if !self.quirks.rejects_call_ids {
            function.insert("id".to_owned(), Value::from(call_id.as_str()));
        }
        function.insert("name".to_owned(), Value::from(name));
        function.insert("response".to_owned(), response);
        out.push(json!({ "functionResponse": function }));
        out.extend(attachments.into_iter().filter_map(encode_plain));
    }
}

/// A part that is neither call nor result.
pub(crate) fn encode_plain(part: &Part) -> Option<Value> {
    match part {
        Part::Text { text, .. } if text.is_empty() => None,
        Part::Text { text, .. } => Some(json!({ "text": text })),
        Part::Image { source, .. } | Part::File { source, .. } => Some(encode_media(source)),
        // A thought without Gemini's own seal tells it nothing.
        Part::Thinking { text, signature, .. } => {
            let sealed = seal::for_dialect(DIALECT, signature.as_deref()?)?;
            Some(match text.is_empty() {
                true => json!({ "text": "", "thoughtSignature": sealed }),
                false => json!({ "text": text, "thought": true, "thoughtSignature": sealed }),
            })
        }
        Part::Opaque { dialect, value } => (dialect == DIALECT.name() && !has(value, "groundingMetadata")).then(|| value.clone()),
        Part::ToolCall(_) | Part::ToolResult { .. } => None,
    }
}

fn encode_media(source: &MediaSource) -> Value {
    match source {
        MediaSource::Inline { media_type, data } => json!({ "inlineData": { "mimeType": media_type, "data": data } }),
        MediaSource::Url { url } => match media::type_by_ending(url) {
            Some(media_type) => json!({ "fileData": { "mimeType": media_type, "fileUri": url } }),
            None => json!({ "fileData": { "fileUri": url } }),
        },
    }
}

/// Reads one part of an answer.
pub(crate) fn decode_part(part: &Value, emitter: &mut Emitter) {
    let signature = [text(part, "thoughtSignature"), text(part, "thought_signature")].concat();
    if let Some(call) = part.get("functionCall") {
        let index = emitter.start_call(
            text(call, "id"),
            text(call, "name"),
            Some(signature).filter(|seal| !seal.is_empty()),
        );
        let arguments = call.get("args").filter(|args| !args.is_null());
        emitter.arguments(index, &arguments.map_or_else(|| "{}".to_owned(), Value::to_string));
        return;
    }
    let is_thought = part.get("thought").and_then(Value::as_bool).unwrap_or(false);
    match part.get("text").and_then(Value::as_str) {
        Some(thought) if is_thought => emitter.thinking(thought),
        Some(said) => emitter.text(said),
        None => {
            // The whole part is kept, its seal included.
            if part.as_object().is_some_and(|fields| !fields.is_empty()) {
                emitter.opaque(DIALECT, part.clone());
            }
            return;
        }
    }
    emitter.seal(seal::keep(DIALECT, &signature), false);
}

/// A part of an answer for a caller.
pub(crate) fn encode_answer_part(part: &Part) -> Option<Value> {
    match part {
        Part::Text { text, .. } => Some(json!({ "text": text })),
        Part::Thinking {
            text,
            signature,
            is_redacted,
        } => {
            let mut encoded = Map::new();
            encoded.insert("text".to_owned(), Value::from(text.as_str()));
            encoded.insert("thought".to_owned(), Value::Bool(true));
            let shown = signature.as_deref().map(|kept| seal::show(DIALECT, kept, *is_redacted));
            put(&mut encoded, "thoughtSignature", shown);
            Some(Value::Object(encoded))
        }
        Part::ToolCall(ToolCall {
            id,
            name,
            arguments,
            signature,
        }) => {
            let mut encoded = Map::new();
            encoded.insert(
                "functionCall".to_owned(),
                json!({ "id": id, "name": name, "args": arguments_object(arguments) }),
            );
            put(&mut encoded, "thoughtSignature", signature.clone());
            Some(Value::Object(encoded))
        }
        Part::Opaque { dialect, value } => (dialect == DIALECT.name() && !has(value, "groundingMetadata")).then(|| value.clone()),
        Part::Image { .. } | Part::File { .. } | Part::ToolResult { .. } => None,
    }
}
