//! The way out: a domain request as bytes for a provider, and the provider's bytes as model events.
//!
//! Opens no connection and adds no key; what it gives is complete but for authentication.

use schemars::JsonSchema;
use serde::Deserialize;
use steward_domain::model::{ModelError, ModelErrorKind, ModelEvent, ModelRequest};
use steward_domain::usage::Usage;

use crate::emitter::Emitter;
use crate::sse::{Frame, Framer};
use crate::{Dialect, anthropic, gemini, json, openai_chat, openai_responses};

/// The most bytes a body that is not a stream may have.
pub const BODY_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Shall the answer come in pieces?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    /// As one body.
    Whole,
    /// As server-sent events.
    Streamed,
}

/// A request ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRequest {
    /// The path with the dialect's usual version, such as `/v1/messages`; [`join_url`] puts it on a base URL.
    pub path: String,
    /// The JSON body.
    pub body: Vec<u8>,
    /// Headers beside authentication.
    pub headers: Vec<(&'static str, String)>,
}

/// Where one provider departs from its dialect. All off is the plain dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Chat: the output limit is called `max_completion_tokens`, not `max_tokens`.
    pub wants_max_completion_tokens: bool,
    /// Chat: `stream_options` is refused.
    pub rejects_stream_options: bool,
    /// Chat: `response_format` of type `json_schema` is refused; `json_object` and a sentence stand in.
    pub rejects_json_schema: bool,
    /// Chat: earlier thinking is taken back as `reasoning_content`.
    pub takes_reasoning_content: bool,
    /// Chat: earlier thinking is taken back as `reasoning_details`, seals included.
    pub takes_reasoning_details: bool,
    /// Chat: seals of tool calls are taken back as `extra_content.google.thought_signature`.
    pub takes_thought_signatures: bool,
    /// Chat: ids of tool calls must be nine letters or digits.
    pub wants_short_call_ids: bool,
    /// Chat: reasoning tokens are counted beside the completion tokens, not among them.
    pub counts_reasoning_apart: bool,
    /// Anthropic: the model decides how much to think and takes an effort in place of a budget.
    pub has_adaptive_thinking: bool,
    /// Anthropic: `output_config.format` is understood; else a forced tool stands in.
    pub has_native_json_schema: bool,
    /// Gemini: `id` in function calls and responses is refused.
    pub rejects_call_ids: bool,
}

/// Writes `request` in `dialect`. Its `model` is the provider's own name for the model.
pub fn encode_request(dialect: Dialect, request: &ModelRequest, streaming: Streaming, quirks: Quirks) -> EncodedRequest {
    match dialect {
        Dialect::OpenAiChat => openai_chat::encode_request::encode_request(request, streaming, quirks),
        Dialect::OpenAiResponses => openai_responses::encode_request::encode_request(request, streaming),
        Dialect::Anthropic => anthropic::encode_request::encode_request(request, streaming, quirks),
        Dialect::Gemini => gemini::encode_request::encode_request(request, streaming, quirks),
    }
}

/// Puts a path from [`EncodedRequest`] on a provider's base URL.
///
/// A base without a path gets the dialect's version; one with a path is used as it is.
pub fn join_url(base_url: &str, path: &str) -> String {
    let base = base_url.trim_end_matches('/');
    let after_scheme = base.find("://").map_or(0, |at| at + 3);
    let has_own_path = base[after_scheme..].contains('/');
    if !has_own_path {
        return format!("{base}{path}");
    }
    let unversioned = path.strip_prefix("/v1beta/").or_else(|| path.strip_prefix("/v1/"));
    format!("{base}/{}", unversioned.unwrap_or(path.trim_start_matches('/')))
}

/// Reads an answer that came as one body. The last event is `Finished`; `Started` is left to the router.
///
/// # Errors
/// The body is no answer of this dialect, or it is an error with a success status.
pub fn decode_response(dialect: Dialect, body: &[u8], quirks: Quirks) -> Result<Vec<ModelEvent>, ModelError> {
    let mut emitter = Emitter::default();
    decode_whole(dialect, body, quirks, &mut emitter);
    let mut events = emitter.take();
    match events.pop() {
        Some(ModelEvent::Failed(error)) => Err(error),
        Some(last @ ModelEvent::Finished(_)) => {
            events.push(last);
            Ok(events)
        }
        _ => Err(ModelError::new(ModelErrorKind::Malformed, "the provider's answer has no end")),
    }
}

fn decode_whole(dialect: Dialect, body: &[u8], quirks: Quirks, emitter: &mut Emitter) {
    let value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) if error.is_eof() => return emitter.cut(),
        Err(_) => {
            let start = json::excerpt(body);
            let message = format!("the provider's answer is no JSON: {start}");
            return emitter.fail(ModelError::new(ModelErrorKind::Malformed, message));
        }
    };
    match dialect {
        Dialect::OpenAiChat => openai_chat::decode_response::decode_response(value, quirks, emitter),
        Dialect::OpenAiResponses => openai_responses::decode_response::decode_response(value, emitter),
        Dialect::Anthropic => anthropic::decode_response::decode_response(value, emitter),
        Dialect::Gemini => gemini::decode_response::decode_response(value, emitter),
    }
}

/// Reads a streamed answer from the raw bytes of the HTTP body, however they are cut.
///
/// A body that turns out to be plain JSON is read too. Nothing comes after the last event. `Started` is left to the router.
#[derive(Debug)]
pub struct StreamDecoder {
    dialect: Dialect,
    quirks: Quirks,
    shape: Shape,
    decoder: Decoder,
    emitter: Emitter,
}

#[derive(Debug)]
enum Shape {
    Unknown,
    Events(Framer),
    Json(Vec<u8>),
}

#[derive(Debug)]
enum Decoder {
    OpenAiChat(openai_chat::decode_stream::Decoder),
    OpenAiResponses(openai_responses::decode_stream::Decoder),
    Anthropic(anthropic::decode_stream::Decoder),
    Gemini(gemini::decode_stream::Decoder),
}

impl Decoder {
    fn frame(&mut self, frame: &Frame, emitter: &mut Emitter) {
        match self {
            Decoder::OpenAiChat(decoder) => decoder.frame(frame, emitter),
            Decoder::OpenAiResponses(decoder) => decoder.frame(frame, emitter),
            Decoder::Anthropic(decoder) => decoder.frame(frame, emitter),
            Decoder::Gemini(decoder) => decoder.frame(frame, emitter),
        }
    }

    fn end(&mut self, emitter: &mut Emitter) {
        match self {
            Decoder::OpenAiChat(decoder) => decoder.end(emitter),
            Decoder::OpenAiResponses(decoder) => decoder.end(emitter),
            Decoder::Anthropic(decoder) => decoder.end(emitter),
            Decoder::Gemini(decoder) => decoder.end(emitter),
        }
    }
}

impl StreamDecoder {
    /// A decoder for one answer.
    pub fn new(dialect: Dialect, quirks: Quirks) -> Self {
        let decoder = match dialect {
            Dialect::OpenAiChat => Decoder::OpenAiChat(openai_chat::decode_stream::Decoder::new(quirks)),
            Dialect::OpenAiResponses => Decoder::OpenAiResponses(openai_responses::decode_stream::Decoder::default()),
            Dialect::Anthropic => Decoder::Anthropic(anthropic::decode_stream::Decoder::default()),
            Dialect::Gemini => Decoder::Gemini(gemini::decode_stream::Decoder::default()),
        };
        StreamDecoder {
            dialect,
            quirks,
            shape: Shape::Unknown,
            decoder,
            emitter: Emitter::default(),
        }
    }

    /// Takes the next bytes and gives what they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<ModelEvent> {
        if self.emitter.is_over() {
            return Vec::new();
        }
        if matches!(self.shape, Shape::Unknown)
            && let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace())
        {
            self.shape = match first {
                b'{' | b'[' => Shape::Json(Vec::new()),
                _ => Shape::Events(Framer::default()),
            };
        }
        match &mut self.shape {
            Shape::Unknown => {}
            Shape::Events(framer) => match framer.push(bytes) {
                Ok(frames) => frames.iter().for_each(|frame| self.decoder.frame(frame, &mut self.emitter)),
                Err(error) => self.emitter.fail(ModelError::new(ModelErrorKind::Malformed, error.to_string())),
            },
            Shape::Json(body) if body.len() + bytes.len() > BODY_LIMIT_BYTES => {
                let message = format!("the provider's answer is over the limit of {BODY_LIMIT_BYTES} bytes");
                self.emitter.fail(ModelError::new(ModelErrorKind::Malformed, message));
            }
            Shape::Json(body) => body.extend_from_slice(bytes),
        }
        self.emitter.take()
    }

    /// Says that the body has ended and gives what is left, the last event included if it has not come yet.
    pub fn finish(&mut self) -> Vec<ModelEvent> {
        if self.emitter.is_over() {
            return Vec::new();
        }
        match &mut self.shape {
            Shape::Unknown => {}
            Shape::Events(framer) => {
                // A last event that broke off in its middle is a cut stream, not a malformed one.
                if let Some(frame) = framer.finish().filter(Frame::is_whole) {
                    self.decoder.frame(&frame, &mut self.emitter);
                }
            }
            Shape::Json(body) => {
                let body = std::mem::take(body);
                decode_whole(self.dialect, &body, self.quirks, &mut self.emitter);
            }
        }
        self.decoder.end(&mut self.emitter);
        self.emitter.cut();
        self.emitter.take()
    }

    /// The usage the provider has reported so far, for the bill of a stream that was cut or cancelled.
    pub fn usage(&self) -> Option<Usage> {
        self.emitter.usage
    }

    /// Has the last event been given?
    pub fn is_over(&self) -> bool {
        self.emitter.is_over()
    }
}

#[cfg(test)]
mod tests;
