//! The only place that prints. Data goes to standard output, everything else to standard error.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;

use serde_json::Value;

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// One line of data.
pub(crate) fn line(text: &str) {
    // A closed pipe is the reader's wish, not a fault.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A piece of streamed text, shown at once.
pub(crate) fn piece(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(printable(text).as_bytes());
    let _ = out.flush();
}

/// Our own words to the terminal, such as an order to clear it. Never for text of others.
pub(crate) fn screen(order: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(order.as_bytes());
    let _ = out.flush();
}

/// A line for the person, beside the data.
pub(crate) fn aside(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(text));
}

/// One JSON document.
pub(crate) fn json(value: &Value) {
    line(&value.to_string());
}

/// Control characters of hostile text made visible, so that it cannot steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() => '\u{fffd}',
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Rows under headings, columns as wide as their widest cell; the last column is as long as it is.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .chain([headings[column].len()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let shown = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(padded.join("  ").trim_end());
    };
    shown(headings.to_vec());
    for row in rows {
        let safe: Vec<String> = row.iter().map(|cell| printable(cell).replace(['\n', '\t'], " ")).collect();
        shown(safe.iter().map(String::as_str).collect());
    }
}
