//! Rows of a long output, by which it is read on: its lines, with very long lines in several rows.
//!
//! The same bytes have the same rows wherever they are cut into pieces, as long as pieces end where rows end.

/// Bytes of the longest row, its newline not counted.
pub const ROW_BYTES: usize = 4096;

/// The rows, each with its newline.
pub fn rows(bytes: &[u8]) -> Rows<'_> {
    Rows { rest: bytes }
}

/// Iterates over rows.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Rows<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let length = whole_row(self.rest).unwrap_or(self.rest.len());
        let (row, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(row)
    }
}

/// Bytes at the beginning that are whole rows, whatever comes after them.
pub fn whole_rows(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some(length) = whole_row(&bytes[end..]) {
        end += length;
    }
    end
}

/// The length of the first row, if it is whole.
fn whole_row(bytes: &[u8]) -> Option<usize> {
    let seen = &bytes[..bytes.len().min(ROW_BYTES + 1)];
    if let Some(newline) = seen.iter().position(|byte| *byte == b'\n') {
        return Some(newline + 1);
    }
    if seen.len() <= ROW_BYTES {
        return None;
    }
    // Not into the middle of a character, where it is text.
    let is_inside = |position: usize| bytes[position] & 0b1100_0000 == 0b1000_0000;
    let cut = (ROW_BYTES - 3..=ROW_BYTES).rev().find(|position| !is_inside(*position));
    Some(cut.unwrap_or(ROW_BYTES))
}

#[cfg(test)]
mod tests;
