//! Reads a caller's chat request. Fields that are not understood are kept for targets of the same dialect.

use std::collections::HashMap;

use serde_json::{Map, Value};
use steward_domain::id::CallId;
use steward_domain::message::{Message, Part, Role, ToolCall};
use steward_domain::model::{AnswerFormat, ModelError, ModelRequest, Reasoning, ToolChoice, ToolDefinition};

use super::{content, reasoning};
use crate::ingress::IngressRequest;
use crate::ingress::fields::{Fields, bad};
use crate::json::{self, text, text_of};
use crate::{Dialect, extra};

/// See [`crate::ingress::decode_request`].
pub(crate) fn decode_request(fields: Map<String, Value>) -> Result<IngressRequest, ModelError> {
    let mut fields = Fields::new(fields);
    let model = fields.need_text("model")?;
    let messages = decode_messages(fields.need_list("messages")?)?;
    let mut request = ModelRequest::new(model, messages);
    request.tools = decode_tools(fields.list("tools")?)?;
    request.tool_choice = decode_choice(&fields.take("tool_choice"))?;
    request.parallel_tool_calls = fields.flag("parallel_tool_calls")?;
    let newer = fields.count("max_completion_tokens")?;
    request.max_output_tokens = newer.or(fields.count("max_tokens")?);
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    request.stop = decode_stop(fields.take("stop"))?;
    request.format = decode_format(&fields.take("response_format"))?;
    request.reasoning = decode_reasoning(&mut fields)?;
    if fields.count("n")?.is_some_and(|count| count != 1) {
        return Err(bad("n must be 1: one answer is given to a request"));
    }
    let is_stream = fields.flag("stream")?.unwrap_or(false);
    let options = fields.take("stream_options");
    let wants_usage = options.get("include_usage").and_then(Value::as_bool).unwrap_or(false);
    let user = fields.peek_text("user")?;
    request.extra = fields.rest();
    extra::mark(&mut request.extra, Dialect::OpenAiChat);
    Ok(IngressRequest {
        request,
        is_stream,
        wants_usage,
        user,
    })
}

fn decode_messages(list: Vec<Value>) -> Result<Vec<Message>, ModelError> {
    let mut messages: Vec<Message> = Vec::with_capacity(list.len());
    let mut names: HashMap<String, String> = HashMap::new();
    for (index, value) in list.into_iter().enumerate() {
        let place = format!("messages[{index}]");
        let role = text(&value, "role").to_owned();
        let parts = match role.as_str() {
            "system" | "developer" | "user" => decode_parts(value, &place)?,
            "assistant" => decode_assistant(value, &place, &mut names)?,
            "tool" | "function" => vec![decode_result(value, &place, &names)?],
            "" => return Err(bad(format!("{place}.role must be a text"))),
            other => {
                return Err(bad(format!(
                    "{place}.role is {other:?}; it must be system, developer, user, assistant or tool"
                )));
            }
        };
        let role = match role.as_str() {
            "system" | "developer" => Role::System,
            "assistant" => Role::Assistant,
            _ => Role::User,
        };
        let is_result = |message: &Message| message.parts.iter().all(|part| matches!(part, Part::ToolResult { .. }));
        // The results of one round of calls belong into one message, as other dialects demand it.
        match messages.last_mut() {
            Some(last)
                if last.role == Role::User && is_result(last) && parts.iter().all(|part| matches!(part, Part::ToolResult { .. })) =>
            {
                last.parts.extend(parts);
            }
            _ => messages.push(Message { role, parts }),
        }
    }
    Ok(messages)
}

fn decode_parts(mut value: Value, place: &str) -> Result<Vec<Part>, ModelError> {
    let inner = value.get_mut("content").map(Value::take).unwrap_or_default();
    content::decode_content(inner, &format!("{place}.content")).map_err(bad)
}

fn decode_assistant(value: Value, place: &str, names: &mut HashMap<String, String>) -> Result<Vec<Part>, ModelError> {
    let mut parts = reasoning::decode_thoughts(&value);
    let calls = value.get("tool_calls").cloned().unwrap_or_default();
    let refusal = text_of(&value, "refusal").filter(|text| !text.is_empty());
    parts.extend(decode_parts(value, place)?);
    parts.extend(refusal.map(Part::text));
    for (index, call) in json::list(&serde_json::json!({ "calls": calls }), "calls").iter().enumerate() {
        let place = format!("{place}.tool_calls[{index}]");
        let function = call
            .get("function")
            .ok_or_else(|| bad(format!("{place}.function must be an object")))?;
        let id = text_of(call, "id").ok_or_else(|| bad(format!("{place}.id must be a text")))?;
        let name = text_of(function, "name").ok_or_else(|| bad(format!("{place}.function.name must be a text")))?;
        names.insert(id.clone(), name.clone());
        parts.push(Part::ToolCall(ToolCall {
            id: CallId::from_text(id),
            name,
            arguments: text(function, "arguments").to_owned(),
            signature: call
                .pointer("/extra_content/google/thought_signature")
                .and_then(Value::as_str)
                .map(str::to_owned),
        }));
    }
    Ok(parts)
}

fn decode_result(value: Value, place: &str, names: &HashMap<String, String>) -> Result<Part, ModelError> {
    // The old form, role `function`, has a name in place of the id.
    let id = text_of(&value, "tool_call_id").or_else(|| text_of(&value, "name"));
    let id = id.ok_or_else(|| bad(format!("{place}.tool_call_id must be a text")))?;
    let name = names.get(&id).cloned().or_else(|| text_of(&value, "name")).unwrap_or_default();
    let content = decode_parts(value, place)?;
    Ok(Part::ToolResult {
        call_id: CallId::from_text(id),
        name,
        content,
        is_error: false,
    })
}

fn decode_tools(list: Vec<Value>) -> Result<Vec<ToolDefinition>, ModelError> {
    let mut tools = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let place = format!("tools[{index}]");
        let Value::Object(mut tool) = value else {
            return Err(bad(format!("{place} must be an object")));
        };
        let Some(function) = tool.shift_remove("function") else {
            // A tool of another type is the provider's own business.
            let name = tool.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            tools.push(ToolDefinition {
                name,
                description: String::new(),
                input_schema: Value::Null,
                extra: content::marked(tool),
            });
            continue;
        };
        let mut function = json::object(function);
        let Some(Value::String(name)) = function.shift_remove("name") else {
            return Err(bad(format!("{place}.function.name must be a text")));
        };
        let description = function
            .shift_remove("description")
            .and_then(|text| text.as_str().map(str::to_owned))
            .unwrap_or_default();
        let input_schema = function.shift_remove("parameters").filter(|schema| !schema.is_null());
        tool.shift_remove("type");
        tool.extend(function);
        tools.push(ToolDefinition {
            name,
            description,
            input_schema: input_schema.unwrap_or_else(|| serde_json::json!({ "type": "object", "properties": {} })),
            extra: content::marked(tool),
        });
    }
    Ok(tools)
}

fn decode_choice(value: &Value) -> Result<ToolChoice, ModelError> {
    match value {
        Value::Null => Ok(ToolChoice::Auto),
        Value::String(word) => match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" | "any" => Ok(ToolChoice::Required),
            other => Err(bad(format!(
                "tool_choice is {other:?}; it must be auto, none, required or a function"
            ))),
        },
        object => {
            let name = object
                .pointer("/function/name")
                .or_else(|| object.get("name"))
                .and_then(Value::as_str);
            name.map(|name| ToolChoice::Named(name.to_owned()))
                .ok_or_else(|| bad("tool_choice.function.name must be a text"))
        }
    }
}

fn decode_stop(value: Value) -> Result<Vec<String>, ModelError> {
    let refuse = || bad("stop must be a text or a list of texts");
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text]),
        Value::Array(list) => list
            .into_iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(refuse))
            .collect(),
        _ => Err(refuse()),
    }
}

fn decode_format(value: &Value) -> Result<AnswerFormat, ModelError> {
    match text(value, "type") {
        "" if value.is_null() => Ok(AnswerFormat::Text),
        "text" => Ok(AnswerFormat::Text),
        "json_object" => Ok(AnswerFormat::JsonObject),
        "json_schema" => {
            let inner = value.get("json_schema").unwrap_or(&Value::Null);
            let schema = inner
                .get("schema")
                .cloned()
                .ok_or_else(|| bad("response_format.json_schema.schema must be an object"))?;
            Ok(AnswerFormat::JsonSchema {
                name: text_of(inner, "name").unwrap_or_else(|| "answer".to_owned()),
                schema,
                is_strict: inner.get("strict").and_then(Value::as_bool).unwrap_or(false),
            })
        }
        other => Err(bad(format!(
            "response_format.type is {other:?}; it must be text, json_object or json_schema"
        ))),
    }
}

/// `reasoning_effort` is OpenAI's; `reasoning` with an effort or a number of tokens is what routers of models take.
fn decode_reasoning(fields: &mut Fields) -> Result<Option<Reasoning>, ModelError> {
    let word = fields.text("reasoning_effort")?;
    let object = fields.take("reasoning");
    let tokens = json::count(&object, "/max_tokens").map(Reasoning::BudgetTokens);
    let word = word.or_else(|| text_of(&object, "effort"));
    Ok(word.map(Reasoning::Effort).or(tokens))
}
