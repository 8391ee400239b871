//! Anthropic messages, as a provider writes it.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Answer, Event, list_of, pieces, required, text_of};
use crate::conversation::{Conversation, Item};
use crate::script::{ErrorKind, ScriptedError};

/// Reads a request and refuses what the provider would refuse.
pub fn read(body: &Value) -> Result<Conversation, String> {
    if !body["max_tokens"].is_u64() {
        return Err("max_tokens: Field required".to_owned());
    }
    let mut items = Vec::new();
    let rules = text_of(&body["system"]);
    if !rules.is_empty() {
        items.push(Item::System(rules));
    }
    let mut open_calls = HashSet::new();
    for (at, message) in list_of(&body["messages"]).iter().enumerate() {
        let place = format!("messages.{at}");
        match required(message, "role", &place)? {
            "assistant" => read_answer(message, &place, &mut items, &mut open_calls)?,
            "user" => read_user(message, &place, &mut items, &mut open_calls)?,
            other => return Err(format!("{place}.role: unexpected value '{other}'")),
        }
        if message["role"] == "user" && !open_calls.is_empty() {
            return Err(format!(
                "{place}: `tool_use` ids were found without `tool_result` blocks immediately after"
            ));
        }
    }
    if list_of(&body["messages"]).is_empty() {
        return Err("messages: at least one message is required".to_owned());
    }
    let tools = list_of(&body["tools"]).iter();
    Ok(Conversation {
        model: required(body, "model", "request")?.to_owned(),
        items,
        tools: tools.filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect(),
    })
}

fn read_answer(message: &Value, place: &str, items: &mut Vec<Item>, open_calls: &mut HashSet<String>) -> Result<(), String> {
    if let Some(text) = message["content"].as_str() {
        items.push(Item::Assistant(text.to_owned()));
    }
    for block in list_of(&message["content"]) {
        match required(block, "type", place)? {
            "text" => items.push(Item::Assistant(required(block, "text", place)?.to_owned())),
            "tool_use" => {
                if !block["input"].is_object() {
                    return Err(format!("{place}.content: tool_use.input: Input should be a valid dictionary"));
                }
                let name = required(block, "name", place)?.to_owned();
                items.push(Item::Call(name, block["input"].to_string()));
                open_calls.insert(required(block, "id", place)?.to_owned());
            }
            "thinking" => {
                required(block, "signature", place)?;
            }
            "redacted_thinking" => {
                required(block, "data", place)?;
            }
            other => return Err(format!("{place}.content: unexpected block '{other}'")),
        }
    }
    Ok(())
}

fn read_user(message: &Value, place: &str, items: &mut Vec<Item>, open_calls: &mut HashSet<String>) -> Result<(), String> {
    if let Some(text) = message["content"].as_str() {
        items.push(Item::User(text.to_owned()));
    }
    let mut texts = Vec::new();
    for block in list_of(&message["content"]) {
        match required(block, "type", place)? {
            "text" => texts.push(required(block, "text", place)?),
            "tool_result" => {
                let id = required(block, "tool_use_id", place)?;
                if !open_calls.remove(id) {
                    return Err(format!(
                        "{place}.content: unexpected `tool_use_id` found in `tool_result` blocks: {id}"
                    ));
                }
                items.push(Item::ToolResult(text_of(&block["content"])));
            }
            "image" | "document" => {}
            other => return Err(format!("{place}.content: unexpected block '{other}'")),
        }
    }
    if !texts.is_empty() {
        items.push(Item::User(texts.concat()));
    }
    Ok(())
}

/// The answer in one piece.
pub fn whole(answer: &Answer) -> Value {
    let mut content = Vec::new();
    if !answer.thinking.is_empty() {
        content.push(json!({"type": "thinking", "thinking": answer.joined_thinking(), "signature": signature(answer)}));
    }
    if !answer.text.is_empty() {
        content.push(json!({"type": "text", "text": answer.joined_text()}));
    }
    for call in &answer.calls {
        content.push(json!({"type": "tool_use", "id": tool_use_id(&call.id), "name": call.name, "input": input_of(&call.arguments)}));
    }
    let mut message = message(answer, &Value::Array(content));
    message["stop_reason"] = json!(stop_reason(answer));
    message["usage"]["output_tokens"] = json!(answer.usage.total_output());
    message
}

/// The answer as events.
pub fn events(answer: &Answer) -> Vec<Event> {
    let mut stream = vec![named(
        Event::frame,
        json!({"type": "message_start", "message": message(answer, &json!([]))}),
    )];
    let mut index = 0;
    if !answer.thinking.is_empty() {
        stream.push(block_start(index, &json!({"type": "thinking", "thinking": "", "signature": ""})));
        for piece in &answer.thinking {
            stream.push(delta(index, Event::piece, &json!({"type": "thinking_delta", "thinking": piece})));
        }
        stream.push(delta(
            index,
            Event::frame,
            &json!({"type": "signature_delta", "signature": signature(answer)}),
        ));
        stream.push(block_stop(index));
        index += 1;
    }
    stream.push(named(Event::frame, json!({"type": "ping"})));
    if !answer.text.is_empty() {
        stream.push(block_start(index, &json!({"type": "text", "text": ""})));
        for piece in &answer.text {
            stream.push(delta(index, Event::text, &json!({"type": "text_delta", "text": piece})));
        }
        stream.push(block_stop(index));
        index += 1;
    }
    for call in &answer.calls {
        stream.push(block_start(
            index,
            &json!({"type": "tool_use", "id": tool_use_id(&call.id), "name": call.name, "input": {}}),
        ));
        stream.push(delta(index, Event::frame, &json!({"type": "input_json_delta", "partial_json": ""})));
        for piece in pieces(&call.arguments, 7) {
            stream.push(delta(
                index,
                Event::piece,
                &json!({"type": "input_json_delta", "partial_json": piece}),
            ));
        }
        stream.push(block_stop(index));
        index += 1;
    }
    let end = json!({"stop_reason": stop_reason(answer), "stop_sequence": null});
    let usage = json!({"output_tokens": answer.usage.total_output()});
    stream.push(named(Event::frame, json!({"type": "message_delta", "delta": end, "usage": usage})));
    stream.push(named(Event::frame, json!({"type": "message_stop"})));
    stream
}

/// The error object.
pub fn error_body(error: &ScriptedError, message: &str) -> Value {
    let kind = match (error.kind, error.status) {
        (ErrorKind::ContextTooLong, _) => "invalid_request_error",
        (ErrorKind::ByStatus, 401) => "authentication_error",
        (ErrorKind::ByStatus, 403) => "permission_error",
        (ErrorKind::ByStatus, 404) => "not_found_error",
        (ErrorKind::ByStatus, 413) => "request_too_large",
        (ErrorKind::ByStatus, 429) => "rate_limit_error",
        (ErrorKind::ByStatus, 529) => "overloaded_error",
        (ErrorKind::ByStatus, 400..=499) => "invalid_request_error",
        (ErrorKind::ByStatus, _) => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"})
}

fn named(make: fn(Option<&str>, &Value) -> Event, data: Value) -> Event {
    make(data["type"].as_str(), &data)
}

fn block_start(index: usize, block: &Value) -> Event {
    named(
        Event::frame,
        json!({"type": "content_block_start", "index": index, "content_block": block}),
    )
}

fn delta(index: usize, make: fn(Option<&str>, &Value) -> Event, delta: &Value) -> Event {
    named(make, json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

fn block_stop(index: usize) -> Event {
    named(Event::frame, json!({"type": "content_block_stop", "index": index}))
}

/// The message as it stands when it begins: a first output token is already counted.
fn message(answer: &Answer, content: &Value) -> Value {
    let usage = &answer.usage;
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {
            "input_tokens": usage.input,
            "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "cache_read_input_tokens": usage.cached_input,
            "cache_creation": {
                "ephemeral_5m_input_tokens": usage.cache_write_5m,
                "ephemeral_1h_input_tokens": usage.cache_write_1h,
            },
            "output_tokens": 1,
            "service_tier": "standard",
        },
    })
}

fn stop_reason(answer: &Answer) -> &'static str {
    if answer.is_truncated {
        "max_tokens"
    } else if answer.calls.is_empty() {
        "end_turn"
    } else {
        "tool_use"
    }
}

fn tool_use_id(id: &str) -> String {
    id.replacen("call_", "toolu_", 1)
}

/// The provider only ever sends an object in one piece; broken arguments show only in a stream.
fn input_of(arguments: &str) -> Value {
    serde_json::from_str(arguments)
        .ok()
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({}))
}

fn signature(answer: &Answer) -> String {
    format!("EqQB{}", answer.id)
}
