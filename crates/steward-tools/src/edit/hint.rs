//! Where a text that does not occur may have been meant: the lines of the file most like it.
//!
//! Only a hint for the model; nothing is replaced by likeness. Bounded, whatever the file.

use similar::TextDiff;

/// Larger files and longer texts get no hint.
const MAX_LINES: usize = 5000;
const MAX_LINE_CHARS: usize = 200;
const SHOWN_CHARS: usize = 300;
/// Below this likeness (0 to 1) a hint misleads.
const MIN_LIKENESS: f32 = 0.6;

/// `; the nearest is at line …`, or nothing.
pub(super) fn nearest(text: &str, old: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().take(MAX_LINES).collect();
    let wanted: Vec<&str> = old.lines().filter(|line| !line.trim().is_empty()).collect();
    let first = wanted.first()?;
    if let Some(start) = lines.windows(wanted.len()).position(|window| is_same_but_space(window, &wanted)) {
        let end = start + wanted.len();
        return Some(format!(
            "; lines {}-{end} differ only in white space:\n{}",
            start + 1,
            shown(&lines[start..end])
        ));
    }
    let likeness = |line: &str| TextDiff::from_chars(clip(line.trim()), clip(first.trim())).ratio();
    let rated = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| has_similar_length(line, first))
        .map(|(number, line)| (likeness(line), number));
    let (best, start) = rated.max_by(|a, b| a.0.total_cmp(&b.0))?;
    if best < MIN_LIKENESS {
        return None;
    }
    let end = (start + wanted.len()).min(lines.len());
    Some(format!("; the nearest is at line {}:\n{}", start + 1, shown(&lines[start..end])))
}

fn is_same_but_space(window: &[&str], wanted: &[&str]) -> bool {
    window
        .iter()
        .zip(wanted)
        .all(|(line, wanted)| line.split_whitespace().eq(wanted.split_whitespace()))
}

fn has_similar_length(line: &str, wanted: &str) -> bool {
    let (line, wanted) = (line.trim().len(), wanted.trim().len());
    line * 3 >= wanted && line <= wanted * 3
}

fn clip(line: &str) -> String {
    line.chars().take(MAX_LINE_CHARS).collect()
}

fn shown(lines: &[&str]) -> String {
    lines.join("\n").chars().take(SHOWN_CHARS).collect()
}
