//! The course of calls, for a collector of traces: one span a call, one below it for each upstream request.
//!
//! Nothing is noted unless someone listens. Holds no text of any message and no key. Bounded: when nobody takes them, spans are left out
//! and counted.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt;
use steward_domain::clock::Timestamp;
use steward_domain::model::Caller;
use steward_domain::usage::Usage;

/// Spans that wait to be taken.
const WAITING: usize = 2_048;

const MILLION: f64 = 1e6;

/// Which calls are traced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceSettings {
    /// The share of calls, from 0 for none to 1 for all.
    pub share: f64,
}

/// Traced calls that wait to be told.
#[derive(Default)]
pub struct Spans {
    /// Calls in a million that are traced.
    per_million: AtomicU32,
    ended: Mutex<Vec<CallSpan>>,
    left_out: AtomicU64,
}

impl Spans {
    /// From now on.
    pub fn set(&self, settings: TraceSettings) {
        let per_million = (settings.share.clamp(0.0, 1.0) * MILLION).round() as u32;
        self.per_million.store(per_million, Ordering::Relaxed);
    }

    /// A span for a call, if this one is traced.
    pub(crate) fn begin(&self, route: &str, caller: &Caller, now: Timestamp) -> Option<Box<CallSpan>> {
        let per_million = self.per_million.load(Ordering::Relaxed);
        if per_million == 0 || rand::rng().random_range(0..1_000_000) >= per_million {
            return None;
        }
        Some(Box::new(CallSpan {
            trace: rand::random(),
            id: rand::random(),
            route: route.to_owned(),
            request: caller.request.to_string(),
            agent: caller.agent.as_ref().map(|agent| agent.as_str().to_owned()),
            began_at: now,
            first_at: None,
            ended_at: now,
            attempts: Vec::new(),
            usage: None,
            error: None,
        }))
    }

    /// A traced call ended; `error` is the name of its error's kind.
    pub(crate) fn end(&self, mut span: Box<CallSpan>, usage: Option<Usage>, error: Option<&'static str>, now: Timestamp) {
        span.ended_at = now;
        span.usage = usage;
        span.error = error;
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() < WAITING {
            ended.push(*span);
        } else {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The calls that ended since the last time, and how many were left out.
    pub(crate) fn take(&self) -> (Vec<CallSpan>, u64) {
        let ended = std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        (ended, self.left_out.swap(0, Ordering::Relaxed))
    }
}

/// The course of one call.
#[derive(Clone, Debug)]
pub(crate) struct CallSpan {
    pub(crate) trace: u128,
    pub(crate) id: u64,
    pub(crate) route: String,
    pub(crate) request: String,
    pub(crate) agent: Option<String>,
    pub(crate) began_at: Timestamp,
    pub(crate) first_at: Option<Timestamp>,
    pub(crate) ended_at: Timestamp,
    pub(crate) attempts: Vec<AttemptSpan>,
    pub(crate) usage: Option<Usage>,
    pub(crate) error: Option<&'static str>,
}

/// One upstream request.
#[derive(Clone, Debug)]
pub(crate) struct AttemptSpan {
    pub(crate) id: u64,
    pub(crate) target: Arc<str>,
    pub(crate) sent_at: Timestamp,
    /// When it failed; absent for the one that answered, which ends with the call.
    pub(crate) failed_at: Option<Timestamp>,
    /// The name of its error's kind and the HTTP status.
    pub(crate) error: Option<(&'static str, Option<u16>)>,
}

impl CallSpan {
    pub(crate) fn answered(&mut self, target: &Arc<str>, sent_at: Timestamp, first_at: Timestamp) {
        self.first_at.get_or_insert(first_at);
        self.attempts.push(AttemptSpan {
            id: rand::random(),
            target: Arc::clone(target),
            sent_at,
            failed_at: None,
            error: None,
        });
    }

    pub(crate) fn failed(&mut self, target: &Arc<str>, (sent_at, now): (Timestamp, Timestamp), error: (&'static str, Option<u16>)) {
        self.attempts.push(AttemptSpan {
            id: rand::random(),
            target: Arc::clone(target),
            sent_at,
            failed_at: Some(now),
            error: Some(error),
        });
    }

    /// The answer broke off, and another target may go on.
    pub(crate) fn broke_off(&mut self, error: &'static str, now: Timestamp) {
        if let Some(attempt) = self.attempts.last_mut().filter(|attempt| attempt.failed_at.is_none()) {
            attempt.failed_at = Some(now);
            attempt.error = Some((error, None));
        }
    }
}
