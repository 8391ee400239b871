//! The second half of a call: content flows, every wait has a limit, and the end is booked before it is told.
//!
//! After the first content there is no retry and no fallback: an error ends the stream, never silently.

use std::sync::Arc;
use std::time::Duration;

use steward_domain::clock::Timestamp;
use steward_domain::model::{Finish, ModelError, ModelErrorKind, ModelEvent, Retry};
use steward_domain::usage::UsageSource;

use super::leg::Leg;
use super::{Shared, kind_name};
use crate::explain::Record;
use crate::health::Permit;
use crate::wait::{since, within};

/// A call whose content has begun.
pub(crate) struct Live {
    pub(crate) shared: Arc<Shared>,
    pub(crate) leg: Leg,
    /// The event that was the first content and is still to be told.
    pub(crate) first: Option<ModelEvent>,
    pub(crate) permit: Permit,
    pub(crate) record: Record,
    pub(crate) target: Arc<str>,
    pub(crate) started_at: Timestamp,
    pub(crate) between_tokens: Duration,
    pub(crate) total: Duration,
    pub(crate) is_over: bool,
}

impl Live {
    /// The next event for the caller.
    pub(crate) async fn next(&mut self) -> ModelEvent {
        let event = match self.first.take() {
            Some(event) => event,
            None => self.wait().await,
        };
        match event {
            ModelEvent::Finished(finish) => self.finished(finish).await,
            ModelEvent::Failed(error) => self.failed(error).await,
            content => content,
        }
    }

    async fn wait(&mut self) -> ModelEvent {
        let left = self.total.saturating_sub(since(self.shared.clock.now(), self.started_at));
        let limit = self.between_tokens.min(left);
        match within(&*self.shared.clock, limit, self.leg.next()).await {
            Some(event) => event,
            None if left <= self.between_tokens => ModelEvent::Failed(timeout(format!("the answer was not whole after {:?}", self.total))),
            None => ModelEvent::Failed(timeout(format!("no more content came for {:?}", self.between_tokens))),
        }
    }

    async fn finished(&mut self, mut finish: Box<Finish>) -> ModelEvent {
        self.is_over = true;
        let reported = (finish.usage_source == UsageSource::Reported).then_some(finish.usage);
        (finish.usage, finish.usage_source, finish.cost) = self.leg.settle_whole(reported).await;
        ModelEvent::Finished(finish)
    }

    async fn failed(&mut self, mut error: ModelError) -> ModelEvent {
        self.is_over = true;
        self.permit.failed(self.shared.clock.now());
        self.record.end_last(&error.to_string());
        error.target = self.target.to_string();
        error.retry = Retry::Never;
        tracing::warn!(target.name = %self.target, kind = %error.kind, "the answer of {} broke off: {}", self.target, error.message);
        self.leg.settle_broken(kind_name(error.kind)).await;
        ModelEvent::Failed(error)
    }
}

fn timeout(message: String) -> ModelError {
    ModelError::new(ModelErrorKind::Timeout, message)
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.is_over {
            self.record.end_last("cancelled");
        }
    }
}
