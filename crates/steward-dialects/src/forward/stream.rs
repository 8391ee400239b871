//! Follows a streamed answer that is passed on as it came: first content, usage, finish, error and end.
//!
//! Whole events pass at once, as slices of what came; only an event that was cut in two is copied. The event that may hold the last usage
//! is kept back until the stream has ended, so that the cost can be written into it.

use std::ops::Range;

use bytes::Bytes;
use memchr::memchr2;
use steward_domain::model::{FinishReason, ModelError, ModelErrorKind, ModelEvent};
use steward_domain::money::Usd;
use steward_domain::usage::Usage;

use super::look::{Facts, Found};
use super::whole::insert_cost;
use crate::Dialect;
use crate::egress::{Quirks, StreamDecoder};
use crate::sse::EVENT_LIMIT_BYTES;

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The answer is whole.
    Finished(FinishReason),
    /// The provider reported a failure, in an event that passes like every other.
    Failed(ModelError),
    /// The stream broke off; nothing of the event that broke has passed.
    Cut,
}

/// The state of one streamed answer.
#[derive(Debug)]
pub struct UsageScan {
    hides_usage: bool,
    /// Reads the bytes in full until the first content.
    until_content: Option<Box<StreamDecoder>>,
    lines: Lines,
    /// An event that has not come whole.
    part: Vec<u8>,
    /// Whole events kept back, the first with what may be the last usage.
    held: Vec<u8>,
    held_usage: Option<Range<usize>>,
    facts: Facts,
    end: Option<End>,
}

impl UsageScan {
    /// A scan of one answer. `wants_usage` is the caller's own wish, [`super::RequestHead::wants_usage`]; it matters to chat only.
    pub fn new(dialect: Dialect, quirks: Quirks, wants_usage: bool) -> Self {
        UsageScan {
            hides_usage: dialect == Dialect::OpenAiChat && !wants_usage,
            until_content: Some(Box::new(StreamDecoder::new(dialect, quirks))),
            lines: Lines::default(),
            part: Vec::new(),
            held: Vec::new(),
            held_usage: None,
            facts: Facts::new(dialect, quirks),
            end: None,
        }
    }

    /// Takes the next bytes and adds to `out` what may go on to the caller at once. Does nothing after the end.
    pub fn push(&mut self, bytes: &Bytes, out: &mut Vec<Bytes>) {
        if self.end.is_some() {
            return;
        }
        self.look_for_content(bytes);
        let mut run = 0;
        let mut start = 0;
        while let Some(end) = self.lines.next_event(bytes) {
            let verdict = if self.part.is_empty() {
                self.judge(&bytes[start..end])
            } else {
                self.part.extend_from_slice(&bytes[start..end]);
                let whole = std::mem::take(&mut self.part);
                let verdict = self.judge(&whole);
                run = end;
                self.place(&whole, &verdict, out);
                if matches!(verdict, Verdict::Pass) {
                    out.push(Bytes::from(whole));
                } else {
                    self.reuse(whole);
                }
                start = end;
                if self.end.is_some() {
                    break;
                }
                continue;
            };
            if !matches!(verdict, Verdict::Pass) {
                if start > run {
                    out.push(bytes.slice(run..start));
                }
                run = end;
                self.place(&bytes[start..end], &verdict, out);
            }
            start = end;
            if self.end.is_some() {
                break;
            }
        }
        if start > run {
            out.push(bytes.slice(run..start));
        }
        if self.end.is_some() {
            return;
        }
        self.part.extend_from_slice(&bytes[start..]);
        self.lines.wrap();
        if self.part.len() > EVENT_LIMIT_BYTES {
            let message = format!("an event of the stream is over the limit of {EVENT_LIMIT_BYTES} bytes");
            self.end = Some(End::Failed(ModelError::new(ModelErrorKind::Malformed, message)));
        }
    }

    /// Says that the body has ended: what is whole of the last event goes on, and [`UsageScan::end`] is known from here on.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) {
        if self.end.is_some() {
            return;
        }
        let rest = std::mem::take(&mut self.part);
        if !rest.is_empty() && self.facts.is_whole_event(&rest) {
            let verdict = self.judge(&rest);
            self.place(&rest, &verdict, out);
            if matches!(verdict, Verdict::Pass) {
                out.push(Bytes::from(rest));
            }
        }
        if self.end.is_none() {
            self.end = Some(self.facts.end_of_body(self.has_content()));
        }
    }

    /// What was kept back, with the cost in the last usage object. To be asked for once, after the end.
    pub fn close(&mut self, cost: Option<Usd>) -> Bytes {
        let held = std::mem::take(&mut self.held);
        match (self.held_usage.take(), cost) {
            (Some(span), Some(cost)) => Bytes::from(insert_cost(&held, span, cost)),
            _ => Bytes::from(held),
        }
    }

    /// Has the answer begun? Until then a failure can still be answered by another target.
    pub fn has_content(&self) -> bool {
        self.until_content.is_none()
    }

    /// What the provider has reported so far.
    pub fn usage(&self) -> Option<Usage> {
        self.facts.usage()
    }

    /// How it ended; `None` while it goes on. Settle the call then, and pass on what [`UsageScan::close`] gives.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    fn look_for_content(&mut self, bytes: &Bytes) {
        let Some(decoder) = &mut self.until_content else { return };
        let events = decoder.push(bytes);
        if events
            .iter()
            .any(|event| !matches!(event, ModelEvent::Finished(_) | ModelEvent::Failed(_)))
        {
            self.until_content = None;
        }
    }

    fn judge(&mut self, event: &[u8]) -> Verdict {
        let found = self.facts.look(event, self.until_content.is_none());
        if found.is_end {
            self.end = Some(self.facts.end());
        }
        match found {
            Found {
                usage: Some(_),
                is_only_usage: true,
                ..
            } if self.hides_usage => Verdict::Drop,
            Found {
                usage: Some(span),
                may_be_last: true,
                ..
            } => Verdict::Hold(Some(span)),
            _ if !self.held.is_empty() => Verdict::Hold(None),
            _ => Verdict::Pass,
        }
    }

    /// Keeps an event back where that is the verdict. One with newer usage lets those before it go.
    fn place(&mut self, event: &[u8], verdict: &Verdict, out: &mut Vec<Bytes>) {
        let Verdict::Hold(usage) = verdict else { return };
        if let Some(span) = usage {
            if !self.held.is_empty() {
                out.push(Bytes::from(std::mem::take(&mut self.held)));
            }
            self.held_usage = Some(span.clone());
        }
        self.held.extend_from_slice(event);
    }

    fn reuse(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.part = buffer;
    }
}

/// What becomes of an event.
enum Verdict {
    Pass,
    Drop,
    /// With the place of its usage object, where it has one.
    Hold(Option<Range<usize>>),
}

/// Finds where events end, whatever the line ends and wherever the bytes are cut.
#[derive(Debug, Default)]
struct Lines {
    at: usize,
    is_line_begun: bool,
    is_after_return: bool,
}

impl Lines {
    /// The end of the next event in `bytes`, counted from their start.
    fn next_event(&mut self, bytes: &[u8]) -> Option<usize> {
        while self.at < bytes.len() {
            if std::mem::take(&mut self.is_after_return) && bytes[self.at] == b'\n' {
                self.at += 1;
                continue;
            }
            let Some(found) = memchr2(b'\n', b'\r', &bytes[self.at..]) else {
                self.is_line_begun = true;
                self.at = bytes.len();
                break;
            };
            let is_blank = found == 0 && !self.is_line_begun;
            let end = self.at + found;
            self.is_line_begun = false;
            self.is_after_return = bytes[end] == b'\r';
            self.at = end + 1;
            if !is_blank {
                continue;
            }
            if self.is_after_return && bytes.get(self.at) == Some(&b'\n') {
                self.is_after_return = false;
                self.at += 1;
            }
            return Some(self.at);
        }
        None
    }

    /// The bytes have been looked at to their end; the next ones begin at 0.
    fn wrap(&mut self) {
        self.at = 0;
    }
}
