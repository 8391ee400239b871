//! One upstream request, from the moment it is ready to leave until its first content.
//!
//! Owns all it needs, so that two can fly at once. Teaches window and measures what it saw; decides nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use steward_domain::clock::Timestamp;
use steward_domain::model::{ModelError, ModelErrorKind, ModelEvent};

use super::bill::Bill;
use super::embed::EmbedCargo;
use super::leg::{Leg, Upstream};
use super::{Shared, kind_name};
use crate::balance::lane::Slot;
use crate::balance::meters::UnderWay;
use crate::balance::window::Verdict;
use crate::chaos::Fault;
use crate::config::CongestionConfig;
use crate::keys::ProviderKey;
use crate::provider::Outgoing;
use crate::tables::{Place, Plan, Target};
use crate::wait::{ms_since, since, within};

/// A request that is ready to leave.
pub(crate) struct Launch {
    pub(crate) index: u16,
    pub(crate) target: Arc<Target>,
    pub(crate) key: Option<Arc<ProviderKey>>,
    pub(crate) hold: Hold,
    pub(crate) bill: Bill,
    pub(crate) cargo: Cargo,
    /// First content must come within this.
    pub(crate) limit: Duration,
    pub(crate) congestion: CongestionConfig,
    pub(crate) input_tokens: u64,
    /// When the call came in.
    pub(crate) called_at: Timestamp,
    /// Its route, while a drill may make it fail.
    pub(crate) drilled: Option<Arc<Plan>>,
}

/// What is sent.
pub(crate) enum Cargo {
    /// Over HTTP.
    Http(Box<Outgoing>),
    /// To a model in this process.
    Local(BoxStream<'static, ModelEvent>),
    /// Over HTTP, for vectors.
    Embed(Box<EmbedCargo>),
}

/// The places a request holds while it is under way.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) slot: Slot,
    pub(crate) _under_way: UnderWay,
}

/// A request whose first content is there.
pub(crate) struct Arrived {
    pub(crate) index: u16,
    pub(crate) target: Arc<Target>,
    pub(crate) hold: Hold,
    pub(crate) leg: Leg,
    pub(crate) first: ModelEvent,
    pub(crate) sent_at: Timestamp,
    pub(crate) first_at: Timestamp,
}

/// A request that failed before its first content.
pub(crate) struct Crashed {
    pub(crate) index: u16,
    pub(crate) target: Arc<Target>,
    pub(crate) key: Option<Arc<ProviderKey>>,
    pub(crate) error: ModelError,
    /// Given back when nothing was used.
    pub(crate) bill: Option<Bill>,
    pub(crate) ms: u64,
}

impl Launch {
    /// Sends the request and waits for its first content.
    pub(crate) async fn fly(self, shared: &Shared) -> Result<Box<Arrived>, Box<Crashed>> {
        let clock = &*shared.clock;
        let sent_at = clock.now();
        let late = || ModelError::new(ModelErrorKind::Timeout, format!("no content came within {:?}", self.limit));
        let sending = async {
            let fault = match &self.drilled {
                Some(plan) => shared.chaos.strike(&plan.name).await?,
                None => None,
            };
            self.cargo.send(sent_at, fault).await
        };
        let sent = within(clock, self.limit, sending).await;
        let mut bill = Some(self.bill);
        let error = match sent.unwrap_or_else(|| Err(late())) {
            Err(error) => error,
            Ok(upstream) => {
                let own = bill.take().expect("the bill was put there two lines above");
                let mut leg = Leg::new(upstream, own, self.input_tokens);
                let left = self.limit.saturating_sub(since(clock.now(), sent_at));
                match within(clock, left, leg.next()).await {
                    Some(ModelEvent::Failed(error)) => {
                        bill = leg.refused(&error, kind_name(error.kind)).await;
                        error
                    }
                    Some(first) => {
                        let first_at = clock.now();
                        leg.first_token_after(ms_since(first_at, self.called_at));
                        let after = since(first_at, sent_at);
                        self.target.health.meters.answered(after, first_at);
                        let verdict = Verdict::Answered {
                            after_us: i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
                        };
                        teach(&self.hold, &self.target, verdict, (sent_at, first_at), &self.congestion);
                        return Ok(Box::new(Arrived {
                            index: self.index,
                            target: self.target,
                            hold: self.hold,
                            leg,
                            first,
                            sent_at,
                            first_at,
                        }));
                    }
                    None => {
                        let error = late();
                        bill = leg.refused(&error, kind_name(error.kind)).await;
                        error
                    }
                }
            }
        };
        let now = clock.now();
        let is_overload = matches!(
            error.kind,
            ModelErrorKind::RateLimited | ModelErrorKind::Overloaded | ModelErrorKind::Timeout
        );
        if is_overload {
            teach(&self.hold, &self.target, Verdict::Overloaded, (sent_at, now), &self.congestion);
        }
        let mut error = error;
        self.target.name.as_ref().clone_into(&mut error.target);
        Err(Box::new(Crashed {
            index: self.index,
            target: self.target,
            key: self.key,
            error,
            bill,
            ms: ms_since(now, sent_at),
        }))
    }
}

impl Cargo {
    async fn send(self, now: Timestamp, fault: Option<Fault>) -> Result<Upstream, ModelError> {
        match self {
            Cargo::Http(outgoing) => Ok(Upstream::Http(Box::new(outgoing.stream(now).await?.with_fault(fault)))),
            Cargo::Local(stream) => Ok(Upstream::Local(stream)),
            Cargo::Embed(cargo) => cargo.send(now).await,
        }
    }
}

/// A model in this process queues by itself: its times say how long its queue is, not that it is overloaded.
fn teach(hold: &Hold, target: &Target, verdict: Verdict, (sent_at, now): (Timestamp, Timestamp), congestion: &CongestionConfig) {
    let latency_jump = match target.place {
        Place::Http { .. } => congestion.latency_jump,
        Place::Local(_) => 0.0,
    };
    let config = CongestionConfig {
        latency_jump,
        ..*congestion
    };
    hold.slot.learn(verdict, sent_at.as_microsecond(), now.as_microsecond(), &config);
}
