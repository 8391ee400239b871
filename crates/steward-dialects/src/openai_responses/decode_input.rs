//! The input of a responses request as messages: items of the model in a row become one message, and so do results of its calls.

use std::collections::HashMap;

use serde_json::Value;
use steward_domain::id::CallId;
use steward_domain::message::{MediaSource, Message, Part, Role, ToolCall};
use steward_domain::model::ModelError;

use super::items::thought_of;
use crate::ingress::fields::bad;
use crate::json::{has, text, text_of};
use crate::{Dialect, media, seal};

const DIALECT: Dialect = Dialect::OpenAiResponses;

/// Adds the messages of `input`, a text or a list of items.
pub(crate) fn decode_input(input: Value, messages: &mut Vec<Message>) -> Result<(), ModelError> {
    match input {
        Value::String(said) => messages.push(Message::text(Role::User, said)),
        Value::Array(items) if !items.is_empty() => {
            let mut names: HashMap<String, String> = HashMap::new();
            for (index, item) in items.into_iter().enumerate() {
                let (role, parts) = decode_item(item, &format!("input[{index}]"), &mut names)?;
                add(messages, role, parts);
            }
            for message in messages.iter_mut().filter(|message| message.role == Role::Assistant) {
                seal::give_to_calls(&mut message.parts);
            }
        }
        Value::Null | Value::Array(_) => return Err(bad("input is missing or empty")),
        _ => return Err(bad("input must be a text or a list of items")),
    }
    Ok(())
}

fn add(messages: &mut Vec<Message>, role: Role, parts: Vec<Part>) {
    let is_results = |parts: &[Part]| parts.iter().all(|part| matches!(part, Part::ToolResult { .. }));
    match messages.last_mut() {
        Some(last) if last.role == Role::Assistant && role == Role::Assistant => last.parts.extend(parts),
        Some(last) if last.role == Role::User && role == Role::User && is_results(&last.parts) && is_results(&parts) => {
            last.parts.extend(parts);
        }
        _ => messages.push(Message { role, parts }),
    }
}

fn decode_item(mut item: Value, place: &str, names: &mut HashMap<String, String>) -> Result<(Role, Vec<Part>), ModelError> {
    let need = |item: &Value, key: &str| text_of(item, key).ok_or_else(|| bad(format!("{place}.{key} must be a text")));
    match text(&item, "type") {
        "" | "message" => {
            let role = match text(&item, "role") {
                "user" => Role::User,
                "assistant" => Role::Assistant,
                "system" | "developer" => Role::System,
                "" => return Err(bad(format!("{place}.role must be a text"))),
                other => {
                    return Err(bad(format!(
                        "{place}.role is {other:?}; it must be system, developer, user or assistant"
                    )));
                }
            };
            let content = item.get_mut("content").map(Value::take).unwrap_or_default();
            Ok((role, decode_content(content, &format!("{place}.content")).map_err(bad)?))
        }
        "function_call" => {
            let (id, name) = (need(&item, "call_id")?, need(&item, "name")?);
            names.insert(id.clone(), name.clone());
            let call = ToolCall {
                id: CallId::from_text(id),
                name,
                arguments: text(&item, "arguments").to_owned(),
                signature: None,
            };
            Ok((Role::Assistant, vec![Part::ToolCall(call)]))
        }
        "function_call_output" => {
            let id = need(&item, "call_id")?;
            let output = item.get_mut("output").map(Value::take).unwrap_or_default();
            let result = Part::ToolResult {
                name: names.get(&id).cloned().unwrap_or_default(),
                call_id: CallId::from_text(id),
                content: decode_content(output, &format!("{place}.output")).map_err(bad)?,
                is_error: false,
            };
            Ok((Role::User, vec![result]))
        }
        "reasoning" => {
            let shown = text(&item, "encrypted_content");
            let (signature, is_redacted) = seal::take_back(DIALECT, shown);
            let thought = Part::Thinking {
                text: thought_of(&item),
                signature,
                is_redacted,
            };
            Ok((Role::Assistant, vec![thought]))
        }
        "item_reference" => Err(bad(format!(
            "{place} is a reference to a stored item, and nothing is stored here; send the item itself"
        ))),
        kind => {
            // Results of the provider's own tools are the caller's, everything else is the model's.
            let role = if kind.ends_with("_output") || kind == "mcp_approval_response" {
                Role::User
            } else {
                Role::Assistant
            };
            Ok((role, vec![opaque(item)]))
        }
    }
}

/// Parts of a `content` or `output` field. `place` is its path.
fn decode_content(content: Value, place: &str) -> Result<Vec<Part>, String> {
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
    match text(&part, "type") {
        "input_text" | "output_text" | "text" | "summary_text" => Ok(Part::Text {
            text: need(&part, "text")?,
            cache_control: part.get("cache_control").filter(|mark| !mark.is_null()).cloned(),
        }),
        "refusal" => Ok(Part::text(need(&part, "refusal")?)),
        "input_image" if has(&part, "image_url") => Ok(Part::Image {
            source: media::source_of(need(&part, "image_url")?),
            detail: text_of(&part, "detail"),
        }),
        "input_file" if has(&part, "file_data") => Ok(Part::File {
            name: text_of(&part, "filename"),
            source: media::source_of(need(&part, "file_data")?),
        }),
        "input_file" if has(&part, "file_url") => Ok(Part::File {
            name: text_of(&part, "filename"),
            source: MediaSource::Url {
                url: need(&part, "file_url")?,
            },
        }),
        "input_audio" => {
            let audio = part.get("input_audio").unwrap_or(&Value::Null);
            let data = text_of(audio, "data").ok_or_else(|| format!("{place}.input_audio.data must be a text"))?;
            Ok(Part::File {
                name: None,
                source: MediaSource::Inline {
                    media_type: media::audio_type(text(audio, "format")),
                    data,
                },
            })
        }
        "" => Err(format!("{place}.type must be a text")),
        _ => Ok(opaque(part)),
    }
}

fn opaque(value: Value) -> Part {
    Part::Opaque {
        dialect: DIALECT.name().to_owned(),
        value,
    }
}
