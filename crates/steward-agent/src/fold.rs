//! Folds a stream of model events into one message and shows the deltas on the way.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use steward_domain::message::{Message, Part, Role, ToolCall};
use steward_domain::model::{Finish, ModelError, ModelErrorKind, ModelEvent};

use crate::live::LiveEvent;
use crate::sink::JournalSink;

/// A whole answer.
pub(crate) struct Answer {
    /// The message, its parts in the order they came.
    pub(crate) message: Message,
    /// `provider/model` that answered.
    pub(crate) target: String,
    /// How it ended.
    pub(crate) finish: Finish,
}

/// Reads the stream to its end.
pub(crate) async fn fold(mut events: BoxStream<'static, ModelEvent>, sink: &dyn JournalSink) -> Result<Answer, ModelError> {
    let mut parts = Parts::default();
    let mut target = String::new();
    while let Some(event) = events.next().await {
        match event {
            ModelEvent::Started(answerer) => target = answerer.target,
            ModelEvent::Text(text) => {
                parts.text(&text);
                sink.show(LiveEvent::Text(text));
            }
            ModelEvent::Thinking(text) => {
                parts.thinking(&text);
                sink.show(LiveEvent::Thinking(text));
            }
            ModelEvent::ThinkingSealed { signature, is_redacted } => parts.seal(signature, is_redacted),
            ModelEvent::ToolCallStarted {
                index,
                id,
                name,
                signature,
            } => {
                parts.call(
                    index,
                    ToolCall {
                        id,
                        name,
                        arguments: String::new(),
                        signature,
                    },
                );
            }
            ModelEvent::ToolCallArguments { index, json } => parts.arguments(index, &json),
            ModelEvent::Opaque { dialect, value } => parts.list.push(Part::Opaque { dialect, value }),
            ModelEvent::Finished(finish) => {
                return Ok(Answer {
                    message: Message {
                        role: Role::Assistant,
                        parts: parts.list,
                    },
                    target,
                    finish: *finish,
                });
            }
            ModelEvent::Failed(error) => return Err(error),
        }
    }
    Err(ModelError::new(ModelErrorKind::Cut, "the answer ended without its last event"))
}

#[derive(Default)]
struct Parts {
    list: Vec<Part>,
    calls: BTreeMap<usize, usize>,
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

    fn seal(&mut self, seal: String, is_sealed_whole: bool) {
        if !is_sealed_whole && let Some(Part::Thinking { signature, .. }) = self.list.last_mut() {
            *signature = Some(seal);
            return;
        }
        self.list.push(Part::Thinking {
            text: String::new(),
            signature: Some(seal),
            is_redacted: is_sealed_whole,
        });
    }

    fn call(&mut self, index: usize, call: ToolCall) {
        self.calls.insert(index, self.list.len());
        self.list.push(Part::ToolCall(call));
    }

    fn arguments(&mut self, index: usize, json: &str) {
        let place = self.calls.get(&index).and_then(|place| self.list.get_mut(*place));
        if let Some(Part::ToolCall(call)) = place {
            call.arguments.push_str(json);
        }
    }
}
