//! `steward top`: how routes, models, providers, agents or teams perform.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::text;
use crate::cli::Top;
use crate::client::Client;
use crate::output::{self, Form};

/// How often it draws again.
const EVERY: Duration = Duration::from_secs(2);

/// Cursor to the upper left, and the screen empty.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

const HEADINGS: [&str; 13] = [
    "name",
    "calls",
    "good/s",
    "raw/s",
    "attained",
    "ttft p50",
    "p95",
    "p99",
    "tpot p50",
    "p95",
    "itl p95",
    "inside p50",
    "usd",
];

pub(crate) async fn run(client: &Client, options: Top, form: Form) -> Result<()> {
    let path = format!("/api/performance?by={}&window={}", options.by, options.window);
    loop {
        let performance = client.get(&path).await?;
        if options.watch && form == Form::Text {
            output::screen(CLEAR);
        }
        match form {
            Form::Json => output::json(&performance),
            Form::Text => show(&performance),
        }
        if !options.watch {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn show(performance: &Value) {
    let rows: Vec<Vec<String>> = performance["rows"].as_array().into_iter().flatten().map(row).collect();
    let window = performance["window_s"].as_f64().unwrap_or_default();
    output::line(&format!("{} the last {window:.0} s, times in ms", text(performance, "at")));
    if rows.is_empty() {
        output::aside("no calls");
    } else {
        output::table(&HEADINGS, &rows);
    }
}

fn row(row: &Value) -> Vec<String> {
    let number = |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), |number| format!("{number:.1}"));
    let fine = |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), |number| format!("{number:.2}"));
    let share = |value: &Value| {
        value
            .as_f64()
            .map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0))
    };
    vec![
        text(row, "name").to_owned(),
        row["requests"].to_string(),
        fine(&row["goodput"]["requests_per_s"]),
        fine(&row["throughput"]["requests_per_s"]),
        share(&row["attainment"]),
        number(&row["ttft_ms"]["p50"]),
        number(&row["ttft_ms"]["p95"]),
        number(&row["ttft_ms"]["p99"]),
        number(&row["tpot_ms"]["p50"]),
        number(&row["tpot_ms"]["p95"]),
        number(&row["itl_ms"]["p95"]),
        fine(&row["overhead_ms"]["p50"]),
        text(row, "cost_usd").to_owned(),
    ]
}
