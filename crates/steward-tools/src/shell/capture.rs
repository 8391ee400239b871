//! Output of a command in bounded memory: its beginning and its end, with a note of what was cut.
//!
//! Cuts never fall into the middle of a character.

use std::collections::VecDeque;

/// Bytes that are kept at each end.
const KEPT_BYTES: usize = 512 * 1024;
/// Characters that the model gets.
pub(crate) const SHOWN_CHARS: usize = 16_000;

/// What a command printed.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// All bytes, kept or not.
    total: u64,
}

impl Capture {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = KEPT_BYTES - self.head.len();
        let (head, rest) = bytes.split_at(bytes.len().min(room));
        self.head.extend_from_slice(head);
        push_bounded(&mut self.tail, rest);
    }

    /// What the model gets.
    pub(crate) fn text(&self) -> String {
        let kept = (self.head.len() + self.tail.len()) as u64;
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if kept == self.total {
            let mut all = self.head.clone();
            all.extend_from_slice(&tail);
            return shorten(&String::from_utf8_lossy(&all), self.total);
        }
        // A gap is always far larger than what is shown of either end.
        shorten(
            &format!("{}{}", String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&tail)),
            self.total,
        )
    }
}

/// Appends to the end of what is kept and lets the oldest go.
pub(crate) fn push_bounded(tail: &mut VecDeque<u8>, bytes: &[u8]) {
    let bytes = &bytes[bytes.len().saturating_sub(KEPT_BYTES)..];
    let surplus = (tail.len() + bytes.len()).saturating_sub(KEPT_BYTES);
    tail.drain(..surplus);
    tail.extend(bytes);
}

/// Beginning and end of a text that is too long, with a note between.
pub(crate) fn shorten(text: &str, total_bytes: u64) -> String {
    let count = text.chars().count();
    if count <= SHOWN_CHARS {
        return text.to_owned();
    }
    let half = SHOWN_CHARS / 2;
    let head_end = text.char_indices().nth(half).map_or(text.len(), |(position, _)| position);
    let tail_start = text.char_indices().rev().nth(half - 1).map_or(0, |(position, _)| position);
    let cut = total_bytes.saturating_sub((head_end + text.len() - tail_start) as u64);
    format!(
        "{}\n[… {cut} of {total_bytes} bytes cut …]\n{}",
        &text[..head_end],
        &text[tail_start..]
    )
}

#[cfg(test)]
mod tests;
