//! Reads a caller's Gemini request. Fields may be written in camel case or with underscores, as the vendor's servers take both.
//!
//! Fields that are not understood are kept for targets of the same dialect.

use serde_json::{Map, Value, json};
use steward_domain::message::{Message, Role};
use steward_domain::model::{AnswerFormat, ModelError, ModelRequest, Reasoning, ToolChoice, ToolDefinition};

use super::{decode_contents, schema};
use crate::ingress::IngressRequest;
use crate::ingress::fields::{Fields, bad};
use crate::json::{count, list, object, text, text_of};
use crate::{Dialect, extra};

const DIALECT: Dialect = Dialect::Gemini;

/// See [`crate::ingress::decode_gemini_request`].
pub(crate) fn decode_request(model: &str, is_stream: bool, mut fields: Map<String, Value>) -> Result<IngressRequest, ModelError> {
    camel_keys(&mut fields);
    let mut fields = Fields::new(fields);
    fields.take("model");
    let mut messages = Vec::new();
    decode_contents::decode_system(fields.take("systemInstruction"), &mut messages)?;
    decode_contents::decode_contents(fields.take("contents"), &mut messages)?;
    if messages.iter().all(|message: &Message| message.role == Role::System) {
        return Err(bad("contents is missing or empty"));
    }
    let mut request = ModelRequest::new(model, messages);
    request.tools = decode_tools(fields.list("tools")?)?;
    let mut tool_config = object(fields.take("toolConfig"));
    camel_keys(&mut tool_config);
    decode_choice(tool_config.shift_remove("functionCallingConfig"), &mut request)?;
    let mut config = object(fields.take("generationConfig"));
    camel_keys(&mut config);
    decode_config(config, &mut request, &mut fields)?;
    let user = fields.peek("labels").and_then(|labels| text_of(labels, "user"));
    request.extra.extend(fields.rest());
    if !tool_config.is_empty() {
        request.extra.insert("toolConfig".to_owned(), Value::Object(tool_config));
    }
    extra::mark(&mut request.extra, DIALECT);
    Ok(IngressRequest {
        request,
        is_stream,
        wants_usage: true,
        user,
    })
}

/// Keys with underscores as the dialect's documentation writes them. Keys that begin with one stay.
pub(crate) fn camel_keys(map: &mut Map<String, Value>) {
    let is_snake = |key: &String| key.trim_start_matches('_').contains('_');
    if !map.keys().any(is_snake) {
        return;
    }
    let renamed = std::mem::take(map).into_iter().map(|(key, value)| (camel(&key), value));
    map.extend(renamed);
}

fn camel(key: &str) -> String {
    let lead = key.len() - key.trim_start_matches('_').len();
    let mut camel = key[..lead].to_owned();
    for (index, word) in key[lead..].split('_').enumerate() {
        let mut letters = word.chars();
        match letters.next() {
            Some(first) if index > 0 => camel.extend(first.to_uppercase().chain(letters)),
            Some(first) => camel.extend(std::iter::once(first).chain(letters)),
            None => {}
        }
    }
    camel
}

fn decode_tools(tools: Vec<Value>) -> Result<Vec<ToolDefinition>, ModelError> {
    let mut definitions = Vec::new();
    for (index, value) in tools.into_iter().enumerate() {
        let place = format!("tools[{index}]");
        let Value::Object(mut tool) = value else {
            return Err(bad(format!("{place} must be an object")));
        };
        camel_keys(&mut tool);
        let declarations = tool.shift_remove("functionDeclarations").unwrap_or_default();
        for (nth, declaration) in declarations.as_array().into_iter().flatten().enumerate() {
            let place = format!("{place}.functionDeclarations[{nth}]");
            definitions.push(decode_declaration(declaration.clone(), &place)?);
        }
        if !tool.is_empty() {
            // The provider's own tools, such as a search.
            let name = tool.keys().next().cloned().unwrap_or_default();
            extra::mark(&mut tool, DIALECT);
            definitions.push(ToolDefinition {
                name,
                description: String::new(),
                input_schema: Value::Null,
                extra: tool,
            });
        }
    }
    Ok(definitions)
}

fn decode_declaration(value: Value, place: &str) -> Result<ToolDefinition, ModelError> {
    let mut declaration = object(value);
    camel_keys(&mut declaration);
    let Some(Value::String(name)) = declaration.shift_remove("name") else {
        return Err(bad(format!("{place}.name must be a text")));
    };
    let description = declaration.shift_remove("description");
    let plain = declaration.shift_remove("parameters").filter(|schema| !schema.is_null());
    let full = declaration.shift_remove("parametersJsonSchema").filter(|schema| !schema.is_null());
    let input_schema = full.or_else(|| plain.map(schema::to_json_schema));
    extra::mark(&mut declaration, DIALECT);
    Ok(ToolDefinition {
        name,
        description: description.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default(),
        input_schema: input_schema.unwrap_or_else(|| json!({ "type": "object", "properties": {} })),
        extra: declaration,
    })
}

/// A choice among several functions leaves only these to choose from.
fn decode_choice(config: Option<Value>, request: &mut ModelRequest) -> Result<(), ModelError> {
    let mut config = object(config.unwrap_or_default());
    camel_keys(&mut config);
    let config = Value::Object(config);
    let allowed: Vec<&str> = list(&config, "allowedFunctionNames").iter().filter_map(Value::as_str).collect();
    request.tool_choice = match text(&config, "mode").to_ascii_uppercase().as_str() {
        "" | "AUTO" | "MODE_UNSPECIFIED" | "VALIDATED" => ToolChoice::Auto,
        "NONE" => ToolChoice::None,
        "ANY" => match allowed.as_slice() {
            [only] => ToolChoice::Named((*only).to_owned()),
            [] => ToolChoice::Required,
            several => {
                let is_allowed = |tool: &ToolDefinition| tool.input_schema.is_null() || several.contains(&tool.name.as_str());
                request.tools.retain(is_allowed);
                ToolChoice::Required
            }
        },
        other => {
            return Err(bad(format!(
                "toolConfig.functionCallingConfig.mode is {other:?}; it must be AUTO, ANY, VALIDATED or NONE"
            )));
        }
    };
    Ok(())
}

fn decode_config(config: Map<String, Value>, request: &mut ModelRequest, outer: &mut Fields) -> Result<(), ModelError> {
    let in_config = |error: ModelError| bad(format!("generationConfig.{}", error.message));
    let mut fields = Fields::new(config);
    request.max_output_tokens = fields.count("maxOutputTokens").map_err(in_config)?;
    request.temperature = fields.number("temperature").map_err(in_config)?;
    request.top_p = fields.number("topP").map_err(in_config)?;
    for stop in fields.list("stopSequences").map_err(in_config)? {
        let Value::String(stop) = stop else {
            return Err(bad("generationConfig.stopSequences must be a list of texts"));
        };
        request.stop.push(stop);
    }
    if fields.count("candidateCount").map_err(in_config)?.is_some_and(|count| count > 1) {
        return Err(bad("generationConfig.candidateCount must be 1: one answer is given to a request"));
    }
    let media_type = fields.peek_text("responseMimeType").map_err(in_config)?;
    let plain = fields.take("responseSchema");
    let full = [fields.take("responseJsonSchema"), fields.take("_responseJsonSchema")];
    let full = full.into_iter().find(|schema| !schema.is_null());
    let schema = full.or_else(|| (!plain.is_null()).then(|| schema::to_json_schema(plain)));
    request.format = match (media_type.as_deref(), schema) {
        (_, Some(schema)) => AnswerFormat::JsonSchema {
            name: "answer".to_owned(),
            schema,
            is_strict: true,
        },
        (Some("application/json"), None) => AnswerFormat::JsonObject,
        (_, None) => AnswerFormat::Text,
    };
    if matches!(media_type.as_deref(), Some("application/json" | "text/plain")) || request.format != AnswerFormat::Text {
        fields.take("responseMimeType");
    }
    request.reasoning = decode_thinking(fields.peek("thinkingConfig").cloned().unwrap_or_default())?;
    let rest = fields.rest();
    if !rest.is_empty() {
        request.extra.insert("generationConfig".to_owned(), Value::Object(rest));
    }
    outer.take("generationConfig");
    Ok(())
}

/// The whole wish also stays among the fields of this dialect, which alone knows a budget of -1 and whether thoughts are shown.
fn decode_thinking(value: Value) -> Result<Option<Reasoning>, ModelError> {
    let mut config = object(value);
    camel_keys(&mut config);
    let config = Value::Object(config);
    let level = text(&config, "thinkingLevel").to_ascii_lowercase();
    if !matches!(level.as_str(), "" | "thinking_level_unspecified") {
        return Ok(Some(Reasoning::Effort(level)));
    }
    match config.get("thinkingBudget") {
        None | Some(Value::Null) => Ok(None),
        // As much as the model thinks right.
        Some(budget) if budget.as_i64() == Some(-1) => Ok(Some(Reasoning::Effort("medium".to_owned()))),
        Some(_) => {
            let tokens = count(&config, "/thinkingBudget");
            let tokens = tokens.ok_or_else(|| bad("generationConfig.thinkingConfig.thinkingBudget must be a whole number"))?;
            Ok(Some(Reasoning::BudgetTokens(tokens)))
        }
    }
}
