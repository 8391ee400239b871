//! What is measured of calls: times, tokens, money and whether the objective of their route was met, by route, target, agent and team.
//!
//! Calls only add numbers to counters that were found beforehand; percentiles, shares and texts are made when someone asks. No label
//! ever holds the id of a session, a request or a user.

pub mod alert;
pub mod histogram;
pub mod otlp;
pub mod performance;

mod gauges;
mod prometheus;
mod registry;
mod series;
mod timeline;
mod trace;
mod webhook;
mod window;

pub use gauges::{Gauges, TargetGauge};
pub use registry::Measures;
pub use trace::{Spans, TraceSettings};
pub use webhook::{Webhooks, check_address};

pub(crate) use registry::{DIRECT, TargetMeasures};
pub(crate) use series::{Class, FallbackCause, Outcome, Series};
pub(crate) use timeline::{Ending, Timeline, waiting};
pub(crate) use trace::CallSpan;
pub(crate) use window::TICK;
