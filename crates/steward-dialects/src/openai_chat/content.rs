//! Content of chat messages, both ways: a text, or a list of typed parts.

use serde_json::{Map, Value, json};
use steward_domain::message::{MediaSource, Part};

use crate::json::{has, text, text_of};
use crate::{Dialect, extra, media};

/// A part as chat content; `None` for what has its own place in a message or none at all.
pub(crate) fn encode_part(part: &Part) -> Option<Value> {
    match part {
        Part::Text { text, .. } => Some(json!({ "type": "text", "text": text })),
        Part::Image { source, detail } => {
            let mut image = Map::new();
            image.insert("url".to_owned(), Value::from(media::url_of(source)));
            crate::json::put(&mut image, "detail", detail.clone());
            Some(json!({ "type": "image_url", "image_url": image }))
        }
        Part::File { name, source } => Some(encode_file(name.as_deref(), source)),
        Part::Opaque { dialect, value } if dialect == Dialect::OpenAiChat.name() => Some(value.clone()),
        Part::Thinking { .. } | Part::ToolCall(_) | Part::ToolResult { .. } | Part::Opaque { .. } => None,
    }
}

fn encode_file(name: Option<&str>, source: &MediaSource) -> Value {
    if let MediaSource::Inline { media_type, data } = source
        && let Some(format) = media::audio_format(media_type)
    {
        return json!({ "type": "input_audio", "input_audio": { "data": data, "format": format } });
    }
    json!({ "type": "file", "file": { "filename": name.unwrap_or("file"), "file_data": media::url_of(source) } })
}

/// Content as a plain text where it is nothing else, as most servers prefer.
pub(crate) fn encode_content(parts: &[Part]) -> Value {
    let encoded: Vec<Value> = parts.iter().filter_map(encode_part).collect();
    match encoded.as_slice() {
        [] => Value::from(""),
        [only] if only.get("type") == Some(&Value::from("text")) => only["text"].clone(),
        _ => Value::Array(encoded),
    }
}

/// Parts from a `content` field. `place` is the field's path, for messages to the caller.
pub(crate) fn decode_content(content: Value, place: &str) -> Result<Vec<Part>, String> {
    match content {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(if text.is_empty() { Vec::new() } else { vec![Part::text(text)] }),
        Value::Array(list) => {
            let parts = list.into_iter().enumerate();
            parts.map(|(index, part)| decode_part(part, &format!("{place}[{index}]"))).collect()
        }
        _ => Err(format!("{place} must be a text or a list of parts")),
    }
}

fn decode_part(part: Value, place: &str) -> Result<Part, String> {
    let need = |value: &Value, key: &str| text_of(value, key).ok_or_else(|| format!("{place}.{key} must be a text"));
    if let Value::String(text) = part {
        return Ok(Part::text(text));
    }
    match text(&part, "type") {
        "text" | "input_text" | "output_text" => {
            let cache_control = part.get("cache_control").filter(|mark| !mark.is_null()).cloned();
            Ok(Part::Text {
                text: need(&part, "text")?,
                cache_control,
            })
        }
        "refusal" => Ok(Part::text(need(&part, "refusal")?)),
        "image_url" => {
            let image = part.get("image_url").unwrap_or(&Value::Null);
            let url = image.as_str().map(str::to_owned).or_else(|| text_of(image, "url"));
            let url = url.ok_or_else(|| format!("{place}.image_url.url must be a text"))?;
            Ok(Part::Image {
                source: media::source_of(url),
                detail: text_of(image, "detail"),
            })
        }
        "input_audio" => {
            let audio = part.get("input_audio").unwrap_or(&Value::Null);
            let data = text_of(audio, "data").ok_or_else(|| format!("{place}.input_audio.data must be a text"))?;
            let media_type = media::audio_type(text(audio, "format"));
            Ok(Part::File {
                name: None,
                source: MediaSource::Inline { media_type, data },
            })
        }
        "file" if part.get("file").is_some_and(|file| has(file, "file_data")) => {
            let file = &part["file"];
            let data = text_of(file, "file_data").ok_or_else(|| format!("{place}.file.file_data must be a text"))?;
            Ok(Part::File {
                name: text_of(file, "filename"),
                source: media::source_of(data),
            })
        }
        "" => Err(format!("{place}.type must be a text")),
        _ => Ok(Part::Opaque {
            dialect: Dialect::OpenAiChat.name().to_owned(),
            value: part,
        }),
    }
}

/// A tool's own extra fields, marked as this dialect's.
pub(crate) fn marked(mut fields: Map<String, Value>) -> Map<String, Value> {
    extra::mark(&mut fields, Dialect::OpenAiChat);
    fields
}
