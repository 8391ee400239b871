//! Reads a provider's refusal: what kind it is, when to try again, and what the provider said.
//!
//! Decides by status first and by the provider's words where one status means several things.

use std::time::Duration;

use serde_json::Value;
use steward_domain::clock::Timestamp;
use steward_domain::model::{ModelError, ModelErrorKind, Retry};

use crate::{Dialect, json};

/// The most characters of a provider's words that are kept.
const MESSAGE_LIMIT_CHARS: usize = 2000;

/// The longest wait a provider can ask for.
const WAIT_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads an HTTP answer with an error status. Header names may be in any case; `now` resolves a `retry-after` that is a date.
pub fn decode_error<'a>(
    dialect: Dialect,
    status: u16,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &[u8],
    now: Timestamp,
) -> ModelError {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let words = Words::of(&value);
    let message = if words.message.is_empty() {
        plain_message(status, body)
    } else {
        words.message.clone()
    };
    let kind = kind_of(dialect, status, &words);
    let mut error = ModelError::new(kind, clip(&message));
    error.status = Some(status);
    let can_wait = matches!(
        kind,
        ModelErrorKind::RateLimited | ModelErrorKind::Overloaded | ModelErrorKind::Server | ModelErrorKind::Timeout
    );
    if can_wait && let Some(wait) = wait_of(headers, now).or(words.wait) {
        error.retry = Retry::After(wait.min(WAIT_LIMIT));
    }
    error
}

/// Reads an error object that came inside an answer with a success status, mid-stream or whole.
pub(crate) fn decode_embedded(dialect: Dialect, value: &Value) -> ModelError {
    let words = Words::of(value);
    let status = words.status.unwrap_or_else(|| status_by_name(&words.code));
    let kind = kind_of(dialect, status, &words);
    let message = if words.message.is_empty() {
        "the provider reported an error without saying which"
    } else {
        &words.message
    };
    let mut error = ModelError::new(kind, clip(message));
    error.status = words.status;
    if let (Some(wait), Retry::Now) = (words.wait, error.retry) {
        error.retry = Retry::After(wait.min(WAIT_LIMIT));
    }
    error
}

/// What an error object says, whatever its dialect.
#[derive(Default)]
struct Words {
    message: String,
    /// Type, code and status names, lower case, joined by spaces.
    code: String,
    status: Option<u16>,
    wait: Option<Duration>,
}

impl Words {
    fn of(value: &Value) -> Words {
        // Gemini wraps errors in a list where a stream was asked for.
        let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
        let error = match value.get("error") {
            Some(error) if !error.is_null() => error,
            _ => value,
        };
        let mut names: Vec<&str> = ["type", "code", "status", "reason"]
            .iter()
            .filter_map(|key| error.get(key)?.as_str())
            .collect();
        let details = json::list(error, "details");
        names.extend(details.iter().map(|detail| json::text(detail, "reason")));
        let status = json::count(error, "/code")
            .or_else(|| json::count(error, "/status"))
            .or_else(|| json::text(error, "code").parse().ok());
        Words {
            message: message_of(error),
            code: names.join(" ").to_ascii_lowercase(),
            status: status
                .and_then(|number| u16::try_from(number).ok())
                .filter(|number| (400..600).contains(number)),
            wait: details
                .iter()
                .find_map(|detail| seconds(json::text(detail, "retryDelay").strip_suffix('s')?)),
        }
    }

    fn has(&self, wanted: &[&str]) -> bool {
        let message = self.message.to_ascii_lowercase();
        wanted.iter().any(|word| self.code.contains(word) || message.contains(word))
    }
}

fn message_of(error: &Value) -> String {
    if let Some(text) = error.as_str() {
        return text.to_owned();
    }
    for key in ["message", "detail", "error", "error_description", "msg"] {
        match error.get(key) {
            Some(Value::String(text)) if !text.is_empty() => return text.clone(),
            Some(Value::Array(list)) => {
                let sentences: Vec<&str> = list
                    .iter()
                    .map(|item| json::text(item, "msg"))
                    .filter(|text| !text.is_empty())
                    .collect();
                if !sentences.is_empty() {
                    return sentences.join("; ");
                }
            }
            _ => {}
        }
    }
    String::new()
}

fn plain_message(status: u16, body: &[u8]) -> String {
    let excerpt = json::excerpt(body);
    let is_page = excerpt.starts_with('<');
    if excerpt.is_empty() || is_page {
        return format!("the provider answered with status {status} and no message");
    }
    excerpt
}

fn clip(message: &str) -> String {
    message.chars().take(MESSAGE_LIMIT_CHARS).collect()
}

const CONTEXT_WORDS: [&str; 11] = [
    "context_length_exceeded",
    "prompt is too long",
    "input is too long",
    "maximum context length",
    "context window",
    "context limit",
    "input token count",
    "exceeds the maximum number of tokens",
    "request_too_large",
    "exceed_context_size",
    "too many tokens in the prompt",
];

const KEY_WORDS: [&str; 7] = [
    "api_key_invalid",
    "api key not valid",
    "invalid_api_key",
    "credit balance is too low",
    "insufficient_quota",
    "billing_error",
    "billing_not_active",
];

fn kind_of(dialect: Dialect, status: u16, words: &Words) -> ModelErrorKind {
    let is_overloaded = words.code.contains("overloaded") || (status >= 500 && words.has(&["overloaded", "no capacity"]));
    match status {
        401..=403 => ModelErrorKind::Auth,
        400 | 422 | 429 if words.has(&KEY_WORDS) => ModelErrorKind::Auth,
        400 | 413 | 422 if status == 413 || words.has(&CONTEXT_WORDS) => ModelErrorKind::ContextTooLong,
        _ if is_overloaded => ModelErrorKind::Overloaded,
        404 | 410 => ModelErrorKind::NotFound,
        408 | 504 | 524 => ModelErrorKind::Timeout,
        429 => ModelErrorKind::RateLimited,
        // A conflict or a too-early answer is the provider's own race; the vendors' clients retry both.
        409 | 425 => ModelErrorKind::Server,
        529 => ModelErrorKind::Overloaded,
        503 if dialect == Dialect::Gemini => ModelErrorKind::Overloaded,
        500.. => ModelErrorKind::Server,
        400..500 => ModelErrorKind::BadRequest,
        _ => ModelErrorKind::Malformed,
    }
}

fn status_by_name(code: &str) -> u16 {
    let table: [(&str, u16); 17] = [
        ("rate_limit", 429),
        ("resource_exhausted", 429),
        ("overloaded", 529),
        ("unavailable", 503),
        ("authentication", 401),
        ("unauthenticated", 401),
        ("billing", 402),
        ("permission", 403),
        ("not_found", 404),
        ("too_large", 413),
        ("context_length", 400),
        ("timeout", 504),
        ("deadline_exceeded", 504),
        ("invalid_argument", 400),
        ("invalid", 400),
        ("insufficient_quota", 429),
        ("failed_precondition", 400),
    ];
    table
        .iter()
        .find(|(name, _)| code.contains(name))
        .map_or(500, |(_, status)| *status)
}

fn wait_of<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>, now: Timestamp) -> Option<Duration> {
    let mut by_seconds = None;
    for (name, value) in headers {
        let is_milliseconds = ["retry-after-ms", "x-ms-retry-after-ms"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known));
        if is_milliseconds && let Some(wait) = seconds(value).map(|wait| wait / 1000) {
            return Some(wait);
        }
        if name.eq_ignore_ascii_case("retry-after") {
            by_seconds = seconds(value).or_else(|| until_date(value, now));
        }
    }
    by_seconds
}

fn seconds(text: &str) -> Option<Duration> {
    let number: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(number).ok()
}

/// A date in the past means at once.
fn until_date(text: &str, now: Timestamp) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests;
