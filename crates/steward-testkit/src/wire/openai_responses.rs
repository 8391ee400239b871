//! OpenAI responses, as a provider writes it.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Answer, AnswerCall, Event, list_of, pieces, required, text_of};
use crate::conversation::{Conversation, Item};
use crate::script::ScriptedError;

const CREATED: u64 = 1_760_000_000;

/// Reads a request and refuses what the provider would refuse.
pub fn read(body: &Value) -> Result<Conversation, String> {
    let mut items = Vec::new();
    if let Some(rules) = body["instructions"].as_str() {
        items.push(Item::System(rules.to_owned()));
    }
    if let Some(text) = body["input"].as_str() {
        items.push(Item::User(text.to_owned()));
    }
    let mut open_calls = HashSet::new();
    for (at, item) in list_of(&body["input"]).iter().enumerate() {
        read_item(item, &format!("input[{at}]"), &mut items, &mut open_calls)?;
    }
    if let Some(id) = open_calls.iter().next() {
        return Err(format!("No tool output found for function call {id}."));
    }
    let tools = list_of(&body["tools"]).iter();
    Ok(Conversation {
        model: required(body, "model", "request")?.to_owned(),
        items,
        tools: tools.filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect(),
    })
}

fn read_item(item: &Value, place: &str, items: &mut Vec<Item>, open_calls: &mut HashSet<String>) -> Result<(), String> {
    match item["type"].as_str().unwrap_or("message") {
        "message" => {
            let text = text_of(&item["content"]);
            match required(item, "role", place)? {
                "system" | "developer" => items.push(Item::System(text)),
                "assistant" => items.push(Item::Assistant(text)),
                "user" => items.push(Item::User(text)),
                other => return Err(format!("{place}: invalid role '{other}'")),
            }
        }
        "function_call" => {
            open_calls.insert(required(item, "call_id", place)?.to_owned());
            let name = required(item, "name", place)?.to_owned();
            items.push(Item::Call(name, required(item, "arguments", place)?.to_owned()));
        }
        "function_call_output" => {
            let id = required(item, "call_id", place)?;
            if !open_calls.remove(id) {
                return Err(format!("No tool call found for function call output with call_id {id}."));
            }
            items.push(Item::ToolResult(text_of(&item["output"])));
        }
        // Without a stored response the sealed content stands in for the id.
        "reasoning" => {
            required(item, "encrypted_content", place).or_else(|_| required(item, "id", place))?;
            if !item["summary"].is_array() {
                return Err(format!("{place}: missing required field 'summary'"));
            }
        }
        other => return Err(format!("{place}: invalid value '{other}' for type")),
    }
    Ok(())
}

/// The answer in one piece.
pub fn whole(answer: &Answer) -> Value {
    let mut output = Vec::new();
    if !answer.thinking.is_empty() {
        output.push(reasoning_item(answer));
    }
    if has_message(answer) {
        output.push(message_item(answer));
    }
    output.extend(answer.calls.iter().map(|call| call_item(call, &call.arguments, "completed")));
    let status = if answer.is_truncated { "incomplete" } else { "completed" };
    let mut response = response(answer, status, &Value::Array(output));
    response["usage"] = usage(answer);
    if answer.is_truncated {
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    response
}

/// The answer as events.
pub fn events(answer: &Answer) -> Vec<Event> {
    let mut stream = Numbered::default();
    let begun = response(answer, "in_progress", &json!([]));
    stream.frame(json!({"type": "response.created", "response": begun}));
    stream.frame(json!({"type": "response.in_progress", "response": begun}));
    let mut index = 0;
    if !answer.thinking.is_empty() {
        reasoning_events(answer, index, &mut stream);
        index += 1;
    }
    if has_message(answer) {
        message_events(answer, index, &mut stream);
        index += 1;
    }
    for call in &answer.calls {
        call_events(call, index, &mut stream);
        index += 1;
    }
    let last = if answer.is_truncated {
        "response.incomplete"
    } else {
        "response.completed"
    };
    stream.frame(json!({"type": last, "response": whole(answer)}));
    stream.events
}

/// The event of a failure: the provider's own faults fail the response, the rest is an `error` event.
pub fn error_event(error: &ScriptedError, body: &Value) -> Event {
    let (message, code) = (&body["error"]["message"], &body["error"]["code"]);
    if error.status >= 500 {
        let failed = json!({"id": "resp_failed", "object": "response", "status": "failed", "output": [],
            "error": {"code": "server_error", "message": message}});
        return Event::frame(
            Some("response.failed"),
            &json!({"type": "response.failed", "response": failed, "sequence_number": 99}),
        );
    }
    let data = json!({"type": "error", "code": code, "message": message, "param": null, "sequence_number": 99});
    Event::frame(Some("error"), &data)
}

/// Events with the counter and the name that each carries on this wire.
#[derive(Default)]
struct Numbered {
    events: Vec<Event>,
}

impl Numbered {
    fn frame(&mut self, data: Value) {
        self.push(data, Event::frame);
    }

    fn push(&mut self, mut data: Value, make: fn(Option<&str>, &Value) -> Event) {
        data["sequence_number"] = json!(self.events.len());
        let name = data["type"].as_str().map(str::to_owned);
        self.events.push(make(name.as_deref(), &data));
    }
}

fn reasoning_events(answer: &Answer, index: usize, stream: &mut Numbered) {
    let id = format!("rs_{}", answer.id);
    let text = answer.joined_thinking();
    let begun = json!({"id": id, "type": "reasoning", "summary": []});
    let place = json!({"item_id": id, "output_index": index, "summary_index": 0});
    stream.frame(json!({"type": "response.output_item.added", "output_index": index, "item": begun}));
    stream.frame(at(
        "response.reasoning_summary_part.added",
        &place,
        "part",
        &json!({"type": "summary_text", "text": ""}),
    ));
    for piece in &answer.thinking {
        stream.push(
            at("response.reasoning_summary_text.delta", &place, "delta", &json!(piece)),
            Event::piece,
        );
    }
    stream.frame(at("response.reasoning_summary_text.done", &place, "text", &json!(text)));
    stream.frame(at(
        "response.reasoning_summary_part.done",
        &place,
        "part",
        &json!({"type": "summary_text", "text": text}),
    ));
    stream.frame(json!({"type": "response.output_item.done", "output_index": index, "item": reasoning_item(answer)}));
}

fn message_events(answer: &Answer, index: usize, stream: &mut Numbered) {
    let id = format!("msg_{}", answer.id);
    let begun = json!({"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []});
    let place = json!({"item_id": id, "output_index": index, "content_index": 0});
    stream.frame(json!({"type": "response.output_item.added", "output_index": index, "item": begun}));
    let empty = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
    stream.frame(at("response.content_part.added", &place, "part", &empty));
    for piece in &answer.text {
        let mut delta = at("response.output_text.delta", &place, "delta", &json!(piece));
        delta["logprobs"] = json!([]);
        stream.push(delta, Event::text);
    }
    let mut done = at("response.output_text.done", &place, "text", &json!(answer.joined_text()));
    done["logprobs"] = json!([]);
    stream.frame(done);
    let item = message_item(answer);
    stream.frame(at("response.content_part.done", &place, "part", &item["content"][0]));
    stream.frame(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
}

fn call_events(call: &AnswerCall, index: usize, stream: &mut Numbered) {
    let place = json!({"item_id": format!("fc_{}", call.id), "output_index": index});
    stream.frame(json!({"type": "response.output_item.added", "output_index": index, "item": call_item(call, "", "in_progress")}));
    for piece in pieces(&call.arguments, 7) {
        stream.push(
            at("response.function_call_arguments.delta", &place, "delta", &json!(piece)),
            Event::piece,
        );
    }
    let mut done = at("response.function_call_arguments.done", &place, "arguments", &json!(call.arguments));
    done["name"] = json!(call.name);
    stream.frame(done);
    let item = call_item(call, &call.arguments, "completed");
    stream.frame(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
}

fn at(kind: &str, place: &Value, field: &str, value: &Value) -> Value {
    let mut data = json!({"type": kind});
    for (name, part) in place.as_object().into_iter().flatten() {
        data[name] = part.clone();
    }
    data[field] = value.clone();
    data
}

fn has_message(answer: &Answer) -> bool {
    !answer.text.is_empty() || answer.calls.is_empty()
}

fn reasoning_item(answer: &Answer) -> Value {
    json!({
        "id": format!("rs_{}", answer.id),
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": answer.joined_thinking()}],
        "encrypted_content": format!("gAAAAA{}", answer.id),
    })
}

fn message_item(answer: &Answer) -> Value {
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": answer.joined_text(), "annotations": [], "logprobs": []}],
    })
}

fn call_item(call: &AnswerCall, arguments: &str, status: &str) -> Value {
    json!({
        "id": format!("fc_{}", call.id),
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": arguments,
    })
}

fn response(answer: &Answer, status: &str, output: &Value) -> Value {
    json!({
        "id": format!("resp_{}", answer.id),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "metadata": {},
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "store": false,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
    })
}

/// On this wire input tokens hold the cached ones and output tokens the reasoning ones.
fn usage(answer: &Answer) -> Value {
    let (input, output) = (answer.usage.total_input(), answer.usage.total_output());
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": answer.usage.cached_input},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": answer.usage.reasoning},
        "total_tokens": input + output,
    })
}
