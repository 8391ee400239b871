//! One upstream request whose answer is on its way, with its bill.
//!
//! Knows at every moment what the call would cost if it ended now.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use steward_domain::model::{ModelError, ModelErrorKind, ModelEvent};
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};

use super::bill::Bill;
use crate::estimate::{output_chars, usage_of_broken};
use crate::provider::AnswerStream;

/// Where events come from.
pub(crate) enum Upstream {
    /// A provider.
    Http(Box<AnswerStream>),
    /// A model in this process.
    Local(BoxStream<'static, ModelEvent>),
}

/// An answer on its way.
pub(crate) struct Leg {
    upstream: Upstream,
    bill: Option<Bill>,
    input_tokens: u64,
    delivered_chars: u64,
    has_events: bool,
    first_token_ms: Option<u64>,
}

impl Leg {
    pub(crate) fn new(upstream: Upstream, bill: Bill, input_tokens: u64) -> Self {
        Leg {
            upstream,
            bill: Some(bill),
            input_tokens,
            delivered_chars: 0,
            has_events: false,
            first_token_ms: None,
        }
    }

    /// The next event that means something to a caller. An end without a last event is a cut.
    pub(crate) async fn next(&mut self) -> ModelEvent {
        loop {
            let event = match &mut self.upstream {
                Upstream::Http(answer) => answer.next().await,
                Upstream::Local(stream) => stream.next().await,
            };
            match event {
                // The router says itself who answers.
                Some(ModelEvent::Started(_)) => {}
                Some(event) => {
                    self.has_events |= !matches!(event, ModelEvent::Failed(_));
                    self.delivered_chars += output_chars(&event);
                    return event;
                }
                None => return ModelEvent::Failed(ModelError::new(ModelErrorKind::Cut, "the stream ended before the answer did")),
            }
        }
    }

    /// First content came this long after the call.
    pub(crate) fn first_token_after(&mut self, ms: u64) {
        self.first_token_ms = Some(ms);
    }

    /// Books a whole answer with the usage the provider reported; without a report, an estimate.
    pub(crate) async fn settle_whole(&mut self, reported: Option<Usage>) -> (Usage, UsageSource, Usd) {
        let (usage, source) = match reported {
            Some(usage) => (usage, UsageSource::Reported),
            None => (
                usage_of_broken(self.reported(), self.input_tokens, self.delivered_chars),
                UsageSource::Estimated,
            ),
        };
        (usage, source, self.book(usage, source, "ok").await)
    }

    /// Books an answer that broke off: what was reported, made up to what was delivered. Gives what it used and its cost.
    pub(crate) async fn settle_broken(&mut self, status: &str) -> (Usage, Usd) {
        match self.used() {
            Some(usage) => (usage, self.book(usage, UsageSource::Estimated, status).await),
            None => (Usage::default(), Usd::ZERO),
        }
    }

    /// Books a refusal inside of an accepted answer, or gives the bill back when nothing was used.
    pub(crate) async fn refused(mut self, error: &ModelError, status: &str) -> Option<Bill> {
        let broke_off = matches!(
            error.kind,
            ModelErrorKind::Timeout | ModelErrorKind::Cut | ModelErrorKind::Malformed
        );
        let used = if broke_off {
            self.used()
        } else {
            self.reported().filter(|usage| *usage != Usage::default())
        };
        match used {
            Some(usage) => {
                let source = if broke_off { UsageSource::Estimated } else { UsageSource::Reported };
                self.book(usage, source, status).await;
                None
            }
            None => self.bill.take(),
        }
    }

    async fn book(&mut self, usage: Usage, source: UsageSource, status: &str) -> Usd {
        let Some(mut bill) = self.bill.take() else {
            return Usd::ZERO;
        };
        bill.note(usage, source, self.first_token_ms);
        bill.close(status).await
    }

    fn reported(&self) -> Option<Usage> {
        match &self.upstream {
            Upstream::Http(answer) => answer.usage(),
            Upstream::Local(_) => None,
        }
    }

    /// What was used if the answer ends here; `None` while the upstream has not begun to answer.
    fn used(&self) -> Option<Usage> {
        let has_begun = match &self.upstream {
            Upstream::Http(answer) => answer.has_begun(),
            Upstream::Local(_) => self.has_events,
        };
        has_begun.then(|| usage_of_broken(self.reported(), self.input_tokens, self.delivered_chars))
    }
}

impl Drop for Leg {
    /// The caller went away: the bill, which is dropped next, books what was used until now.
    fn drop(&mut self) {
        let used = self.used();
        if let (Some(usage), Some(bill)) = (used, &mut self.bill) {
            bill.note(usage, UsageSource::Estimated, self.first_token_ms);
        }
    }
}
