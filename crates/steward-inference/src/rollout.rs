//! Rollouts: how a candidate takes over from the targets of a route, and is taken back.
//!
//! Pure: the time is passed in, draws come from a seed, and nothing is asked or stored here. A canary's verdicts hold under any number of
//! looks, see `wager`; a bandit's share is the probability that its arm is the better one, see `bandit`.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use steward_domain::clock::Timestamp;

use crate::config::rollout::{RolloutConfig, RolloutKind};
use crate::wait::since;
use bandit::Bandit;
use evidence::{Both, Evidence};
use gate::{Measure, Standing};
use sticky::Sticky;

mod bandit;
mod evidence;
mod gate;
pub mod order;
pub mod parity;
mod recent;
pub mod status;
mod sticky;
mod wager;

/// Events that are shown; all of them are in the store.
const SHOWN_EVENTS: usize = 50;

/// One side of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The targets of the route.
    Incumbent,
    /// The candidate.
    Candidate,
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Who answers.
    pub arm: Arm,
    /// A copy goes to the candidate, whose answer is only compared.
    pub is_copied: bool,
}

/// What became of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// The arm's own targets gave a whole answer.
    pub is_ok: bool,
    /// From the call to its first content, in seconds; only where the arm answered.
    pub ttft_s: Option<f64>,
    /// Between two tokens, in seconds.
    pub tpot_s: Option<f64>,
    /// US dollars.
    pub cost_usd: Option<f64>,
    /// The answer has the form that was asked for, its tool calls fit; `None` where nothing could be checked.
    pub is_good: Option<bool>,
}

/// What is learnt of an answer later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// A person liked it.
    ThumbUp,
    /// A person did not.
    ThumbDown,
    /// A person corrected it.
    Corrected,
    /// Its tool calls were calls of tools there are and did what they should.
    ToolCallsWorked,
    /// A tool call of it failed or was none.
    ToolCallsFailed,
    /// The turn it was part of came to its end.
    TurnDone,
    /// The turn it was part of failed.
    TurnFailed,
    /// It missed an objective of its route.
    ObjectiveMissed,
}

impl Signal {
    /// Does it speak for the answer?
    pub fn is_good(self) -> bool {
        match self {
            Signal::ThumbUp | Signal::ToolCallsWorked | Signal::TurnDone => true,
            Signal::ThumbDown | Signal::Corrected | Signal::ToolCallsFailed | Signal::TurnFailed | Signal::ObjectiveMissed => false,
        }
    }
}

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It goes on by itself.
    Running,
    /// A person holds it where it is.
    Held,
    /// The candidate has taken over.
    Promoted,
    /// The candidate is out.
    RolledBack,
}

/// What happened to a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The share changed.
    Shift,
    /// The candidate took over, or a bandit's lead changed.
    Promote,
    /// It stays where it is: a person said so, or the evidence does not suffice.
    Hold,
    /// It goes on by itself again.
    Resume,
    /// The candidate is out.
    Rollback,
}

impl Action {
    /// As the audit log names it.
    pub fn name(self) -> &'static str {
        match self {
            Action::Shift => "route.shift",
            Action::Promote => "route.promote",
            Action::Hold => "route.hold",
            Action::Resume => "route.resume",
            Action::Rollback => "route.rollback",
        }
    }
}

/// One thing that happened to a rollout: a record for the audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutEvent {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// To which route's.
    pub route: String,
    /// What.
    pub action: Action,
    /// Who: a principal, or `system`.
    pub who: String,
    /// Why, a sentence.
    pub why: String,
    /// The candidate's share before.
    pub share_before: f64,
    /// The candidate's share after.
    pub share_after: f64,
}

/// Everything about a rollout that outlives a restart. Sessions are not in it: a session's place is made of its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutState {
    /// What is tried against what; another candidate begins anew.
    subject: String,
    phase: Phase,
    share: f64,
    /// Since when the share is what it is.
    since: Timestamp,
    /// Draws made.
    draws: u64,
    seed: u64,
    evidence: Evidence,
    bandit: Bandit,
    totals: Both<Totals>,
    /// Calls of the candidate at this share.
    step_calls: u64,
    /// It was said that this step takes longer.
    is_hold_noted: bool,
    /// Who is ahead, for a bandit.
    leader: Option<Arm>,
    events: VecDeque<RolloutEvent>,
}

/// Plain counts of one arm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Totals {
    calls: u64,
    errors: u64,
    judged: u64,
    good: u64,
    cost_usd: f64,
}

/// A rollout while it goes on.
#[derive(Debug)]
pub struct Rollout {
    route: String,
    config: RolloutConfig,
    state: RolloutState,
    sticky: Sticky,
}

impl Rollout {
    /// A rollout of a route. `subject` says what is tried against what. It goes on from `saved` when that is about the same subject.
    pub fn new(route: &str, config: RolloutConfig, subject: &str, saved: Option<RolloutState>, now: Timestamp) -> Self {
        let saved = saved.filter(|saved| saved.subject == subject);
        let state = saved.unwrap_or_else(|| RolloutState {
            subject: subject.to_owned(),
            phase: Phase::Running,
            share: first_share(&config),
            since: now,
            draws: 0,
            seed: sticky::number_of(route, subject),
            evidence: Evidence::default(),
            bandit: Bandit::default(),
            totals: Both::default(),
            step_calls: 0,
            is_hold_noted: false,
            leader: None,
            events: VecDeque::new(),
        });
        Rollout {
            route: route.to_owned(),
            config,
            state,
            sticky: Sticky::default(),
        }
    }

    /// What outlives a restart.
    pub fn state(&self) -> &RolloutState {
        &self.state
    }

    /// What is tried against what.
    pub fn subject(&self) -> &str {
        &self.state.subject
    }

    /// Takes changed settings; the same candidate goes on where it is.
    pub fn replace_config(&mut self, config: RolloutConfig) {
        self.config = config;
    }

    /// Where a call goes. A session stays with its arm until the candidate takes over or is out.
    pub fn choose(&mut self, session: Option<&str>, now: Timestamp) -> Choice {
        let plain = |arm| Choice { arm, is_copied: false };
        match (self.state.phase, self.config.kind) {
            (Phase::Promoted, _) => return plain(Arm::Candidate),
            (Phase::RolledBack, _) | (_, RolloutKind::BlueGreen) => return plain(Arm::Incumbent),
            (Phase::Running, RolloutKind::Shadow) => {
                let is_copied = self.draw() < self.state.share;
                return Choice {
                    arm: Arm::Incumbent,
                    is_copied,
                };
            }
            (Phase::Held, RolloutKind::Shadow) => return plain(Arm::Incumbent),
            (Phase::Running | Phase::Held, RolloutKind::Canary | RolloutKind::ChampionChallenger) => {}
        }
        let share = self.state.share;
        let arm_at = |point: f64| if point < share { Arm::Candidate } else { Arm::Incumbent };
        let Some(session) = session else {
            return plain(arm_at(self.draw()));
        };
        let number = sticky::number_of(&self.route, session);
        plain(self.sticky.arm(number, now, || arm_at(sticky::point(sticky::mix(number)))))
    }

    /// What became of a call. Gives what it led to.
    pub fn observe(&mut self, arm: Arm, seen: &Observation, now: Timestamp) -> Vec<RolloutEvent> {
        let totals = self.state.totals.of_mut(arm);
        totals.calls += 1;
        totals.errors += u64::from(!seen.is_ok);
        totals.judged += u64::from(seen.is_good.is_some());
        totals.good += u64::from(seen.is_good == Some(true));
        totals.cost_usd += seen.cost_usd.unwrap_or(0.0);
        self.state.step_calls += u64::from(arm == Arm::Candidate);
        self.state.evidence.take(arm, seen, &self.config.gates);
        self.state.bandit.take(arm, seen, &self.config.reward);
        self.proceed(now)
    }

    /// Something was learnt of an earlier answer.
    pub fn signal(&mut self, arm: Arm, signal: Signal, now: Timestamp) -> Vec<RolloutEvent> {
        let totals = self.state.totals.of_mut(arm);
        totals.judged += 1;
        totals.good += u64::from(signal.is_good());
        self.state.evidence.signal(arm, signal.is_good(), &self.config.gates);
        if !signal.is_good() {
            self.state.bandit.regret(arm);
        }
        self.proceed(now)
    }

    /// What follows from what is known now.
    fn proceed(&mut self, now: Timestamp) -> Vec<RolloutEvent> {
        let event = match (self.state.phase, self.config.kind) {
            (Phase::Running | Phase::Held, RolloutKind::Canary) => self.canary(now),
            (Phase::Running, RolloutKind::ChampionChallenger) => self.bandit(now),
            (Phase::Held, RolloutKind::ChampionChallenger)
            | (Phase::Promoted | Phase::RolledBack, RolloutKind::Canary | RolloutKind::ChampionChallenger)
            | (_, RolloutKind::BlueGreen | RolloutKind::Shadow) => None,
        };
        event.into_iter().collect()
    }

    fn canary(&mut self, now: Timestamp) -> Option<RolloutEvent> {
        let standings = self.state.evidence.standings(self.error_rate());
        let with = |wanted: Standing| {
            standings
                .iter()
                .filter(move |(_, standing)| *standing == wanted)
                .map(|(measure, _)| *measure)
        };
        if let Some(measure) = with(Standing::Broken).next() {
            let why = self.broken(measure);
            return Some(self.enter((Phase::RolledBack, 0.0), Action::Rollback, (SYSTEM, &why), now));
        }
        let is_due = since(now, self.state.since) >= self.config.step_time && self.state.step_calls >= self.config.min_samples;
        if !is_due || self.state.phase == Phase::Held {
            return None;
        }
        let unsure: Vec<&str> = with(Standing::Unsure).map(Measure::name).collect();
        if unsure.is_empty() {
            return Some(self.advance(now));
        }
        if self.state.is_hold_noted {
            return None;
        }
        self.state.is_hold_noted = true;
        let why = format!(
            "{} calls of the candidate do not suffice to show that it keeps to {}",
            self.state.step_calls,
            unsure.join(", ")
        );
        Some(self.note(Action::Hold, (SYSTEM, &why), self.state.share, now))
    }

    fn advance(&mut self, now: Timestamp) -> RolloutEvent {
        let next = self.config.shares().into_iter().find(|share| *share > self.state.share);
        let why = format!(
            "the candidate keeps to every gate with a confidence of {} after {} calls at this share",
            self.config.confidence, self.state.step_calls
        );
        match next {
            Some(share) if share < 1.0 => self.enter((Phase::Running, share), Action::Shift, (SYSTEM, &why), now),
            Some(_) | None => self.enter((Phase::Promoted, 1.0), Action::Promote, (SYSTEM, &why), now),
        }
    }

    fn bandit(&mut self, now: Timestamp) -> Option<RolloutEvent> {
        let share = self.state.bandit.share(self.config.min_samples)?;
        let before = std::mem::replace(&mut self.state.share, share);
        let better = self.state.bandit.candidate_is_better();
        let leader = if better >= self.config.confidence {
            Arm::Candidate
        } else if better <= self.error_rate() {
            Arm::Incumbent
        } else {
            return None;
        };
        if self.state.leader == Some(leader) {
            return None;
        }
        self.state.leader = Some(leader);
        let (action, name, chance) = match leader {
            Arm::Candidate => (Action::Promote, "challenger", better),
            Arm::Incumbent => (Action::Rollback, "champion", 1.0 - better),
        };
        let why = format!("the {name} earns more with a probability of {chance:.3}");
        let mut event = self.event(action, (SYSTEM, &why), now);
        event.share_before = before;
        self.keep(&event);
        Some(event)
    }

    fn error_rate(&self) -> f64 {
        1.0 - self.config.confidence
    }

    fn broken(&self, measure: Measure) -> String {
        let shown = |arm| status::value(&self.state, measure, arm).map_or_else(|| "unknown".to_owned(), |value| format!("{value:.4}"));
        format!(
            "{} is worse than the gate allows: {} against {} of the incumbent, after {} calls of the candidate",
            measure.name(),
            shown(Arm::Candidate),
            shown(Arm::Incumbent),
            self.state.totals.candidate.calls
        )
    }

    /// Changes phase and share, and begins a new step.
    fn enter(&mut self, (phase, share): (Phase, f64), action: Action, (who, why): (&str, &str), now: Timestamp) -> RolloutEvent {
        let was_over = matches!(self.state.phase, Phase::Promoted | Phase::RolledBack);
        let is_over = matches!(phase, Phase::Promoted | Phase::RolledBack);
        let mut event = self.event(action, (who, why), now);
        event.share_after = share;
        self.state.phase = phase;
        self.state.share = share;
        self.state.since = now;
        self.state.step_calls = 0;
        self.state.is_hold_noted = false;
        if is_over {
            self.sticky.forget();
        } else if was_over {
            // A second try stands on its own evidence.
            self.state.evidence = Evidence::default();
        } else {
            self.state.evidence.begin_again();
        }
        self.keep(&event);
        event
    }

    fn note(&mut self, action: Action, (who, why): (&str, &str), share: f64, now: Timestamp) -> RolloutEvent {
        let mut event = self.event(action, (who, why), now);
        event.share_after = share;
        self.keep(&event);
        event
    }

    fn event(&self, action: Action, (who, why): (&str, &str), now: Timestamp) -> RolloutEvent {
        RolloutEvent {
            at: now,
            route: self.route.clone(),
            action,
            who: who.to_owned(),
            why: why.to_owned(),
            share_before: self.state.share,
            share_after: self.state.share,
        }
    }

    fn keep(&mut self, event: &RolloutEvent) {
        if self.state.events.len() >= SHOWN_EVENTS {
            self.state.events.pop_front();
        }
        self.state.events.push_back(event.clone());
    }

    /// The next draw in [0, 1).
    fn draw(&mut self) -> f64 {
        self.state.draws += 1;
        let step = self.state.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        sticky::point(sticky::mix(self.state.seed.wrapping_add(step)))
    }
}

/// Who acts when nobody does.
const SYSTEM: &str = "system";

fn first_share(config: &RolloutConfig) -> f64 {
    match config.kind {
        RolloutKind::BlueGreen => 0.0,
        RolloutKind::Canary => config.shares().first().copied().unwrap_or(0.01),
        RolloutKind::ChampionChallenger => config.share.unwrap_or(0.5),
        RolloutKind::Shadow => config.share.unwrap_or(1.0),
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
