//! Writes a domain request as chat completions.

use serde_json::{Map, Value, json};
use steward_domain::message::{Message, Part, Role, ToolCall};
use steward_domain::model::{AnswerFormat, ModelRequest, ToolChoice, ToolDefinition};

use super::{content, reasoning};
use crate::egress::{EncodedRequest, Quirks, Streaming};
use crate::json::put;
use crate::{Dialect, extra, json, kin, media, reasoning as effort};

const DIALECT: Dialect = Dialect::OpenAiChat;

/// See [`crate::egress::encode_request`].
pub(crate) fn encode_request(request: &ModelRequest, streaming: Streaming, quirks: Quirks) -> EncodedRequest {
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(request.model.as_str()));
    body.insert("messages".to_owned(), encode_messages(request, quirks));
    if streaming == Streaming::Streamed {
        body.insert("stream".to_owned(), Value::Bool(true));
        if !quirks.rejects_stream_options {
            body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
        }
    }
    let limit = if quirks.wants_max_completion_tokens {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    put(&mut body, limit, request.max_output_tokens);
    put(&mut body, "temperature", request.temperature);
    put(&mut body, "top_p", request.top_p);
    if !request.stop.is_empty() {
        body.insert("stop".to_owned(), Value::from(request.stop.clone()));
    }
    let tools: Vec<Value> = request.tools.iter().filter_map(encode_tool).collect();
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
        put(&mut body, "tool_choice", encode_choice(&request.tool_choice));
        put(&mut body, "parallel_tool_calls", request.parallel_tool_calls);
    }
    put(&mut body, "response_format", encode_format(&request.format, quirks));
    put(&mut body, "reasoning_effort", request.reasoning.as_ref().map(effort::effort));
    extra::add_to(&mut body, &request.extra, DIALECT);
    kin::merge(&mut body, kin::fields_for(&request.extra, DIALECT));
    EncodedRequest {
        path: "/v1/chat/completions".to_owned(),
        body: json::bytes(&Value::Object(body)),
        headers: vec![("content-type", "application/json".to_owned())],
    }
}

fn encode_messages(request: &ModelRequest, quirks: Quirks) -> Value {
    let mut list = Vec::with_capacity(request.messages.len() + 1);
    if let (AnswerFormat::JsonSchema { schema, .. }, true) = (&request.format, quirks.rejects_json_schema) {
        let sentence = format!("Answer only with one JSON object that fits this JSON Schema: {schema}");
        list.push(json!({ "role": "system", "content": sentence }));
    }
    for message in &request.messages {
        match message.role {
            Role::System => list.push(json!({ "role": "system", "content": content::encode_content(&message.parts) })),
            Role::User => encode_user(message, quirks, &mut list),
            Role::Assistant => list.push(encode_assistant(message, quirks)),
        }
    }
    Value::Array(list)
}

/// Tool results come first, because they must follow the calls at once; what a tool gave beside text follows as the user's.
fn encode_user(message: &Message, quirks: Quirks, list: &mut Vec<Value>) {
    let mut rest = Vec::new();
    let mut is_only_results = true;
    for part in &message.parts {
        if let Part::ToolResult {
            call_id, name, content, ..
        } = part
        {
            let (text, attachments) = media::split_content(content);
            list.push(json!({ "role": "tool", "tool_call_id": call_id_of(call_id.as_str(), quirks), "content": text }));
            if !attachments.is_empty() {
                rest.push(Part::text(format!("Attached by the tool {name} (call {call_id}):")));
                rest.extend(attachments.into_iter().cloned());
            }
        } else {
            is_only_results = false;
            rest.push(part.clone());
        }
    }
    if !is_only_results || !rest.is_empty() {
        list.push(json!({ "role": "user", "content": content::encode_content(&rest) }));
    }
}

fn encode_assistant(message: &Message, quirks: Quirks) -> Value {
    let text = message.joined_text();
    let calls: Vec<Value> = message.parts.iter().filter_map(|part| encode_call(part, quirks)).collect();
    let mut encoded = Map::new();
    encoded.insert("role".to_owned(), Value::from("assistant"));
    let is_only_calls = text.is_empty() && !calls.is_empty();
    encoded.insert("content".to_owned(), if is_only_calls { Value::Null } else { Value::from(text) });
    let (thoughts, details) = reasoning::encode_thoughts(&message.parts, true);
    if quirks.takes_reasoning_content && !thoughts.is_empty() {
        encoded.insert("reasoning_content".to_owned(), Value::from(thoughts));
    }
    if quirks.takes_reasoning_details && !details.is_empty() {
        encoded.insert("reasoning_details".to_owned(), Value::Array(details));
    }
    if !calls.is_empty() {
        encoded.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Value::Object(encoded)
}

fn encode_call(part: &Part, quirks: Quirks) -> Option<Value> {
    let Part::ToolCall(ToolCall {
        id,
        name,
        arguments,
        signature,
    }) = part
    else {
        return None;
    };
    let arguments = if arguments.is_empty() { "{}" } else { arguments };
    let id = call_id_of(id.as_str(), quirks);
    let mut call = json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    if let (Some(signature), true) = (signature, quirks.takes_thought_signatures) {
        call["extra_content"] = json!({ "google": { "thought_signature": signature } });
    }
    Some(call)
}

/// The id as the provider takes it. A short one is made from the long one, so that call and result agree.
fn call_id_of(id: &str, quirks: Quirks) -> String {
    let is_short = id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !quirks.wants_short_call_ids || is_short {
        return id.to_owned();
    }
    // FNV-1a, 64 bits, in base 36: nine digits hold 46 bits of it.
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let digits = (0..9).map(|_| {
        let digit = hash % 36;
        hash /= 36;
        char::from_digit(u32::try_from(digit).expect("a remainder below 36"), 36).expect("a digit below 36")
    });
    digits.collect()
}

fn encode_tool(tool: &ToolDefinition) -> Option<Value> {
    let is_bare = tool.input_schema.is_null() && !tool.extra.is_empty();
    if is_bare {
        let fields: Map<String, Value> = extra::fields_for(&tool.extra, DIALECT)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        return (!fields.is_empty()).then_some(Value::Object(fields));
    }
    let mut function = Map::new();
    function.insert("name".to_owned(), Value::from(tool.name.as_str()));
    if !tool.description.is_empty() {
        function.insert("description".to_owned(), Value::from(tool.description.as_str()));
    }
    if !tool.input_schema.is_null() {
        function.insert("parameters".to_owned(), tool.input_schema.clone());
    }
    let mut encoded = Map::new();
    for (key, value) in extra::fields_for(&tool.extra, DIALECT) {
        // `strict` is a field of the function, everything else of the tool around it.
        let place = if key == "strict" { &mut function } else { &mut encoded };
        place.insert(key.clone(), value.clone());
    }
    let is_strict =
        extra::fields_for(&tool.extra, Dialect::OpenAiResponses).any(|(key, value)| key == "strict" && value == &Value::Bool(true));
    if is_strict {
        function.insert("strict".to_owned(), Value::Bool(true));
    }
    encoded.insert("type".to_owned(), Value::from("function"));
    encoded.insert("function".to_owned(), Value::Object(function));
    Some(Value::Object(encoded))
}

fn encode_choice(choice: &ToolChoice) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(Value::from("none")),
        ToolChoice::Required => Some(Value::from("required")),
        ToolChoice::Named(name) => Some(json!({ "type": "function", "function": { "name": name } })),
    }
}

fn encode_format(format: &AnswerFormat, quirks: Quirks) -> Option<Value> {
    match format {
        AnswerFormat::Text => None,
        AnswerFormat::JsonObject => Some(json!({ "type": "json_object" })),
        AnswerFormat::JsonSchema { .. } if quirks.rejects_json_schema => Some(json!({ "type": "json_object" })),
        AnswerFormat::JsonSchema { name, schema, is_strict } => {
            Some(json!({ "type": "json_schema", "json_schema": { "name": name, "schema": schema, "strict": is_strict } }))
        }
    }
}
