//! Tells others what is measured: a collector of OTLP and webhooks of alerts, as far as the configuration names any.
//!
//! Follows every change of the configuration. Nobody waits for it, and its failures are only logged.

use std::sync::Arc;
use std::time::Duration;

use steward_domain::clock::Clock;
use steward_inference::measure::otlp::Collector;
use steward_inference::measure::{TraceSettings, Webhooks};
use tracing::warn;

use crate::system_clock::SystemClock;
use crate::wiring::House;

/// How often it looks whether something is to be told.
const TICK: Duration = Duration::from_millis(500);

/// Measures, judges alerts and tells, for as long as it is polled.
pub(crate) async fn run(house: Arc<House>) {
    tokio::join!(house.router.measure(), tell_webhooks(&house), tell_collector(&house));
}

async fn tell_webhooks(house: &House) {
    let mut webhooks = match Webhooks::new() {
        Ok(webhooks) => webhooks,
        Err(problem) => {
            warn!("webhooks are not told of alerts: {problem}");
            return;
        }
    };
    loop {
        tokio::time::sleep(TICK).await;
        webhooks.set(&house.configuration.load().telemetry.webhooks);
        for alert in house.router.measures().take_alerts() {
            webhooks.add(&alert);
        }
        webhooks.work(SystemClock.now()).await;
    }
}

async fn tell_collector(house: &House) {
    let since = SystemClock.now();
    let mut collector: Option<(String, Collector)> = None;
    let mut last_problem = None;
    let mut told_at = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(TICK).await;
        let telemetry = house.configuration.load().telemetry.clone();
        let Some(url) = telemetry.otlp.clone() else {
            house.router.measures().spans.set(TraceSettings { share: 0.0 });
            collector = None;
            continue;
        };
        let share = telemetry.traces;
        house.router.measures().spans.set(TraceSettings { share });
        if collector.as_ref().is_none_or(|(known, _)| *known != url) {
            collector = Collector::new(&url).ok().map(|new| (url, new));
        }
        let Some((_, collector)) = collector.as_ref().filter(|_| told_at.elapsed() >= telemetry.every()) else {
            continue;
        };
        told_at = tokio::time::Instant::now();
        let sent = collector
            .send(house.router.measures(), since, SystemClock.now(), &house.router.gauges())
            .await;
        let problem = sent.err();
        // A collector that stays away is named once.
        if let Some(problem) = &problem
            && last_problem.as_ref() != Some(problem)
        {
            warn!("the telemetry was not delivered: {problem}");
        }
        last_problem = problem;
    }
}
