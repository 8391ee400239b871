//! How a call was decided: what was known, the order that followed from it, attempts with cause and time, the target that was chosen.
//!
//! Kept in memory for the last few thousand calls as numbers, and put into words only when someone asks. Holds no text of any message
//! and no key.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::clock::{Timestamp, rfc3339};
use steward_domain::id::RequestId;
use steward_domain::money::Usd;

use crate::balance::choose::{Inputs, Order, choose, scores};
use crate::catalog::price::ModelPrice;
use crate::config::Strategy;
use crate::needs::Needs;
use crate::tables::{Plan, Target};

/// Records kept; the oldest goes first.
const RECORD_LIMIT: usize = 4_096;

const TOKENS_PER_MTOK: u64 = 1_000_000;

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
    /// The choice with everything it depended on.
    pub decision: Decision,
}

/// A choice and what it depended on: the same inputs and seed give the same order.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Decision {
    /// When it was made.
    pub at: String,
    /// The seed, 16 hexadecimal digits.
    pub seed: String,
    /// What was known.
    pub inputs: Inputs,
    /// The targets, first choice first.
    pub order: Vec<String>,
}

/// A choice that was computed again.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Replay {
    /// The route, or the target asked for by name.
    pub route: String,
    /// How it picks.
    pub strategy: Strategy,
    /// The choice as it was made.
    pub decision: Decision,
    /// The order computed again.
    pub recomputed: Vec<String>,
    /// What each target scored, in the recomputed order.
    pub scores: Vec<Option<f64>>,
    /// Both orders are the same.
    pub is_same: bool,
    /// The target that answered; absent while none has.
    pub chosen: Option<String>,
    /// Why another target than the first answered, as its attempts say.
    pub attempts: Vec<AttemptRecord>,
}

/// One target that could be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Candidate {
    /// `provider/model`.
    pub target: String,
    /// Its score: milliseconds for `latency`, US dollars for `cost`, points between 0 and 1 for `adaptive`; else none.
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
#[derive(Clone)]
pub(crate) struct Record(Arc<Mutex<Notes>>);

/// What is noted of a call.
pub(crate) struct Notes {
    plan: Arc<Plan>,
    needs: Needs,
    at: Timestamp,
    seed: u64,
    inputs: Inputs,
    order: Order,
    gaps: Vec<(u16, String)>,
    attempts: Vec<Attempt>,
    chosen: Option<u16>,
    /// The call whose answer this one shared.
    shared_with: Option<RequestId>,
}

struct Attempt {
    target: u16,
    cause: Cause,
    status: Option<u16>,
    ms: u64,
}

/// How an attempt ended.
pub(crate) enum Cause {
    /// It answered.
    Ok,
    /// In these words.
    Words(String),
}

impl Record {
    pub(crate) fn new(plan: &Arc<Plan>, needs: Needs, at: Timestamp, inputs: Inputs) -> Self {
        let seed = plan.spread.next();
        let order = choose(&inputs, seed);
        Record(Arc::new(Mutex::new(Notes {
            plan: Arc::clone(plan),
            needs,
            at,
            seed,
            inputs,
            order,
            gaps: Vec::new(),
            attempts: Vec::new(),
            chosen: None,
            shared_with: None,
        })))
    }

    /// The order in which targets are asked.
    pub(crate) fn order(&self) -> Order {
        self.lock().order.clone()
    }

    /// A target was left out.
    pub(crate) fn left_out(&self, target: u16, reason: &str) {
        self.lock().gaps.push((target, reason.to_owned()));
    }

    /// An attempt has ended, or its content has begun.
    pub(crate) fn attempted(&self, target: u16, cause: Cause, status: Option<u16>, ms: u64) {
        let mut notes = self.lock();
        if matches!(cause, Cause::Ok) {
            notes.chosen = Some(target);
        }
        notes.attempts.push(Attempt { target, cause, status, ms });
    }

    /// An attempt was given up for a quicker one.
    pub(crate) fn lost(&self, target: u16, cause: Cause, ms: u64) {
        self.lock().attempts.push(Attempt {
            target,
            cause,
            status: None,
            ms,
        });
    }

    /// The last attempt ended otherwise than it began.
    pub(crate) fn end_last(&self, cause: &str) {
        if let Some(attempt) = self.lock().attempts.last_mut() {
            attempt.cause = Cause::Words(cause.to_owned());
        }
    }

    /// The answer of another call was shared.
    pub(crate) fn shares(&self, with: RequestId) {
        self.lock().shared_with = Some(with);
    }

    pub(crate) fn explain(&self) -> Explanation {
        self.lock().explanation()
    }

    pub(crate) fn replay(&self) -> Replay {
        self.lock().replay()
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn target(&self, index: u16) -> &Target {
        &self.plan.targets[usize::from(index)]
    }

    fn name(&self, index: u16) -> String {
        self.target(index).name.to_string()
    }

    fn explanation(&self) -> Explanation {
        let scores = self.shown_scores();
        Explanation {
            route: self.plan.name.clone(),
            strategy: self.plan.strategy,
            chosen: self.chosen.map(|index| self.name(index)),
            candidates: self
                .order
                .iter()
                .map(|&index| self.candidate(index, scores[usize::from(index)]))
                .collect(),
            attempts: self.attempts(),
            decision: self.decision(),
        }
    }

    fn replay(&self) -> Replay {
        let recomputed = choose(&self.inputs, self.seed);
        let scores = self.shown_scores();
        Replay {
            route: self.plan.name.clone(),
            strategy: self.plan.strategy,
            decision: self.decision(),
            is_same: recomputed == self.order,
            scores: recomputed.iter().map(|&index| scores[usize::from(index)]).collect(),
            recomputed: recomputed.iter().map(|&index| self.name(index)).collect(),
            chosen: self.chosen.map(|index| self.name(index)),
            attempts: self.attempts(),
        }
    }

    /// Scores in the units people read.
    fn shown_scores(&self) -> Vec<Option<f64>> {
        let mut scores = scores(&self.inputs);
        if self.inputs.strategy == Strategy::Cost {
            for score in scores.iter_mut().flatten() {
                *score /= PICO_PER_USD;
            }
        }
        scores
    }

    fn candidate(&self, index: u16, score: Option<f64>) -> Candidate {
        let target = self.target(index);
        let found = self.gaps.iter().find(|(of, _)| *of == index).map(|(_, reason)| reason.clone());
        let gap = found.or_else(|| self.needs.gap(&target.known).map(|gap| gap.message));
        let breaker = self.inputs.targets[usize::from(index)].breaker;
        Candidate {
            target: target.name.to_string(),
            score,
            state: gap.unwrap_or_else(|| breaker.name().to_owned()),
            price: target.price.as_ref().map(shown_price),
        }
    }

    fn attempts(&self) -> Vec<AttemptRecord> {
        let shown = |attempt: &Attempt| AttemptRecord {
            target: self.name(attempt.target),
            cause: match &attempt.cause {
                Cause::Ok => "ok".into(),
                Cause::Words(words) => words.clone(),
            },
            status: attempt.status,
            ms: attempt.ms,
        };
        let shared = self.shared_with.as_ref().map(|request| AttemptRecord {
            target: self.order.first().map(|&index| self.name(index)).unwrap_or_default(),
            cause: format!("shared the answer of {request}"),
            status: None,
            ms: 0,
        });
        self.attempts.iter().map(shown).chain(shared).collect()
    }

    fn decision(&self) -> Decision {
        Decision {
            at: rfc3339(self.at),
            seed: format!("{:016x}", self.seed),
            inputs: self.inputs.clone(),
            order: self.order.iter().map(|&index| self.name(index)).collect(),
        }
    }
}

const PICO_PER_USD: f64 = 1e12;

fn shown_price(price: &ModelPrice) -> CandidatePrice {
    let per_mtok = |per_token: Usd| per_token.times(TOKENS_PER_MTOK).to_string();
    CandidatePrice {
        input_usd_per_mtok: per_mtok(price.input),
        output_usd_per_mtok: per_mtok(price.output),
        version: price.version.clone(),
    }
}

/// The records of the last calls.
#[derive(Default)]
pub(crate) struct Records {
    inner: Mutex<Inner>,
}

#[derive(Default)]
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

    pub(crate) fn find(&self, id: &RequestId) -> Option<Record> {
        self.lock().by_id.get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
