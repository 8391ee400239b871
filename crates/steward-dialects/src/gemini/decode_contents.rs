//! The contents of a Gemini request as messages.
//!
//! Calls and responses may come without ids; they are then given ids by their order, so that each response finds its call.

use serde_json::{Map, Value};
use steward_domain::id::CallId;
use steward_domain::message::{MediaSource, Message, Part, Role, ToolCall};
use steward_domain::model::ModelError;

use super::decode_request::camel_keys;
use crate::ingress::fields::bad;
use crate::json::{has, object, text, text_of};
use crate::{Dialect, seal};

const DIALECT: Dialect = Dialect::Gemini;

/// Adds the system instruction: a text, or a content.
pub(crate) fn decode_system(value: Value, messages: &mut Vec<Message>) -> Result<(), ModelError> {
    let parts = match value {
        Value::Null => return Ok(()),
        Value::String(rules) => vec![Part::text(rules)],
        Value::Array(list) => Contents::default().parts(Value::Array(list), Role::System, "systemInstruction")?,
        content => {
            let parts = content.get("parts").cloned().unwrap_or_default();
            Contents::default().parts(parts, Role::System, "systemInstruction.parts")?
        }
    };
    if !parts.is_empty() {
        messages.push(Message { role: Role::System, parts });
    }
    Ok(())
}

/// Adds the contents: one, or a list.
pub(crate) fn decode_contents(value: Value, messages: &mut Vec<Message>) -> Result<(), ModelError> {
    let list = match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list,
        Value::String(said) => {
            messages.push(Message::text(Role::User, said));
            return Ok(());
        }
        one => vec![one],
    };
    let mut contents = Contents::default();
    for (index, content) in list.into_iter().enumerate() {
        let place = format!("contents[{index}]");
        let role = match text(&content, "role") {
            "model" => Role::Assistant,
            "" | "user" | "function" | "tool" => Role::User,
            other => return Err(bad(format!("{place}.role is {other:?}; it must be user or model"))),
        };
        let parts = object(content).shift_remove("parts").unwrap_or_default();
        let parts = contents.parts(parts, role, &format!("{place}.parts"))?;
        messages.push(Message { role, parts });
    }
    Ok(())
}

/// The calls seen so far and not yet answered: name and id, in order.
#[derive(Default)]
struct Contents {
    calls: usize,
    open: Vec<(String, String)>,
}

impl Contents {
    fn parts(&mut self, value: Value, role: Role, place: &str) -> Result<Vec<Part>, ModelError> {
        let list = match value {
            Value::Null => Vec::new(),
            Value::Array(list) => list,
            one => vec![one],
        };
        let mut parts: Vec<Part> = Vec::with_capacity(list.len());
        for (index, part) in list.into_iter().enumerate() {
            let place = format!("{place}[{index}]");
            let Value::Object(mut part) = part else {
                return Err(bad(format!("{place} must be an object")));
            };
            camel_keys(&mut part);
            self.part(part, &place, &mut parts)?;
        }
        if role == Role::Assistant {
            parts = joined(parts);
            seal::give_to_calls(&mut parts);
        }
        Ok(parts)
    }

    fn part(&mut self, mut part: Map<String, Value>, place: &str, out: &mut Vec<Part>) -> Result<(), ModelError> {
        let shown = part.get("thoughtSignature").and_then(Value::as_str).unwrap_or_default();
        let (signature, is_redacted) = seal::take_back(DIALECT, shown);
        if let Some(call) = part.shift_remove("functionCall") {
            // The seal of a call is always the provider's own and stands bare in the domain.
            let signature = Some(shown_of(&part)).filter(|seal| !seal.is_empty());
            out.push(self.call(object(call), signature, place)?);
            return Ok(());
        }
        if let Some(response) = part.shift_remove("functionResponse") {
            out.push(self.response(object(response), place)?);
            return Ok(());
        }
        let is_thought = part.get("thought").and_then(Value::as_bool).unwrap_or(false);
        match part.get("text") {
            Some(Value::String(thought)) if is_thought => out.push(Part::Thinking {
                text: thought.clone(),
                signature,
                is_redacted,
            }),
            Some(Value::String(said)) => {
                if !said.is_empty() {
                    out.push(Part::text(said.as_str()));
                }
                if signature.is_some() {
                    out.push(Part::Thinking {
                        text: String::new(),
                        signature,
                        is_redacted,
                    });
                }
            }
            Some(_) => return Err(bad(format!("{place}.text must be a text"))),
            None => out.push(media(part)),
        }
        Ok(())
    }

    fn call(&mut self, mut call: Map<String, Value>, signature: Option<String>, place: &str) -> Result<Part, ModelError> {
        camel_keys(&mut call);
        let call = Value::Object(call);
        let name = text_of(&call, "name").ok_or_else(|| bad(format!("{place}.functionCall.name must be a text")))?;
        let id = text_of(&call, "id").filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| format!("call_{}", self.calls));
        self.calls += 1;
        self.open.push((name.clone(), id.clone()));
        let arguments = call.get("args").filter(|args| !args.is_null());
        Ok(Part::ToolCall(ToolCall {
            id: CallId::from_text(id),
            name,
            arguments: arguments.map_or_else(|| "{}".to_owned(), Value::to_string),
            signature,
        }))
    }

    fn response(&mut self, mut response: Map<String, Value>, place: &str) -> Result<Part, ModelError> {
        camel_keys(&mut response);
        let attached = response.shift_remove("parts").unwrap_or_default();
        let response = Value::Object(response);
        let name = text_of(&response, "name").ok_or_else(|| bad(format!("{place}.functionResponse.name must be a text")))?;
        let given = text_of(&response, "id").filter(|id| !id.is_empty());
        let answered = match &given {
            Some(id) => self.open.iter().position(|(_, open)| open == id),
            None => self.open.iter().position(|(called, _)| *called == name),
        };
        let found = answered.map(|at| self.open.remove(at).1);
        let id = given.or(found).unwrap_or_else(|| format!("call_{name}"));
        let (text, is_error) = result_text(response.get("response").unwrap_or(&Value::Null));
        let mut content = vec![Part::text(text)];
        content.extend(self.parts(attached, Role::User, &format!("{place}.functionResponse.parts"))?);
        Ok(Part::ToolResult {
            call_id: CallId::from_text(id),
            name,
            content,
            is_error,
        })
    }
}

fn shown_of(part: &Map<String, Value>) -> String {
    part.get("thoughtSignature").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What a tool gave, as text, and whether it is an error. A lone `result`, `output` or `error` is what clients wrap a text in.
fn result_text(response: &Value) -> (String, bool) {
    let Some(fields) = response.as_object() else {
        let text = response.as_str().map_or_else(|| response.to_string(), str::to_owned);
        return (text, false);
    };
    let mut entries = fields.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) if matches!(key.as_str(), "result" | "output" | "error" | "content") => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (text, key == "error")
        }
        _ => (response.to_string(), false),
    }
}

/// An image or a file; what only this dialect can fetch or understand stays as it is.
fn media(mut part: Map<String, Value>) -> Part {
    let is_plain = !part.contains_key("videoMetadata");
    for key in ["inlineData", "fileData"] {
        if let Some(Value::Object(data)) = part.get_mut(key) {
            camel_keys(data);
        }
    }
    let part = Value::Object(part);
    let source = match (part.get("inlineData"), part.get("fileData")) {
        (Some(inline), _) if is_plain && has(inline, "data") => MediaSource::Inline {
            media_type: text(inline, "mimeType").to_owned(),
            data: text(inline, "data").to_owned(),
        },
        (None, Some(file)) if is_plain && is_public(text(file, "fileUri")) => MediaSource::Url {
            url: text(file, "fileUri").to_owned(),
        },
        _ => {
            return Part::Opaque {
                dialect: DIALECT.name().to_owned(),
                value: part,
            };
        }
    };
    let data = part.get("inlineData").or(part.get("fileData")).unwrap_or(&Value::Null);
    if text(data, "mimeType").starts_with("image/") {
        return Part::Image { source, detail: None };
    }
    Part::File {
        name: text_of(data, "displayName"),
        source,
    }
}

/// Can others fetch it? The vendor's own files and buckets only the vendor can.
fn is_public(url: &str) -> bool {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let is_vendors = ["generativelanguage.googleapis.com", "youtube.com/", "youtu.be/"]
        .iter()
        .any(|host| url.contains(host));
    is_web && !is_vendors
}

/// Pieces of a thought or text, as clients keep them from a stream, as one each; a seal that follows a thought is its own.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts {
        match (joined.last_mut(), part) {
            (
                Some(Part::Thinking {
                    text,
                    signature: open @ None,
                    is_redacted,
                }),
                Part::Thinking {
                    text: more,
                    signature,
                    is_redacted: hides,
                },
            ) if !hides => {
                text.push_str(&more);
                *open = signature;
                *is_redacted = hides;
            }
            (Some(Part::Text { text, cache_control: None }), Part::Text { text: more, .. }) => text.push_str(&more),
            (_, part) => joined.push(part),
        }
    }
    joined
}
