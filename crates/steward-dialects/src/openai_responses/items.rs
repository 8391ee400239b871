//! Items of the responses dialect: what a conversation's parts are on the way out, and what an answer's items are on the way in.

use serde_json::{Map, Value, json};
use steward_domain::message::{MediaSource, Message, Part, Role, ToolCall};

use crate::emitter::Emitter;
use crate::json::{list, put, text};
use crate::{Dialect, media, seal};

const DIALECT: Dialect = Dialect::OpenAiResponses;

/// The input items of one message. Parts that share a message item keep together; calls, results and thoughts are items of their own.
pub(crate) fn encode_items(message: &Message, out: &mut Vec<Value>) {
    let mut content = Vec::new();
    for part in &message.parts {
        if let Some(inner) = encode_content(part, message.role) {
            content.push(inner);
            continue;
        }
        let Some(item) = encode_item(part) else { continue };
        flush(message.role, &mut content, out);
        out.push(item);
    }
    flush(message.role, &mut content, out);
}

fn flush(role: Role, content: &mut Vec<Value>, out: &mut Vec<Value>) {
    if content.is_empty() {
        return;
    }
    let role = match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    out.push(json!({ "type": "message", "role": role, "content": std::mem::take(content) }));
}

fn encode_content(part: &Part, role: Role) -> Option<Value> {
    match part {
        Part::Text { text, .. } if text.is_empty() => None,
        Part::Text { text, .. } if role == Role::Assistant => Some(json!({ "type": "output_text", "text": text })),
        Part::Text { text, .. } => Some(json!({ "type": "input_text", "text": text })),
        Part::Image { source, detail } => {
            let detail = detail.as_deref().unwrap_or("auto");
            Some(json!({ "type": "input_image", "image_url": media::url_of(source), "detail": detail }))
        }
        Part::File { name, source } => Some(encode_file(name.as_deref(), source)),
        // A file at the provider or a part of another kind stands inside of a message, every other block is an item.
        Part::Opaque { dialect, value } if dialect == DIALECT.name() => text(value, "type").starts_with("input_").then(|| value.clone()),
        Part::Thinking { .. } | Part::ToolCall(_) | Part::ToolResult { .. } | Part::Opaque { .. } => None,
    }
}

fn encode_file(name: Option<&str>, source: &MediaSource) -> Value {
    match source {
        MediaSource::Url { url } => json!({ "type": "input_file", "file_url": url }),
        MediaSource::Inline { media_type, data } if media::audio_format(media_type).is_some() => {
            json!({ "type": "input_audio", "input_audio": { "data": data, "format": media::audio_format(media_type) } })
        }
        MediaSource::Inline { .. } => {
            json!({ "type": "input_file", "filename": name.unwrap_or("file"), "file_data": media::url_of(source) })
        }
    }
}

fn encode_item(part: &Part) -> Option<Value> {
    match part {
        Part::ToolCall(ToolCall { id, name, arguments, .. }) => {
            let arguments = if arguments.is_empty() { "{}" } else { arguments };
            Some(json!({ "type": "function_call", "call_id": id, "name": name, "arguments": arguments }))
        }
        Part::ToolResult { call_id, content, .. } => {
            let (text, _) = media::split_content(content);
            let is_only_text = content.iter().all(|part| matches!(part, Part::Text { .. }));
            let output = if is_only_text {
                Value::from(text)
            } else {
                Value::Array(content.iter().filter_map(|part| encode_content(part, Role::User)).collect())
            };
            Some(json!({ "type": "function_call_output", "call_id": call_id, "output": output }))
        }
        Part::Thinking { text, signature, .. } => {
            let sealed = seal::for_dialect(DIALECT, signature.as_deref()?)?;
            let summary = if text.is_empty() {
                json!([])
            } else {
                json!([{ "type": "summary_text", "text": text }])
            };
            Some(json!({ "type": "reasoning", "summary": summary, "encrypted_content": sealed }))
        }
        Part::Opaque { dialect, value } => (dialect == DIALECT.name() && value.get("type").is_some()).then(|| value.clone()),
        Part::Text { .. } | Part::Image { .. } | Part::File { .. } => None,
    }
}

/// Reads one whole output item, and says whether it refused.
pub(crate) fn decode_item(item: &Value, emitter: &mut Emitter) -> bool {
    let mut has_refused = false;
    match text(item, "type") {
        "message" => {
            for content in list(item, "content") {
                has_refused |= text(content, "type") == "refusal";
                emitter.text(text(content, "text"));
                emitter.text(text(content, "refusal"));
                decode_logprobs(content, emitter);
                decode_annotations(content, emitter);
            }
        }
        "reasoning" => {
            emitter.thinking(&thought_of(item));
            decode_seal(item, emitter);
        }
        "function_call" => {
            let index = emitter.start_call(text(item, "call_id"), text(item, "name"), None);
            emitter.arguments(index, text(item, "arguments"));
        }
        "" => {}
        _ => emitter.opaque(DIALECT, item.clone()),
    }
    has_refused
}

/// The seal of a reasoning item that ends.
pub(crate) fn decode_seal(item: &Value, emitter: &mut Emitter) {
    emitter.seal(seal::keep(DIALECT, text(item, "encrypted_content")), false);
}

/// Citations, as the dialect gave them. They have no `type` of an item and are never sent back.
pub(crate) fn decode_annotations(content: &Value, emitter: &mut Emitter) {
    let annotations = list(content, "annotations");
    if !annotations.is_empty() {
        emitter.opaque(DIALECT, json!({ "annotations": annotations }));
    }
}

/// The text of a reasoning item: its open content, else its summary.
pub(crate) fn thought_of(item: &Value) -> String {
    let open: Vec<&str> = list(item, "content").iter().map(|piece| text(piece, "text")).collect();
    if !open.is_empty() {
        return open.concat();
    }
    let summary: Vec<&str> = list(item, "summary").iter().map(|piece| text(piece, "text")).collect();
    summary.join("\n\n")
}

/// The output items of an answer for a caller. `id` is the answer's own, from which the items' are made.
pub(crate) fn encode_output(parts: &[Part], id: &str) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    for part in parts {
        match part {
            Part::ToolCall(ToolCall {
                id: call,
                signature: Some(own),
                ..
            }) => {
                let seal = seal::of_call(call, own);
                items.push(
                    json!({ "id": format!("rs_{id}_{}", items.len()), "type": "reasoning", "summary": [], "encrypted_content": seal }),
                );
            }
            Part::Opaque { dialect, value } => add_to_message(&mut items, dialect, value),
            Part::Text { .. }
            | Part::Image { .. }
            | Part::File { .. }
            | Part::Thinking { .. }
            | Part::ToolCall(_)
            | Part::ToolResult { .. } => {}
        }
        let item_id = format!("{id}_{}", items.len());
        items.extend(output_item(part, &item_id));
    }
    items
}

/// Citations and probabilities belong into the text of the last message.
fn add_to_message(items: &mut [Value], dialect: &str, value: &Value) {
    let Some(text) = items
        .iter_mut()
        .rfind(|item| text(item, "type") == "message")
        .and_then(|item| item.pointer_mut("/content/0"))
    else {
        return;
    };
    if let Some(annotations) = own_annotations(dialect, value)
        && let Some(Value::Array(known)) = text.get_mut("annotations")
    {
        known.extend(annotations.iter().cloned());
    }
    if let (Some(probabilities), Value::Object(fields)) = (logprobs_of(dialect, value), text) {
        let known = fields.entry("logprobs").or_insert_with(|| json!([]));
        if let Value::Array(known) = known {
            known.extend(probabilities.iter().cloned());
        }
    }
}

/// The citations of an opaque block, where it is one of this dialect's.
pub(crate) fn own_annotations<'a>(dialect: &str, value: &'a Value) -> Option<&'a [Value]> {
    let is_ours = dialect == DIALECT.name() && value.get("type").is_none();
    value.get("annotations").filter(|_| is_ours)?.as_array().map(Vec::as_slice)
}

/// The probabilities of an opaque block. They travel in the form of chat, whose entries this dialect shares.
pub(crate) fn logprobs_of<'a>(dialect: &str, value: &'a Value) -> Option<&'a [Value]> {
    let is_chat = dialect == Dialect::OpenAiChat.name();
    value
        .pointer("/logprobs/content")
        .filter(|_| is_chat)?
        .as_array()
        .map(Vec::as_slice)
}

/// Probabilities in a piece or a whole text.
pub(crate) fn decode_logprobs(value: &Value, emitter: &mut Emitter) {
    let entries = list(value, "logprobs");
    if !entries.is_empty() {
        emitter.opaque(Dialect::OpenAiChat, json!({ "logprobs": { "content": entries } }));
    }
}

fn output_item(part: &Part, id: &str) -> Option<Value> {
    match part {
        Part::Text { text, .. } => {
            let content = json!([{ "type": "output_text", "text": text, "annotations": [] }]);
            Some(json!({ "id": format!("msg_{id}"), "type": "message", "status": "completed", "role": "assistant", "content": content }))
        }
        Part::Thinking {
            text,
            signature,
            is_redacted,
        } => {
            let summary = if text.is_empty() {
                json!([])
            } else {
                json!([{ "type": "summary_text", "text": text }])
            };
            let mut item = Map::new();
            item.insert("id".to_owned(), Value::from(format!("rs_{id}")));
            item.insert("type".to_owned(), Value::from("reasoning"));
            item.insert("summary".to_owned(), summary);
            let shown = signature.as_deref().map(|kept| seal::show(DIALECT, kept, *is_redacted));
            put(&mut item, "encrypted_content", shown);
            Some(Value::Object(item))
        }
        Part::ToolCall(ToolCall {
            id: call, name, arguments, ..
        }) => {
            let arguments = if arguments.is_empty() { "{}" } else { arguments };
            let item_id = format!("fc_{id}");
            Some(json!({
                "id": item_id, "type": "function_call", "status": "completed", "call_id": call, "name": name, "arguments": arguments,
            }))
        }
        Part::Opaque { dialect, value } => (dialect == DIALECT.name() && value.get("type").is_some()).then(|| value.clone()),
        Part::Image { .. } | Part::File { .. } | Part::ToolResult { .. } => None,
    }
}
