//! Writes a domain request as OpenAI responses. Nothing is stored at the provider; sealed reasoning travels in the request.

use serde_json::{Map, Value, json};
use steward_domain::message::{Part, Role};
use steward_domain::model::{AnswerFormat, ModelRequest, ToolChoice, ToolDefinition};

use super::items;
use crate::egress::{EncodedRequest, Streaming};
use crate::json::put;
use crate::{Dialect, extra, json, kin, reasoning, seal};

const DIALECT: Dialect = Dialect::OpenAiResponses;

/// See [`crate::egress::encode_request`]. The dialect has no stop texts; the caller's are left out.
pub(crate) fn encode_request(request: &ModelRequest, streaming: Streaming) -> EncodedRequest {
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(request.model.as_str()));
    let leading = request.messages.iter().take_while(|message| message.role == Role::System).count();
    let (system, conversation) = request.messages.split_at(leading);
    if !system.is_empty() {
        let texts: Vec<String> = system.iter().map(steward_domain::message::Message::joined_text).collect();
        body.insert("instructions".to_owned(), Value::from(texts.join("\n\n")));
    }
    let mut input = Vec::new();
    for message in conversation {
        items::encode_items(message, &mut input);
    }
    body.insert("input".to_owned(), Value::Array(input));
    if streaming == Streaming::Streamed {
        body.insert("stream".to_owned(), Value::Bool(true));
    }
    put(&mut body, "max_output_tokens", request.max_output_tokens);
    put(&mut body, "temperature", request.temperature);
    put(&mut body, "top_p", request.top_p);
    encode_tools(request, &mut body);
    put(
        &mut body,
        "text",
        encode_format(&request.format).map(|format| json!({ "format": format })),
    );
    if let Some(wish) = &request.reasoning {
        body.insert(
            "reasoning".to_owned(),
            json!({ "effort": reasoning::effort(wish), "summary": "auto" }),
        );
    }
    // Models that do not reason refuse this, so it is asked for only where reasoning is in play.
    if request.reasoning.is_some() || holds_seals(request) {
        body.insert("include".to_owned(), json!(["reasoning.encrypted_content"]));
    }
    let own: Map<String, Value> = extra::fields_for(&request.extra, DIALECT)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(Value::Object(own)) = own.get("reasoning")
        && own.contains_key("summary")
        && let Some(Value::Object(reasoning)) = body.get_mut("reasoning")
    {
        reasoning.shift_remove("summary");
    }
    kin::merge(&mut body, own);
    kin::merge(&mut body, kin::fields_for(&request.extra, DIALECT));
    body.entry("store").or_insert(Value::Bool(false));
    EncodedRequest {
        path: "/v1/responses".to_owned(),
        body: json::bytes(&Value::Object(body)),
        headers: vec![("content-type", "application/json".to_owned())],
    }
}

fn holds_seals(request: &ModelRequest) -> bool {
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.any(|part| match part {
        Part::Thinking { signature: Some(kept), .. } => seal::for_dialect(DIALECT, kept).is_some(),
        Part::Thinking { signature: None, .. }
        | Part::Text { .. }
        | Part::Image { .. }
        | Part::File { .. }
        | Part::ToolCall(_)
        | Part::ToolResult { .. }
        | Part::Opaque { .. } => false,
    })
}

fn encode_tools(request: &ModelRequest, body: &mut Map<String, Value>) {
    let tools: Vec<Value> = request.tools.iter().filter_map(encode_tool).collect();
    if tools.is_empty() {
        return;
    }
    body.insert("tools".to_owned(), Value::Array(tools));
    let choice = match &request.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(Value::from("none")),
        ToolChoice::Required => Some(Value::from("required")),
        ToolChoice::Named(name) => Some(json!({ "type": "function", "name": name })),
    };
    put(body, "tool_choice", choice);
    put(body, "parallel_tool_calls", request.parallel_tool_calls);
}

fn encode_tool(tool: &ToolDefinition) -> Option<Value> {
    let fields = extra::fields_for(&tool.extra, DIALECT).map(|(key, value)| (key.clone(), value.clone()));
    let is_bare = tool.input_schema.is_null() && !tool.extra.is_empty();
    if is_bare {
        let own: Map<String, Value> = fields.collect();
        return (!own.is_empty()).then_some(Value::Object(own));
    }
    let mut encoded = Map::new();
    encoded.insert("type".to_owned(), Value::from("function"));
    encoded.insert("name".to_owned(), Value::from(tool.name.as_str()));
    encoded.insert("description".to_owned(), Value::from(tool.description.as_str()));
    let schema = if tool.input_schema.is_null() {
        json!({ "type": "object", "properties": {} })
    } else {
        tool.input_schema.clone()
    };
    encoded.insert("parameters".to_owned(), schema);
    // Absent, this dialect means strict, which most schemas do not fit; chat means the opposite, and says so in the same word.
    let is_strict = extra::fields_for(&tool.extra, Dialect::OpenAiChat).any(|(key, value)| key == "strict" && value == &Value::Bool(true));
    encoded.insert("strict".to_owned(), Value::Bool(is_strict));
    encoded.extend(fields);
    Some(Value::Object(encoded))
}

fn encode_format(format: &AnswerFormat) -> Option<Value> {
    match format {
        AnswerFormat::Text => None,
        AnswerFormat::JsonObject => Some(json!({ "type": "json_object" })),
        AnswerFormat::JsonSchema { name, schema, is_strict } => {
            Some(json!({ "type": "json_schema", "name": name, "schema": schema, "strict": is_strict }))
        }
    }
}
