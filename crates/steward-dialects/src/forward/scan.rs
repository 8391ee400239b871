//! Walks over JSON without keeping any of it: where values begin and end, the keys of one object, and a look at strings in passing.
//!
//! Nesting is checked, so that a body means the same here as to a strict reader; the order of commas and colons inside of values is not.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;
use memchr::memmem::Finder;

/// The deepest nesting that is followed; serde_json stops at the same depth.
const DEPTH_LIMIT: u32 = 127;

/// The bytes are no JSON at this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) usize);

/// What is told of strings in passing: the key they stand under, if any, and their raw bytes.
pub(super) trait Watch {
    fn string(&mut self, key: &[u8], raw: &[u8]);
}

/// Looks at nothing.
pub(super) struct Blind;

impl Watch for Blind {
    fn string(&mut self, _key: &[u8], _raw: &[u8]) {}
}

/// The end of white space from `at`.
pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The place of the quote that ends the string whose content begins at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> Result<usize, Malformed> {
    loop {
        let found = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)).ok_or(Malformed(at))?;
        if bytes[at + found] == b'"' {
            return Ok(at + found);
        }
        at += found + 2;
    }
}

/// The end of the value that begins at `at`, which stands under `key`.
pub(super) fn skip_value(bytes: &[u8], at: usize, key: &[u8], watch: &mut impl Watch) -> Result<usize, Malformed> {
    match bytes.get(at) {
        Some(b'"') => {
            let end = string_end(bytes, at + 1)?;
            watch.string(key, &bytes[at + 1..end]);
            Ok(end + 1)
        }
        Some(b'{' | b'[') => skip_container(bytes, at, watch),
        _ => {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
            let length = bytes.get(at..).unwrap_or_default().iter().take_while(|byte| is_part(byte)).count();
            if length == 0 { Err(Malformed(at)) } else { Ok(at + length) }
        }
    }
}

fn skip_container(bytes: &[u8], start: usize, watch: &mut impl Watch) -> Result<usize, Malformed> {
    // One bit for each open container: set for an object.
    let mut objects: u128 = 0;
    let mut depth: u32 = 0;
    let mut last = 0..0;
    let mut key = 0..0;
    let mut is_value = false;
    let mut at = start;
    loop {
        let byte = *bytes.get(at).ok_or(Malformed(at))?;
        match byte {
            b'"' => {
                let end = string_end(bytes, at + 1)?;
                last = at + 1..end;
                let is_in_list = objects & 1 == 0;
                if is_value || is_in_list {
                    let key = if is_value { &bytes[key.clone()] } else { &[] };
                    watch.string(key, &bytes[last.clone()]);
                }
                is_value = false;
                at = end;
            }
            b':' => {
                key = last.clone();
                is_value = true;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_LIMIT {
                    return Err(Malformed(at));
                }
                objects = objects << 1 | u128::from(byte == b'{');
                is_value = false;
            }
            b'}' | b']' => {
                let is_object = objects & 1 == 1;
                if is_object != (byte == b'}') {
                    return Err(Malformed(at));
                }
                objects >>= 1;
                depth -= 1;
                is_value = false;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            b',' => is_value = false,
            _ => {}
        }
        at += 1;
    }
}

/// The fields of one object, in order.
pub(super) struct Object<'a> {
    bytes: &'a [u8],
    /// Before the next field; after [`Object::key`] at its value.
    at: usize,
    is_begun: bool,
}

impl<'a> Object<'a> {
    /// The object that begins at `at`.
    pub(super) fn at(bytes: &'a [u8], at: usize) -> Result<Self, Malformed> {
        if bytes.get(at) != Some(&b'{') {
            return Err(Malformed(at));
        }
        Ok(Object {
            bytes,
            at: at + 1,
            is_begun: false,
        })
    }

    /// The next key, without escapes; `None` at the end.
    pub(super) fn key(&mut self) -> Result<Option<Cow<'a, [u8]>>, Malformed> {
        let mut at = skip_space(self.bytes, self.at);
        match self.bytes.get(at) {
            Some(b'}') => {
                self.at = at + 1;
                return Ok(None);
            }
            Some(b',') if self.is_begun => at = skip_space(self.bytes, at + 1),
            Some(_) if !self.is_begun => {}
            _ => return Err(Malformed(at)),
        }
        self.is_begun = true;
        if self.bytes.get(at) != Some(&b'"') {
            return Err(Malformed(at));
        }
        let end = string_end(self.bytes, at + 1)?;
        let key = plain(self.bytes, at..end + 1)?;
        at = skip_space(self.bytes, end + 1);
        if self.bytes.get(at) != Some(&b':') {
            return Err(Malformed(at));
        }
        self.at = skip_space(self.bytes, at + 1);
        Ok(Some(key))
    }

    /// The place of the value whose key was given last.
    pub(super) fn value(&mut self, key: &[u8], watch: &mut impl Watch) -> Result<Range<usize>, Malformed> {
        let start = self.at;
        self.at = skip_value(self.bytes, start, key, watch)?;
        Ok(start..self.at)
    }

    /// Where the object ended, once [`Object::key`] has said so.
    pub(super) fn end(&self) -> usize {
        self.at
    }
}

/// The content of the string at `range`, quotes included there, without escapes.
fn plain(bytes: &[u8], range: Range<usize>) -> Result<Cow<'_, [u8]>, Malformed> {
    let inner = &bytes[range.start + 1..range.end - 1];
    if !inner.contains(&b'\\') {
        return Ok(Cow::Borrowed(inner));
    }
    let text: String = serde_json::from_slice(&bytes[range.clone()]).map_err(|_| Malformed(range.start))?;
    Ok(Cow::Owned(text.into_bytes()))
}

/// The place of the value of a field in an object at `at`; small objects only.
pub(super) fn field(bytes: &[u8], at: usize, wanted: &[u8]) -> Option<Range<usize>> {
    let mut object = Object::at(bytes, at).ok()?;
    let mut found = None;
    while let Some(key) = object.key().ok()? {
        let range = object.value(&key, &mut Blind).ok()?;
        if key.as_ref() == wanted {
            found = Some(range);
        }
    }
    found
}

/// Places of the values under a key anywhere in `bytes`, found by its raw bytes with quotes. A text never holds these, since its quotes are escaped.
pub(super) fn values_under<'a>(bytes: &'a [u8], quoted: &'a Finder<'static>) -> impl Iterator<Item = usize> + 'a {
    quoted.find_iter(bytes).filter_map(move |found| {
        let colon = skip_space(bytes, found + quoted.needle().len());
        (bytes.get(colon) == Some(&b':')).then(|| skip_space(bytes, colon + 1))
    })
}

/// The text of a short string value at `at`; `None` for anything else.
pub(super) fn text_at(bytes: &[u8], at: usize) -> Option<&str> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let end = string_end(bytes, at + 1).ok()?;
    std::str::from_utf8(&bytes[at + 1..end]).ok()
}
