//! Sliding windows: how everything stood every ten seconds of the last five minutes, to be compared with now.
//!
//! A series that did not change between two moments shares its snapshot with the moment before.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use steward_domain::clock::Timestamp;

use super::registry::Measures;
use super::series::{Labels, Series, Taken};
use crate::wait::since;

/// How far apart moments are.
pub(crate) const TICK: Duration = Duration::from_secs(10);

/// The longest window.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);

/// Moments kept.
const MOMENTS: usize = 31;

/// How everything stood at some moments.
#[derive(Default)]
pub(crate) struct History {
    moments: VecDeque<Moment>,
    last: Vec<Arc<Taken>>,
}

struct Moment {
    at: Timestamp,
    series: Vec<Arc<Taken>>,
}

impl History {
    pub(crate) fn push(&mut self, now: Timestamp, series: &[Arc<Series>]) {
        let taken: Vec<Arc<Taken>> = series
            .iter()
            .enumerate()
            .map(|(index, series)| match self.last.get(index) {
                Some(last) if last.version == series.version() => Arc::clone(last),
                _ => Arc::new(series.snapshot()),
            })
            .collect();
        self.last.clone_from(&taken);
        if self.moments.len() >= MOMENTS {
            self.moments.pop_front();
        }
        self.moments.push_back(Moment { at: now, series: taken });
    }

    /// The latest moment that is at least `span` ago, else the first there is.
    fn before(&self, now: Timestamp, span: Duration) -> Option<&Moment> {
        let is_old_enough = |moment: &&Moment| since(now, moment.at) >= span;
        self.moments.iter().rev().find(is_old_enough).or(self.moments.front())
    }
}

/// What came within a window, by labels.
pub(crate) struct Window {
    /// How long it really is, in seconds; never below one.
    pub(crate) seconds: f64,
    pub(crate) series: Vec<(Labels, Taken)>,
}

impl Window {
    /// All series together whose labels fit.
    pub(crate) fn merged(&self, fits: impl Fn(&Labels) -> bool) -> Taken {
        let mut all = Taken::default();
        for (labels, taken) in &self.series {
            if fits(labels) {
                all.merge(taken);
            }
        }
        all
    }
}

impl Measures {
    /// What came within the last `span`; less where measuring began later.
    pub(crate) fn window(&self, now: Timestamp, span: Duration) -> Window {
        let series = self.all();
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = history.before(now, span.min(LONGEST));
        let seconds = moment.map_or(1.0, |moment| since(now, moment.at).as_secs_f64().max(1.0));
        let taken = |(index, series): (usize, &Arc<Series>)| {
            let now = series.snapshot();
            let earlier = moment.and_then(|moment| moment.series.get(index));
            let taken = earlier.map(|earlier| now.since(earlier)).unwrap_or(now);
            (series.labels.clone(), taken)
        };
        Window {
            seconds,
            series: series.iter().enumerate().map(taken).collect(),
        }
    }
}
