//! Amazon's event-stream framing: binary messages out of which the dialect's own events are taken.
//!
//! Each message is checked against both of its sums. What comes out is server-sent events, so that one decoder reads all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

/// Lengths of both parts and the sum over them.
const PRELUDE_BYTES: usize = 12;

/// The sum at the end.
const SUM_BYTES: usize = 4;

/// The most bytes of one message; Amazon's own limit.
const MESSAGE_LIMIT_BYTES: usize = 24 * 1024 * 1024;

/// Collects bytes until they make whole messages.
#[derive(Debug, Default)]
pub(crate) struct EventStream {
    held: Vec<u8>,
}

/// The bytes are no event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's event stream is garbled: {0}")]
pub(crate) struct Garbled(&'static str);

impl EventStream {
    /// Is this the media type of such a stream?
    pub(crate) fn is_spoken_in(media_type: &str) -> bool {
        media_type.starts_with(super::EVENT_STREAM)
    }

    /// Takes the next bytes and gives the events they complete, as server-sent events.
    ///
    /// # Errors
    /// A sum is wrong or a length impossible; the stream is of no use after that.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Garbled> {
        self.held.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut from = 0;
        while let Some(length) = message_length(&self.held[from..])? {
            let Some(message) = self.held.get(from..from + length) else { break };
            take_message(message, &mut events)?;
            from += length;
        }
        self.held.drain(..from);
        Ok(events)
    }
}

/// The length of the message that begins here, once it is known.
fn message_length(bytes: &[u8]) -> Result<Option<usize>, Garbled> {
    let Some(prelude) = bytes.get(..PRELUDE_BYTES) else {
        return Ok(None);
    };
    if crc32fast::hash(&prelude[..8]) != number(&prelude[8..]) {
        return Err(Garbled("the sum over its lengths is wrong"));
    }
    let length = number(prelude) as usize;
    if !(PRELUDE_BYTES + SUM_BYTES..=MESSAGE_LIMIT_BYTES).contains(&length) {
        return Err(Garbled("a message has an impossible length"));
    }
    Ok(Some(length))
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn take_message(message: &[u8], events: &mut Vec<u8>) -> Result<(), Garbled> {
    let (checked, sum) = message.split_at(message.len() - SUM_BYTES);
    if crc32fast::hash(checked) != number(sum) {
        return Err(Garbled("the sum over a message is wrong"));
    }
    let headers_bytes = number(&checked[4..]) as usize;
    let rest = &checked[PRELUDE_BYTES..];
    let (headers, payload) = rest
        .split_at_checked(headers_bytes)
        .ok_or(Garbled("its headers are longer than a message"))?;
    let headers = Headers::read(headers)?;
    match headers.message_type.as_str() {
        "exception" | "error" => events.extend_from_slice(&error_event(&headers, payload)),
        _ => {
            if let Some(event) = inner_event(payload) {
                events.extend_from_slice(b"data: ");
                events.extend_from_slice(&event);
                events.extend_from_slice(b"\n\n");
            }
        }
    }
    Ok(())
}

/// A chunk holds the model's own event in base64. What holds none, such as the first answer of a service, means nothing here.
fn inner_event(payload: &[u8]) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        bytes: std::borrow::Cow<'a, str>,
    }
    let chunk: Chunk<'_> = serde_json::from_slice(payload).ok()?;
    let mut event = STANDARD.decode(chunk.bytes.as_bytes()).ok()?;
    // JSON over several lines would end the event early.
    event.retain(|byte| !matches!(byte, b'\n' | b'\r'));
    Some(event)
}

/// An error in the words of the Anthropic dialect.
fn error_event(headers: &Headers, payload: &[u8]) -> Vec<u8> {
    #[derive(Default, Deserialize)]
    struct Words {
        #[serde(default, alias = "Message")]
        message: String,
    }
    let words: Words = serde_json::from_slice(payload).unwrap_or_default();
    let name = headers.error_name.to_ascii_lowercase();
    let kind = [
        ("throttling", "rate_limit_error"),
        ("quota", "rate_limit_error"),
        ("validation", "invalid_request_error"),
        ("timeout", "timeout_error"),
        ("unavailable", "overloaded_error"),
        ("notready", "overloaded_error"),
        ("accessdenied", "permission_error"),
    ]
    .into_iter()
    .find_map(|(word, kind)| name.contains(word).then_some(kind))
    .unwrap_or("api_error");
    let message = [words.message, headers.error_message.clone(), headers.error_name.clone()]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| "the provider reported an error without saying which".to_owned());
    let event = json!({ "type": "error", "error": { "type": kind, "message": message } });
    format!("event: error\ndata: {event}\n\n").into_bytes()
}

#[derive(Debug, Default)]
struct Headers {
    message_type: String,
    error_name: String,
    error_message: String,
}

impl Headers {
    fn read(mut bytes: &[u8]) -> Result<Self, Garbled> {
        let mut headers = Headers::default();
        while !bytes.is_empty() {
            let name_bytes = usize::from(take(&mut bytes, 1)?[0]);
            let name = take(&mut bytes, name_bytes)?;
            let kind = take(&mut bytes, 1)?[0];
            let value_bytes = match kind {
                0 | 1 => 0,
                2 => 1,
                3 => 2,
                4 => 4,
                5 | 8 => 8,
                6 | 7 => {
                    let length = take(&mut bytes, 2)?;
                    usize::from(u16::from_be_bytes([length[0], length[1]]))
                }
                9 => 16,
                _ => return Err(Garbled("a header has an unknown type")),
            };
            let value = take(&mut bytes, value_bytes)?;
            let text = || String::from_utf8_lossy(value).into_owned();
            match name {
                b":message-type" => headers.message_type = text(),
                b":exception-type" | b":error-code" => headers.error_name = text(),
                b":error-message" => headers.error_message = text(),
                _ => {}
            }
        }
        Ok(headers)
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], Garbled> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or(Garbled("a header breaks off"))?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests;
