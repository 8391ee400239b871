//! Applies hunks to the content of a file.
//!
//! A hunk whose lines are not there, or are there more than once with nothing to choose by, is an error. Nothing is guessed.

use super::parse::Hunk;

/// How two lines are compared, strictest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    Same,
    /// But for space at the end.
    End,
}

/// The file with all hunks applied.
pub(super) fn apply(before: &[u8], hunks: &[Hunk]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(before).map_err(|_| "it is not UTF-8, so a patch cannot be applied".to_owned())?;
    let uses_crlf = text.contains("\r\n");
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    // What follows the last newline is no line when it is empty.
    let mut ends_with_newline = text.is_empty() || lines.last().is_some_and(String::is_empty);
    if ends_with_newline {
        lines.pop();
    }
    let mut cursor = 0;
    let mut shift = 0_isize;
    for (number, hunk) in hunks.iter().enumerate() {
        let place = find(&lines, hunk, cursor, shift).map_err(|reason| format!("hunk {}: {reason}", number + 1))?;
        let is_last = place + hunk.old.len() == lines.len();
        let kept = kept_lines(&lines[place..place + hunk.old.len()], hunk, uses_crlf);
        lines.splice(place..place + hunk.old.len(), kept);
        if is_last {
            ends_with_newline = !hunk.new_lacks_newline && (ends_with_newline || hunk.old != hunk.new);
        }
        cursor = place + hunk.new.len();
        shift += hunk.new.len() as isize - hunk.old.len() as isize;
    }
    let end = if ends_with_newline && !lines.is_empty() { "\n" } else { "" };
    Ok((lines.join("\n") + end).into_bytes())
}

/// Is the file as the hunks would leave it?
pub(super) fn is_applied(now: &[u8], hunks: &[Hunk]) -> bool {
    let reversed: Vec<Hunk> = hunks
        .iter()
        .map(|hunk| Hunk {
            line: None,
            old: hunk.new.clone(),
            new: hunk.old.clone(),
            ..hunk.clone()
        })
        .collect();
    !reversed.iter().any(|hunk| hunk.old.is_empty()) && apply(now, &reversed).is_ok()
}

/// The new lines; those that are context stay as they are in the file, with their own line ends.
fn kept_lines(there: &[String], hunk: &Hunk, uses_crlf: bool) -> Vec<String> {
    let same_start = hunk.old.iter().zip(&hunk.new).take_while(|(old, new)| old == new).count();
    let rest = hunk.old.len().min(hunk.new.len()) - same_start;
    let same_end = hunk
        .old
        .iter()
        .rev()
        .zip(hunk.new.iter().rev())
        .take(rest)
        .take_while(|(old, new)| old == new)
        .count();
    let made = hunk.new[same_start..hunk.new.len() - same_end]
        .iter()
        .map(|line| match uses_crlf && !line.ends_with('\r') {
            true => format!("{line}\r"),
            false => line.clone(),
        });
    there[..same_start]
        .iter()
        .cloned()
        .chain(made)
        .chain(there[there.len() - same_end..].iter().cloned())
        .collect()
}

fn find(lines: &[String], hunk: &Hunk, cursor: usize, shift: isize) -> Result<usize, String> {
    let cursor = match &hunk.anchor {
        Some(anchor) => after_anchor(lines, anchor, cursor)?,
        None => cursor,
    };
    if hunk.old.is_empty() {
        return Ok(place_of_insertion(lines, hunk, cursor, shift));
    }
    for likeness in [Likeness::Same, Likeness::End] {
        let places = places(lines, &hunk.old, cursor, likeness);
        if hunk.is_at_end
            && let Some(last) = places.last().filter(|place| **place + hunk.old.len() == lines.len())
        {
            return Ok(*last);
        }
        match (places.as_slice(), hunk.line) {
            ([], _) => {}
            ([only], _) => return Ok(*only),
            (many, Some(line)) => {
                let wanted = (line.saturating_sub(1)).saturating_add_signed(shift);
                return many
                    .iter()
                    .copied()
                    .min_by_key(|place| place.abs_diff(wanted))
                    .ok_or_else(String::new);
            }
            // After an anchor the first place is meant.
            ([first, ..], None) if hunk.anchor.is_some() => return Ok(*first),
            (many, None) => return Err(format!("its lines occur {} times; add lines around them", many.len())),
        }
    }
    Err(format!("its lines do not occur, beginning with {:?}", hunk.old[0]))
}

fn after_anchor(lines: &[String], anchor: &str, cursor: usize) -> Result<usize, String> {
    let found = lines[cursor..].iter().position(|line| line.trim() == anchor);
    let found = found.or_else(|| lines[cursor..].iter().position(|line| line.contains(anchor)));
    found
        .map(|position| cursor + position + 1)
        .ok_or_else(|| format!("the line {anchor:?} does not occur"))
}

/// Lines without context go after the anchor, after the line that the header names, or to the end.
fn place_of_insertion(lines: &[String], hunk: &Hunk, cursor: usize, shift: isize) -> usize {
    if hunk.anchor.is_some() {
        return cursor;
    }
    match hunk.line {
        Some(line) => line.saturating_add_signed(shift).clamp(cursor, lines.len()),
        None => lines.len(),
    }
}

/// More places than this are as good as this many.
const MAX_PLACES: usize = 100;

fn places(lines: &[String], wanted: &[String], cursor: usize, likeness: Likeness) -> Vec<usize> {
    let is_like = |line: &String, wanted: &String| match likeness {
        Likeness::Same => line.strip_suffix('\r').unwrap_or(line) == wanted.strip_suffix('\r').unwrap_or(wanted),
        Likeness::End => line.trim_end() == wanted.trim_end(),
    };
    let windows = lines[cursor..].windows(wanted.len()).enumerate();
    let fitting = windows.filter(|(_, window)| window.iter().zip(wanted).all(|(line, wanted)| is_like(line, wanted)));
    fitting.map(|(position, _)| cursor + position).take(MAX_PLACES).collect()
}

#[cfg(test)]
mod tests;
