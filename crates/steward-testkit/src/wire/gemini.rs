//! Gemini `generateContent`, as a provider writes it.

use serde_json::{Value, json};

use super::{Answer, AnswerCall, Event, list_of, required};
use crate::conversation::{Conversation, Item};
use crate::script::{ErrorKind, ScriptedError};

/// Reads a request and refuses what the provider would refuse.
pub fn read(body: &Value, model: &str) -> Result<Conversation, String> {
    let mut items = Vec::new();
    let rules = either(body, "systemInstruction", "system_instruction");
    let rules: String = list_of(&rules["parts"]).iter().filter_map(|part| part["text"].as_str()).collect();
    if !rules.is_empty() {
        items.push(Item::System(rules));
    }
    let contents = list_of(&body["contents"]);
    if contents.is_empty() {
        return Err("* GenerateContentRequest.contents: contents is not specified".to_owned());
    }
    let mut open_calls = 0_usize;
    for (at, content) in contents.iter().enumerate() {
        let place = format!("contents[{at}]");
        let results_before = open_calls;
        let is_model = match content["role"].as_str().unwrap_or("user") {
            "model" => true,
            "user" | "function" => false,
            _ => return Err("Please use a valid role: user, model.".to_owned()),
        };
        for (nth, part) in list_of(&content["parts"]).iter().enumerate() {
            let speaker = Speaker {
                is_model,
                is_first: nth == 0,
            };
            read_part(part, &speaker, &place, &mut items, &mut open_calls)?;
        }
        if !is_model && results_before > 0 && open_calls > 0 {
            return Err(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
                    .to_owned(),
            );
        }
    }
    let declarations = list_of(&body["tools"])
        .iter()
        .flat_map(|tool| list_of(either(tool, "functionDeclarations", "function_declarations")));
    Ok(Conversation {
        model: model.to_owned(),
        items,
        tools: declarations.filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect(),
    })
}

/// Whose part it is, and whether it begins their message.
struct Speaker {
    is_model: bool,
    is_first: bool,
}

fn read_part(part: &Value, speaker: &Speaker, place: &str, items: &mut Vec<Item>, open_calls: &mut usize) -> Result<(), String> {
    let call = either(part, "functionCall", "function_call");
    let result = either(part, "functionResponse", "function_response");
    if call.is_object() {
        items.push(Item::Call(required(call, "name", place)?.to_owned(), call["args"].to_string()));
        *open_calls += 1;
    } else if result.is_object() {
        required(result, "name", place)?;
        if !result["response"].is_object() {
            return Err(format!("Invalid value at '{place}.parts.function_response.response' (Struct)"));
        }
        *open_calls = open_calls
            .checked_sub(1)
            .ok_or_else(|| format!("{place}: a function response turn must come immediately after a function call turn"))?;
        items.push(Item::ToolResult(result_text(&result["response"])));
    } else if let Some(text) = part["text"].as_str() {
        let is_thought = part["thought"].as_bool().unwrap_or(false);
        match (is_thought, speaker.is_model) {
            (true, _) => {}
            (false, true) => items.push(Item::Assistant(text.to_owned())),
            (false, false) => match items.last_mut() {
                Some(Item::User(before)) if !speaker.is_first => before.push_str(text),
                _ => items.push(Item::User(text.to_owned())),
            },
        }
    }
    Ok(())
}

/// The one string of a result, else the result as JSON.
fn result_text(response: &Value) -> String {
    let fields = response.as_object();
    let texts: Vec<&str> = fields.into_iter().flatten().filter_map(|(_, value)| value.as_str()).collect();
    match texts.as_slice() {
        [text] => (*text).to_owned(),
        _ => response.to_string(),
    }
}

fn either<'a>(value: &'a Value, camel: &str, snake: &str) -> &'a Value {
    if value[camel].is_null() { &value[snake] } else { &value[camel] }
}

/// The answer in one piece.
pub fn whole(answer: &Answer) -> Value {
    let mut parts = Vec::new();
    if !answer.thinking.is_empty() {
        parts.push(json!({"text": answer.joined_thinking(), "thought": true}));
    }
    if !answer.text.is_empty() {
        parts.push(json!({"text": answer.joined_text()}));
    }
    parts.extend(
        answer
            .calls
            .iter()
            .enumerate()
            .filter_map(|(index, call)| call_part(answer, call, index)),
    );
    response(answer, Value::Array(parts), Some(finish_reason(answer)))
}

/// The answer as events: each is a whole response with the next parts.
pub fn events(answer: &Answer) -> Vec<Event> {
    let mut stream = Vec::new();
    for piece in &answer.thinking {
        stream.push(Event::piece(
            None,
            &response(answer, json!([{"text": piece, "thought": true}]), None),
        ));
    }
    for piece in &answer.text {
        stream.push(Event::text(None, &response(answer, json!([{"text": piece}]), None)));
    }
    for (index, call) in answer.calls.iter().enumerate() {
        if let Some(part) = call_part(answer, call, index) {
            stream.push(Event::piece(None, &response(answer, json!([part]), None)));
        }
    }
    stream.push(Event::frame(
        None,
        &response(answer, json!([{"text": ""}]), Some(finish_reason(answer))),
    ));
    stream
}

/// The error object.
pub fn error_body(error: &ScriptedError, message: &str) -> Value {
    let status = match (error.kind, error.status) {
        (ErrorKind::ContextTooLong, _) | (ErrorKind::ByStatus, 400) => "INVALID_ARGUMENT",
        (ErrorKind::ByStatus, 401) => "UNAUTHENTICATED",
        (ErrorKind::ByStatus, 403) => "PERMISSION_DENIED",
        (ErrorKind::ByStatus, 404) => "NOT_FOUND",
        (ErrorKind::ByStatus, 429) => "RESOURCE_EXHAUSTED",
        (ErrorKind::ByStatus, 503) => "UNAVAILABLE",
        (ErrorKind::ByStatus, 504) => "DEADLINE_EXCEEDED",
        (ErrorKind::ByStatus, _) => "INTERNAL",
    };
    json!({"error": {"code": error.status, "message": message, "status": status}})
}

/// Thinking models seal the first call of an answer; the seal is base64.
fn call_part(answer: &Answer, call: &AnswerCall, index: usize) -> Option<Value> {
    let arguments: Value = serde_json::from_str(&call.arguments).ok().filter(Value::is_object)?;
    let mut part = json!({"functionCall": {"name": call.name, "args": arguments}});
    if index == 0 && !answer.thinking.is_empty() {
        part["thoughtSignature"] = json!(answer.id);
    }
    Some(part)
}

fn response(answer: &Answer, parts: Value, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(reason) = finish {
        candidate["finishReason"] = json!(reason);
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage(answer),
        "modelVersion": answer.model,
        "responseId": answer.id,
    })
}

/// Arguments that are no object never reach the client on this wire.
fn finish_reason(answer: &Answer) -> &'static str {
    let is_malformed = answer
        .calls
        .iter()
        .any(|call| !serde_json::from_str::<Value>(&call.arguments).is_ok_and(|value| value.is_object()));
    if is_malformed {
        "MALFORMED_FUNCTION_CALL"
    } else if answer.is_truncated {
        "MAX_TOKENS"
    } else {
        "STOP"
    }
}

/// On this wire prompt tokens hold the cached ones, candidate tokens do not hold the thoughts.
fn usage(answer: &Answer) -> Value {
    let usage = &answer.usage;
    let mut figures = json!({
        "promptTokenCount": usage.total_input(),
        "candidatesTokenCount": usage.output,
        "totalTokenCount": usage.total_input() + usage.total_output(),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.total_input()}],
    });
    if usage.cached_input > 0 {
        figures["cachedContentTokenCount"] = json!(usage.cached_input);
    }
    if usage.reasoning > 0 {
        figures["thoughtsTokenCount"] = json!(usage.reasoning);
    }
    figures
}
