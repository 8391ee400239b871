//! Writes a domain request as Gemini generateContent. The model stands in the path.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use steward_domain::message::{Part, Role};
use steward_domain::model::{AnswerFormat, ModelRequest, Reasoning, ToolChoice, ToolDefinition};

use super::parts::{PartEncoder, encode_plain};
use super::schema;
use crate::egress::{EncodedRequest, Quirks, Streaming};
use crate::json::put;
use crate::{Dialect, extra, json, kin, reasoning};

const DIALECT: Dialect = Dialect::Gemini;

/// See [`crate::egress::encode_request`].
pub(crate) fn encode_request(request: &ModelRequest, streaming: Streaming, quirks: Quirks) -> EncodedRequest {
    let mut body = Map::new();
    let system = request.messages.iter().filter(|message| message.role == Role::System);
    let system: Vec<Value> = system.flat_map(|message| &message.parts).filter_map(encode_plain).collect();
    if !system.is_empty() {
        body.insert("systemInstruction".to_owned(), json!({ "parts": system }));
    }
    body.insert("contents".to_owned(), encode_contents(request, quirks));
    encode_tools(request, &mut body);
    let mut config = encode_config(request);
    let mut fields = request.extra.clone();
    if let (true, Some(Value::Object(own))) = (extra::belongs_to(&fields, DIALECT), fields.shift_remove("generationConfig")) {
        for (key, value) in own {
            // The caller's own words about thinking say more than the domain keeps.
            if key == "thinkingConfig" {
                config.shift_remove("thinkingConfig");
            }
            config.entry(key).or_insert(value);
        }
    }
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    if let (true, Some(Value::Object(own)), Some(Value::Object(config))) = (
        extra::belongs_to(&fields, DIALECT),
        fields.get("toolConfig"),
        body.get_mut("toolConfig"),
    ) {
        config.extend(own.clone());
    }
    extra::add_to(&mut body, &fields, DIALECT);
    kin::merge(&mut body, kin::fields_for(&request.extra, DIALECT));
    EncodedRequest {
        path: path_of(&request.model, streaming),
        body: json::bytes(&Value::Object(body)),
        headers: vec![("content-type", "application/json".to_owned())],
    }
}

fn path_of(model: &str, streaming: Streaming) -> String {
    let call = match streaming {
        Streaming::Whole => "generateContent",
        Streaming::Streamed => "streamGenerateContent?alt=sse",
    };
    let has_folder = ["models/", "tunedModels/"].iter().any(|folder| model.starts_with(folder));
    let folder = if has_folder { "" } else { "models/" };
    format!("/v1beta/{folder}{}:{call}", escape(model))
}

/// The model as part of a path. It comes from a caller, so it must not leave its place: slashes stand only between ordinary names.
fn escape(model: &str) -> String {
    let is_climbing = model.split('/').any(|name| matches!(name, "" | "." | ".."));
    let mut escaped = String::with_capacity(model.len());
    for byte in model.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'@') || (byte == b'/' && !is_climbing);
        if is_plain {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn encode_contents(request: &ModelRequest, quirks: Quirks) -> Value {
    let all_parts = request.messages.iter().flat_map(|message| &message.parts);
    let names: HashMap<&str, &str> = all_parts
        .filter_map(|part| match part {
            Part::ToolCall(call) => Some((call.id.as_str(), call.name.as_str())),
            Part::Text { .. }
            | Part::Image { .. }
            | Part::File { .. }
            | Part::Thinking { .. }
            | Part::ToolResult { .. }
            | Part::Opaque { .. } => None,
        })
        .collect();
    let encoder = PartEncoder {
        names,
        needs_signatures: request.model.contains("gemini-3"),
        quirks,
    };
    let mut contents: Vec<(Role, Vec<Value>)> = Vec::new();
    for message in request.messages.iter().filter(|message| message.role != Role::System) {
        let parts = encoder.encode(message);
        match contents.last_mut() {
            Some((role, known)) if *role == message.role => known.extend(parts),
            _ if parts.is_empty() => {}
            _ => contents.push((message.role, parts)),
        }
    }
    let encoded = contents.into_iter().map(|(role, parts)| {
        let role = if role == Role::Assistant { "model" } else { "user" };
        json!({ "role": role, "parts": parts })
    });
    Value::Array(encoded.collect())
}

fn encode_tools(request: &ModelRequest, body: &mut Map<String, Value>) {
    let mut declarations = Vec::new();
    let mut tools = Vec::new();
    for tool in &request.tools {
        let is_bare = tool.input_schema.is_null() && !tool.extra.is_empty();
        if is_bare {
            let own: Map<String, Value> = extra::fields_for(&tool.extra, DIALECT)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            tools.extend((!own.is_empty()).then_some(Value::Object(own)));
        } else {
            declarations.push(encode_declaration(tool));
        }
    }
    let has_functions = !declarations.is_empty();
    if has_functions {
        tools.insert(0, json!({ "functionDeclarations": declarations }));
    }
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    let config = match &request.tool_choice {
        ToolChoice::Auto => return,
        ToolChoice::None => json!({ "mode": "NONE" }),
        ToolChoice::Required => json!({ "mode": "ANY" }),
        ToolChoice::Named(name) => json!({ "mode": "ANY", "allowedFunctionNames": [name] }),
    };
    if has_functions {
        body.insert("toolConfig".to_owned(), json!({ "functionCallingConfig": config }));
    }
}

fn encode_declaration(tool: &ToolDefinition) -> Value {
    let mut declaration = Map::new();
    declaration.insert("name".to_owned(), Value::from(tool.name.as_str()));
    declaration.insert("description".to_owned(), Value::from(tool.description.as_str()));
    let takes_nothing = tool.input_schema.is_null()
        || tool
            .input_schema
            .get("properties")
            .and_then(Value::as_object)
            .is_some_and(Map::is_empty);
    if !takes_nothing {
        match schema::simplify(&tool.input_schema) {
            Some(simple) => declaration.insert("parameters".to_owned(), simple),
            None => declaration.insert("parametersJsonSchema".to_owned(), tool.input_schema.clone()),
        };
    }
    for (key, value) in extra::fields_for(&tool.extra, DIALECT) {
        declaration.insert(key.clone(), value.clone());
    }
    Value::Object(declaration)
}

fn encode_config(request: &ModelRequest) -> Map<String, Value> {
    let mut config = Map::new();
    put(&mut config, "maxOutputTokens", request.max_output_tokens);
    put(&mut config, "temperature", request.temperature);
    put(&mut config, "topP", request.top_p);
    if !request.stop.is_empty() {
        config.insert("stopSequences".to_owned(), Value::from(request.stop.clone()));
    }
    match &request.format {
        AnswerFormat::Text => {}
        AnswerFormat::JsonObject => {
            config.insert("responseMimeType".to_owned(), Value::from("application/json"));
        }
        AnswerFormat::JsonSchema { schema, .. } => {
            config.insert("responseMimeType".to_owned(), Value::from("application/json"));
            match schema::simplify(schema) {
                Some(simple) => config.insert("responseSchema".to_owned(), simple),
                None => config.insert("responseJsonSchema".to_owned(), schema.clone()),
            };
        }
    }
    if let Some(wish) = &request.reasoning {
        config.insert("thinkingConfig".to_owned(), encode_thinking(wish));
    }
    config
}

fn encode_thinking(wish: &Reasoning) -> Value {
    match reasoning::budget_tokens(wish) {
        Some(budget) => json!({ "thinkingBudget": budget, "includeThoughts": true }),
        None => json!({ "thinkingBudget": 0 }),
    }
}
