//! Turns events into the bytes of an HTTP body: delays, cuts, slices and endless answers.
//!
//! Whether the client hung up is seen here: the body is dropped before its end.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};

use crate::record::{Fate, Recorder};
use crate::script::Reply;
use crate::wire::{Event, Wire};

/// How the bytes go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Events,
    /// One JSON list, as Gemini streams without `alt=sse`.
    JsonList,
}

/// Notes the fate of an answer, also when the body is dropped half-way.
#[derive(Debug)]
pub(crate) struct FateGuard {
    recorder: Arc<Recorder>,
    number: u64,
    fate: Fate,
}

impl FateGuard {
    pub(crate) fn new(recorder: Arc<Recorder>, number: u64) -> Self {
        FateGuard {
            recorder,
            number,
            fate: Fate::Broken,
        }
    }

    pub(crate) fn end(&mut self, fate: Fate) {
        self.fate = fate;
    }
}

impl Drop for FateGuard {
    fn drop(&mut self) {
        self.recorder.ended(self.number, self.fate);
    }
}

/// Everything that is still to be sent.
struct Sending {
    events: Vec<Event>,
    position: usize,
    sent: usize,
    waiting: VecDeque<Bytes>,
    wire: Wire,
    framing: Framing,
    reply: Reply,
    guard: FateGuard,
    is_over: bool,
}

/// The body of a streamed answer.
pub(crate) fn body(
    events: Vec<Event>,
    wire: Wire,
    framing: Framing,
    reply: Reply,
    guard: FateGuard,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let sending = Sending {
        events,
        position: 0,
        sent: 0,
        waiting: VecDeque::new(),
        wire,
        framing,
        reply,
        guard,
        is_over: false,
    };
    stream::unfold(sending, Sending::next)
}

impl Sending {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        if let Some(slice) = self.waiting.pop_front() {
            // Without a pause the slices would be joined again on their way to the socket.
            tokio::time::sleep(Duration::from_micros(200)).await;
            return Some((Ok(slice), self));
        }
        if self.is_over {
            return None;
        }
        if self.reply.cut_after_events.is_some_and(|limit| self.sent >= limit) {
            self.is_over = true;
            // What was written so far has to leave before the connection breaks.
            tokio::time::sleep(Duration::from_millis(5)).await;
            return Some((Err(io::Error::other("the script cuts the connection here")), self));
        }
        let Some(event) = self.take_event() else {
            self.is_over = true;
            self.guard.end(Fate::Completed);
            let closing = if self.framing == Framing::JsonList { "]" } else { "" };
            return Some((Ok(Bytes::from_static(closing.as_bytes())), self));
        };
        if event.is_content && self.reply.delay_token_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.reply.delay_token_ms)).await;
        }
        let text = self.frame(&event);
        self.sent += 1;
        Some((Ok(self.slice(text.into_bytes())), self))
    }

    /// An endless answer goes back to its first piece of text for ever.
    fn take_event(&mut self) -> Option<Event> {
        let event = self.events.get(self.position)?.clone();
        let stays = self.reply.endless && event.is_text;
        if !stays {
            self.position += 1;
        }
        Some(event)
    }

    fn frame(&self, event: &Event) -> String {
        match self.framing {
            Framing::Events => self.wire.frame(event),
            Framing::JsonList if self.sent == 0 => format!("[{}", event.data),
            Framing::JsonList => format!(",\r\n{}", event.data),
        }
    }

    fn slice(&mut self, bytes: Vec<u8>) -> Bytes {
        if self.reply.slice_bytes == 0 {
            return Bytes::from(bytes);
        }
        let mut slices = bytes.chunks(self.reply.slice_bytes).map(Bytes::copy_from_slice);
        let first = slices.next().unwrap_or_default();
        self.waiting.extend(slices);
        first
    }
}
