//! Content blocks of Anthropic messages, both ways.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use steward_domain::id::CallId;
use steward_domain::message::{MediaSource, Part, ToolCall};

use crate::json::{arguments_object, put, text, text_of};
use crate::{Dialect, seal};

const DIALECT: Dialect = Dialect::Anthropic;

/// A part as a block; `None` for what Anthropic would refuse: empty texts, and thoughts without its own seal.
pub(crate) fn encode_block(part: &Part) -> Option<Value> {
    match part {
        Part::Text { text, .. } if text.is_empty() => None,
        Part::Text { text, cache_control } => {
            let mut block = typed("text");
            block.insert("text".to_owned(), Value::from(text.as_str()));
            put(&mut block, "cache_control", cache_control.clone());
            Some(Value::Object(block))
        }
        Part::Image { source, .. } => Some(json!({ "type": "image", "source": encode_source(source) })),
        Part::File { name, source } => {
            let mut block = typed("document");
            block.insert("source".to_owned(), encode_document(source));
            put(&mut block, "title", name.clone());
            Some(Value::Object(block))
        }
        Part::Thinking {
            text,
            signature,
            is_redacted,
        } => {
            let seal = seal::for_dialect(DIALECT, signature.as_deref()?)?;
            Some(match is_redacted {
                true => json!({ "type": "redacted_thinking", "data": seal }),
                false => json!({ "type": "thinking", "thinking": text, "signature": seal }),
            })
        }
        Part::ToolCall(ToolCall { id, name, arguments, .. }) => {
            Some(json!({ "type": "tool_use", "id": plain_id(id), "name": name, "input": arguments_object(arguments) }))
        }
        Part::ToolResult {
            call_id,
            content,
            is_error,
            ..
        } => Some(encode_result(call_id, content, *is_error)),
        // A citation stands inside a text block and is no block itself.
        Part::Opaque { dialect, value } => {
            let is_block = dialect == DIALECT.name() && text(value, "type") != "citations_delta";
            is_block.then(|| value.clone())
        }
    }
}

/// A cache mark on the last text of a result is the mark of the whole result.
fn encode_result(call_id: &CallId, content: &[Part], is_error: bool) -> Value {
    let mut block = typed("tool_result");
    block.insert("tool_use_id".to_owned(), Value::from(plain_id(call_id)));
    let mut inner: Vec<Value> = content.iter().filter_map(encode_block).collect();
    let mark = inner
        .last_mut()
        .and_then(Value::as_object_mut)
        .and_then(|last| last.shift_remove("cache_control"));
    let content = match inner.as_slice() {
        [only] if text(only, "type") == "text" => only["text"].clone(),
        _ => Value::Array(inner),
    };
    block.insert("content".to_owned(), content);
    if is_error {
        block.insert("is_error".to_owned(), Value::Bool(true));
    }
    put(&mut block, "cache_control", mark);
    Value::Object(block)
}

fn encode_source(source: &MediaSource) -> Value {
    match source {
        MediaSource::Inline { media_type, data } => json!({ "type": "base64", "media_type": media_type, "data": data }),
        MediaSource::Url { url } => json!({ "type": "url", "url": url }),
    }
}

/// Documents are PDFs or plain text; text is not taken as base64.
fn encode_document(source: &MediaSource) -> Value {
    if let MediaSource::Inline { media_type, data } = source
        && (media_type.starts_with("text/") || media_type == "application/json")
        && let Ok(bytes) = STANDARD.decode(data)
    {
        return json!({ "type": "text", "media_type": "text/plain", "data": String::from_utf8_lossy(&bytes) });
    }
    encode_source(source)
}

/// Anthropic takes letters, digits, `_` and `-` in ids; others' ids may hold more.
fn plain_id(id: &CallId) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    id.as_str()
        .chars()
        .map(|character| if is_plain(character) { character } else { '_' })
        .collect()
}

fn typed(kind: &str) -> Map<String, Value> {
    let mut block = Map::new();
    block.insert("type".to_owned(), Value::from(kind));
    block
}

/// Parts from a `content` field. `place` is its path and `name_of` the tool of a call by its id.
pub(crate) fn decode_content(content: Value, place: &str, name_of: &dyn Fn(&str) -> String) -> Result<Vec<Part>, String> {
    match content {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(if text.is_empty() { Vec::new() } else { vec![Part::text(text)] }),
        Value::Array(list) => {
            let blocks = list.into_iter().enumerate();
            blocks
                .map(|(index, block)| decode_block(block, &format!("{place}[{index}]"), name_of))
                .collect()
        }
        _ => Err(format!("{place} must be a text or a list of blocks")),
    }
}

/// A part from one block.
pub(crate) fn decode_block(mut block: Value, place: &str, name_of: &dyn Fn(&str) -> String) -> Result<Part, String> {
    let need = |block: &Value, key: &str| text_of(block, key).ok_or_else(|| format!("{place}.{key} must be a text"));
    let mark = block.get("cache_control").filter(|mark| !mark.is_null()).cloned();
    match text(&block, "type") {
        "text" => Ok(Part::Text {
            text: need(&block, "text")?,
            cache_control: mark,
        }),
        "image" => match decode_source(&block["source"]) {
            Some(source) => Ok(Part::Image { source, detail: None }),
            None => Ok(opaque(block)),
        },
        "document" if !block.get("citations").is_some_and(Value::is_object) => match decode_source(&block["source"]) {
            Some(source) => Ok(Part::File {
                name: text_of(&block, "title"),
                source,
            }),
            None => Ok(opaque(block)),
        },
        "thinking" => {
            let signature = text_of(&block, "signature").filter(|seal| !seal.is_empty());
            Ok(Part::Thinking {
                text: need(&block, "thinking")?,
                signature,
                is_redacted: false,
            })
        }
        "redacted_thinking" => Ok(Part::Thinking {
            text: String::new(),
            signature: Some(need(&block, "data")?),
            is_redacted: true,
        }),
        "tool_use" => Ok(Part::ToolCall(ToolCall {
            id: CallId::from_text(need(&block, "id")?),
            name: need(&block, "name")?,
            arguments: block.get("input").map_or_else(|| "{}".to_owned(), Value::to_string),
            signature: None,
        })),
        "tool_result" => {
            let id = need(&block, "tool_use_id")?;
            let is_error = block.get("is_error").and_then(Value::as_bool).unwrap_or(false);
            let inner = block.get_mut("content").map(Value::take).unwrap_or_default();
            let mut content = decode_content(inner, &format!("{place}.content"), name_of)?;
            if let (Some(mark), Some(Part::Text { cache_control, .. })) = (mark, content.last_mut()) {
                *cache_control = Some(mark);
            }
            Ok(Part::ToolResult {
                name: name_of(&id),
                call_id: CallId::from_text(id),
                content,
                is_error,
            })
        }
        "" => Err(format!("{place}.type must be a text")),
        _ => Ok(opaque(block)),
    }
}

fn decode_source(source: &Value) -> Option<MediaSource> {
    match text(source, "type") {
        "base64" => Some(MediaSource::Inline {
            media_type: text_of(source, "media_type")?,
            data: text_of(source, "data")?,
        }),
        "url" => Some(MediaSource::Url {
            url: text_of(source, "url")?,
        }),
        "text" => {
            let data = STANDARD.encode(text_of(source, "data")?);
            Some(MediaSource::Inline {
                media_type: "text/plain".to_owned(),
                data,
            })
        }
        _ => None,
    }
}

/// A block that stays as it is.
pub(crate) fn opaque(block: Value) -> Part {
    Part::Opaque {
        dialect: DIALECT.name().to_owned(),
        value: block,
    }
}
