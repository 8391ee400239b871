//! The counters of one set of labels.
//!
//! Only ever added to, without a lock; read as a whole by taking a snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use steward_domain::model::ModelErrorKind;
use steward_domain::money::Usd;
use steward_domain::usage::Usage;

use super::histogram::{Histogram, Range, Snapshot};
use crate::route::kind_name;

/// What a series is about. Never an id of a session, a request or a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Labels {
    /// The route, or `direct` for a target asked for by name.
    pub(crate) route: Arc<str>,
    /// `provider/model`.
    pub(crate) target: Arc<str>,
    /// The agent of the turn; empty outside of turns.
    pub(crate) agent: Arc<str>,
    /// The team of the caller; empty without one.
    pub(crate) team: Arc<str>,
}

impl Labels {
    /// The provider and the model of the target.
    pub(crate) fn provider_and_model(&self) -> (&str, &str) {
        self.target.split_once('/').unwrap_or((&self.target, &self.target))
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With a whole answer.
    Ok,
    /// The caller went away.
    Cancelled,
    /// With an error.
    Failed(ModelErrorKind),
}

/// Kinds of errors, in the order of their counters.
pub(crate) const KINDS: [ModelErrorKind; 14] = [
    ModelErrorKind::RateLimited,
    ModelErrorKind::Overloaded,
    ModelErrorKind::Server,
    ModelErrorKind::Network,
    ModelErrorKind::Timeout,
    ModelErrorKind::Auth,
    ModelErrorKind::BadRequest,
    ModelErrorKind::ContextTooLong,
    ModelErrorKind::NotFound,
    ModelErrorKind::Unsupported,
    ModelErrorKind::BudgetExceeded,
    ModelErrorKind::NoTarget,
    ModelErrorKind::Cut,
    ModelErrorKind::Malformed,
];

pub(crate) const OUTCOMES: usize = KINDS.len() + 2;

/// Causes of a fallback beside the kinds of errors.
pub(crate) const CAUSES: usize = KINDS.len() + 2;

impl Outcome {
    fn index(self) -> usize {
        match self {
            Outcome::Ok => 0,
            Outcome::Cancelled => 1,
            Outcome::Failed(kind) => 2 + index_of(kind),
        }
    }

    /// The name of a counter, by its index.
    pub(crate) fn name(index: usize) -> &'static str {
        match index {
            0 => "ok",
            1 => "cancelled",
            _ => KINDS.get(index - 2).map_or("other", |kind| kind_name(*kind)),
        }
    }

    /// Does it speak for or against the objective? A caller who goes away or asks for what cannot be does not.
    pub(crate) fn is_judged(index: usize) -> bool {
        match index {
            0 => true,
            1 => false,
            _ => KINDS.get(index - 2).is_some_and(|kind| kind.is_of_targets()),
        }
    }
}

fn index_of(kind: ModelErrorKind) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or(0)
}

/// Why another target than the one before was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FallbackCause {
    /// The one before failed so.
    Failed(ModelErrorKind),
    /// Its breaker was open.
    BreakerOpen,
    /// Its window was full.
    Full,
}

impl FallbackCause {
    fn index(self) -> usize {
        match self {
            FallbackCause::Failed(kind) => index_of(kind),
            FallbackCause::BreakerOpen => KINDS.len(),
            FallbackCause::Full => KINDS.len() + 1,
        }
    }

    /// The name of a counter, by its index.
    pub(crate) fn name(index: usize) -> &'static str {
        match index.checked_sub(KINDS.len()) {
            None => kind_name(KINDS[index]),
            Some(0) => "breaker_open",
            Some(_) => "full",
        }
    }
}

/// Someone waits for the answer, or nobody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A person or a program at the other end.
    Interactive,
    /// Work that the house does by itself, or that was marked so with `service_tier`.
    Batch,
}

/// Types of tokens, in the order of their counters.
pub(crate) const TOKEN_TYPES: [&str; 9] = [
    "input",
    "cached_input",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_input",
    "audio_output",
    "images",
];

/// Defines histograms once: the counters, their snapshot, and the arithmetic of snapshots.
macro_rules! histograms {
    ($counters:ident, $taken:ident: $($(#[$doc:meta])* $name:ident in $range:ident),+ $(,)?) => {
        #[derive(Debug)]
        pub(crate) struct $counters {
            $($(#[$doc])* pub(crate) $name: Histogram,)+
        }

        impl Default for $counters {
            fn default() -> Self {
                $counters { $($name: Histogram::new(Range::$range),)+ }
            }
        }

        impl $counters {
            pub(crate) fn snapshot(&self) -> $taken {
                $taken { $($name: self.$name.snapshot(),)+ }
            }
        }

        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $taken {
            $($(#[$doc])* pub(crate) $name: Snapshot,)+
        }

        impl $taken {
            pub(crate) fn merge(&mut self, other: &Self) {
                $(self.$name.merge(&other.$name);)+
            }

            pub(crate) fn since(&self, earlier: &Self) -> Self {
                $taken { $($name: self.$name.since(&earlier.$name),)+ }
            }
        }
    };
}

histograms!(Times, TimesTaken:
    /// First content after the call came in, in seconds.
    ttft in SECONDS,
    /// First content after its request was sent, in seconds.
    prefill in SECONDS,
    /// From first to last content, in seconds.
    decode in SECONDS,
    /// Per output token after the first, in seconds.
    tpot in SECONDS,
    /// Between two pieces of content, in seconds.
    itl in SECONDS,
    /// From the call to the end of its answer, in seconds.
    total in SECONDS,
    /// Of that, not spent waiting for an upstream, in seconds.
    overhead in SECONDS,
    /// Output tokens a second, of one answer.
    rate in RATE,
    /// Input tokens of an answer.
    input in TOKENS,
    /// Output tokens of an answer.
    output in TOKENS,
    /// US dollars of an upstream request.
    cost in USD,
);

histograms!(ClassTimes, ClassTaken:
    /// First content after the call came in, in seconds.
    ttft in SECONDS,
    /// From the call to the end of its answer, in seconds.
    total in SECONDS,
    /// Output tokens of an answer.
    output in TOKENS,
);

/// The counters of one set of labels.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) times: Times,
    pub(crate) classes: [ClassTimes; 2],
    outcomes: [AtomicU64; OUTCOMES],
    fallbacks: [AtomicU64; CAUSES],
    tokens: [AtomicU64; TOKEN_TYPES.len()],
    cost_pico: AtomicU64,
    good: AtomicU64,
    good_tokens: AtomicU64,
    version: AtomicU64,
}

impl Series {
    pub(crate) fn new(labels: Labels) -> Self {
        Series {
            labels,
            times: Times::default(),
            classes: [ClassTimes::default(), ClassTimes::default()],
            outcomes: [const { AtomicU64::new(0) }; OUTCOMES],
            fallbacks: [const { AtomicU64::new(0) }; CAUSES],
            tokens: [const { AtomicU64::new(0) }; TOKEN_TYPES.len()],
            cost_pico: AtomicU64::new(0),
            good: AtomicU64::new(0),
            good_tokens: AtomicU64::new(0),
            version: AtomicU64::new(0),
        }
    }

    /// A call ended.
    pub(crate) fn ended(&self, outcome: Outcome) {
        self.add(&self.outcomes[outcome.index()], 1);
    }

    /// A whole answer met its route's objective.
    pub(crate) fn met(&self, output_tokens: u64) {
        self.add(&self.good, 1);
        self.add(&self.good_tokens, output_tokens);
    }

    /// Another target was asked after this one.
    pub(crate) fn fell_back(&self, cause: FallbackCause) {
        self.add(&self.fallbacks[cause.index()], 1);
    }

    /// An upstream request was booked.
    pub(crate) fn booked(&self, usage: &Usage, cost: Usd) {
        let counts = [
            usage.input,
            usage.cached_input,
            usage.cache_write_5m,
            usage.cache_write_1h,
            usage.output,
            usage.reasoning,
            usage.audio_input,
            usage.audio_output,
            usage.images,
        ];
        for (counter, count) in self.tokens.iter().zip(counts) {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
        self.times.cost.record(cost.pico() as f64 / PICO_PER_USD);
        self.add(&self.cost_pico, u64::try_from(cost.pico()).unwrap_or(0));
    }

    /// How often anything but a time between tokens was counted; equal numbers mean equal snapshots.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn snapshot(&self) -> Taken {
        let all = |counters: &[AtomicU64]| counters.iter().map(|counter| counter.load(Ordering::Relaxed)).collect();
        Taken {
            version: self.version(),
            times: self.times.snapshot(),
            classes: [self.classes[0].snapshot(), self.classes[1].snapshot()],
            outcomes: all(&self.outcomes),
            fallbacks: all(&self.fallbacks),
            tokens: all(&self.tokens),
            cost_pico: self.cost_pico.load(Ordering::Relaxed),
            good: self.good.load(Ordering::Relaxed),
            good_tokens: self.good_tokens.load(Ordering::Relaxed),
        }
    }

    fn add(&self, counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
    }
}

const PICO_PER_USD: f64 = 1e12;

/// What a series held at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Taken {
    pub(crate) version: u64,
    pub(crate) times: TimesTaken,
    pub(crate) classes: [ClassTaken; 2],
    pub(crate) outcomes: Vec<u64>,
    pub(crate) fallbacks: Vec<u64>,
    pub(crate) tokens: Vec<u64>,
    pub(crate) cost_pico: u64,
    pub(crate) good: u64,
    pub(crate) good_tokens: u64,
}

impl Taken {
    /// Adds what another series counted.
    pub(crate) fn merge(&mut self, other: &Taken) {
        self.times.merge(&other.times);
        for (own, other) in self.classes.iter_mut().zip(&other.classes) {
            own.merge(other);
        }
        join(&mut self.outcomes, &other.outcomes, u64::saturating_add);
        join(&mut self.fallbacks, &other.fallbacks, u64::saturating_add);
        join(&mut self.tokens, &other.tokens, u64::saturating_add);
        self.cost_pico += other.cost_pico;
        self.good += other.good;
        self.good_tokens += other.good_tokens;
    }

    /// What came since an earlier moment of the same series.
    pub(crate) fn since(&self, earlier: &Taken) -> Taken {
        let mut left = self.clone();
        left.times = self.times.since(&earlier.times);
        for ((left, own), earlier) in left.classes.iter_mut().zip(&self.classes).zip(&earlier.classes) {
            *left = own.since(earlier);
        }
        join(&mut left.outcomes, &earlier.outcomes, u64::saturating_sub);
        join(&mut left.fallbacks, &earlier.fallbacks, u64::saturating_sub);
        join(&mut left.tokens, &earlier.tokens, u64::saturating_sub);
        left.cost_pico = left.cost_pico.saturating_sub(earlier.cost_pico);
        left.good = left.good.saturating_sub(earlier.good);
        left.good_tokens = left.good_tokens.saturating_sub(earlier.good_tokens);
        left
    }

    /// Whole answers.
    pub(crate) fn ok(&self) -> u64 {
        self.outcomes.first().copied().unwrap_or(0)
    }

    /// Calls that ended, however.
    pub(crate) fn calls(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Calls that speak for or against the objective.
    pub(crate) fn judged(&self) -> u64 {
        let judged = self.outcomes.iter().enumerate().filter(|(index, _)| Outcome::is_judged(*index));
        judged.map(|(_, count)| count).sum()
    }

    /// The share of judged calls that met the objective; `None` without any.
    pub(crate) fn attainment(&self) -> Option<f64> {
        let judged = self.judged();
        (judged > 0).then(|| self.good as f64 / judged as f64)
    }

    /// US dollars.
    pub(crate) fn cost(&self) -> Usd {
        Usd::from_pico(i128::from(self.cost_pico))
    }
}

fn join(own: &mut Vec<u64>, other: &[u64], with: fn(u64, u64) -> u64) {
    own.resize(own.len().max(other.len()), 0);
    for (own, other) in own.iter_mut().zip(other) {
        *own = with(*own, *other);
    }
}
