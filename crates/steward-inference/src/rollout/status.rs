//! A rollout as people see it: phase, share, gates with their evidence, both arms, the last events.

use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::clock::Timestamp;

use super::bandit::Posterior;
use super::gate::{Measure, Standing};
use super::{Arm, Phase, Rollout, RolloutEvent, RolloutState};
use crate::config::rollout::{GatesConfig, RolloutKind};

/// A rollout as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RolloutStatus {
    /// The route.
    pub route: String,
    /// How it goes.
    pub kind: RolloutKind,
    /// Who is tried.
    pub candidate: Vec<String>,
    /// Where it stands.
    pub phase: Phase,
    /// The candidate's share, from 0 to 1; for a shadow, of the calls that are copied.
    pub share: f64,
    /// Since when the share is what it is.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// A false promotion and a false rollback are each rarer than one minus this.
    pub confidence: f64,
    /// The gates; of a bandit and of blue and green they decide nothing.
    pub gates: Vec<GateStatus>,
    /// Both arms.
    pub arms: Vec<ArmStatus>,
    /// The probability that the candidate earns more; for a bandit.
    pub candidate_is_better: Option<f64>,
    /// What happened, newest last.
    pub events: Vec<RolloutEvent>,
}

/// One gate.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct GateStatus {
    /// What it is about.
    pub measure: Measure,
    /// As configured.
    pub limit: f64,
    /// Where it stands.
    pub standing: Standing,
    /// The candidate's value; seconds for times, US dollars for cost, a share for errors and parity.
    pub candidate: Option<f64>,
    /// The incumbent's.
    pub incumbent: Option<f64>,
    /// How far the evidence is on the way to showing that it is kept, from 0 to 1.
    pub towards_met: f64,
    /// The same for showing that it is broken.
    pub towards_broken: f64,
}

/// One arm.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ArmStatus {
    /// Which.
    pub arm: Arm,
    /// Calls that came to an end.
    pub calls: u64,
    /// Of these, failed.
    pub errors: u64,
    /// US dollars for all of them.
    pub cost_usd: f64,
    /// What is believed of its mean reward; for a bandit.
    pub posterior: Option<Posterior>,
}

impl Rollout {
    /// The rollout as it stands.
    pub fn status(&self) -> RolloutStatus {
        let is_bandit = self.config.kind == RolloutKind::ChampionChallenger;
        let state = &self.state;
        let arm = |arm| {
            let totals = state.totals.of(arm);
            ArmStatus {
                arm,
                calls: totals.calls,
                errors: totals.errors,
                cost_usd: totals.cost_usd,
                posterior: is_bandit.then(|| state.bandit.posterior(arm)),
            }
        };
        RolloutStatus {
            route: self.route.clone(),
            kind: self.config.kind,
            candidate: self.config.candidate.clone(),
            phase: state.phase,
            share: state.share,
            since: state.since,
            confidence: self.config.confidence,
            gates: self.gates(),
            arms: vec![arm(Arm::Incumbent), arm(Arm::Candidate)],
            candidate_is_better: is_bandit.then(|| state.bandit.candidate_is_better()),
            events: state.events.iter().cloned().collect(),
        }
    }

    fn gates(&self) -> Vec<GateStatus> {
        let error_rate = self.error_rate();
        let gate = |(measure, standing)| {
            let (towards_met, towards_broken) = self.state.evidence.progress(measure, error_rate);
            GateStatus {
                measure,
                limit: limit(&self.config.gates, measure),
                standing,
                candidate: value(&self.state, measure, Arm::Candidate),
                incumbent: value(&self.state, measure, Arm::Incumbent),
                towards_met,
                towards_broken,
            }
        };
        self.state.evidence.standings(error_rate).into_iter().map(gate).collect()
    }
}

fn limit(gates: &GatesConfig, measure: Measure) -> f64 {
    match measure {
        Measure::Errors => gates.errors,
        Measure::TtftP95 => gates.ttft_p95,
        Measure::TpotP95 => gates.tpot_p95,
        Measure::Cost => gates.cost,
        Measure::Parity => gates.parity,
    }
}

/// What an arm has come to, as people read it.
pub(super) fn value(state: &RolloutState, measure: Measure, arm: Arm) -> Option<f64> {
    let totals = state.totals.of(arm);
    let part = |of: u64, all: u64| (all > 0).then(|| of as f64 / all as f64);
    match measure {
        Measure::Errors => part(totals.errors, totals.calls),
        Measure::TtftP95 | Measure::TpotP95 => state.evidence.p95(measure, arm),
        Measure::Cost => (totals.calls > 0).then(|| totals.cost_usd / totals.calls as f64),
        Measure::Parity => part(totals.good, totals.judged),
    }
}
