//! Stands for a local model that cannot answer: it is not on this machine yet, so that a route may name it before it is fetched,
//! or Steward cannot run it.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use steward_domain::model::{Caller, Model, ModelError, ModelErrorKind, ModelEvent, ModelRequest};

/// Answers with what to do.
pub(crate) struct AbsentModel {
    kind: ModelErrorKind,
    message: String,
}

impl AbsentModel {
    /// It has not been fetched. `name` is without `local/`.
    pub(crate) fn not_fetched(name: &str) -> Self {
        AbsentModel {
            kind: ModelErrorKind::NotFound,
            message: format!(
                "the local model {name} is not on this machine; fetch it with `steward models pull {name}`, or set up a provider with `steward onboard`"
            ),
        }
    }

    /// Its kind does not run in this process.
    pub(crate) fn needs_server(name: &str, path: &str) -> Self {
        AbsentModel {
            kind: ModelErrorKind::Unsupported,
            message: format!(
                "{name} does not run inside Steward; serve {path} with llama.cpp or Ollama and name that server under [providers], \
                 or use local/smollm2-135m"
            ),
        }
    }
}

impl Model for AbsentModel {
    fn stream(&self, _request: ModelRequest, _caller: Caller) -> BoxStream<'static, ModelEvent> {
        stream::iter([ModelEvent::Failed(ModelError::new(self.kind, self.message.clone()))]).boxed()
    }
}
