//! Reads what counts out of one event of a stream, by the few bytes that tell it; content is only looked past.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr2, memmem};
use serde_json::Value;
use steward_domain::model::{FinishReason, ModelError, ModelErrorKind, ModelEvent};
use steward_domain::usage::Usage;

use super::scan::{Blind, field, skip_space, skip_value, text_at, values_under};
use super::stream::End;
use crate::egress::{Quirks, StreamDecoder};
use crate::{Dialect, anthropic, gemini, openai_chat, openai_responses};

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));
static USAGE_METADATA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usageMetadata\""));
static FINISH_REASON: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"finish_reason\""));
static FINISH_REASON_CAMEL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"finishReason\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));
static CHOICES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"choices\""));
static TOOL_CALLS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"tool_calls\""));
static FUNCTION_CALL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"function_call\""));
static FUNCTION_CALL_CAMEL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"functionCall\""));
static REFUSAL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"refusal\""));
static BLOCK_REASON: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"blockReason\""));

/// What the events of one answer have told so far.
#[derive(Debug)]
pub(super) struct Facts {
    dialect: Dialect,
    quirks: Quirks,
    usage: Option<Usage>,
    /// Gemini reports usage with every piece; only the last is read.
    latest: Vec<u8>,
    finish: Option<Finish>,
    has_calls: bool,
    has_refused: bool,
    is_done: bool,
    error: Option<ModelError>,
}

#[derive(Clone, Copy, Debug)]
enum Finish {
    Reason(FinishReason),
    /// Gemini's word for a call that no one can read.
    Malformed,
}

/// What one event is.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Where its usage object stands in the event.
    pub(super) usage: Option<Range<usize>>,
    /// It has no other purpose.
    pub(super) is_only_usage: bool,
    /// No usage will follow, as far as is known.
    pub(super) may_be_last: bool,
    /// Nothing follows it.
    pub(super) is_end: bool,
}

/// The data of an event.
struct Data<'a> {
    text: Cow<'a, [u8]>,
    /// Where it stands in the event; `None` where it was put together from several lines.
    start: Option<usize>,
    is_error: bool,
}

impl Facts {
    pub(super) fn new(dialect: Dialect, quirks: Quirks) -> Self {
        Facts {
            dialect,
            quirks,
            usage: None,
            latest: Vec::new(),
            finish: None,
            has_calls: false,
            has_refused: false,
            is_done: false,
            error: None,
        }
    }

    /// Reads one event.
    pub(super) fn look(&mut self, event: &[u8], has_content: bool) -> Found {
        let Some(data) = data_of(event) else { return Found::default() };
        let text = data.text.trim_ascii();
        if text.is_empty() {
            return Found::default();
        }
        if text == b"[DONE]" {
            return self.done(has_content);
        }
        if let Some(error) = self.error_in(event, &data) {
            self.error = Some(error);
            return Found {
                is_end: true,
                ..Found::default()
            };
        }
        let mut found = match self.dialect {
            Dialect::OpenAiChat => self.chat(&data.text),
            Dialect::OpenAiResponses => self.responses(&data.text),
            Dialect::Anthropic => self.anthropic(&data.text),
            Dialect::Gemini => self.gemini(&data.text),
        };
        found.usage = found
            .usage
            .zip(data.start)
            .map(|(span, start)| span.start + start..span.end + start);
        found
    }

    /// Reads a whole body that is known to be an answer, and gives the place of its usage object.
    pub(super) fn look_at_body(&mut self, body: &[u8]) -> Option<Range<usize>> {
        let start = skip_space(body, 0);
        match self.dialect {
            Dialect::OpenAiChat => self.chat(body).usage,
            Dialect::Gemini => self.gemini(body).usage,
            Dialect::OpenAiResponses => {
                self.has_calls = memmem::find(body, b"\"function_call\"").is_some();
                self.has_refused = values_under(body, &REFUSAL).any(|at| text_at(body, at).is_some());
                let (usage, finish) = read_response(body, start, "completed");
                self.finish = Some(Finish::Reason(finish));
                let (span, usage) = usage?;
                self.usage = Some(usage);
                Some(span)
            }
            Dialect::Anthropic => {
                let word = field(body, start, b"stop_reason").and_then(|span| text_at(body, span.start));
                self.finish = word.map(|word| Finish::Reason(anthropic::words::finish_reason(word)));
                self.has_calls = memmem::find(body, b"\"tool_use\"").is_some();
                let (span, value) = field(body, start, b"usage").and_then(|span| object_at(body, span.start))?;
                anthropic::usage::merge_usage(&mut self.usage, &value);
                Some(span)
            }
        }
    }

    /// Is this the whole of an event that only lacks its blank line?
    pub(super) fn is_whole_event(&self, event: &[u8]) -> bool {
        data_of(event).is_some_and(|data| {
            let text = data.text.trim_ascii();
            text == b"[DONE]" || serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
        })
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        if self.dialect == Dialect::Gemini {
            let value: Value = serde_json::from_slice(&self.latest).ok()?;
            return gemini::usage::decode_usage(&value);
        }
        self.usage
    }

    /// How it ended, once an event has said so.
    pub(super) fn end(&self) -> End {
        if let Some(error) = &self.error {
            return End::Failed(error.clone());
        }
        match self.finish {
            Some(Finish::Reason(reason)) => End::Finished(self.adjusted(reason)),
            Some(Finish::Malformed) => End::Finished(self.adjusted(FinishReason::Stop)),
            None => End::Finished(self.adjusted(FinishReason::Stop)),
        }
    }

    /// How it ended, where the body ended without such an event.
    pub(super) fn end_of_body(&self, has_content: bool) -> End {
        match self.finish {
            Some(Finish::Malformed) if !has_content => {
                End::Failed(ModelError::new(ModelErrorKind::Malformed, "the model's answer was no valid call"))
            }
            // The closing event of responses is the only sign of a whole answer.
            Some(_) if self.dialect != Dialect::OpenAiResponses => self.end(),
            _ => End::Cut,
        }
    }

    fn adjusted(&self, reason: FinishReason) -> FinishReason {
        match reason {
            FinishReason::Stop if self.has_refused => FinishReason::Refusal,
            FinishReason::Stop if self.has_calls => FinishReason::ToolCalls,
            other => other,
        }
    }

    fn done(&mut self, has_content: bool) -> Found {
        let has_answered = has_content || self.finish.is_some();
        self.is_done = true;
        Found {
            is_end: self.dialect == Dialect::OpenAiChat && has_answered,
            ..Found::default()
        }
    }

    /// An error is rare and read in full; what only looks like one is told apart by that.
    fn error_in(&self, event: &[u8], data: &Data<'_>) -> Option<ModelError> {
        let is_null = |at: usize| data.text[at..].starts_with(b"null");
        let may_be_error = match self.dialect {
            Dialect::OpenAiChat | Dialect::Gemini => values_under(&data.text, &ERROR).any(|at| !is_null(at)),
            Dialect::OpenAiResponses | Dialect::Anthropic => ERROR.find(&data.text).is_some(),
        };
        let is_failure = self.dialect == Dialect::OpenAiResponses && memmem::find(&data.text, b"response.failed").is_some();
        let is_broken = data.text.trim_ascii_start().first() != Some(&b'{') && self.dialect != Dialect::Gemini;
        if !(may_be_error || data.is_error || is_failure || is_broken || self.says_error(&data.text)) {
            return None;
        }
        let mut decoder = StreamDecoder::new(self.dialect, self.quirks);
        let mut events = decoder.push(event);
        // An event at the end of the body may lack its blank line.
        events.extend(decoder.push(b"\n\n"));
        events.into_iter().find_map(|event| match event {
            ModelEvent::Failed(error) => Some(error),
            _ => None,
        })
    }

    /// A finish reason that is a failure.
    fn says_error(&self, text: &[u8]) -> bool {
        self.dialect == Dialect::OpenAiChat && values_under(text, &FINISH_REASON).any(|at| text_at(text, at) == Some("error"))
    }

    fn chat(&mut self, text: &[u8]) -> Found {
        if let Some(word) = values_under(text, &FINISH_REASON)
            .filter_map(|at| text_at(text, at))
            .find(|word| !word.is_empty())
        {
            self.finish = Some(Finish::Reason(openai_chat::words::finish_reason(word)));
        }
        self.has_calls = self.has_calls
            || values_under(text, &TOOL_CALLS).any(|at| is_filled_list(text, at))
            || values_under(text, &FUNCTION_CALL).any(|at| text.get(at) == Some(&b'{'));
        self.has_refused =
            self.has_refused || values_under(text, &REFUSAL).any(|at| text_at(text, at).is_some_and(|said| !said.is_empty()));
        let mut found = Found::default();
        for at in values_under(text, &USAGE) {
            let Some((span, value)) = object_at(text, at) else { continue };
            if let Some(usage) = openai_chat::usage::decode_usage(&value, self.quirks) {
                self.usage = Some(usage);
                found.usage = Some(span);
                break;
            }
        }
        if found.usage.is_some() {
            let is_filled = |at| is_filled_list(text, at);
            found.is_only_usage = !values_under(text, &CHOICES).any(is_filled);
            found.may_be_last = found.is_only_usage || self.finish.is_some();
        }
        found
    }

    fn responses(&mut self, text: &[u8]) -> Found {
        let mut found = Found::default();
        match kind_of(text).as_deref() {
            Some(kind @ ("response.completed" | "response.incomplete")) => {
                let response = field(text, skip_space(text, 0), b"response").unwrap_or(0..0);
                let (usage, finish) = read_response(text, response.start, kind);
                if let Some((span, usage)) = usage {
                    self.usage = Some(usage);
                    found.usage = Some(span);
                    found.may_be_last = true;
                }
                self.finish = Some(Finish::Reason(finish));
                found.is_end = true;
            }
            Some("response.output_item.added" | "response.output_item.done") => {
                let item = field(text, skip_space(text, 0), b"item").unwrap_or(0..0);
                let is_call = field(text, item.start, b"type").and_then(|span| text_at(text, span.start)) == Some("function_call");
                self.has_calls |= is_call;
                let refuses = values_under(text, &REFUSAL).any(|at| text_at(text, at).is_some());
                self.has_refused |= !is_call && refuses;
            }
            Some("response.refusal.delta") => self.has_refused = true,
            _ => {}
        }
        found
    }

    fn anthropic(&mut self, text: &[u8]) -> Found {
        let mut found = Found::default();
        let start = skip_space(text, 0);
        match kind_of(text).as_deref() {
            Some("message_start") => {
                let message = field(text, start, b"message").unwrap_or(0..0);
                let usage = field(text, message.start, b"usage").and_then(|span| object_at(text, span.start));
                if let Some((_, value)) = usage {
                    anthropic::usage::merge_usage(&mut self.usage, &value);
                }
            }
            Some("message_delta") => {
                if let Some((span, value)) = field(text, start, b"usage").and_then(|span| object_at(text, span.start)) {
                    anthropic::usage::merge_usage(&mut self.usage, &value);
                    found.usage = Some(span);
                    found.may_be_last = true;
                }
                let delta = field(text, start, b"delta").unwrap_or(0..0);
                let word = field(text, delta.start, b"stop_reason");
                if let Some(word) = word.and_then(|span| text_at(text, span.start)) {
                    self.finish = Some(Finish::Reason(anthropic::words::finish_reason(word)));
                }
            }
            Some("content_block_start") => self.has_calls |= memmem::find(text, b"\"tool_use\"").is_some(),
            Some("message_stop") => found.is_end = true,
            _ => {}
        }
        found
    }

    fn gemini(&mut self, text: &[u8]) -> Found {
        let word = values_under(text, &FINISH_REASON_CAMEL).find_map(|at| text_at(text, at));
        match word {
            None | Some("" | "FINISH_REASON_UNSPECIFIED") => {}
            Some("MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "MALFORMED_RESPONSE") => self.finish = Some(Finish::Malformed),
            Some(word) => self.finish = Some(Finish::Reason(gemini::words::finish_reason(word))),
        }
        self.has_calls = self.has_calls || values_under(text, &FUNCTION_CALL_CAMEL).any(|at| text.get(at) == Some(&b'{'));
        let is_blocked = values_under(text, &BLOCK_REASON).any(|at| text_at(text, at).is_some());
        if is_blocked && memmem::find(text, b"\"candidates\"").is_none() {
            self.finish = Some(Finish::Reason(FinishReason::ContentFilter));
        }
        let mut found = Found::default();
        for at in values_under(text, &USAGE_METADATA) {
            let Ok(end) = skip_value(text, at, b"", &mut Blind) else { continue };
            if memmem::find(&text[at..end], b"\"promptTokenCount\"").is_some() {
                self.latest.clear();
                self.latest.extend_from_slice(&text[at..end]);
                found.usage = Some(at..end);
                found.may_be_last = self.finish.is_some();
                break;
            }
        }
        found
    }
}

/// Usage and end of a response object at `at`, whose status is `else_status` where it does not say.
fn read_response(text: &[u8], at: usize, else_status: &str) -> (Option<(Range<usize>, Usage)>, FinishReason) {
    let inner = |name: &[u8]| field(text, at, name);
    let usage = inner(b"usage")
        .and_then(|span| object_at(text, span.start))
        .and_then(|(span, value)| Some((span, openai_responses::usage::decode_usage(&value)?)));
    let why = inner(b"incomplete_details").and_then(|span| field(text, span.start, b"reason"));
    let why = why.and_then(|span| text_at(text, span.start));
    let status = inner(b"status").and_then(|span| text_at(text, span.start)).unwrap_or(else_status);
    let finish = match why {
        Some("content_filter") => FinishReason::ContentFilter,
        Some(_) => FinishReason::Length,
        None if status == "incomplete" => FinishReason::Length,
        None => FinishReason::Stop,
    };
    (usage, finish)
}

/// The data of an event and whether its name is `error`; `None` where it has none.
fn data_of(event: &[u8]) -> Option<Data<'_>> {
    let mut first: Option<Range<usize>> = None;
    let mut joined: Option<Vec<u8>> = None;
    let mut is_error = false;
    let mut at = if event.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    while at < event.len() {
        let end = memchr2(b'\n', b'\r', &event[at..]).map_or(event.len(), |found| at + found);
        let line = &event[at..end];
        if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match (&first, &mut joined) {
                (None, _) => first = Some(end - value.len()..end),
                (Some(one), None) => joined = Some([&event[one.clone()], b"\n", value].concat()),
                (Some(_), Some(all)) => {
                    all.push(b'\n');
                    all.extend_from_slice(value);
                }
            }
        } else if let Some(name) = line.strip_prefix(b"event:") {
            is_error = name.trim_ascii() == b"error";
        }
        at = end + 1;
    }
    let first = first?;
    Some(match joined {
        Some(all) => Data {
            text: Cow::Owned(all),
            start: None,
            is_error,
        },
        None => Data {
            start: Some(first.start),
            text: Cow::Borrowed(&event[first]),
            is_error,
        },
    })
}

/// The `type` of an event, which nearly always stands first.
fn kind_of(text: &[u8]) -> Option<Cow<'_, str>> {
    let at = match text.strip_prefix(b"{\"type\":") {
        Some(rest) => text.len() - rest.len(),
        None => field(text, skip_space(text, 0), b"type")?.start,
    };
    let at = skip_space(text, at);
    let known = text_at(text, at)?;
    if known.contains('\\') {
        let end = skip_value(text, at, b"", &mut Blind).ok()?;
        return serde_json::from_slice(&text[at..end]).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(known))
}

fn object_at(text: &[u8], at: usize) -> Option<(Range<usize>, Value)> {
    if text.get(at) != Some(&b'{') {
        return None;
    }
    let end = skip_value(text, at, b"", &mut Blind).ok()?;
    let value = serde_json::from_slice(&text[at..end]).ok()?;
    Some((at..end, value))
}

fn is_filled_list(text: &[u8], at: usize) -> bool {
    text.get(at) == Some(&b'[') && text.get(skip_space(text, at + 1)) != Some(&b']')
}
