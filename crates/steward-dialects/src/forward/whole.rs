//! Reads usage, finish and error out of an answer that came as one body and is passed on as it came.

use std::ops::Range;

use bytes::Bytes;
use serde::de::IgnoredAny;
use steward_domain::model::{FinishReason, ModelError, ModelEvent};
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};

use super::look::Facts;
use super::scan::{Blind, Object, field, skip_space};
use super::stream::End;
use crate::Dialect;
use crate::egress::{Quirks, decode_response};

/// What one body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeScan {
    /// What the provider has reported.
    pub usage: Option<Usage>,
    /// How it ended, or why it failed.
    pub result: Result<FinishReason, ModelError>,
    usage_span: Option<Range<usize>>,
}

impl WholeScan {
    /// Reads a body. One that is no answer, or an error, is read in full to say why.
    pub fn scan(dialect: Dialect, quirks: Quirks, body: &[u8]) -> WholeScan {
        if !is_plain_answer(dialect, body) {
            return WholeScan::in_full(dialect, quirks, body);
        }
        let mut facts = Facts::new(dialect, quirks);
        let usage_span = facts.look_at_body(body);
        match facts.end() {
            End::Finished(reason) => WholeScan {
                usage: facts.usage(),
                result: Ok(reason),
                usage_span,
            },
            End::Failed(_) | End::Cut => WholeScan::in_full(dialect, quirks, body),
        }
    }

    fn in_full(dialect: Dialect, quirks: Quirks, body: &[u8]) -> WholeScan {
        let (usage, result) = match decode_response(dialect, body, quirks) {
            Ok(events) => match events.last() {
                Some(ModelEvent::Finished(finish)) => {
                    let is_reported = finish.usage_source == UsageSource::Reported;
                    (is_reported.then_some(finish.usage), Ok(finish.reason))
                }
                _ => (None, Ok(FinishReason::Stop)),
            },
            Err(error) => (None, Err(error)),
        };
        WholeScan {
            usage,
            result,
            usage_span: None,
        }
    }

    /// The body with the cost in its usage object.
    pub fn with_cost(&self, body: &Bytes, cost: Usd) -> Bytes {
        match &self.usage_span {
            Some(span) => Bytes::from(insert_cost(body, span.clone(), cost)),
            None => body.clone(),
        }
    }
}

/// Is it whole JSON, without an error, and with what every answer of the dialect has?
fn is_plain_answer(dialect: Dialect, body: &[u8]) -> bool {
    let start = skip_space(body, 0);
    let is_set = |name: &[u8]| field(body, start, name).is_some_and(|span| &body[span] != b"null");
    let content: &[u8] = match dialect {
        Dialect::OpenAiChat => b"choices",
        Dialect::OpenAiResponses => b"output",
        Dialect::Anthropic => b"content",
        Dialect::Gemini => b"candidates",
    };
    let has_failed = field(body, start, b"status").is_some_and(|span| &body[span] == b"\"failed\"");
    let is_empty = field(body, start, content).is_none_or(|span| body.get(skip_space(body, span.start + 1)) == Some(&b']'));
    // A message without content and a response without output are answers too.
    let may_be_empty = matches!(dialect, Dialect::Anthropic | Dialect::OpenAiResponses);
    let has_content = is_set(content) && (may_be_empty || !is_empty);
    has_content && !has_failed && !is_set(b"error") && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// The bytes with `cost_usd` in the usage object at `span`. One that is there already, from a gateway behind this one, gives way.
pub(super) fn insert_cost(bytes: &[u8], span: Range<usize>, cost: Usd) -> Vec<u8> {
    let Some((place, is_empty)) = place_for_cost(bytes, &span) else {
        return bytes.to_vec();
    };
    let text = if place.is_empty() {
        let comma = if is_empty { "" } else { "," };
        format!("{comma}\"cost_usd\":\"{cost}\"")
    } else {
        format!("\"{cost}\"")
    };
    let mut out = Vec::with_capacity(bytes.len() + text.len());
    out.extend_from_slice(&bytes[..place.start]);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(&bytes[place.end..]);
    out
}

/// Where the cost goes, and whether the object has no other field.
fn place_for_cost(bytes: &[u8], span: &Range<usize>) -> Option<(Range<usize>, bool)> {
    let mut object = Object::at(bytes, span.start).ok()?;
    let mut is_empty = true;
    let mut last_end = span.start + 1;
    while let Some(key) = object.key().ok()? {
        is_empty = false;
        let value = object.value(&key, &mut Blind).ok()?;
        if key.as_ref() == b"cost_usd" {
            return Some((value, false));
        }
        last_end = value.end;
    }
    Some((last_end..last_end, is_empty))
}
