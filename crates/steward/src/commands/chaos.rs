//! `steward chaos`: begins a drill on the running server, watches it to its end, and shows what callers saw.
//!
//! The server ends a drill that nobody watches, so one that was begun here never outlives this command by more than seconds.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use steward_runtime::config::parse_duration;

use super::text;
use crate::cli::{Chaos, ChaosRun};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

/// How often the server is asked; it ends the drill when it is not asked for 10 s.
const ASK_EVERY: Duration = Duration::from_secs(2);

pub(super) async fn run(client: &Client, command: Chaos, form: Form) -> Result<()> {
    let report = match command {
        Chaos::Report => client.get("/api/chaos").await?,
        Chaos::Run(_) if client.is_own() => {
            let failure = Failure::new(Exit::NotReached, "not_reached", "no server runs, so nobody would see the drill");
            return Err(failure.with_hint("start it with `steward serve`").into());
        }
        Chaos::Run(options) => drill(client, &options).await?,
    };
    match form {
        Form::Json => output::json(&report),
        Form::Text => show(&report),
    }
    Ok(())
}

async fn drill(client: &Client, options: &ChaosRun) -> Result<Value> {
    let begun = client.post("/api/chaos", &plan(options)?).await?;
    let id = text(&begun, "id").to_owned();
    output::aside(&format!(
        "{id} makes route {} fail for {}; Ctrl-C ends it",
        options.route, options.duration
    ));
    let watch = format!("/api/chaos/{id}/watch");
    let stop = format!("/api/chaos/{id}/stop");
    let mut left = parse_duration(&options.duration).map_err(bad)?;
    while !left.is_zero() {
        let wait = left.min(ASK_EVERY);
        tokio::select! {
            () = tokio::time::sleep(wait) => left -= wait,
            _ = tokio::signal::ctrl_c() => left = Duration::ZERO,
        }
        client.post(&watch, &json!({})).await?;
    }
    client.post(&stop, &json!({})).await
}

fn plan(options: &ChaosRun) -> Result<Value> {
    let ms = |written: &str| parse_duration(written).map_err(bad).map(|duration| duration.as_millis());
    Ok(json!({
        "route": options.route,
        "errors": options.errors,
        "rate_limit": options.rate_limit,
        "dns": options.dns,
        "cut": options.cut,
        "garble": options.garble,
        "latency_ms": u64::try_from(ms(&options.latency)?)?,
        "for_ms": u64::try_from(ms(&options.duration)?)?,
    }))
}

fn bad(problem: String) -> anyhow::Error {
    Failure::new(Exit::Failed, "invalid", problem).into()
}

fn show(report: &Value) {
    let counts = |field: &str| {
        let counts: Vec<String> = report[field]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
    };
    let waits = |field: &str| {
        let wait = |part: &str| report[field][part].to_string();
        format!(
            "p50 {}, p95 {}, p99 {}, most {}",
            wait("p50"),
            wait("p95"),
            wait("p99"),
            wait("max")
        )
    };
    let seconds = report["ran_ms"].as_f64().unwrap_or_default() / 1000.0;
    let lines = [
        format!(
            "{} on route {}: {} after {seconds:.1} s",
            text(report, "id"),
            text(&report["plan"], "route"),
            text(report, "state")
        ),
        format!("injected: {}", counts("injected")),
        format!(
            "calls: {}, answered whole: {}, given up: {}",
            report["requests"], report["ok"], report["cancelled"]
        ),
        format!("errors: {}; broken off after content: {}", counts("errors"), report["broken_off"]),
        format!(
            "answered by a fallback: {}; further attempts: {}",
            report["fallbacks"], report["further_attempts"]
        ),
        format!("first content, ms: {}", waits("first_content_ms")),
        format!("whole answer, ms: {}", waits("whole_ms")),
    ];
    for line in lines {
        output::line(&output::printable(&line));
    }
}
