//! Folds the events of one answer into a message.
//!
//! Keeps the parts in the order they came and never joins pieces across a part of another kind.

use std::collections::BTreeMap;

use steward_domain::message::{Message, Part, Role, ToolCall};
use steward_domain::model::{Answerer, Finish, ModelError, ModelErrorKind, ModelEvent};

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The message.
    pub message: Message,
    /// Who answered, where the router said so.
    pub answerer: Option<Answerer>,
    /// How it ended.
    pub finish: Finish,
}

/// Folds events up to the last one.
///
/// # Errors
/// The call failed, or the events have no last one.
pub fn fold(events: &[ModelEvent]) -> Result<Answer, ModelError> {
    let mut parts = Parts::default();
    let mut answerer = None;
    for event in events {
        match event {
            ModelEvent::Started(who) => answerer = Some(who.clone()),
            ModelEvent::Text(text) => parts.text(text),
            ModelEvent::Thinking(text) => parts.thinking(text),
            ModelEvent::ThinkingSealed { signature, is_redacted } => parts.seal(signature, *is_redacted),
            ModelEvent::ToolCallStarted {
                index,
                id,
                name,
                signature,
            } => {
                let call = ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    arguments: String::new(),
                    signature: signature.clone(),
                };
                parts.places.insert(*index, parts.list.len());
                parts.list.push(Part::ToolCall(call));
            }
            ModelEvent::ToolCallArguments { index, json } => parts.arguments(*index, json),
            ModelEvent::Opaque { dialect, value } => parts.list.push(Part::Opaque {
                dialect: dialect.clone(),
                value: value.clone(),
            }),
            ModelEvent::Finished(finish) => {
                let message = Message {
                    role: Role::Assistant,
                    parts: parts.list,
                };
                return Ok(Answer {
                    message,
                    answerer,
                    finish: (**finish).clone(),
                });
            }
            ModelEvent::Failed(error) => return Err(error.clone()),
        }
    }
    Err(ModelError::new(ModelErrorKind::Cut, "the answer ended without its last event"))
}

#[derive(Default)]
struct Parts {
    list: Vec<Part>,
    places: BTreeMap<usize, usize>,
}

impl Parts {
    fn text(&mut self, more: &str) {
        if let Some(Part::Text { text, .. }) = self.list.last_mut() {
            text.push_str(more);
            return;
        }
        self.list.push(Part::text(more));
    }

    fn thinking(&mut self, more: &str) {
        if let Some(Part::Thinking {
            text,
            signature: None,
            is_redacted: false,
        }) = self.list.last_mut()
        {
            text.push_str(more);
            return;
        }
        self.list.push(Part::Thinking {
            text: more.to_owned(),
            signature: None,
            is_redacted: false,
        });
    }

    fn seal(&mut self, seal: &str, is_redacted: bool) {
        if !is_redacted
            && let Some(Part::Thinking {
                signature: open @ None, ..
            }) = self.list.last_mut()
        {
            *open = Some(seal.to_owned());
            return;
        }
        self.list.push(Part::Thinking {
            text: String::new(),
            signature: Some(seal.to_owned()),
            is_redacted,
        });
    }

    fn arguments(&mut self, index: usize, json: &str) {
        let place = self.places.get(&index).and_then(|place| self.list.get_mut(*place));
        if let Some(Part::ToolCall(call)) = place {
            call.arguments.push_str(json);
        }
    }
}

#[cfg(test)]
mod tests;
