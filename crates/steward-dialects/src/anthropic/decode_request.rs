//! Reads a caller's Anthropic request. Fields that are not understood are kept for targets of the same dialect.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use steward_domain::message::{Message, Part, Role};
use steward_domain::model::{AnswerFormat, ModelError, ModelRequest, Reasoning, ToolChoice, ToolDefinition};

use super::content;
use crate::ingress::IngressRequest;
use crate::ingress::fields::{Fields, bad};
use crate::json::{count, object, text, text_of};
use crate::{Dialect, extra, seal};

/// See [`crate::ingress::decode_request`].
pub(crate) fn decode_request(fields: Map<String, Value>) -> Result<IngressRequest, ModelError> {
    let mut fields = Fields::new(fields);
    let model = fields.need_text("model")?;
    let mut messages = decode_system(fields.take("system"))?;
    messages.extend(decode_messages(fields.need_list("messages")?)?);
    let mut request = ModelRequest::new(model, messages);
    let limit = fields.count("max_tokens")?;
    request.max_output_tokens = Some(limit.ok_or_else(|| bad("max_tokens is missing"))?);
    request.tools = decode_tools(fields.list("tools")?)?;
    let choice = fields.take("tool_choice");
    request.tool_choice = decode_choice(&choice)?;
    request.parallel_tool_calls = choice
        .get("disable_parallel_tool_use")
        .and_then(Value::as_bool)
        .map(|is_off| !is_off);
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    request.stop = decode_stop(fields.list("stop_sequences")?)?;
    let mut output = object(fields.take("output_config"));
    request.reasoning = decode_thinking(&fields.take("thinking"), &mut output)?;
    request.format = decode_format(output.shift_remove("format"))?;
    let is_stream = fields.flag("stream")?.unwrap_or(false);
    request.extra = fields.rest();
    if !output.is_empty() {
        request.extra.insert("output_config".to_owned(), Value::Object(output));
    }
    let user = request.extra.get("metadata").and_then(|metadata| text_of(metadata, "user_id"));
    extra::mark(&mut request.extra, Dialect::Anthropic);
    Ok(IngressRequest {
        request,
        is_stream,
        wants_usage: true,
        user,
    })
}

fn decode_system(value: Value) -> Result<Vec<Message>, ModelError> {
    let parts = content::decode_content(value, "system", &|_| String::new()).map_err(bad)?;
    Ok(if parts.is_empty() {
        Vec::new()
    } else {
        vec![Message { role: Role::System, parts }]
    })
}

fn decode_messages(list: Vec<Value>) -> Result<Vec<Message>, ModelError> {
    let mut messages: Vec<Message> = Vec::with_capacity(list.len());
    let mut names: HashMap<String, String> = HashMap::new();
    for (index, mut value) in list.into_iter().enumerate() {
        let place = format!("messages[{index}]");
        let role = match text(&value, "role") {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            "" => return Err(bad(format!("{place}.role must be a text"))),
            other => return Err(bad(format!("{place}.role is {other:?}; it must be user or assistant"))),
        };
        let inner = value.get_mut("content").map(Value::take).unwrap_or_default();
        if inner.is_null() {
            return Err(bad(format!("{place}.content is missing")));
        }
        let name_of = |id: &str| names.get(id).cloned().unwrap_or_default();
        let mut parts = content::decode_content(inner, &format!("{place}.content"), &name_of).map_err(bad)?;
        seal::give_to_calls(&mut parts);
        for part in &parts {
            if let Part::ToolCall(call) = part {
                names.insert(call.id.to_string(), call.name.clone());
            }
        }
        messages.push(Message { role, parts });
    }
    Ok(messages)
}

fn decode_tools(list: Vec<Value>) -> Result<Vec<ToolDefinition>, ModelError> {
    let mut tools = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let place = format!("tools[{index}]");
        let name = text_of(&value, "name").ok_or_else(|| bad(format!("{place}.name must be a text")))?;
        let Value::Object(mut tool) = value else {
            return Err(bad(format!("{place} must be an object")));
        };
        let is_own = tool.get("type").and_then(Value::as_str).is_none_or(|kind| kind == "custom");
        let mut definition = ToolDefinition {
            name,
            description: String::new(),
            input_schema: Value::Null,
            extra: Map::new(),
        };
        if is_own {
            tool.shift_remove("name");
            tool.shift_remove("type");
            definition.description = tool
                .shift_remove("description")
                .and_then(|text| text.as_str().map(str::to_owned))
                .unwrap_or_default();
            let schema = tool.shift_remove("input_schema").filter(|schema| !schema.is_null());
            definition.input_schema = schema.unwrap_or_else(|| json!({ "type": "object", "properties": {} }));
        }
        definition.extra = tool;
        extra::mark(&mut definition.extra, Dialect::Anthropic);
        tools.push(definition);
    }
    Ok(tools)
}

fn decode_choice(value: &Value) -> Result<ToolChoice, ModelError> {
    match text(value, "type") {
        "" if value.is_null() => Ok(ToolChoice::Auto),
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "any" => Ok(ToolChoice::Required),
        "tool" => text_of(value, "name")
            .map(ToolChoice::Named)
            .ok_or_else(|| bad("tool_choice.name must be a text")),
        other => Err(bad(format!("tool_choice.type is {other:?}; it must be auto, any, tool or none"))),
    }
}

fn decode_stop(list: Vec<Value>) -> Result<Vec<String>, ModelError> {
    let texts = list.into_iter().map(|item| match item {
        Value::String(text) => Ok(text),
        _ => Err(bad("stop_sequences must be a list of texts")),
    });
    texts.collect()
}

fn decode_thinking(thinking: &Value, output: &mut Map<String, Value>) -> Result<Option<Reasoning>, ModelError> {
    match text(thinking, "type") {
        "enabled" => {
            let budget = count(thinking, "/budget_tokens").ok_or_else(|| bad("thinking.budget_tokens must be a whole number"))?;
            Ok(Some(Reasoning::BudgetTokens(budget)))
        }
        "adaptive" => {
            let effort = output.shift_remove("effort").and_then(|word| word.as_str().map(str::to_owned));
            Ok(Some(Reasoning::Effort(effort.unwrap_or_else(|| "high".to_owned()))))
        }
        "disabled" => Ok(None),
        "" if thinking.is_null() => Ok(None),
        other => Err(bad(format!("thinking.type is {other:?}; it must be enabled, adaptive or disabled"))),
    }
}

fn decode_format(value: Option<Value>) -> Result<AnswerFormat, ModelError> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Ok(AnswerFormat::Text);
    };
    let schema = value
        .get("schema")
        .cloned()
        .ok_or_else(|| bad("output_config.format.schema must be an object"))?;
    Ok(AnswerFormat::JsonSchema {
        name: "answer".to_owned(),
        schema,
        is_strict: true,
    })
}
