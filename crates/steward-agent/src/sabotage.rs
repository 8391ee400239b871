//! Takes guards out of the loop, so that the crash tests can show that they would notice. Not in any build for people.
//!
//! Only compiled with the feature `sabotage`, and idle until a guard is named.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use steward_domain::id::ApprovalId;
use steward_domain::journal::{CallIntent, JournalEvent};

use crate::live::LiveEvent;
use crate::sink::{BlobSink, JournalSink, SinkError};

/// A guard that can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Guard {
    /// The intent of a call is durable before the call runs.
    Intent = 1,
    /// What happened is durable before the next step.
    Results = 2,
    /// A call that may have begun is not run again unless it may be.
    Repeats = 3,
}

static TAKEN_OUT: AtomicU8 = AtomicU8::new(0);
/// Events that a loop without its guard keeps to itself at most.
const HELD: usize = 12;

/// Takes a guard out for the life of the process.
pub fn take_out(guard: Guard) {
    TAKEN_OUT.store(guard as u8, Ordering::Relaxed);
}

pub(crate) fn is_out(guard: Guard) -> bool {
    TAKEN_OUT.load(Ordering::Relaxed) == guard as u8
}

/// A sink that says "durable" first and writes later.
pub(crate) struct LateSink<'a> {
    inner: &'a dyn JournalSink,
    held: Mutex<Vec<JournalEvent>>,
}

impl<'a> LateSink<'a> {
    pub(crate) fn new(inner: &'a dyn JournalSink) -> Self {
        LateSink {
            inner,
            held: Mutex::new(Vec::new()),
        }
    }

    /// Hands on what is held.
    pub(crate) async fn flush(&self) -> Result<(), SinkError> {
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        for event in held {
            self.inner.record(event).await?;
        }
        Ok(())
    }

    /// Keeps an event; true when it is time to hand on.
    fn hold(&self, event: JournalEvent) -> bool {
        let is_result = matches!(event, JournalEvent::CallFinished { .. });
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.push(event);
        (is_out(Guard::Intent) && is_result) || held.len() >= HELD
    }
}

impl JournalSink for LateSink<'_> {
    fn record(&self, event: JournalEvent) -> BoxFuture<'_, Result<(), SinkError>> {
        if !is_out(Guard::Intent) && !is_out(Guard::Results) {
            return self.inner.record(event);
        }
        let is_time = self.hold(event);
        async move { if is_time { self.flush().await } else { Ok(()) } }.boxed()
    }

    fn record_later(&self, event: JournalEvent) {
        if is_out(Guard::Intent) || is_out(Guard::Results) {
            self.hold(event);
        } else {
            self.inner.record_later(event);
        }
    }

    fn steering(&self) -> BoxFuture<'_, Result<Option<JournalEvent>, SinkError>> {
        self.inner.steering()
    }

    fn open_approval(&self, intent: CallIntent) -> BoxFuture<'_, Result<ApprovalId, SinkError>> {
        self.inner.open_approval(intent)
    }

    fn blobs(&self) -> &dyn BlobSink {
        self.inner.blobs()
    }

    fn show(&self, event: LiveEvent) {
        self.inner.show(event);
    }
}
