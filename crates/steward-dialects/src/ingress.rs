//! The way in: a caller's bytes as a domain request, and model events as bytes in the caller's dialect.
//!
//! Knows no HTTP: the gateway picks the dialect by path and sends what it gets here.

use steward_domain::model::{ModelError, ModelErrorKind, ModelEvent, ModelRequest};

use crate::fold::fold;
use crate::{Dialect, anthropic, gemini, json, openai_chat, openai_responses};

pub(crate) mod fields;
mod gemini_call;

pub use gemini_call::{GeminiAction, GeminiCall};

/// A caller's request.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressRequest {
    /// What the model is asked; `model` is as the caller wrote it.
    pub request: ModelRequest,
    /// The caller wants a stream.
    pub is_stream: bool,
    /// The caller wants usage in the stream. Dialects that always carry it always do.
    pub wants_usage: bool,
    /// The caller's name for its end user; it names the session of an agent.
    pub user: Option<String>,
}

/// What an answer says beside its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressOptions {
    /// The model's name as the caller wrote it.
    pub model: String,
    /// The id of the answer, such as the request's id.
    pub id: String,
    /// When it began, in seconds since 1970.
    pub created_unix: i64,
    /// Usage goes into the stream.
    pub wants_usage: bool,
}

/// Reads a caller's request. Gemini's has its model in the path, see [`decode_gemini_request`]; here it may stand in the body.
///
/// # Errors
/// `BadRequest` with a sentence that names the field.
pub fn decode_request(dialect: Dialect, body: &[u8]) -> Result<IngressRequest, ModelError> {
    let fields = object_of(body)?;
    match dialect {
        Dialect::OpenAiChat => openai_chat::decode_request::decode_request(fields),
        Dialect::OpenAiResponses => openai_responses::decode_request::decode_request(fields),
        Dialect::Anthropic => anthropic::decode_request::decode_request(fields),
        Dialect::Gemini => {
            let model = fields.get("model").and_then(serde_json::Value::as_str).unwrap_or_default();
            let model = model.strip_prefix("models/").unwrap_or(model).to_owned();
            if model.is_empty() {
                return Err(fields::bad("model is missing"));
            }
            gemini::decode_request::decode_request(&model, false, fields)
        }
    }
}

/// Reads the body of a Gemini request whose path has been read as `call`.
///
/// # Errors
/// `BadRequest` with a sentence that names the field.
pub fn decode_gemini_request(call: &GeminiCall, body: &[u8]) -> Result<IngressRequest, ModelError> {
    let is_stream = call.action == GeminiAction::StreamGenerate;
    gemini::decode_request::decode_request(&call.model, is_stream, object_of(body)?)
}

/// Reads a request whose tokens are to be counted: an Anthropic request without a limit, or a Gemini request in either of its two forms.
///
/// # Errors
/// `BadRequest` with a sentence that names the field.
pub fn decode_count_request(dialect: Dialect, model: Option<&str>, body: &[u8]) -> Result<ModelRequest, ModelError> {
    let mut fields = object_of(body)?;
    let read = match dialect {
        Dialect::Gemini => {
            gemini::decode_request::camel_keys(&mut fields);
            let inner = json::object(fields.shift_remove("generateContentRequest").unwrap_or_default());
            let fields = if inner.is_empty() { fields } else { inner };
            gemini::decode_request::decode_request(model.unwrap_or_default(), false, fields)?
        }
        Dialect::Anthropic => {
            fields.insert("max_tokens".to_owned(), serde_json::Value::from(1));
            anthropic::decode_request::decode_request(fields)?
        }
        Dialect::OpenAiChat => openai_chat::decode_request::decode_request(fields)?,
        Dialect::OpenAiResponses => openai_responses::decode_request::decode_request(fields)?,
    };
    Ok(read.request)
}

pub(crate) fn object_of(body: &[u8]) -> Result<serde_json::Map<String, serde_json::Value>, ModelError> {
    let value = serde_json::from_slice(body)
        .map_err(|error| ModelError::new(ModelErrorKind::BadRequest, format!("the request body is no valid JSON: {error}")))?;
    let serde_json::Value::Object(fields) = value else {
        return Err(ModelError::new(
            ModelErrorKind::BadRequest,
            "the request body must be a JSON object",
        ));
    };
    Ok(fields)
}

/// Writes a stream in the caller's dialect, one event at a time.
#[derive(Debug)]
pub struct StreamEncoder {
    encoder: Encoder,
    /// Where the pieces go into one JSON list: whether one has been written.
    list: Option<bool>,
}

#[derive(Debug)]
enum Encoder {
    OpenAiChat(openai_chat::encode_stream::Encoder),
    OpenAiResponses(openai_responses::encode_stream::Encoder),
    Anthropic(anthropic::encode_stream::Encoder),
    Gemini(gemini::encode_stream::Encoder),
}

impl StreamEncoder {
    /// An encoder for one answer.
    pub fn new(dialect: Dialect, options: IngressOptions) -> Self {
        let encoder = match dialect {
            Dialect::OpenAiChat => Encoder::OpenAiChat(openai_chat::encode_stream::Encoder::new(options)),
            Dialect::OpenAiResponses => Encoder::OpenAiResponses(openai_responses::encode_stream::Encoder::new(options)),
            Dialect::Anthropic => Encoder::Anthropic(anthropic::encode_stream::Encoder::new(options)),
            Dialect::Gemini => Encoder::Gemini(gemini::encode_stream::Encoder::new(options)),
        };
        StreamEncoder { encoder, list: None }
    }

    /// An encoder for Gemini's other form of a stream: one JSON list that grows.
    pub fn gemini_list(options: IngressOptions) -> Self {
        StreamEncoder {
            list: Some(false),
            ..StreamEncoder::new(Dialect::Gemini, options)
        }
    }

    /// The frames for one event, complete; empty where the dialect has nothing to say.
    /// `Finished` and `Failed` give the end of the stream too.
    pub fn encode(&mut self, event: &ModelEvent) -> Vec<u8> {
        let frames = match &mut self.encoder {
            Encoder::OpenAiChat(encoder) => encoder.encode(event),
            Encoder::OpenAiResponses(encoder) => encoder.encode(event),
            Encoder::Anthropic(encoder) => encoder.encode(event),
            Encoder::Gemini(encoder) => encoder.encode(event),
        };
        let is_last = matches!(event, ModelEvent::Finished(_) | ModelEvent::Failed(_));
        match &mut self.list {
            Some(has_begun) => gemini::encode_stream::as_list(&frames, has_begun, is_last),
            None => frames,
        }
    }
}

/// Writes a whole answer in the caller's dialect.
///
/// # Errors
/// The events hold a failure, or have no last one.
pub fn encode_response(dialect: Dialect, events: &[ModelEvent], options: &IngressOptions) -> Result<Vec<u8>, ModelError> {
    let answer = fold(events)?;
    let body = match dialect {
        Dialect::OpenAiChat => openai_chat::encode_response::encode_response(&answer, options),
        Dialect::OpenAiResponses => openai_responses::encode_response::encode_response(&answer, options),
        Dialect::Anthropic => anthropic::encode_response::encode_response(&answer, options),
        Dialect::Gemini => gemini::encode_response::encode_response(&answer, options),
    };
    Ok(json::bytes(&body))
}

/// The body of a refusal in the caller's dialect. `code` is one of the fixed codes, such as `budget_exceeded`.
pub fn encode_error(dialect: Dialect, status: u16, code: &str, message: &str) -> Vec<u8> {
    json::bytes(&match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => openai_chat::error_object(status, code, message),
        Dialect::Anthropic => anthropic::error_object(status, code, message),
        Dialect::Gemini => gemini::error_object(status, code, message),
    })
}

/// The frames that end a stream that has begun with a refusal or failure, in the caller's dialect.
pub fn encode_error_event(dialect: Dialect, status: u16, code: &str, message: &str) -> Vec<u8> {
    match dialect {
        Dialect::OpenAiChat => {
            let mut frames = crate::sse::encode("", &openai_chat::error_object(status, code, message));
            frames.extend_from_slice(b"data: [DONE]\n\n");
            frames
        }
        Dialect::OpenAiResponses => {
            let event = serde_json::json!({ "type": "error", "code": code, "message": message, "param": null });
            crate::sse::encode("error", &event)
        }
        Dialect::Anthropic => crate::sse::encode("error", &anthropic::error_object(status, code, message)),
        Dialect::Gemini => crate::sse::encode("", &gemini::error_object(status, code, message)),
    }
}

/// The HTTP status and the fixed code under which a caller sees a failure.
pub fn public_status(kind: ModelErrorKind) -> (u16, &'static str) {
    match kind {
        ModelErrorKind::RateLimited => (429, "rate_limited"),
        ModelErrorKind::Overloaded => (503, "overloaded"),
        ModelErrorKind::Server => (502, "provider_error"),
        ModelErrorKind::Network => (502, "provider_unreachable"),
        ModelErrorKind::Timeout => (504, "provider_timeout"),
        ModelErrorKind::Auth => (502, "provider_auth"),
        ModelErrorKind::BadRequest => (400, "invalid_request"),
        ModelErrorKind::ContextTooLong => (400, "context_length_exceeded"),
        ModelErrorKind::NotFound => (404, "model_not_found"),
        ModelErrorKind::Unsupported => (400, "unsupported"),
        ModelErrorKind::BudgetExceeded => (402, "budget_exceeded"),
        ModelErrorKind::NoTarget => (503, "no_target"),
        ModelErrorKind::Cut => (502, "stream_cut"),
        ModelErrorKind::Malformed => (502, "provider_malformed"),
    }
}

#[cfg(test)]
mod tests;
