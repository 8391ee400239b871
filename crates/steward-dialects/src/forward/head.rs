//! What must be known of a request before it is sent on: found in one pass over its bytes, which stay as they are.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;
use steward_domain::model::ModelError;

use super::scan::{Blind, Malformed, Object, Watch, field, skip_space};
use crate::Dialect;
use crate::ingress::fields::bad;

/// A string of at least this many bytes is media, where it is a data URL or stands under a key that says so.
const MEDIA_LEAST_BYTES: usize = 256;

/// The head of a request in a known dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The dialect it is in.
    pub dialect: Dialect,
    /// The model as the caller wrote it. Empty for Gemini, whose model stands in the path.
    pub model: String,
    /// Where the model stands, quotes included.
    pub model_span: Option<Range<usize>>,
    /// The caller wants a stream. Always false for Gemini, where the path says so.
    pub is_stream: bool,
    /// The caller wants usage in the stream; always true where the dialect always has it.
    pub wants_usage: bool,
    /// The most output tokens it may write.
    pub max_output_tokens: Option<u64>,
    /// How many answers are asked for at once.
    pub answers: u64,
    /// There are tools.
    pub has_tools: bool,
    /// There are images. May be true where a text only looks like one, and is never false where there is one.
    pub has_images: bool,
    /// The caller's name for its end user.
    pub user: Option<String>,
    /// Where the value of `stream_options` stands (chat).
    pub stream_options_span: Option<Range<usize>>,
    /// It builds on an answer that the provider has stored (responses), so that only that provider can serve it.
    pub needs_stored_state: bool,
    /// Bytes of messages, system text and tools as they stand in the body, media included.
    pub message_bytes: usize,
    /// Bytes of media among them, in base64.
    pub media_bytes: usize,
    /// Just behind the brace that opens the body.
    inner_start: usize,
}

/// Shall the provider be asked for usage in a stream?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageWish {
    /// Yes, also where the caller did not ask. Only chat has to be asked.
    Ask,
    /// The provider refuses to be asked.
    Leave,
}

impl RequestHead {
    /// Reads the head of a request.
    ///
    /// # Errors
    /// `BadRequest` with the sentence that the full reader would give, or where a field that counts is given twice.
    pub fn scan(dialect: Dialect, body: &[u8]) -> Result<RequestHead, ModelError> {
        let start = skip_space(body, 0);
        if !matches!(body.get(start), Some(b'{')) {
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
            return Err(if is_json {
                bad("the request body must be a JSON object")
            } else {
                no_json(Malformed(start))
            });
        }
        let mut head = RequestHead {
            dialect,
            model: String::new(),
            model_span: None,
            is_stream: false,
            wants_usage: dialect != Dialect::OpenAiChat,
            max_output_tokens: None,
            answers: 1,
            has_tools: false,
            has_images: false,
            user: None,
            stream_options_span: None,
            needs_stored_state: false,
            message_bytes: 0,
            media_bytes: 0,
            inner_start: start + 1,
        };
        let mut object = Object::at(body, start).map_err(no_json)?;
        let mut seen = Seen::default();
        while let Some(key) = object.key().map_err(no_json)? {
            head.field(body, &key, &mut object, &mut seen)?;
        }
        if skip_space(body, object.end()) != body.len() {
            return Err(no_json(Malformed(object.end())));
        }
        head.max_output_tokens = seen.newer_limit.or(seen.limit);
        if head.model.is_empty() && dialect != Dialect::Gemini {
            return Err(bad("model is missing"));
        }
        Ok(head)
    }

    fn field(&mut self, body: &[u8], key: &[u8], object: &mut Object<'_>, seen: &mut Seen) -> Result<(), ModelError> {
        let Some(name) = Name::of(self.dialect, key) else {
            return object.value(key, &mut Blind).map(drop).map_err(no_json);
        };
        if !seen.note(name) {
            return Err(bad(format!("{} is given twice", String::from_utf8_lossy(key))));
        }
        let mut media = MediaWatch::new(self.dialect);
        let span = match name {
            Name::Prompt | Name::Tools => object.value(key, &mut media),
            _ => object.value(key, &mut Blind),
        };
        let span = span.map_err(no_json)?;
        let value = &body[span.clone()];
        let is_null = value == b"null";
        match name {
            Name::Prompt => {
                self.message_bytes += span.len();
                self.media_bytes += media.media_bytes;
                self.has_images |= media.has_images;
            }
            Name::Tools => {
                self.message_bytes += span.len();
                self.has_tools |= value.first() == Some(&b'[') && value.get(skip_space(value, 1)) != Some(&b']');
            }
            Name::Model => {
                self.model = text_of(key, value)?.unwrap_or_default();
                self.model_span = Some(span);
            }
            Name::Stream => {
                self.is_stream = match value {
                    b"true" => true,
                    b"false" | b"null" => false,
                    _ => return Err(bad("stream must be true or false")),
                };
            }
            Name::StreamOptions => {
                let wants = field(body, span.start, b"include_usage").map(|found| &body[found]);
                self.wants_usage = wants == Some(b"true");
                self.stream_options_span = Some(span);
            }
            Name::Limit => seen.limit = count_of(key, value)?,
            Name::NewerLimit => seen.newer_limit = count_of(key, value)?,
            Name::Answers => self.answers = count_of(key, value)?.unwrap_or(1).max(1),
            Name::User => self.user = text_of(key, value)?,
            Name::OtherUser => {
                if self.user.is_none() {
                    self.user = text_of(key, value)?;
                }
            }
            Name::UserInside(inner) => {
                let found = field(body, span.start, inner.as_bytes());
                self.user = found.and_then(|found| serde_json::from_slice(&body[found]).ok());
            }
            Name::StoredState => self.needs_stored_state |= !is_null,
            Name::Config => self.gemini_config(body, span.start, seen)?,
        }
        Ok(())
    }

    fn gemini_config(&mut self, body: &[u8], at: usize, seen: &mut Seen) -> Result<(), ModelError> {
        let either = |names: [&str; 2]| names.into_iter().find_map(|name| field(body, at, name.as_bytes()));
        if let Some(limit) = either(["maxOutputTokens", "max_output_tokens"]) {
            seen.limit = count_of(b"generationConfig.maxOutputTokens", &body[limit])?;
        }
        if let Some(count) = either(["candidateCount", "candidate_count"]) {
            self.answers = count_of(b"generationConfig.candidateCount", &body[count])?.unwrap_or(1).max(1);
        }
        Ok(())
    }

    /// The body with another model, and with a wish for usage where the dialect needs one; every other byte stays.
    ///
    /// `body` must be the one that was scanned.
    pub fn with_model(&self, body: &Bytes, model: &str, usage: UsageWish) -> Bytes {
        let must_ask = self.dialect == Dialect::OpenAiChat && self.is_stream && !self.wants_usage && usage == UsageWish::Ask;
        let must_rename = self.model_span.is_some() && self.model != model;
        if !must_ask && !must_rename {
            return body.clone();
        }
        let mut edits: Vec<(Range<usize>, Vec<u8>)> = Vec::with_capacity(2);
        if let (Some(span), true) = (&self.model_span, must_rename) {
            let quoted = serde_json::to_vec(model).expect("a text always serialises");
            edits.push((span.clone(), quoted));
        }
        if must_ask {
            edits.push(match &self.stream_options_span {
                Some(span) => (span.clone(), with_usage(&body[span.clone()])),
                None => {
                    let wish = br#""stream_options":{"include_usage":true},"#.to_vec();
                    (self.inner_start..self.inner_start, wish)
                }
            });
        }
        edits.sort_by_key(|(span, _)| span.start);
        let added: usize = edits.iter().map(|(_, text)| text.len()).sum();
        let mut changed = Vec::with_capacity(body.len() + added);
        let mut at = 0;
        for (span, text) in edits {
            changed.extend_from_slice(&body[at..span.start]);
            changed.extend_from_slice(&text);
            at = span.end;
        }
        changed.extend_from_slice(&body[at..]);
        Bytes::from(changed)
    }
}

/// `stream_options` with the wish for usage; its other fields stay.
fn with_usage(options: &[u8]) -> Vec<u8> {
    let mut fields = match serde_json::from_slice(options) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    fields.insert("include_usage".to_owned(), Value::Bool(true));
    crate::json::bytes(&Value::Object(fields))
}

fn no_json(Malformed(at): Malformed) -> ModelError {
    bad(format!("the request body is no valid JSON: it breaks at byte {at}"))
}

fn text_of(key: &[u8], value: &[u8]) -> Result<Option<String>, ModelError> {
    if value == b"null" {
        return Ok(None);
    }
    serde_json::from_slice(value)
        .map(Some)
        .map_err(|_| bad(format!("{} must be a text", String::from_utf8_lossy(key))))
}

fn count_of(key: &[u8], value: &[u8]) -> Result<Option<u64>, ModelError> {
    if value == b"null" {
        return Ok(None);
    }
    serde_json::from_slice(value)
        .map(Some)
        .map_err(|_| bad(format!("{} must be a whole number, not below 0", String::from_utf8_lossy(key))))
}

/// The fields that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Model,
    Stream,
    StreamOptions,
    Limit,
    NewerLimit,
    Answers,
    User,
    OtherUser,
    UserInside(&'static str),
    StoredState,
    Prompt,
    Tools,
    Config,
}

impl Name {
    fn of(dialect: Dialect, key: &[u8]) -> Option<Name> {
        use Dialect::{Anthropic, Gemini, OpenAiChat, OpenAiResponses};
        Some(match (dialect, key) {
            (OpenAiChat | OpenAiResponses | Anthropic, b"model") => Name::Model,
            (OpenAiChat | OpenAiResponses | Anthropic, b"stream") => Name::Stream,
            (OpenAiChat, b"stream_options") => Name::StreamOptions,
            (OpenAiChat | Anthropic, b"max_tokens") | (OpenAiResponses, b"max_output_tokens") => Name::Limit,
            (OpenAiChat, b"max_completion_tokens") => Name::NewerLimit,
            (OpenAiChat, b"n") => Name::Answers,
            (OpenAiChat | OpenAiResponses, b"user") => Name::User,
            (OpenAiResponses, b"safety_identifier") => Name::OtherUser,
            (Anthropic, b"metadata") => Name::UserInside("user_id"),
            (Gemini, b"labels") => Name::UserInside("user"),
            (OpenAiResponses, b"previous_response_id" | b"conversation") => Name::StoredState,
            (OpenAiChat | Anthropic, b"messages")
            | (Anthropic, b"system")
            | (OpenAiResponses, b"input" | b"instructions")
            | (Gemini, b"contents" | b"systemInstruction" | b"system_instruction") => Name::Prompt,
            (_, b"tools") | (OpenAiChat, b"functions") => Name::Tools,
            (Gemini, b"generationConfig" | b"generation_config") => Name::Config,
            _ => return None,
        })
    }
}

/// What has been found on the way.
#[derive(Default)]
struct Seen {
    names: u16,
    limit: Option<u64>,
    newer_limit: Option<u64>,
}

impl Seen {
    /// Notes a field, and says whether it may come: those that decide anything only once, since readers differ in which of two counts.
    fn note(&mut self, name: Name) -> bool {
        let bit = match name {
            Name::Model => 0,
            Name::Stream => 1,
            Name::StreamOptions => 2,
            Name::Limit => 3,
            Name::NewerLimit => 4,
            Name::Answers => 5,
            Name::User => 6,
            Name::OtherUser => 7,
            Name::UserInside(_) => 8,
            Name::Config => 9,
            Name::Prompt | Name::Tools | Name::StoredState => return true,
        };
        let is_new = self.names & (1 << bit) == 0;
        self.names |= 1 << bit;
        is_new
    }
}

/// Looks for images and counts media.
struct MediaWatch {
    dialect: Dialect,
    has_images: bool,
    media_bytes: usize,
}

impl MediaWatch {
    fn new(dialect: Dialect) -> Self {
        MediaWatch {
            dialect,
            has_images: false,
            media_bytes: 0,
        }
    }
}

impl Watch for MediaWatch {
    fn string(&mut self, key: &[u8], raw: &[u8]) {
        if raw.len() >= MEDIA_LEAST_BYTES {
            let is_media = raw.starts_with(b"data:") || matches!(key, b"data" | b"file_data");
            self.media_bytes += if is_media { raw.len() } else { 0 };
            return;
        }
        let (key, raw) = (unescaped(key), unescaped(raw));
        let (key, raw) = (key.as_ref(), raw.as_ref());
        self.has_images |= match key {
            b"type" => match self.dialect {
                Dialect::OpenAiChat => raw == b"image_url",
                Dialect::OpenAiResponses => raw == b"input_image",
                Dialect::Anthropic => raw == b"image",
                Dialect::Gemini => false,
            },
            b"mimeType" | b"mime_type" => self.dialect == Dialect::Gemini && raw.starts_with(b"image/"),
            _ => false,
        };
    }
}

/// A short string without escapes.
fn unescaped(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'\\') {
        return Cow::Borrowed(raw);
    }
    let quoted = [b"\"", raw, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(raw),
    }
}
