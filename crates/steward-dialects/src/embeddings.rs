//! Embeddings on both wires that have them: OpenAI's `/v1/embeddings` and Gemini's `embedContent` and `batchEmbedContents`.
//!
//! Vectors keep the provider's own numbers: they are read and written as double precision, and never scaled.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use steward_domain::message::{Message, Part, Role};
use steward_domain::model::{ModelError, ModelErrorKind, ModelRequest};

use crate::egress::EncodedRequest;
use crate::gemini::decode_request::camel_keys;
use crate::ingress::fields::bad;
use crate::{Dialect, json};

/// The most inputs of one request, as OpenAI has it.
const INPUTS_LIMIT: usize = 2048;

/// What is asked of a model that embeds.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedRequest {
    /// A route, or `provider/model`; the provider's own name once a target is chosen.
    pub model: String,
    /// What to embed, in order.
    pub inputs: Vec<EmbedInput>,
    /// The length of the vectors; `None` leaves it to the model.
    pub dimensions: Option<u64>,
    /// The caller takes vectors as base64 of little-endian single precision (OpenAI).
    pub wants_base64: bool,
    /// The caller sent one input outside of a list (Gemini's `embedContent`).
    pub is_single: bool,
    /// The caller's dialect, for which `extra` holds.
    pub dialect: Dialect,
    /// Fields of the caller's dialect that Steward does not know.
    pub extra: Map<String, Value>,
}

/// One thing to embed.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbedInput {
    /// A text.
    Text(String),
    /// Tokens of the model's own tokenizer.
    Tokens(Vec<u64>),
    /// Content with a task and a title that only Gemini understands.
    Gemini(Map<String, Value>),
}

/// A model's vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// One vector for each input, in order.
    pub vectors: Vec<Vec<f64>>,
    /// Input tokens as the provider counted them.
    pub input_tokens: Option<u64>,
}

impl EmbedRequest {
    /// The request as the meter sees it: its texts are the input, and there is no output.
    pub fn metered(&self) -> ModelRequest {
        let parts = self.inputs.iter().map(|input| match input {
            EmbedInput::Text(text) => Part::text(text.clone()),
            // A token is at least one character of what is charged.
            EmbedInput::Tokens(tokens) => Part::text("x ".repeat(tokens.len() * 2)),
            EmbedInput::Gemini(fields) => Part::text(content_text(fields)),
        });
        let message = Message {
            role: Role::User,
            parts: parts.collect(),
        };
        let mut request = ModelRequest::new(self.model.clone(), vec![message]);
        request.max_output_tokens = Some(0);
        request
    }
}

/// Reads a caller's request. `model` is what the path says (Gemini); `is_batch` tells `batchEmbedContents`.
///
/// # Errors
/// `BadRequest` with a sentence that names the field.
pub fn decode_request(dialect: Dialect, model: Option<&str>, is_batch: bool, body: &[u8]) -> Result<EmbedRequest, ModelError> {
    let mut fields = crate::ingress::object_of(body)?;
    match dialect {
        Dialect::Gemini => gemini_request(model.unwrap_or_default(), is_batch, &mut fields),
        _ => openai_request(fields),
    }
}

fn openai_request(mut fields: Map<String, Value>) -> Result<EmbedRequest, ModelError> {
    let model = match fields.shift_remove("model") {
        Some(Value::String(model)) if !model.is_empty() => model,
        _ => return Err(bad("model is missing")),
    };
    let inputs = openai_inputs(fields.shift_remove("input").unwrap_or_default())?;
    let wants_base64 = match fields.shift_remove("encoding_format") {
        None | Some(Value::Null) => false,
        Some(Value::String(format)) if format == "float" => false,
        Some(Value::String(format)) if format == "base64" => true,
        Some(_) => return Err(bad("encoding_format must be float or base64")),
    };
    let dimensions = dimensions(fields.shift_remove("dimensions"), "dimensions")?;
    Ok(EmbedRequest {
        model,
        inputs,
        dimensions,
        wants_base64,
        is_single: false,
        dialect: Dialect::OpenAiChat,
        extra: fields,
    })
}

fn openai_inputs(input: Value) -> Result<Vec<EmbedInput>, ModelError> {
    let items = match input {
        Value::String(text) => vec![EmbedInput::Text(text)],
        Value::Array(items) if items.first().is_some_and(Value::is_u64) => vec![tokens(&items)?],
        Value::Array(items) => items.into_iter().map(openai_input).collect::<Result<_, _>>()?,
        _ => return Err(bad("input must be a text, a list of texts, or tokens")),
    };
    checked(items, "input")
}

fn openai_input(item: Value) -> Result<EmbedInput, ModelError> {
    match item {
        Value::String(text) => Ok(EmbedInput::Text(text)),
        Value::Array(items) => tokens(&items),
        _ => Err(bad("input must be a text, a list of texts, or tokens")),
    }
}

fn tokens(items: &[Value]) -> Result<EmbedInput, ModelError> {
    let read: Option<Vec<u64>> = items.iter().map(Value::as_u64).collect();
    read.filter(|tokens| !tokens.is_empty())
        .map(EmbedInput::Tokens)
        .ok_or_else(|| bad("input holds a list that is no list of tokens"))
}

fn checked(inputs: Vec<EmbedInput>, field: &str) -> Result<Vec<EmbedInput>, ModelError> {
    if inputs.is_empty() {
        return Err(bad(format!("{field} is empty")));
    }
    if inputs.len() > INPUTS_LIMIT {
        return Err(bad(format!(
            "{field} holds {} items; at most {INPUTS_LIMIT} are taken",
            inputs.len()
        )));
    }
    let is_empty = |input: &EmbedInput| matches!(input, EmbedInput::Text(text) if text.is_empty());
    if inputs.iter().any(is_empty) {
        return Err(bad(format!("{field} holds an empty text")));
    }
    Ok(inputs)
}

fn dimensions(value: Option<Value>, field: &str) -> Result<Option<u64>, ModelError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => Err(bad(format!("{field} must be a whole number above 0"))),
        },
    }
}

fn gemini_request(model: &str, is_batch: bool, fields: &mut Map<String, Value>) -> Result<EmbedRequest, ModelError> {
    camel_keys(fields);
    let items = match fields.shift_remove("requests") {
        Some(Value::Array(items)) if is_batch => items,
        _ if is_batch => return Err(bad("requests is missing")),
        _ => vec![Value::Object(std::mem::take(fields))],
    };
    let mut length = None;
    let mut inputs = Vec::with_capacity(items.len());
    for item in items {
        let mut item = json::object(item);
        camel_keys(&mut item);
        item.shift_remove("model");
        length = dimensions(item.shift_remove("outputDimensionality"), "outputDimensionality")?.or(length);
        let has_text = !content_text(&item).is_empty();
        if !has_text {
            return Err(bad("content holds no text to embed"));
        }
        let is_plain = item.keys().all(|key| key == "content");
        inputs.push(if is_plain {
            EmbedInput::Text(content_text(&item))
        } else {
            EmbedInput::Gemini(item)
        });
    }
    Ok(EmbedRequest {
        model: model.strip_prefix("models/").unwrap_or(model).to_owned(),
        inputs: checked(inputs, "requests")?,
        dimensions: length,
        wants_base64: false,
        is_single: !is_batch,
        dialect: Dialect::Gemini,
        extra: std::mem::take(fields),
    })
}

/// The texts of a Gemini content, joined.
fn content_text(fields: &Map<String, Value>) -> String {
    match fields.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(content) => json::list(content, "parts").iter().map(|part| json::text(part, "text")).collect(),
        None => String::new(),
    }
}

/// Writes the request for a provider. Its `model` is the provider's own name.
///
/// # Errors
/// `Unsupported`: the provider's dialect has no embeddings, or none of this form.
pub fn encode_request(dialect: Dialect, request: &EmbedRequest) -> Result<EncodedRequest, ModelError> {
    let (path, body) = match dialect {
        Dialect::Anthropic => return Err(unsupported("Anthropic's API has no embeddings")),
        Dialect::Gemini => (
            format!("/v1beta/models/{}:batchEmbedContents", request.model),
            gemini_body(request)?,
        ),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => ("/v1/embeddings".to_owned(), openai_body(request)),
    };
    Ok(EncodedRequest {
        path,
        body: json::bytes(&body),
        headers: Vec::new(),
    })
}

fn openai_body(request: &EmbedRequest) -> Value {
    let input = |input: &EmbedInput| match input {
        EmbedInput::Text(text) => json!(text),
        EmbedInput::Tokens(tokens) => json!(tokens),
        EmbedInput::Gemini(fields) => json!(content_text(fields)),
    };
    let mut body = Map::new();
    body.insert("model".into(), json!(request.model));
    body.insert("input".into(), request.inputs.iter().map(input).collect());
    json::put(&mut body, "dimensions", request.dimensions);
    if request.wants_base64 {
        body.insert("encoding_format".into(), json!("base64"));
    }
    if request.dialect != Dialect::Gemini {
        body.extend(request.extra.clone());
    }
    Value::Object(body)
}

fn gemini_body(request: &EmbedRequest) -> Result<Value, ModelError> {
    let mut requests = Vec::with_capacity(request.inputs.len());
    for input in &request.inputs {
        let mut item = match input {
            EmbedInput::Text(text) => json::object(json!({"content": {"parts": [{"text": text}]}})),
            EmbedInput::Gemini(fields) => fields.clone(),
            EmbedInput::Tokens(_) => return Err(unsupported("Gemini embeds texts, not tokens")),
        };
        item.insert("model".into(), json!(format!("models/{}", request.model)));
        json::put(&mut item, "outputDimensionality", request.dimensions);
        requests.push(Value::Object(item));
    }
    Ok(json!({ "requests": requests }))
}

fn unsupported(message: &str) -> ModelError {
    ModelError::new(ModelErrorKind::Unsupported, message)
}

/// Reads a provider's answer to a request with `wanted` inputs.
///
/// # Errors
/// `Malformed`: the body is no such answer, or a vector is missing.
pub fn decode_response(dialect: Dialect, body: &[u8], wanted: usize) -> Result<Embedded, ModelError> {
    let malformed = |what: String| ModelError::new(ModelErrorKind::Malformed, what);
    let value: Value = serde_json::from_slice(body).map_err(|error| malformed(format!("the provider's answer is no JSON: {error}")))?;
    let mut vectors: Vec<Option<Vec<f64>>> = vec![None; wanted];
    let (list, at) = if dialect == Dialect::Gemini {
        ("embeddings", "values")
    } else {
        ("data", "embedding")
    };
    for (position, item) in json::list(&value, list).iter().enumerate() {
        let index = item["index"].as_u64().map_or(position, |index| index as usize);
        if let Some(slot) = vectors.get_mut(index) {
            *slot = vector(&item[at]);
        }
    }
    let found = vectors.iter().flatten().count();
    if found != wanted {
        return Err(malformed(format!("the provider gave {found} vectors for {wanted} inputs")));
    }
    Ok(Embedded {
        vectors: vectors.into_iter().flatten().collect(),
        input_tokens: json::count(&value, "/usage/prompt_tokens").or_else(|| json::count(&value, "/usageMetadata/promptTokenCount")),
    })
}

fn vector(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::Array(numbers) => numbers.iter().map(Value::as_f64).collect(),
        Value::String(text) => {
            let bytes = STANDARD.decode(text).ok()?;
            let (singles, rest) = bytes.as_chunks::<4>();
            rest.is_empty()
                .then(|| singles.iter().map(|single| f64::from(f32::from_le_bytes(*single))).collect())
        }
        _ => None,
    }
}

/// Writes the answer for the caller. `model` is the name as the caller wrote it, `input_tokens` what is billed.
pub fn encode_response(request: &EmbedRequest, embedded: &Embedded, input_tokens: u64) -> Vec<u8> {
    let body = if request.dialect == Dialect::Gemini {
        let vectors = embedded.vectors.iter().map(|values| json!({ "values": values }));
        if request.is_single {
            json!({ "embedding": { "values": embedded.vectors.first() } })
        } else {
            json!({ "embeddings": vectors.collect::<Vec<_>>() })
        }
    } else {
        let item = |(index, values): (usize, &Vec<f64>)| {
            let embedding = if request.wants_base64 { base64_of(values) } else { json!(values) };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        };
        json!({
            "object": "list",
            "data": embedded.vectors.iter().enumerate().map(item).collect::<Vec<_>>(),
            "model": request.model,
            "usage": { "prompt_tokens": input_tokens, "total_tokens": input_tokens },
        })
    };
    json::bytes(&body)
}

#[expect(clippy::cast_possible_truncation, reason = "the form is single precision by definition")]
fn base64_of(values: &[f64]) -> Value {
    let bytes: Vec<u8> = values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
    Value::String(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests;
