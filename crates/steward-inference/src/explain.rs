//! How a call was decided: candidates, attempts with cause and time, the target that was chosen.
//!
//! Kept in memory for the last few thousand calls; holds no text of any message and no key.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::id::RequestId;

use crate::config::Strategy;

/// Records kept; the oldest goes first.
const RECORD_LIMIT: usize = 4_096;

/// How one call was decided.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Explanation {
    /// The route, or the target asked for by name.
    pub route: String,
    /// How it picks.
    pub strategy: Strategy,
    /// The target that answered; absent while none has.
    pub chosen: Option<String>,
    /// What there was to choose from, first choice first.
    pub candidates: Vec<Candidate>,
    /// The upstream requests, in order.
    pub attempts: Vec<AttemptRecord>,
}

/// One target that could be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Candidate {
    /// `provider/model`.
    pub target: String,
    /// Its score; `priority` goes by order and has none.
    pub score: Option<f64>,
    /// `closed`, `open` or `half-open`, as its breaker stood when the call came; or why it was left out.
    pub state: String,
    /// Its price; absent when that is not known.
    pub price: Option<CandidatePrice>,
}

/// A price, as shown.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CandidatePrice {
    /// US dollars a million input tokens.
    pub input_usd_per_mtok: String,
    /// US dollars a million output tokens.
    pub output_usd_per_mtok: String,
    /// Which list it is from.
    pub version: String,
}

/// One upstream request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AttemptRecord {
    /// `provider/model`.
    pub target: String,
    /// `ok`, `cancelled`, or what went wrong.
    pub cause: String,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// From its sending to its first content, or to its failure, in milliseconds.
    pub ms: u64,
}

/// The record of one call while it is written.
#[derive(Clone, Debug)]
pub(crate) struct Record(Arc<Mutex<Explanation>>);

impl Record {
    pub(crate) fn new(explanation: Explanation) -> Self {
        Record(Arc::new(Mutex::new(explanation)))
    }

    pub(crate) fn edit(&self, change: impl FnOnce(&mut Explanation)) {
        change(&mut self.lock());
    }

    /// The last attempt ended otherwise than it began.
    pub(crate) fn end_last(&self, cause: &str) {
        self.edit(|explanation| {
            if let Some(attempt) = explanation.attempts.last_mut() {
                cause.clone_into(&mut attempt.cause);
            }
        });
    }

    pub(crate) fn copy(&self) -> Explanation {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Explanation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The records of the last calls.
#[derive(Debug, Default)]
pub(crate) struct Records {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<RequestId, Record>,
    order: VecDeque<RequestId>,
}

impl Records {
    /// Keeps a record; a later call with the same id replaces the earlier one.
    pub(crate) fn keep(&self, id: &RequestId, record: Record) {
        let mut inner = self.lock();
        if inner.by_id.insert(id.clone(), record).is_none() {
            inner.order.push_back(id.clone());
        }
        if inner.order.len() > RECORD_LIMIT
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.by_id.remove(&oldest);
        }
    }

    pub(crate) fn find(&self, id: &RequestId) -> Option<Explanation> {
        let record = self.lock().by_id.get(id).cloned();
        record.map(|record| record.copy())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
