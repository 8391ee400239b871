//! The seam between the loop and what keeps its record.

use futures_util::future::BoxFuture;
use steward_domain::id::{ApprovalId, CallId};
use steward_domain::journal::{CallIntent, JournalEvent};

use crate::live::LiveEvent;

/// Keeps what the loop reports. Implemented over the store by the runtime and in memory by tests.
pub trait JournalSink: Send + Sync {
    /// Appends an event; it is durable when this returns.
    fn record(&self, event: JournalEvent) -> BoxFuture<'_, Result<(), SinkError>>;
    /// Appends an event in order; it is durable no later than the next [`JournalSink::record`].
    fn record_later(&self, event: JournalEvent);
    /// Takes messages that came in for this turn since the last look, already recorded as `Steered`.
    fn steering(&self) -> BoxFuture<'_, Result<Option<JournalEvent>, SinkError>>;
    /// Opens a question to a person, durable with its event.
    fn open_approval(&self, intent: CallIntent) -> BoxFuture<'_, Result<ApprovalId, SinkError>>;
    /// The blobs: keeps a whole output, or reads a piece of one.
    fn blobs(&self) -> &dyn BlobSink;
    /// Shows something to watchers; never waits.
    fn show(&self, event: LiveEvent);
}

/// Where whole outputs are kept when the model sees only a part.
pub trait BlobSink: Send + Sync {
    /// Keeps a text and gives its id.
    fn keep(&self, call: &CallId, text: String) -> BoxFuture<'_, Result<String, SinkError>>;
    /// Lines `from..=to` (1-based) of a kept text, as far as they fit into so many characters.
    fn read(&self, blob: &str, lines: (usize, usize), max_chars: usize) -> BoxFuture<'_, Result<String, SinkError>>;
}

/// The record cannot be kept, so the turn cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);
