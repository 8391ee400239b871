//! The journal sink of one turn over the store: every event once, in order, durable when it must be.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use steward_agent::live::LiveEvent;
use steward_agent::sink::{BlobSink, JournalSink, SinkError};
use steward_domain::clock::Timestamp;
use steward_domain::id::{ApprovalId, CallId, SessionId, TurnId};
use steward_domain::journal::{CallIntent, JournalEvent};
use steward_store::{StoreError, Tx, journal, turns};
use tracing::warn;

use crate::approvals;
use crate::config::{Agent, QueueMode};
use crate::hub::Shown;
use crate::inbox;
use crate::outputs::{OutputStore, Wanted};
use crate::runtime::Runtime;

/// The sink of one running turn.
pub(crate) struct TurnSink {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) agent: Agent,
    pub(crate) turn: TurnId,
    pub(crate) session: SessionId,
}

impl TurnSink {
    fn now(&self) -> Timestamp {
        self.runtime.clock.now()
    }

    fn outputs(&self) -> OutputStore {
        OutputStore::new(self.runtime.store.clone(), Arc::clone(&self.runtime.clock))
    }
}

impl TurnSink {
    /// Writes what a compaction takes out of the prompt into the day's memory file, before it is cut.
    async fn remember(&self, summary: &str) {
        let now = self.now();
        let path = format!("memory/{}.md", now.strftime("%Y-%m-%d"));
        let text = format!("\n## {} session {}\n{}\n", now.strftime("%H:%M UTC"), self.session, summary.trim());
        let (workbench, agent) = (Arc::clone(&self.runtime.workbench), self.agent.clone());
        let written = tokio::task::spawn_blocking(move || workbench.append(&agent, &path, &text)).await;
        // The journal keeps everything whatever happens to the file.
        match written {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => warn!(session.id = %self.session, reason, "a checkpoint could not be written to memory: {reason}"),
            Err(error) => warn!(session.id = %self.session, error = %error, "a checkpoint could not be written to memory"),
        }
    }
}

impl JournalSink for TurnSink {
    fn record(&self, event: JournalEvent) -> BoxFuture<'_, Result<(), SinkError>> {
        let (turn, session, now) = (self.turn.clone(), self.session.clone(), self.now());
        async move {
            if let JournalEvent::Compacted { summary, .. } = &event {
                self.remember(summary).await;
            }
            let appended = self.runtime.store.write(move |tx| append(tx, (&turn, &session), now, &event)).await;
            appended.map_err(sink_error)
        }
        .boxed()
    }

    fn record_later(&self, event: JournalEvent) {
        let (turn, session, now) = (self.turn.clone(), self.session.clone(), self.now());
        self.runtime.store.write_later(move |tx| append(tx, (&turn, &session), now, &event));
    }

    fn steering(&self) -> BoxFuture<'_, Result<Option<JournalEvent>, SinkError>> {
        async move {
            if self.agent.mode != QueueMode::Steer {
                return Ok(None);
            }
            inbox::take_for_running(&self.runtime, &self.turn, &self.session)
                .await
                .map_err(sink_error)
        }
        .boxed()
    }

    fn open_approval(&self, intent: CallIntent) -> BoxFuture<'_, Result<ApprovalId, SinkError>> {
        async move {
            let opened = approvals::open(&self.runtime, &self.agent, (&self.turn, &self.session), intent)
                .await
                .map_err(sink_error)?;
            self.runtime.hub.show(&self.turn, Shown::ApprovalOpened(opened.as_str().to_owned()));
            Ok(opened)
        }
        .boxed()
    }

    fn blobs(&self) -> &dyn BlobSink {
        self
    }

    fn show(&self, event: LiveEvent) {
        self.runtime.hub.show(&self.turn, Shown::Live(event));
    }
}

impl BlobSink for TurnSink {
    fn keep(&self, _call: &CallId, text: String) -> BoxFuture<'_, Result<String, SinkError>> {
        async move {
            let kept = self.outputs().keep(text.into_bytes()).await;
            kept.map(|piece| piece.blob).map_err(SinkError)
        }
        .boxed()
    }

    fn read(&self, blob: &str, (from, to): (usize, usize), max_chars: usize) -> BoxFuture<'_, Result<String, SinkError>> {
        let blob = blob.to_owned();
        let wanted = Wanted {
            from: from.max(1),
            to,
            max_chars,
        };
        async move { self.outputs().read(&blob, wanted).await.map_err(SinkError) }.boxed()
    }
}

pub(crate) fn sink_error(error: StoreError) -> SinkError {
    SinkError(format!("the journal cannot be written: {error}"))
}

/// An event, and with a finished step what the turn has used so far.
fn append(tx: &mut Tx<'_>, (turn, session): (&TurnId, &SessionId), at: Timestamp, event: &JournalEvent) -> Result<(), StoreError> {
    journal::append(tx, turn, session, at, event)?;
    if let JournalEvent::StepFinished { usage, cost, .. } = event {
        let totals = turns::StepTotals {
            cost: *cost,
            input_tokens: usage.total_input(),
            output_tokens: usage.total_output(),
        };
        turns::add_step(tx, turn, totals)?;
    }
    Ok(())
}
