//! OpenAI chat completions, as a provider writes it.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Answer, Event, Wishes, list_of, pieces, required, text_of};
use crate::conversation::{Conversation, Item};
use crate::script::{ErrorKind, ScriptedError};

const CREATED: u64 = 1_760_000_000;

/// Reads a request and refuses what the provider would refuse.
pub fn read(body: &Value) -> Result<Conversation, String> {
    let mut items = Vec::new();
    let mut open_calls = HashSet::new();
    for (at, message) in list_of(&body["messages"]).iter().enumerate() {
        let place = format!("messages[{at}]");
        let role = required(message, "role", &place)?;
        if role != "tool" && !open_calls.is_empty() {
            return Err(format!(
                "{place}: an assistant message with 'tool_calls' must be followed by tool messages for each call id"
            ));
        }
        let text = text_of(&message["content"]);
        match role {
            "system" | "developer" => items.push(Item::System(text)),
            "user" => items.push(Item::User(text)),
            "assistant" => read_answer(message, text, &mut items, &mut open_calls)?,
            "tool" => {
                let id = required(message, "tool_call_id", &place)?;
                if !open_calls.remove(id) {
                    return Err(format!("{place}: tool_call_id '{id}' answers no call"));
                }
                items.push(Item::ToolResult(text));
            }
            other => return Err(format!("{place}: invalid role '{other}'")),
        }
    }
    if items.is_empty() {
        return Err("messages: must not be empty".to_owned());
    }
    let tools = list_of(&body["tools"]).iter();
    Ok(Conversation {
        model: required(body, "model", "request")?.to_owned(),
        items,
        tools: tools
            .filter_map(|tool| tool["function"]["name"].as_str().map(str::to_owned))
            .collect(),
    })
}

fn read_answer(message: &Value, text: String, items: &mut Vec<Item>, open_calls: &mut HashSet<String>) -> Result<(), String> {
    let calls = list_of(&message["tool_calls"]);
    if !text.is_empty() || calls.is_empty() {
        items.push(Item::Assistant(text));
    }
    for call in calls {
        let function = &call["function"];
        let name = required(function, "name", "tool_calls")?;
        items.push(Item::Call(
            name.to_owned(),
            required(function, "arguments", "tool_calls")?.to_owned(),
        ));
        open_calls.insert(required(call, "id", "tool_calls")?.to_owned());
    }
    Ok(())
}

/// The answer in one piece.
pub fn whole(answer: &Answer) -> Value {
    let text = answer.joined_text();
    let content = if text.is_empty() { Value::Null } else { Value::String(text) };
    let mut message = json!({"role": "assistant", "content": content, "refusal": null, "annotations": []});
    if !answer.thinking.is_empty() {
        message["reasoning_content"] = json!(answer.joined_thinking());
    }
    if !answer.calls.is_empty() {
        let calls = answer.calls.iter();
        message["tool_calls"] = calls
            .map(|call| json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}))
            .collect();
    }
    json!({
        "id": format!("chatcmpl-{}", answer.id),
        "object": "chat.completion",
        "created": CREATED,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(answer)}],
        "usage": usage(answer),
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
    })
}

/// The answer as events, `[DONE]` included.
pub fn events(answer: &Answer, wishes: Wishes) -> Vec<Event> {
    let delta = |delta: Value| {
        chunk(
            answer,
            &json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]),
            wishes,
        )
    };
    let mut events = vec![Event::frame(
        None,
        &delta(json!({"role": "assistant", "content": "", "refusal": null})),
    )];
    for piece in &answer.thinking {
        events.push(Event::piece(None, &delta(json!({"reasoning_content": piece}))));
    }
    for piece in &answer.text {
        events.push(Event::text(None, &delta(json!({"content": piece}))));
    }
    for (index, call) in answer.calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        let begin = json!({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]});
        events.push(Event::frame(None, &delta(begin)));
        for piece in pieces(&call.arguments, 7) {
            let more = json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]});
            events.push(Event::piece(None, &delta(more)));
        }
    }
    let end = json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": finish_reason(answer)}]);
    events.push(Event::frame(None, &chunk(answer, &end, wishes)));
    if wishes.wants_usage {
        let mut last = chunk(answer, &json!([]), wishes);
        last["usage"] = usage(answer);
        events.push(Event::frame(None, &last));
    }
    events.push(Event {
        data: "[DONE]".to_owned(),
        ..Event::frame(None, &Value::Null)
    });
    events
}

/// The error object.
pub fn error_body(error: &ScriptedError, message: &str) -> Value {
    let (kind, code) = match (error.kind, error.status) {
        (ErrorKind::ContextTooLong, _) => ("invalid_request_error", json!("context_length_exceeded")),
        (ErrorKind::ByStatus, 401) => ("invalid_request_error", json!("invalid_api_key")),
        (ErrorKind::ByStatus, 404) => ("invalid_request_error", json!("model_not_found")),
        (ErrorKind::ByStatus, 429) => ("requests", json!("rate_limit_exceeded")),
        (ErrorKind::ByStatus, 400..=499) => ("invalid_request_error", Value::Null),
        (ErrorKind::ByStatus, _) => ("server_error", Value::Null),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn chunk(answer: &Answer, choices: &Value, wishes: Wishes) -> Value {
    let mut chunk = json!({
        "id": format!("chatcmpl-{}", answer.id),
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
        "choices": choices,
    });
    if wishes.wants_usage {
        chunk["usage"] = Value::Null;
    }
    chunk
}

fn finish_reason(answer: &Answer) -> &'static str {
    if answer.is_truncated {
        "length"
    } else if answer.calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    }
}

/// On this wire prompt tokens hold the cached ones and completion tokens the reasoning ones.
fn usage(answer: &Answer) -> Value {
    let (input, output) = (answer.usage.total_input(), answer.usage.total_output());
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": answer.usage.cached_input, "audio_tokens": answer.usage.audio_input},
        "completion_tokens_details": {
            "reasoning_tokens": answer.usage.reasoning,
            "audio_tokens": answer.usage.audio_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
