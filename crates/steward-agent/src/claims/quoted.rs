//! Finds what a reply only quotes: code, block quotes, and text between quotation marks.
//!
//! An opening mark without its partner in the same paragraph quotes nothing, so a stray mark hides no claim.

/// The reply with every quoted byte as a blank; offsets stay as they are.
pub(super) fn blanked(reply: &str) -> String {
    let mut bytes = reply.as_bytes().to_vec();
    let mut paragraph = 0..0;
    let mut fence: Option<&str> = None;
    let mut start = 0;
    for line in reply.split_inclusive('\n') {
        let here = start..start + line.len();
        start = here.end;
        let text = line.trim();
        let mark = ["```", "~~~"].into_iter().find(|mark| text.starts_with(mark));
        let is_quoted = fence.is_some() || mark.is_some() || text.starts_with('>');
        fence = match (fence, mark) {
            (None, Some(mark)) => Some(mark),
            (Some(open), Some(mark)) if open == mark => None,
            (fence, _) => fence,
        };
        if is_quoted {
            blank(&mut bytes[here.clone()]);
        }
        if is_quoted || text.is_empty() {
            blank_marked(reply, paragraph.clone(), &mut bytes);
            paragraph = here.end..here.end;
        } else {
            paragraph.end = here.end;
        }
    }
    blank_marked(reply, paragraph, &mut bytes);
    String::from_utf8(bytes).expect("whole characters were replaced by ASCII")
}

/// Blanks what stands between quotation marks in one paragraph.
fn blank_marked(reply: &str, paragraph: std::ops::Range<usize>, bytes: &mut [u8]) {
    let text = &reply[paragraph.clone()];
    let mut position = 0;
    while let Some(open) = text[position..].chars().next() {
        let after = position + open.len_utf8();
        let end = partner(open)
            .filter(|_| open != '\'' || begins_word(&text[..position]))
            .and_then(|close| end_of(&text[after..], open, close));
        match end {
            Some(length) => {
                let quoted = paragraph.start + after..paragraph.start + after + length;
                blank(&mut bytes[quoted]);
                position = after + length + text[after + length..].chars().next().map_or(0, char::len_utf8);
            }
            None => position = after,
        }
    }
}

fn partner(open: char) -> Option<char> {
    match open {
        '"' | '`' | '\'' => Some(open),
        '“' | '„' => Some('”'),
        '‘' => Some('’'),
        '«' => Some('»'),
        _ => None,
    }
}

/// How far it is to the closing mark. An apostrophe inside a word closes nothing.
fn end_of(rest: &str, open: char, close: char) -> Option<usize> {
    let is_single = matches!(open, '\'' | '‘');
    let mut places = rest.match_indices(close);
    let found = places.find(|(place, mark)| {
        let next = rest[place + mark.len()..].chars().next();
        !is_single || next.is_none_or(|next| !next.is_alphanumeric())
    });
    found.map(|(place, _)| place)
}

fn begins_word(before: &str) -> bool {
    before.chars().next_back().is_none_or(|last| !last.is_alphanumeric())
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}
