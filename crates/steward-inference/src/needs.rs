//! What a request needs of a model, and what a model is known to lack.
//!
//! Only what is known counts: a model of which nothing is known is asked.

use steward_domain::message::Part;
use steward_domain::model::{ModelError, ModelErrorKind, ModelRequest};

use crate::catalog::KnownModel;

/// A request is left out of a target's reach when the estimate is over its context by this factor: estimates err.
const ESTIMATE_SLACK: f64 = 1.25;

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    tools: bool,
    images: bool,
    input_tokens: u64,
}

impl Needs {
    pub(crate) fn of(request: &ModelRequest, input_tokens: u64) -> Self {
        Needs {
            tools: !request.tools.is_empty(),
            images: request.messages.iter().any(|message| message.parts.iter().any(has_image)),
            input_tokens,
        }
    }

    /// Nothing but room for a text.
    pub(crate) fn of_text(input_tokens: u64) -> Self {
        Needs {
            tools: false,
            images: false,
            input_tokens,
        }
    }

    /// What the model is known to lack for it.
    pub(crate) fn gap(&self, known: &KnownModel) -> Option<ModelError> {
        if self.tools && known.tools == Some(false) {
            return Some(ModelError::new(ModelErrorKind::Unsupported, "it cannot call tools"));
        }
        if self.images && known.images == Some(false) {
            return Some(ModelError::new(ModelErrorKind::Unsupported, "it cannot see images"));
        }
        let context = known.context_tokens?;
        let is_too_long = self.input_tokens as f64 > context as f64 * ESTIMATE_SLACK;
        let message = format!("the request is about {} tokens and its context {context}", self.input_tokens);
        is_too_long.then(|| ModelError::new(ModelErrorKind::ContextTooLong, message))
    }
}

fn has_image(part: &Part) -> bool {
    match part {
        Part::Image { .. } => true,
        Part::ToolResult { content, .. } => content.iter().any(has_image),
        Part::Text { .. } | Part::File { .. } | Part::Thinking { .. } | Part::ToolCall(_) | Part::Opaque { .. } => false,
    }
}
