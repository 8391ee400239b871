//! Alerts of routes: begins one when a measure stays beyond its limit, ends it when the measure stays well again.
//!
//! A limit has a margin of a tenth on the way back, so that a measure that swings around it begins one alert and not many. Each beginning
//! and each end is told once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::PoisonError;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::clock::{Timestamp, rfc3339};

use super::registry::Measures;
use super::series::Taken;
use crate::config::{AlertConfig, AlertOn};
use crate::wait::since;

/// Alerts kept for people; the oldest goes first.
const KEPT: usize = 200;

/// Alerts that wait for their delivery; more mean that nobody takes them.
const WAITING: usize = 1_000;

/// How far on the right side of its limit a measure must be before an alert ends.
const MARGIN: f64 = 0.1;

/// The beginning or the end of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Alert {
    /// The same for the beginning and the end of one alert.
    pub id: String,
    /// The route.
    pub route: String,
    /// What is watched.
    pub on: AlertOn,
    /// Whether it begins or ends.
    pub state: AlertState,
    /// What was measured: milliseconds for times.
    pub value: Option<f64>,
    /// The limit, in the same unit.
    pub limit: f64,
    /// Over how much time it was taken, in seconds.
    pub window_s: f64,
    /// When.
    pub at: String,
    /// When it began.
    pub since: String,
    /// A sentence for people.
    pub message: String,
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The measure is beyond its limit.
    Firing,
    /// It is well again.
    Resolved,
}

/// Alerts, for people.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Alerts {
    /// Those that hold now.
    pub firing: Vec<Alert>,
    /// Beginnings and ends, the latest first.
    pub log: Vec<Alert>,
}

type Key = (String, String);

/// What is known of alerts.
#[derive(Default)]
pub(crate) struct AlertLog {
    watched: HashMap<Key, Watched>,
    log: VecDeque<Alert>,
    outbox: VecDeque<Alert>,
}

/// One rule of one route.
#[derive(Default)]
struct Watched {
    /// Since when it has been on the other side than what was told last.
    turned_at: Option<Timestamp>,
    firing: Option<Alert>,
}

impl Measures {
    /// Looks whether alerts begin or end. Wanted at every tick.
    pub fn judge<'a>(&self, now: Timestamp, rules: impl IntoIterator<Item = (&'a str, &'a AlertConfig)>) {
        let mut log = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = HashSet::new();
        for (route, rule) in rules {
            let key = (route.to_owned(), format!("{rule:?}"));
            let window = self.window(now, rule.window);
            let taken = window.merged(|labels| *labels.route == *route);
            let value = measured(rule, &taken, window.seconds);
            let judged = Judged {
                route,
                rule,
                value,
                now,
                window: Duration::from_secs_f64(window.seconds),
            };
            let told = log.watched.entry(key.clone()).or_default().judge(&judged);
            log.tell(told);
            wanted.insert(key);
        }
        // What is no longer watched is no longer wrong.
        log.watched.retain(|key, _| wanted.contains(key));
    }

    /// The alerts that hold and those of late.
    pub fn alerts(&self) -> Alerts {
        let log = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut firing: Vec<Alert> = log.watched.values().filter_map(|watched| watched.firing.clone()).collect();
        firing.sort_by(|left, right| left.since.cmp(&right.since).then_with(|| left.id.cmp(&right.id)));
        Alerts {
            firing,
            log: log.log.iter().rev().cloned().collect(),
        }
    }

    /// The beginnings and ends that were not taken yet. Each is given once.
    pub fn take_alerts(&self) -> Vec<Alert> {
        let mut log = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        log.outbox.drain(..).collect()
    }
}

impl AlertLog {
    fn tell(&mut self, told: Option<Alert>) {
        let Some(alert) = told else { return };
        tracing::warn!(route = alert.route, on = alert.on.name(), "{}", alert.message);
        if self.log.len() >= KEPT {
            self.log.pop_front();
        }
        self.log.push_back(alert.clone());
        if self.outbox.len() >= WAITING {
            self.outbox.pop_front();
        }
        self.outbox.push_back(alert);
    }
}

/// One look at one rule.
struct Judged<'a> {
    route: &'a str,
    rule: &'a AlertConfig,
    /// `None` with too few calls.
    value: Option<f64>,
    now: Timestamp,
    window: Duration,
}

impl Watched {
    fn judge(&mut self, judged: &Judged<'_>) -> Option<Alert> {
        let has_turned = match &self.firing {
            None => judged.value.is_some_and(|value| judged.is_beyond(value, 0.0)),
            // Without calls nothing is wrong any more.
            Some(_) => judged.value.is_none_or(|value| !judged.is_beyond(value, MARGIN)),
        };
        if !has_turned {
            self.turned_at = None;
            return None;
        }
        let turned_at = *self.turned_at.get_or_insert(judged.now);
        if since(judged.now, turned_at) < judged.rule.r#for {
            return None;
        }
        self.turned_at = None;
        match self.firing.take() {
            None => {
                let alert = judged.alert(AlertState::Firing, None);
                self.firing = Some(alert.clone());
                Some(alert)
            }
            Some(begun) => Some(judged.alert(AlertState::Resolved, Some(begun))),
        }
    }
}

impl Judged<'_> {
    /// Is the value on the wrong side of the limit, moved by a margin to the right side?
    fn is_beyond(&self, value: f64, margin: f64) -> bool {
        let limit = self.rule.limit();
        if self.rule.on.is_time() {
            value > limit * (1.0 - margin)
        } else {
            // A share cannot be asked to be better than whole.
            let back = limit * (1.0 + margin);
            value
                < if self.rule.on == AlertOn::Attainment {
                    back.min((limit + 1.0) / 2.0)
                } else {
                    back
                }
                .max(limit)
        }
    }

    fn alert(&self, state: AlertState, begun: Option<Alert>) -> Alert {
        let on = self.rule.on;
        let unit = if on.is_time() { 1e3 } else { 1.0 };
        let (value, limit) = (self.value.map(|value| value * unit), self.rule.limit() * unit);
        let at = rfc3339(self.now);
        let shown = |number: f64| {
            if on.is_time() {
                format!("{number:.0} ms")
            } else {
                format!("{number:.3}")
            }
        };
        let value_text = value.map_or_else(|| "without calls".to_owned(), shown);
        let (verb, side) = match state {
            AlertState::Firing => ("is", if on.is_time() { "above" } else { "below" }),
            AlertState::Resolved => ("is well again:", "against"),
        };
        Alert {
            id: begun
                .as_ref()
                .map_or_else(|| format!("{}:{}:{at}", self.route, on.name()), |begun| begun.id.clone()),
            route: self.route.to_owned(),
            on,
            state,
            value,
            limit,
            window_s: self.window.as_secs_f64(),
            since: begun.map_or_else(|| at.clone(), |begun| begun.since),
            at,
            message: format!(
                "route {}: {} {verb} {value_text}, {side} its limit of {}",
                self.route,
                on.name(),
                shown(limit)
            ),
        }
    }
}

/// The measure of a rule; `None` with too few calls.
fn measured(rule: &AlertConfig, taken: &Taken, seconds: f64) -> Option<f64> {
    if taken.judged() < rule.min_requests.max(1) {
        return None;
    }
    let times = &taken.times;
    match rule.on {
        AlertOn::TtftP95 => times.ttft.quantile(0.95),
        AlertOn::TtftP99 => times.ttft.quantile(0.99),
        AlertOn::TpotP95 => times.tpot.quantile(0.95),
        AlertOn::TpotP99 => times.tpot.quantile(0.99),
        AlertOn::ItlP95 => times.itl.quantile(0.95),
        AlertOn::ItlP99 => times.itl.quantile(0.99),
        AlertOn::TotalP95 => times.total.quantile(0.95),
        AlertOn::TotalP99 => times.total.quantile(0.99),
        AlertOn::Goodput => Some(taken.good as f64 / seconds),
        AlertOn::GoodputTokens => Some(taken.good_tokens as f64 / seconds),
        AlertOn::Attainment => taken.attainment(),
    }
}

#[cfg(test)]
mod tests;
