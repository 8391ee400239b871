//! Collects the events of one answer and keeps their promises: no empty pieces, calls counted from 0, nothing after the last event.

use steward_domain::id::CallId;
use steward_domain::message::Part;
use steward_domain::model::{Finish, FinishReason, ModelError, ModelErrorKind, ModelEvent, Retry};
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};

use serde_json::Value;

use crate::Dialect;

/// Where decoders put what they read.
#[derive(Debug, Default)]
pub(crate) struct Emitter {
    events: Vec<ModelEvent>,
    calls: usize,
    has_content: bool,
    is_over: bool,
    /// What the provider has reported so far.
    pub(crate) usage: Option<Usage>,
}

impl Emitter {
    pub(crate) fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.push(ModelEvent::Text(text.to_owned()));
        }
    }

    pub(crate) fn thinking(&mut self, text: &str) {
        if !text.is_empty() {
            self.push(ModelEvent::Thinking(text.to_owned()));
        }
    }

    pub(crate) fn seal(&mut self, signature: String, is_redacted: bool) {
        if !signature.is_empty() {
            self.push(ModelEvent::ThinkingSealed { signature, is_redacted });
        }
    }

    /// Begins a call and gives its index; an id is made where the provider gave none.
    pub(crate) fn start_call(&mut self, id: &str, name: &str, signature: Option<String>) -> usize {
        let index = self.calls;
        self.calls += 1;
        let id = if id.is_empty() { CallId::generate() } else { CallId::from(id) };
        self.push(ModelEvent::ToolCallStarted {
            index,
            id,
            name: name.to_owned(),
            signature,
        });
        index
    }

    pub(crate) fn arguments(&mut self, index: usize, json: &str) {
        if !json.is_empty() {
            self.push(ModelEvent::ToolCallArguments {
                index,
                json: json.to_owned(),
            });
        }
    }

    pub(crate) fn opaque(&mut self, dialect: Dialect, value: Value) {
        self.push(ModelEvent::Opaque {
            dialect: dialect.name().to_owned(),
            value,
        });
    }

    /// Gives a whole part as the events that make it.
    pub(crate) fn part(&mut self, part: Part) {
        match part {
            Part::Text { text, .. } => self.text(&text),
            Part::Thinking {
                text,
                signature,
                is_redacted,
            } => {
                self.thinking(&text);
                self.seal(signature.unwrap_or_default(), is_redacted);
            }
            Part::ToolCall(call) => {
                let index = self.start_call(call.id.as_str(), &call.name, call.signature);
                self.arguments(index, &call.arguments);
            }
            Part::Opaque { dialect, value } => self.push(ModelEvent::Opaque { dialect, value }),
            // No model answers with these in a form we read.
            Part::Image { .. } | Part::File { .. } | Part::ToolResult { .. } => {}
        }
    }

    /// Ends the answer. An answer that asks for tools ends for that reason, whatever word the provider chose.
    pub(crate) fn end(&mut self, reason: FinishReason) {
        let asks_for_tools = self.calls > 0 && reason == FinishReason::Stop;
        let reason = if asks_for_tools { FinishReason::ToolCalls } else { reason };
        let usage_source = if self.usage.is_some() {
            UsageSource::Reported
        } else {
            UsageSource::Estimated
        };
        let finish = Finish {
            reason,
            usage: self.usage.unwrap_or_default(),
            usage_source,
            cost: Usd::ZERO,
        };
        self.push(ModelEvent::Finished(Box::new(finish)));
        self.is_over = true;
    }

    /// Ends with a failure. After content, trying again would repeat what the caller already has.
    pub(crate) fn fail(&mut self, mut error: ModelError) {
        if self.has_content {
            error.retry = Retry::Never;
        }
        self.push(ModelEvent::Failed(error));
        self.is_over = true;
    }

    /// Ends an answer whose stream broke off; does nothing to one that has ended.
    pub(crate) fn cut(&mut self) {
        if self.is_over {
            return;
        }
        let mut error = ModelError::new(ModelErrorKind::Cut, "the provider's stream ended before the answer did");
        error.retry = Retry::Now;
        self.fail(error);
    }

    pub(crate) fn has_content(&self) -> bool {
        self.has_content
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(crate) fn take(&mut self) -> Vec<ModelEvent> {
        std::mem::take(&mut self.events)
    }

    fn push(&mut self, event: ModelEvent) {
        if self.is_over {
            return;
        }
        self.has_content = true;
        self.events.push(event);
    }
}
