//! Output of a command: its beginning and its end for the model, all of it kept where the model can read on.
//!
//! Holds one piece and two ends in memory, however much is printed. Cuts never fall into the middle of a character.

use std::collections::VecDeque;
use std::sync::Arc;

use steward_domain::rows::{rows, whole_rows};

use crate::outputs::{Outputs, Piece};

/// A piece that is kept has at least this many bytes, but for the last.
const PIECE_BYTES: usize = 1024 * 1024;
/// Characters for the note between the ends and for the line with the exit code.
const NOTE_CHARS: usize = 320;
/// A character has at most this many bytes.
const CHAR_BYTES: usize = 4;

/// Where outputs go, and how much of one is shown.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) outputs: Arc<dyn Outputs>,
    /// Characters that the model gets, with all notes.
    pub(crate) max_chars: usize,
}

impl Shown {
    fn room(&self) -> usize {
        self.max_chars.saturating_sub(NOTE_CHARS).max(2)
    }

    fn end_bytes(&self) -> usize {
        self.room() / 2 * CHAR_BYTES
    }
}

/// What a command printed, since the beginning or since the last look.
pub(crate) struct Capture {
    shown: Shown,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Not kept yet. What is short enough to be shown whole never leaves this.
    pending: Vec<u8>,
    pieces: Vec<Piece>,
    /// Why something could not be kept.
    lost: Option<String>,
    /// All bytes.
    total: u64,
}

impl Capture {
    pub(crate) fn new(shown: Shown) -> Self {
        Capture {
            shown,
            head: Vec::new(),
            tail: VecDeque::new(),
            pending: Vec::new(),
            pieces: Vec::new(),
            lost: None,
            total: 0,
        }
    }

    pub(crate) fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Takes what was printed. Waits while a piece is kept, which makes a command wait that prints faster than the disk takes it.
    pub(crate) async fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let end = self.shown.end_bytes();
        let room = end - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let last = &bytes[bytes.len().saturating_sub(end)..];
        let surplus = (self.tail.len() + last.len()).saturating_sub(end);
        self.tail.drain(..surplus);
        self.tail.extend(last);
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PIECE_BYTES {
            let rest = self.pending.split_off(whole_rows(&self.pending));
            self.keep_pending().await;
            self.pending = rest;
        }
    }

    async fn keep_pending(&mut self) {
        let piece = std::mem::take(&mut self.pending);
        if piece.is_empty() || self.lost.is_some() {
            return;
        }
        match self.shown.outputs.keep(piece).await {
            Ok(piece) => self.pieces.push(piece),
            Err(reason) => self.lost = Some(reason),
        }
    }

    /// The bytes at the end that are the beginning of a character.
    fn half_character(&self) -> usize {
        match std::str::from_utf8(&self.pending[self.pending.len().saturating_sub(CHAR_BYTES)..]) {
            Ok(_) => 0,
            Err(_) => {
                let starts = |back: &usize| self.pending[self.pending.len() - back] & 0b1100_0000 == 0b1100_0000;
                let back = (1..CHAR_BYTES.min(self.pending.len() + 1)).find(starts).unwrap_or(0);
                let last = &self.pending[self.pending.len() - back..];
                let is_unfinished = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
                if is_unfinished { back } else { 0 }
            }
        }
    }

    /// What the model gets of what came since the last look. The rest of a character that came in halves is shown next time.
    pub(crate) async fn take_new(&mut self) -> String {
        let next = Capture::new(self.shown.clone());
        let half = self.pending.split_off(self.pending.len() - self.half_character());
        self.total -= half.len() as u64;
        self.tail.truncate(self.tail.len().saturating_sub(half.len()));
        let text = std::mem::replace(self, next).finish().await;
        self.push(&half).await;
        text
    }

    /// What the model gets of all of it.
    pub(crate) async fn finish(mut self) -> String {
        let is_whole = self.pieces.is_empty() && self.lost.is_none();
        if is_whole {
            let text = String::from_utf8_lossy(&self.pending);
            if text.len() <= self.shown.room() || text.chars().count() <= self.shown.room() {
                return text.into_owned();
            }
        }
        self.keep_pending().await;
        let half = self.shown.room() / 2;
        let head = beginning(&String::from_utf8_lossy(&self.head), half).to_owned();
        let tail = end(&String::from_utf8_lossy(self.tail.make_contiguous()), half).to_owned();
        let all_rows: usize = self.pieces.iter().map(|piece| piece.rows).sum();
        let cut = self.total.saturating_sub((head.len() + tail.len()) as u64);
        let gap = if head.ends_with('\n') { "" } else { "\n" };
        let note = match (self.lost.take(), self.shown.outputs.join(self.pieces).await) {
            (Some(reason), _) | (None, Err(reason)) => format!("{cut} of {} bytes cut and not kept: {reason}", self.total),
            (None, Ok(path)) => {
                let from = rows(head.as_bytes()).count() + usize::from(head.ends_with('\n'));
                let to = all_rows.saturating_sub(rows(tail.as_bytes()).count()).max(from);
                format!(
                    "{cut} of {} bytes cut: lines {from}-{to} of {all_rows}; read {{\"path\": \"{path}\", \"from\": {from}, \"to\": {to}}} shows them",
                    self.total
                )
            }
        };
        format!("{head}{gap}[… {note} …]\n{tail}")
    }
}

/// At most so many characters of the beginning, whole lines if there are any.
fn beginning(text: &str, chars: usize) -> &str {
    let cut = text.char_indices().nth(chars).map_or(text.len(), |(position, _)| position);
    let text = &text[..cut];
    text.rfind('\n').map_or(text, |newline| &text[..=newline])
}

/// At most so many characters of the end, whole lines if there are any.
fn end(text: &str, chars: usize) -> &str {
    let cut = match chars {
        0 => text.len(),
        _ => text.char_indices().rev().nth(chars - 1).map_or(0, |(position, _)| position),
    };
    let text = &text[cut..];
    match text.find('\n') {
        Some(newline) if newline + 1 < text.len() => &text[newline + 1..],
        Some(_) | None => text,
    }
}

#[cfg(test)]
mod tests;
