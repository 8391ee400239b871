//! All series, found by their labels, bounded in number.
//!
//! A target of a route keeps handles to its series, so that a call finds its counters without a lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use steward_domain::clock::Timestamp;
use steward_domain::model::Caller;

use super::alert::AlertLog;
use super::series::{Labels, Series};
use super::trace::Spans;
use super::window::History;

/// The most sets of labels; calls of further ones are counted as `other`.
pub(crate) const SERIES_LIMIT: usize = 1_000;

/// Agents and teams told apart at one target of one route.
const CALLERS_LIMIT: usize = 64;

/// What a label says that was one too many.
const OTHER: &str = "other";

/// The route of targets that are asked for by name.
pub(crate) const DIRECT: &str = "direct";

/// All that is measured of calls. One for a router, for as long as it lives.
#[derive(Default)]
pub struct Measures {
    /// By labels, and in the order in which they came.
    series: Mutex<Known>,
    pub(super) history: Mutex<History>,
    pub(super) alerts: Mutex<AlertLog>,
    /// Calls whose course is told to a collector.
    pub spans: Spans,
}

#[derive(Default)]
struct Known {
    by_labels: HashMap<Labels, Arc<Series>>,
    list: Vec<Arc<Series>>,
}

impl Measures {
    /// The series of these labels, made when they are first asked for. Not for the path of a call.
    fn series_of(&self, labels: Labels) -> Arc<Series> {
        let mut known = self.lock();
        let is_full = known.list.len() >= SERIES_LIMIT;
        let labels = match known.by_labels.get(&labels) {
            Some(series) => return Arc::clone(series),
            // The route stays: there are as many as the configuration has.
            None if is_full => Labels {
                route: labels.route,
                target: format!("{OTHER}/{OTHER}").into(),
                agent: OTHER.into(),
                team: OTHER.into(),
            },
            None => labels,
        };
        if let Some(series) = known.by_labels.get(&labels) {
            return Arc::clone(series);
        }
        let series = Arc::new(Series::new(labels.clone()));
        known.by_labels.insert(labels, Arc::clone(&series));
        known.list.push(Arc::clone(&series));
        series
    }

    /// Every series so far, in the order in which they came.
    pub(super) fn all(&self) -> Vec<Arc<Series>> {
        self.lock().list.clone()
    }

    /// Notes how everything stands, so that later moments can be compared with this one. Wanted every ten seconds.
    pub fn tick(&self, now: Timestamp) {
        let series = self.all();
        self.history.lock().unwrap_or_else(PoisonError::into_inner).push(now, &series);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The series of one target of one route.
pub(crate) struct TargetMeasures {
    measures: Arc<Measures>,
    route: Arc<str>,
    target: Arc<str>,
    /// Calls without agent and team.
    plain: OnceLock<Arc<Series>>,
    others: ArcSwap<Vec<Arc<Series>>>,
}

impl TargetMeasures {
    pub(crate) fn new(measures: &Arc<Measures>, route: &str, target: &Arc<str>) -> Self {
        TargetMeasures {
            measures: Arc::clone(measures),
            route: route.into(),
            target: Arc::clone(target),
            plain: OnceLock::new(),
            others: ArcSwap::default(),
        }
    }

    /// The series of a caller.
    pub(crate) fn of(&self, caller: &Caller) -> Arc<Series> {
        let agent = caller.agent.as_ref().map_or("", |agent| agent.as_str());
        let team = caller.team.as_deref().unwrap_or_default();
        if agent.is_empty() && team.is_empty() {
            return Arc::clone(self.plain.get_or_init(|| self.find(agent, team)));
        }
        let others = self.others.load();
        let known = others
            .iter()
            .find(|series| *series.labels.agent == *agent && *series.labels.team == *team);
        match known {
            Some(series) => Arc::clone(series),
            None => self.meet(agent, team),
        }
    }

    /// A caller that was not seen here before.
    #[cold]
    fn meet(&self, agent: &str, team: &str) -> Arc<Series> {
        if self.others.load().len() >= CALLERS_LIMIT {
            return self.find(OTHER, OTHER);
        }
        let series = self.find(agent, team);
        self.others.rcu(|others| {
            let mut others = Vec::clone(others);
            others.push(Arc::clone(&series));
            others
        });
        series
    }

    fn find(&self, agent: &str, team: &str) -> Arc<Series> {
        self.measures.series_of(Labels {
            route: Arc::clone(&self.route),
            target: Arc::clone(&self.target),
            agent: agent.into(),
            team: team.into(),
        })
    }
}

#[cfg(test)]
mod tests;
