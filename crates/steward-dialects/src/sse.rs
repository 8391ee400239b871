//! Cuts a byte stream into server-sent events, whatever the line ends and wherever the bytes are split.
//!
//! Never holds more than [`EVENT_LIMIT_BYTES`] and never fails on bytes that are no UTF-8.

/// The most bytes one event may have.
pub const EVENT_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its `event:` name; empty when it has none.
    pub event: String,
    /// Its `data:` lines, joined by line feeds.
    pub data: String,
}

impl Frame {
    /// Is the data what every dialect sends, JSON or the word that ends a chat stream?
    pub(crate) fn is_whole(&self) -> bool {
        let data = self.data.trim();
        data == "[DONE]" || serde_json::from_str::<serde::de::IgnoredAny>(data).is_ok()
    }
}

/// Writes one event; without a name only its data.
pub(crate) fn encode(event: &str, data: &serde_json::Value) -> Vec<u8> {
    let mut frame = Vec::with_capacity(256);
    if !event.is_empty() {
        frame.extend_from_slice(b"event: ");
        frame.extend_from_slice(event.as_bytes());
        frame.push(b'\n');
    }
    frame.extend_from_slice(b"data: ");
    serde_json::to_writer(&mut frame, data).expect("a JSON value always serialises into memory");
    frame.extend_from_slice(b"\n\n");
    frame
}

/// An event was larger than we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is over the limit of {EVENT_LIMIT_BYTES} bytes")]
pub struct EventTooLong;

/// Collects bytes until they make whole events.
#[derive(Debug, Default)]
pub struct Framer {
    line: Vec<u8>,
    event: String,
    data: String,
    has_data: bool,
    is_after_return: bool,
    is_past_first_line: bool,
}

impl Framer {
    /// Takes the next bytes and gives the events they complete.
    ///
    /// # Errors
    /// An event grew past the limit; the framer is of no use after that.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, EventTooLong> {
        let mut frames = Vec::new();
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if self.is_after_return && first == b'\n' {
                rest = &rest[1..];
            }
            self.is_after_return = false;
            let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.line.extend_from_slice(rest);
                self.check_size()?;
                break;
            };
            self.line.extend_from_slice(&rest[..end]);
            self.is_after_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            self.check_size()?;
            frames.extend(self.end_line());
        }
        Ok(frames)
    }

    /// Gives the event that the end of the stream left without its blank line.
    pub fn finish(&mut self) -> Option<Frame> {
        if !self.line.is_empty() {
            let early = self.end_line();
            if early.is_some() {
                return early;
            }
        }
        self.dispatch()
    }

    fn check_size(&self) -> Result<(), EventTooLong> {
        if self.line.len() + self.data.len() > EVENT_LIMIT_BYTES {
            return Err(EventTooLong);
        }
        Ok(())
    }

    fn end_line(&mut self) -> Option<Frame> {
        let mut line = std::mem::take(&mut self.line);
        if !self.is_past_first_line {
            self.is_past_first_line = true;
            if line.starts_with(b"\xEF\xBB\xBF") {
                line.drain(..3);
            }
        }
        if line.is_empty() {
            return self.dispatch();
        }
        self.field(&String::from_utf8_lossy(&line));
        line.clear();
        self.line = line;
        None
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.event),
            // A comment has an empty name; `id` and `retry` mean nothing here.
            _ => {}
        }
    }

    fn dispatch(&mut self) -> Option<Frame> {
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        let has_data = std::mem::take(&mut self.has_data);
        has_data.then_some(Frame { event, data })
    }
}

#[cfg(test)]
mod tests;
