//! Stands for a local model that is not on this machine, so that a route may name it before it is fetched.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use steward_domain::model::{Caller, Model, ModelError, ModelErrorKind, ModelEvent, ModelRequest};

/// Answers with what to do.
pub(crate) struct AbsentModel {
    /// Its name without `local/`.
    pub(crate) name: String,
}

impl Model for AbsentModel {
    fn stream(&self, _request: ModelRequest, _caller: Caller) -> BoxStream<'static, ModelEvent> {
        let message = format!(
            "the local model {0} is not on this machine; fetch it with `steward models pull {0}`, or set up a provider with `steward onboard`",
            self.name
        );
        stream::iter([ModelEvent::Failed(ModelError::new(ModelErrorKind::NotFound, message))]).boxed()
    }
}
