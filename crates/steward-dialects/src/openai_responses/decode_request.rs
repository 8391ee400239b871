//! Reads a caller's responses request. Fields that are not understood are kept for targets of the same dialect.
//!
//! Nothing is stored between calls, so a request that builds on a stored answer is refused with a sentence that says what to send instead.

use serde_json::{Map, Value, json};
use steward_domain::message::{Message, Role};
use steward_domain::model::{AnswerFormat, ModelError, ModelRequest, Reasoning, ToolChoice, ToolDefinition};

use super::decode_input;
use crate::ingress::IngressRequest;
use crate::ingress::fields::{Fields, bad};
use crate::json::{object, text, text_of};
use crate::{Dialect, extra};

const DIALECT: Dialect = Dialect::OpenAiResponses;

/// See [`crate::ingress::decode_request`].
pub(crate) fn decode_request(fields: Map<String, Value>) -> Result<IngressRequest, ModelError> {
    let mut fields = Fields::new(fields);
    refuse_stored_state(&mut fields)?;
    let model = fields.need_text("model")?;
    let mut messages = Vec::new();
    if let Some(rules) = fields.text("instructions")?.filter(|rules| !rules.is_empty()) {
        messages.push(Message::text(Role::System, rules));
    }
    decode_input::decode_input(fields.take("input"), &mut messages)?;
    let mut request = ModelRequest::new(model, messages);
    request.tools = decode_tools(fields.list("tools")?)?;
    let choice = fields.take("tool_choice");
    let known_choice = decode_choice(&choice)?;
    request.parallel_tool_calls = fields.flag("parallel_tool_calls")?;
    request.max_output_tokens = fields.count("max_output_tokens")?;
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    let mut answer_text = object(fields.take("text"));
    request.format = decode_format(answer_text.shift_remove("format"))?;
    let mut reasoning = object(fields.take("reasoning"));
    request.reasoning = match reasoning.shift_remove("effort") {
        None | Some(Value::Null) => None,
        Some(Value::String(word)) => Some(Reasoning::Effort(word)),
        Some(_) => return Err(bad("reasoning.effort must be a text")),
    };
    let is_stream = fields.flag("stream")?.unwrap_or(false);
    let user = fields.peek_text("user")?.or(fields.peek_text("safety_identifier")?);
    request.extra = fields.rest();
    keep_object(&mut request.extra, "text", answer_text);
    keep_object(&mut request.extra, "reasoning", reasoning);
    match known_choice {
        Some(choice) => request.tool_choice = choice,
        // A choice among the provider's own tools means nothing to another dialect.
        None => drop(request.extra.insert("tool_choice".to_owned(), choice)),
    }
    extra::mark(&mut request.extra, DIALECT);
    Ok(IngressRequest {
        request,
        is_stream,
        wants_usage: true,
        user,
    })
}

/// What only a server that keeps answers could serve.
fn refuse_stored_state(fields: &mut Fields) -> Result<(), ModelError> {
    for key in ["previous_response_id", "conversation"] {
        if !fields.take(key).is_null() {
            return Err(bad(format!(
                "{key} cannot be served: answers are not stored here; send the earlier items in input, reasoning with its encrypted_content"
            )));
        }
    }
    if fields.flag("background")?.unwrap_or(false) {
        return Err(bad("background cannot be served: answers are not stored here; use stream"));
    }
    Ok(())
}

fn keep_object(extra: &mut Map<String, Value>, key: &str, rest: Map<String, Value>) {
    if !rest.is_empty() {
        extra.insert(key.to_owned(), Value::Object(rest));
    }
}

fn decode_tools(list: Vec<Value>) -> Result<Vec<ToolDefinition>, ModelError> {
    let mut tools = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let place = format!("tools[{index}]");
        let Value::Object(mut tool) = value else {
            return Err(bad(format!("{place} must be an object")));
        };
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut definition = ToolDefinition {
            name: kind.clone(),
            description: String::new(),
            input_schema: Value::Null,
            extra: Map::new(),
        };
        if kind == "function" {
            tool.shift_remove("type");
            let Some(Value::String(name)) = tool.shift_remove("name") else {
                return Err(bad(format!("{place}.name must be a text")));
            };
            definition.name = name;
            let description = tool.shift_remove("description");
            definition.description = description.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default();
            let schema = tool.shift_remove("parameters").filter(|schema| !schema.is_null());
            definition.input_schema = schema.unwrap_or_else(|| json!({ "type": "object", "properties": {} }));
        } else if kind.is_empty() {
            return Err(bad(format!("{place}.type must be a text")));
        }
        definition.extra = tool;
        extra::mark(&mut definition.extra, DIALECT);
        tools.push(definition);
    }
    Ok(tools)
}

/// `None` for a choice that only this dialect knows.
fn decode_choice(value: &Value) -> Result<Option<ToolChoice>, ModelError> {
    match value {
        Value::Null => Ok(Some(ToolChoice::Auto)),
        Value::String(word) => match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" => Ok(Some(ToolChoice::Required)),
            other => Err(bad(format!("tool_choice is {other:?}; it must be auto, none, required or a tool"))),
        },
        object if text(object, "type") == "function" => {
            let name = text_of(object, "name").ok_or_else(|| bad("tool_choice.name must be a text"))?;
            Ok(Some(ToolChoice::Named(name)))
        }
        object if object.is_object() => Ok(None),
        _ => Err(bad("tool_choice must be a text or an object")),
    }
}

fn decode_format(value: Option<Value>) -> Result<AnswerFormat, ModelError> {
    let value = value.unwrap_or_default();
    match text(&value, "type") {
        "" if value.is_null() => Ok(AnswerFormat::Text),
        "text" => Ok(AnswerFormat::Text),
        "json_object" => Ok(AnswerFormat::JsonObject),
        "json_schema" => Ok(AnswerFormat::JsonSchema {
            name: text_of(&value, "name").unwrap_or_else(|| "answer".to_owned()),
            schema: value
                .get("schema")
                .cloned()
                .ok_or_else(|| bad("text.format.schema must be an object"))?,
            is_strict: value.get("strict").and_then(Value::as_bool).unwrap_or(false),
        }),
        other => Err(bad(format!(
            "text.format.type is {other:?}; it must be text, json_object or json_schema"
        ))),
    }
}
