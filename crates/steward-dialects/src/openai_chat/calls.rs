//! Tool calls in streamed chat deltas. Servers leave out the index, the id or both, repeat the name, or give every call the index 0;
//! this finds out which call a delta belongs to.
//!
//! Never begins a call before its name is known, and never loses arguments that came earlier.

use std::collections::HashMap;

use serde_json::Value;

use crate::emitter::Emitter;
use crate::json::{count, text, text_of};

/// The calls of one answer so far.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    list: Vec<Call>,
    by_index: HashMap<u64, usize>,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    name: String,
    signature: Option<String>,
    /// Arguments that came before the name; after it, only kept to tell a whole call from a part.
    arguments: String,
    /// The index in the domain, once begun.
    begun: Option<usize>,
}

impl Calls {
    /// Takes one entry of `delta.tool_calls`.
    pub(crate) fn delta(&mut self, entry: &Value, emitter: &mut Emitter) {
        let function = entry.get("function").unwrap_or(entry);
        let (id, name) = (text(entry, "id"), text(function, "name"));
        let place = self.place(count(entry, "/index"), id, name);
        let call = &mut self.list[place];
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
        }
        if call.signature.is_none() {
            call.signature = entry
                .pointer("/extra_content/google/thought_signature")
                .and_then(Value::as_str)
                .map(str::to_owned);
        }
        // Some servers give arguments as an object instead of a text.
        let piece = match function.get("arguments") {
            Some(Value::String(piece)) => piece.clone(),
            None | Some(Value::Null) => String::new(),
            Some(other) => other.to_string(),
        };
        call.take(&piece, emitter);
    }

    /// Begins the calls that never got a name, so that the caller is told of them.
    pub(crate) fn end(&mut self, emitter: &mut Emitter) {
        for call in &mut self.list {
            if call.begun.is_none() {
                call.begin(emitter);
            }
        }
    }

    fn place(&mut self, index: Option<u64>, id: &str, name: &str) -> usize {
        let known = match index {
            Some(index) => self.by_index.get(&index).copied(),
            None if !id.is_empty() => self.list.iter().rposition(|call| call.id == id),
            None => self.list.len().checked_sub(1).filter(|last| !self.list[*last].is_left_by(name)),
        };
        // One index under two ids is two calls from a server that does not count.
        let is_other = known.is_some_and(|place| !id.is_empty() && !self.list[place].id.is_empty() && self.list[place].id != id);
        let place = match known {
            Some(place) if !is_other || name.is_empty() => place,
            _ => {
                self.list.push(Call::default());
                self.list.len() - 1
            }
        };
        if let Some(index) = index {
            self.by_index.insert(index, place);
        }
        place
    }
}

impl Call {
    /// Does a delta with this name and neither index nor id begin another call?
    fn is_left_by(&self, name: &str) -> bool {
        let is_whole = || serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_ok();
        !name.is_empty() && (name != self.name || is_whole())
    }

    fn take(&mut self, piece: &str, emitter: &mut Emitter) {
        self.arguments.push_str(piece);
        match self.begun {
            Some(index) => emitter.arguments(index, piece),
            None if !self.name.is_empty() => self.begin(emitter),
            None => {}
        }
    }

    fn begin(&mut self, emitter: &mut Emitter) {
        let index = emitter.start_call(&self.id, &self.name, self.signature.take());
        emitter.arguments(index, &self.arguments);
        self.begun = Some(index);
    }
}

/// The whole calls of an answer that is no stream.
pub(crate) fn decode_whole(message: &Value, emitter: &mut Emitter) {
    for entry in crate::json::list(message, "tool_calls") {
        let mut call = Calls::default();
        call.delta(entry, emitter);
        call.end(emitter);
    }
    if let Some(function) = message.get("function_call").filter(|call| text_of(call, "name").is_some()) {
        Calls::default().delta(function, emitter);
    }
}
