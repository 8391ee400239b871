//! Accepts JSON of one schema byte by byte, so that a model can be kept from writing anything else.
//!
//! Understands objects (properties in the schema's order, optional ones may be left out), arrays, strings, numbers, integers,
//! booleans, null, `enum`, `const`, `anyOf` and `oneOf`. Writes compact JSON. What a schema demands beyond that (patterns, ranges)
//! is left to whoever checks the arguments; pure, it knows no tokens.

use std::rc::Rc;

use serde_json::{Map, Value};

/// Deeper values of a free form are not opened.
const DEPTH_MAX: usize = 6;
/// Longest run of digits, so that a number ends.
const DIGITS_MAX: u8 = 16;
/// Longest array of a free length.
const ITEMS_MAX: usize = 16;

/// A form that JSON can have.
#[derive(Debug)]
enum Form {
    Object(Vec<Property>),
    FreeObject,
    Array { item: Rc<Form>, at_least: usize, at_most: usize },
    Text { at_most: usize },
    Number { is_whole: bool },
    Words(Vec<Rc<[u8]>>),
    Any,
    Either(Vec<Rc<Form>>),
}

#[derive(Debug)]
struct Property {
    key: Rc<[u8]>,
    form: Rc<Form>,
    is_required: bool,
}

/// One thing still to be written; a reading is a stack of them, the next one last.
#[derive(Clone, Debug)]
enum Item {
    Form(Rc<Form>, usize),
    Literal(Rc<[u8]>, usize),
    TextBody {
        left: usize,
        utf8_left: u8,
    },
    TextEscape {
        left: usize,
    },
    TextCode {
        left: usize,
        digits: u8,
    },
    NumberStart {
        is_whole: bool,
    },
    NumberDigits {
        is_whole: bool,
        digits: u8,
        place: Place,
    },
    Members {
        form: Rc<Form>,
        next: usize,
        is_first: bool,
        depth: usize,
    },
    FreeMembers {
        is_first: bool,
        depth: usize,
    },
    Elements {
        form: Rc<Form>,
        count: usize,
        depth: usize,
    },
}

/// Where in a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Whole,
    Zero,
    PointSeen,
    Fraction,
}

type Stack = Vec<Item>;

/// All readings of what was written so far.
#[derive(Clone, Debug)]
pub struct Acceptor {
    readings: Vec<Stack>,
}

impl Acceptor {
    /// For values of a JSON Schema.
    pub fn new(schema: &Value) -> Acceptor {
        Acceptor {
            readings: vec![vec![Item::Form(Rc::new(form_of(schema, 0)), 0)]],
        }
    }

    /// Takes more bytes. `false`, and no change, when they cannot follow.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let Some(next) = bytes
            .iter()
            .try_fold(self.readings.clone(), |readings, byte| step(&readings, *byte))
        else {
            return false;
        };
        self.readings = next;
        true
    }

    /// Could these bytes follow?
    pub fn accepts(&self, bytes: &[u8]) -> bool {
        !bytes.is_empty()
            && bytes
                .iter()
                .try_fold(self.readings.clone(), |readings, byte| step(&readings, *byte))
                .is_some()
    }

    /// Is the value whole as it stands?
    pub fn is_complete(&self) -> bool {
        self.readings.iter().any(may_end)
    }

    /// Is the value whole with nothing that could follow?
    pub fn is_finished(&self) -> bool {
        self.is_complete() && self.forced_byte().is_none() && (0..=u8::MAX).all(|byte| step(&self.readings, byte).is_none())
    }

    /// The bytes that must come next, whatever the model would like.
    pub fn forced(&self) -> Vec<u8> {
        let mut ahead = self.clone();
        let mut bytes = Vec::new();
        while let Some(byte) = ahead.forced_byte() {
            bytes.push(byte);
            ahead.push(&[byte]);
        }
        bytes
    }

    fn forced_byte(&self) -> Option<u8> {
        if self.is_complete() {
            return None;
        }
        let mut possible = (0..=u8::MAX).filter(|byte| step(&self.readings, *byte).is_some());
        match (possible.next(), possible.next()) {
            (Some(byte), None) => Some(byte),
            (Some(_) | None, _) => None,
        }
    }

    /// A short way to make the value whole, for when there is no room for more.
    pub fn closing(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(stack) = self.readings.first() {
            for item in stack.iter().rev() {
                close(item, &mut bytes);
            }
        }
        bytes
    }
}

fn step(readings: &[Stack], byte: u8) -> Option<Vec<Stack>> {
    let mut next = Vec::new();
    for stack in readings {
        advance(stack.clone(), byte, &mut next);
    }
    next.truncate(32);
    if next.is_empty() { None } else { Some(next) }
}

/// Consumes one byte in every way this reading allows.
fn advance(mut stack: Stack, byte: u8, out: &mut Vec<Stack>) {
    let Some(item) = stack.pop() else { return };
    match item {
        Item::Form(form, depth) => open(stack, form, depth, byte, out),
        Item::Literal(literal, at) => {
            if literal.get(at) == Some(&byte) {
                if at + 1 < literal.len() {
                    stack.push(Item::Literal(literal, at + 1));
                }
                out.push(stack);
            }
        }
        Item::TextBody { left, utf8_left } => text_body(stack, (left, utf8_left), byte, out),
        Item::TextEscape { left } => match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => push(stack, Item::TextBody { left, utf8_left: 0 }, out),
            b'u' => push(stack, Item::TextCode { left, digits: 0 }, out),
            _ => {}
        },
        Item::TextCode { left, digits } => {
            // Surrogates would need a pair; the first digit d is left out.
            let is_allowed = byte.is_ascii_hexdigit() && !(digits == 0 && matches!(byte, b'd' | b'D'));
            if is_allowed && digits < 3 {
                push(stack, Item::TextCode { left, digits: digits + 1 }, out);
            } else if is_allowed {
                push(stack, Item::TextBody { left, utf8_left: 0 }, out);
            }
        }
        Item::NumberStart { is_whole } => number_start(stack, is_whole, byte, out),
        Item::NumberDigits { is_whole, digits, place } => number_digits(stack, (is_whole, digits, place), byte, out),
        Item::Members {
            form,
            next,
            is_first,
            depth,
        } => members(stack, &form, (next, is_first, depth), byte, out),
        Item::FreeMembers { is_first, depth } => match byte {
            b'}' => out.push(stack),
            b',' if !is_first => {
                stack.push(Item::FreeMembers { is_first: false, depth });
                free_member(&mut stack, depth);
                stack.push(Item::Literal(Rc::from(*b"\""), 0));
                out.push(stack);
            }
            b'"' if is_first => {
                stack.push(Item::FreeMembers { is_first: false, depth });
                free_member(&mut stack, depth);
                out.push(stack);
            }
            _ => {}
        },
        Item::Elements { form, count, depth } => elements(stack, &form, (count, depth), byte, out),
    }
}

fn push(mut stack: Stack, item: Item, out: &mut Vec<Stack>) {
    stack.push(item);
    out.push(stack);
}

/// The first byte of a value.
fn open(stack: Stack, form: Rc<Form>, depth: usize, byte: u8, out: &mut Vec<Stack>) {
    match &*form {
        Form::Object(_) if byte == b'{' => push(
            stack,
            Item::Members {
                form,
                next: 0,
                is_first: true,
                depth,
            },
            out,
        ),
        Form::FreeObject if byte == b'{' => push(stack, Item::FreeMembers { is_first: true, depth }, out),
        Form::Array { .. } if byte == b'[' => push(stack, Item::Elements { form, count: 0, depth }, out),
        Form::Text { at_most } if byte == b'"' => push(
            stack,
            Item::TextBody {
                left: *at_most,
                utf8_left: 0,
            },
            out,
        ),
        Form::Number { is_whole } => number_start(stack, *is_whole, byte, out),
        Form::Words(words) => {
            for word in words.iter().filter(|word| word.first() == Some(&byte)) {
                let mut stack = stack.clone();
                if word.len() > 1 {
                    stack.push(Item::Literal(Rc::clone(word), 1));
                }
                out.push(stack);
            }
        }
        Form::Either(forms) => {
            for form in forms {
                open(stack.clone(), Rc::clone(form), depth, byte, out);
            }
        }
        Form::Any => {
            for form in free_forms(depth) {
                open(stack.clone(), Rc::new(form), depth + 1, byte, out);
            }
        }
        Form::Object(_) | Form::FreeObject | Form::Array { .. } | Form::Text { .. } => {}
    }
}

fn free_forms(depth: usize) -> Vec<Form> {
    let words = ["true", "false", "null"].map(|word| Rc::from(word.as_bytes()));
    let mut forms = vec![
        Form::Text { at_most: usize::MAX },
        Form::Number { is_whole: false },
        Form::Words(words.to_vec()),
    ];
    if depth < DEPTH_MAX {
        forms.push(Form::FreeObject);
        forms.push(Form::Array {
            item: Rc::new(Form::Any),
            at_least: 0,
            at_most: ITEMS_MAX,
        });
    }
    forms
}

/// A key that is begun, a colon and any value, in reverse, as a stack wants them.
fn free_member(stack: &mut Stack, depth: usize) {
    stack.push(Item::Form(Rc::new(Form::Any), depth + 1));
    stack.push(Item::Literal(Rc::from(*b":"), 0));
    stack.push(Item::TextBody { left: 64, utf8_left: 0 });
}

fn text_body(stack: Stack, (left, utf8_left): (usize, u8), byte: u8, out: &mut Vec<Stack>) {
    if utf8_left > 0 {
        if (0x80..0xc0).contains(&byte) {
            push(
                stack,
                Item::TextBody {
                    left,
                    utf8_left: utf8_left - 1,
                },
                out,
            );
        }
        return;
    }
    let left_after = left.saturating_sub(1);
    match byte {
        b'"' => out.push(stack),
        _ if left == 0 => {}
        b'\\' => push(stack, Item::TextEscape { left: left_after }, out),
        0x20..=0x7f => push(
            stack,
            Item::TextBody {
                left: left_after,
                utf8_left: 0,
            },
            out,
        ),
        0xc2..=0xdf => push(
            stack,
            Item::TextBody {
                left: left_after,
                utf8_left: 1,
            },
            out,
        ),
        0xe1..=0xec | 0xee | 0xef => push(
            stack,
            Item::TextBody {
                left: left_after,
                utf8_left: 2,
            },
            out,
        ),
        0xf1..=0xf3 => push(
            stack,
            Item::TextBody {
                left: left_after,
                utf8_left: 3,
            },
            out,
        ),
        // Bytes whose followers would have narrower ranges are rare; the model can write them as an escape.
        _ => {}
    }
}

fn number_start(stack: Stack, is_whole: bool, byte: u8, out: &mut Vec<Stack>) {
    match byte {
        b'-' => push(stack, Item::NumberStart { is_whole }, out),
        b'0' => push(
            stack,
            Item::NumberDigits {
                is_whole,
                digits: 1,
                place: Place::Zero,
            },
            out,
        ),
        b'1'..=b'9' => push(
            stack,
            Item::NumberDigits {
                is_whole,
                digits: 1,
                place: Place::Whole,
            },
            out,
        ),
        _ => {}
    }
}

fn number_digits(stack: Stack, (is_whole, digits, place): (bool, u8, Place), byte: u8, out: &mut Vec<Stack>) {
    let can_grow = digits < DIGITS_MAX;
    match (byte, place) {
        (b'0'..=b'9', Place::Whole | Place::Fraction) if can_grow => push(
            stack,
            Item::NumberDigits {
                is_whole,
                digits: digits + 1,
                place,
            },
            out,
        ),
        (b'0'..=b'9', Place::PointSeen) => push(
            stack,
            Item::NumberDigits {
                is_whole,
                digits: digits + 1,
                place: Place::Fraction,
            },
            out,
        ),
        (b'.', Place::Whole | Place::Zero) if !is_whole => push(
            stack,
            Item::NumberDigits {
                is_whole,
                digits,
                place: Place::PointSeen,
            },
            out,
        ),
        // Any other byte ends the number and belongs to what follows it.
        (_, Place::Whole | Place::Zero | Place::Fraction) => advance(stack, byte, out),
        (_, Place::PointSeen) => {}
    }
}

fn members(stack: Stack, form: &Rc<Form>, (next, is_first, depth): (usize, bool, usize), byte: u8, out: &mut Vec<Stack>) {
    let Form::Object(properties) = &**form else { return };
    for (index, property) in properties.iter().enumerate().skip(next) {
        let lead: &[u8] = if is_first { b"" } else { b"," };
        let mut written = lead.to_vec();
        written.extend_from_slice(&property.key);
        if written.first() == Some(&byte) {
            let mut stack = stack.clone();
            stack.push(Item::Members {
                form: Rc::clone(form),
                next: index + 1,
                is_first: false,
                depth,
            });
            stack.push(Item::Form(Rc::clone(&property.form), depth + 1));
            stack.push(Item::Literal(Rc::from(written), 1));
            out.push(stack);
        }
        if property.is_required {
            return;
        }
    }
    if byte == b'}' {
        out.push(stack);
    }
}

fn elements(mut stack: Stack, form: &Rc<Form>, (count, depth): (usize, usize), byte: u8, out: &mut Vec<Stack>) {
    let Form::Array { item, at_least, at_most } = &**form else { return };
    if byte == b']' {
        if count >= *at_least {
            out.push(stack);
        }
        return;
    }
    if count >= *at_most || (count > 0 && byte != b',') {
        return;
    }
    stack.push(Item::Elements {
        form: Rc::clone(form),
        count: count + 1,
        depth,
    });
    if count == 0 {
        open(stack, Rc::clone(item), depth + 1, byte, out);
    } else {
        push(stack, Item::Form(Rc::clone(item), depth + 1), out);
    }
}

fn may_end(stack: &Stack) -> bool {
    stack
        .iter()
        .all(|item| matches!(item, Item::NumberDigits { place, .. } if *place != Place::PointSeen))
}

/// The shortest honest end of one item.
fn close(item: &Item, out: &mut Vec<u8>) {
    match item {
        Item::Form(form, _) => shortest(form, out),
        Item::Literal(literal, at) => out.extend_from_slice(&literal[*at..]),
        Item::TextBody { utf8_left, .. } => {
            out.extend(std::iter::repeat_n(0x80, usize::from(*utf8_left)));
            out.push(b'"');
        }
        Item::TextEscape { .. } => out.extend_from_slice(b"n\""),
        Item::TextCode { digits, .. } => {
            out.extend(std::iter::repeat_n(b'2', usize::from(4 - *digits)));
            out.push(b'"');
        }
        Item::NumberStart { .. } => out.push(b'0'),
        Item::NumberDigits {
            place: Place::PointSeen, ..
        } => out.push(b'0'),
        Item::NumberDigits { .. } => {}
        Item::Members { form, next, is_first, .. } => {
            let mut needs_comma = !is_first;
            if let Form::Object(properties) = &**form {
                for property in properties.iter().skip(*next).filter(|property| property.is_required) {
                    if needs_comma {
                        out.push(b',');
                    }
                    needs_comma = true;
                    out.extend_from_slice(&property.key);
                    shortest(&property.form, out);
                }
            }
            out.push(b'}');
        }
        Item::FreeMembers { .. } => out.push(b'}'),
        Item::Elements { form, count, .. } => {
            if let Form::Array { item, at_least, .. } = &**form {
                for index in *count..*at_least {
                    if index > 0 {
                        out.push(b',');
                    }
                    shortest(item, out);
                }
            }
            out.push(b']');
        }
    }
}

fn shortest(form: &Rc<Form>, out: &mut Vec<u8>) {
    match &**form {
        Form::Object(_) => {
            out.push(b'{');
            close(
                &Item::Members {
                    form: Rc::clone(form),
                    next: 0,
                    is_first: true,
                    depth: 0,
                },
                out,
            );
        }
        Form::FreeObject => out.extend_from_slice(b"{}"),
        Form::Array { .. } => {
            out.push(b'[');
            close(
                &Item::Elements {
                    form: Rc::clone(form),
                    count: 0,
                    depth: 0,
                },
                out,
            );
        }
        Form::Text { .. } => out.extend_from_slice(b"\"\""),
        Form::Number { .. } => out.push(b'0'),
        Form::Words(words) => out.extend_from_slice(words.first().map_or(b"null", |word| word)),
        Form::Any => out.extend_from_slice(b"null"),
        Form::Either(forms) => {
            if let Some(first) = forms.first() {
                shortest(first, out);
            }
        }
    }
}

/// Turns a schema into a form; what it does not know becomes any value.
fn form_of(schema: &Value, depth: usize) -> Form {
    let Value::Object(fields) = schema else { return Form::Any };
    if let Some(Value::Array(values)) = fields.get("enum") {
        return Form::Words(values.iter().map(word).collect());
    }
    if let Some(value) = fields.get("const") {
        return Form::Words(vec![word(value)]);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(choices)) = fields.get(key) {
            return Form::Either(choices.iter().map(|choice| Rc::new(form_of(choice, depth + 1))).collect());
        }
    }
    match fields.get("type") {
        Some(Value::Array(kinds)) => {
            let forms = kinds
                .iter()
                .filter_map(Value::as_str)
                .map(|kind| Rc::new(form_of_kind(kind, fields, depth)));
            Form::Either(forms.collect())
        }
        Some(Value::String(kind)) => form_of_kind(kind, fields, depth),
        Some(_) | None if fields.contains_key("properties") => form_of_kind("object", fields, depth),
        Some(_) | None => Form::Any,
    }
}

fn form_of_kind(kind: &str, fields: &Map<String, Value>, depth: usize) -> Form {
    let limit = |key: &str| {
        fields
            .get(key)
            .and_then(Value::as_u64)
            .and_then(|limit| usize::try_from(limit).ok())
    };
    match kind {
        "object" => match fields.get("properties") {
            Some(Value::Object(properties)) => Form::Object(properties_of(properties, fields.get("required"), depth)),
            Some(_) | None => Form::FreeObject,
        },
        "array" => Form::Array {
            item: Rc::new(fields.get("items").map_or(Form::Any, |item| form_of(item, depth + 1))),
            at_least: limit("minItems").unwrap_or(0),
            at_most: limit("maxItems").unwrap_or(ITEMS_MAX),
        },
        "string" => Form::Text {
            at_most: limit("maxLength").unwrap_or(usize::MAX),
        },
        "number" => Form::Number { is_whole: false },
        "integer" => Form::Number { is_whole: true },
        "boolean" => Form::Words(vec![Rc::from(*b"true"), Rc::from(*b"false")]),
        "null" => Form::Words(vec![Rc::from(*b"null")]),
        _ => Form::Any,
    }
}

fn properties_of(properties: &Map<String, Value>, required: Option<&Value>, depth: usize) -> Vec<Property> {
    let required: Vec<&str> = match required {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => Vec::new(),
    };
    let property = |(name, schema): (&String, &Value)| Property {
        key: Rc::from(format!("{}:", Value::from(name.as_str())).into_bytes()),
        form: Rc::new(form_of(schema, depth + 1)),
        is_required: required.contains(&name.as_str()),
    };
    properties.iter().map(property).collect()
}

fn word(value: &Value) -> Rc<[u8]> {
    Rc::from(value.to_string().into_bytes())
}

#[cfg(test)]
mod tests;
