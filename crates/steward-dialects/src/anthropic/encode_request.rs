//! Writes a domain request as Anthropic messages.

use serde_json::{Map, Value, json};
use steward_domain::message::{Message, Part, Role};
use steward_domain::model::{AnswerFormat, ModelRequest, ToolChoice, ToolDefinition};

use super::{ANSWER_TOOL, content};
use crate::egress::{EncodedRequest, Quirks, Streaming};
use crate::json::put;
use crate::{Dialect, extra, json, kin, reasoning};

const DIALECT: Dialect = Dialect::Anthropic;

/// Anthropic demands a limit; this is it where the caller set none. Thinking is added on top.
const DEFAULT_MAX_TOKENS: u64 = 8192;

/// The least budget Anthropic takes for thinking.
const LEAST_BUDGET: u64 = 1024;

/// See [`crate::egress::encode_request`].
pub(crate) fn encode_request(request: &ModelRequest, streaming: Streaming, quirks: Quirks) -> EncodedRequest {
    let thinking = Thinking::of(request, quirks);
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(request.model.as_str()));
    body.insert("max_tokens".to_owned(), Value::from(thinking.max_tokens(request)));
    put(&mut body, "system", encode_system(request));
    body.insert("messages".to_owned(), encode_messages(request));
    if streaming == Streaming::Streamed {
        body.insert("stream".to_owned(), Value::Bool(true));
    }
    let is_sampling_free = thinking == Thinking::Off;
    if is_sampling_free {
        // Anthropic takes either of the two on newer models, and temperatures up to 1 only.
        put(
            &mut body,
            "temperature",
            request.temperature.map(|temperature| temperature.min(1.0)),
        );
        put(&mut body, "top_p", request.top_p.filter(|_| request.temperature.is_none()));
    }
    if !request.stop.is_empty() {
        body.insert("stop_sequences".to_owned(), Value::from(request.stop.clone()));
    }
    encode_tools(request, quirks, &mut body);
    let mut output = Map::new();
    match &thinking {
        Thinking::Off => {}
        Thinking::Budget(tokens) => {
            body.insert("thinking".to_owned(), json!({ "type": "enabled", "budget_tokens": tokens }));
        }
        Thinking::Adaptive(effort) => {
            body.insert("thinking".to_owned(), json!({ "type": "adaptive" }));
            output.insert("effort".to_owned(), Value::from(effort.as_str()));
        }
    }
    if let (AnswerFormat::JsonSchema { schema, .. }, true) = (&request.format, quirks.has_native_json_schema) {
        output.insert("format".to_owned(), json!({ "type": "json_schema", "schema": schema }));
    }
    if !output.is_empty() {
        body.insert("output_config".to_owned(), Value::Object(output));
    }
    extra::add_to(&mut body, &request.extra, DIALECT);
    let mut kindred = kin::fields_for(&request.extra, DIALECT);
    if !is_sampling_free {
        kindred.shift_remove("top_k");
    }
    kin::merge(&mut body, kindred);
    EncodedRequest {
        path: "/v1/messages".to_owned(),
        body: json::bytes(&Value::Object(body)),
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("anthropic-version", "2023-06-01".to_owned()),
        ],
    }
}

/// Whether and how the model thinks.
#[derive(PartialEq)]
enum Thinking {
    Off,
    Budget(u64),
    Adaptive(String),
}

impl Thinking {
    fn of(request: &ModelRequest, quirks: Quirks) -> Thinking {
        let Some(wish) = &request.reasoning else { return Thinking::Off };
        let Some(budget) = reasoning::budget_tokens(wish) else {
            return Thinking::Off;
        };
        // Anthropic refuses thinking together with a forced tool, and in a tool loop that began without it.
        let is_forced =
            wants_answer_tool(&request.format, quirks) || matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_));
        if is_forced || !can_think(&request.messages) {
            return Thinking::Off;
        }
        if quirks.has_adaptive_thinking {
            let effort = match reasoning::effort(wish) {
                "minimal" => "low",
                other => other,
            };
            return Thinking::Adaptive(effort.to_owned());
        }
        let room = request.max_output_tokens.map_or(u64::MAX, |limit| limit.saturating_sub(1));
        if room < LEAST_BUDGET {
            return Thinking::Off;
        }
        Thinking::Budget(budget.clamp(LEAST_BUDGET, room))
    }

    fn max_tokens(&self, request: &ModelRequest) -> u64 {
        let added = match self {
            Thinking::Budget(budget) => *budget,
            Thinking::Off | Thinking::Adaptive(_) => 0,
        };
        request
            .max_output_tokens
            .unwrap_or_else(|| DEFAULT_MAX_TOKENS.saturating_add(added))
    }
}

/// In the middle of a tool loop the open answer must begin with a sealed thought, else thinking cannot be on.
fn can_think(messages: &[Message]) -> bool {
    let is_loop = messages
        .last()
        .is_some_and(|last| last.parts.iter().any(|part| matches!(part, Part::ToolResult { .. })));
    let answer = messages.iter().rev().find(|message| message.role == Role::Assistant);
    match answer {
        Some(answer) if is_loop => {
            let first = answer.parts.iter().find_map(content::encode_block);
            first.is_some_and(|block| matches!(json::text(&block, "type"), "thinking" | "redacted_thinking"))
        }
        _ => true,
    }
}

/// All system messages, wherever they stand: Anthropic has one place for them.
fn encode_system(request: &ModelRequest) -> Option<Value> {
    let system = request.messages.iter().filter(|message| message.role == Role::System);
    let blocks: Vec<Value> = system
        .flat_map(|message| &message.parts)
        .filter_map(content::encode_block)
        .collect();
    match blocks.as_slice() {
        [] => None,
        [only] if !json::has(only, "cache_control") => Some(only["text"].clone()),
        _ => Some(Value::Array(blocks)),
    }
}

/// Messages of one role in a row become one; results come before what the user adds.
fn encode_messages(request: &ModelRequest) -> Value {
    let mut turns: Vec<(Role, Vec<Value>)> = Vec::new();
    for message in request.messages.iter().filter(|message| message.role != Role::System) {
        let is_result = |part: &&Part| matches!(part, Part::ToolResult { .. });
        let results = message.parts.iter().filter(is_result);
        let others = message.parts.iter().filter(|part| !is_result(part));
        let blocks: Vec<Value> = results.chain(others).filter_map(content::encode_block).collect();
        match turns.last_mut() {
            Some((role, known)) if *role == message.role => known.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => turns.push((message.role, blocks)),
        }
    }
    // An answer to go on from must not end in white space.
    if let Some((Role::Assistant, blocks)) = turns.last_mut()
        && let Some(Value::String(text)) = blocks.last_mut().and_then(|block| block.get_mut("text"))
    {
        text.truncate(text.trim_end().len());
    }
    Value::Array(turns.into_iter().map(encode_turn).collect())
}

fn encode_turn((role, blocks): (Role, Vec<Value>)) -> Value {
    let role = match role {
        Role::Assistant => "assistant",
        Role::User | Role::System => "user",
    };
    let is_plain = |block: &Value| json::text(block, "type") == "text" && !json::has(block, "cache_control");
    match blocks.as_slice() {
        [only] if is_plain(only) => json!({ "role": role, "content": only["text"] }),
        _ => json!({ "role": role, "content": blocks }),
    }
}

fn encode_tools(request: &ModelRequest, quirks: Quirks, body: &mut Map<String, Value>) {
    let mut tools: Vec<Value> = request.tools.iter().filter_map(encode_tool).collect();
    let is_answer_forced = wants_answer_tool(&request.format, quirks);
    let has_other_tools = !tools.is_empty() && request.tool_choice != ToolChoice::None;
    if is_answer_forced {
        if request.tool_choice == ToolChoice::None {
            tools.clear();
        }
        tools.push(answer_tool(&request.format));
    }
    if tools.is_empty() {
        return;
    }
    let mut choice = match &request.tool_choice {
        ToolChoice::Named(name) => json!({ "type": "tool", "name": name }),
        _ if is_answer_forced && !has_other_tools => json!({ "type": "tool", "name": ANSWER_TOOL }),
        ToolChoice::Auto if !is_answer_forced => json!({ "type": "auto" }),
        ToolChoice::None if !is_answer_forced => json!({ "type": "none" }),
        ToolChoice::Auto | ToolChoice::None | ToolChoice::Required => json!({ "type": "any" }),
    };
    let is_none = choice["type"] == "none";
    if let Some(is_parallel) = request.parallel_tool_calls.filter(|_| !is_none) {
        choice["disable_parallel_tool_use"] = Value::Bool(!is_parallel);
    }
    body.insert("tools".to_owned(), Value::Array(tools));
    let is_default = choice == json!({ "type": "auto" });
    if !is_default {
        body.insert("tool_choice".to_owned(), choice);
    }
}

fn wants_answer_tool(format: &AnswerFormat, quirks: Quirks) -> bool {
    match format {
        AnswerFormat::Text => false,
        AnswerFormat::JsonObject => true,
        AnswerFormat::JsonSchema { .. } => !quirks.has_native_json_schema,
    }
}

fn answer_tool(format: &AnswerFormat) -> Value {
    let schema = match format {
        AnswerFormat::JsonSchema { schema, .. } => schema.clone(),
        AnswerFormat::Text | AnswerFormat::JsonObject => json!({ "type": "object", "additionalProperties": true }),
    };
    json!({ "name": ANSWER_TOOL, "description": "Gives the final answer. Its arguments are the answer.", "input_schema": schema })
}

fn encode_tool(tool: &ToolDefinition) -> Option<Value> {
    let fields = extra::fields_for(&tool.extra, DIALECT).map(|(key, value)| (key.clone(), value.clone()));
    let is_bare = tool.input_schema.is_null() && !tool.extra.is_empty();
    if is_bare {
        let own: Map<String, Value> = fields.collect();
        return (!own.is_empty()).then_some(Value::Object(own));
    }
    let mut encoded = Map::new();
    encoded.insert("name".to_owned(), Value::from(tool.name.as_str()));
    if !tool.description.is_empty() {
        encoded.insert("description".to_owned(), Value::from(tool.description.as_str()));
    }
    let schema = if tool.input_schema.is_null() {
        json!({ "type": "object", "properties": {} })
    } else {
        tool.input_schema.clone()
    };
    encoded.insert("input_schema".to_owned(), schema);
    encoded.extend(fields);
    // Callers of chat mark tools for the prompt cache in Anthropic's own word.
    let mark = extra::fields_for(&tool.extra, Dialect::OpenAiChat).find(|(key, _)| *key == "cache_control");
    put(&mut encoded, "cache_control", mark.map(|(_, mark)| mark.clone()));
    Some(Value::Object(encoded))
}
