//! Measures: Prometheus text, performance as JSON, alerts.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use steward_inference::measure::alert::Alerts;
use steward_inference::measure::performance::{Dimension, Performance};
use steward_runtime::config::parse_duration;

use crate::error::ApiError;
use crate::server::Gateway;

/// The path whose access the configuration decides.
pub(crate) const METRICS: &str = "/metrics";

/// The format of the text, as scrapers want it named.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The windows that can be asked for.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);

/// What is looked at.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Look {
    /// What a row stands for; `route` unless said.
    by: Option<Dimension>,
    /// How far back, from `10s` to `5m`; `1m` unless said.
    window: Option<String>,
}

/// `GET /metrics`.
pub(crate) async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    let text = gateway.operations.measured().prometheus();
    ([(header::CONTENT_TYPE, TEXT)], text).into_response()
}

/// `GET /api/performance`.
pub(crate) async fn performance(State(gateway): State<Arc<Gateway>>, Query(look): Query<Look>) -> Result<Json<Performance>, ApiError> {
    let written = look.window.as_deref().unwrap_or("1m");
    let span = parse_duration(written).map_err(|problem| ApiError::new(400, "invalid_request", format!("window: {problem}")))?;
    if !(SHORTEST..=LONGEST).contains(&span) {
        return Err(ApiError::new(400, "invalid_request", "window: it must be between 10s and 5m"));
    }
    let measured = gateway.operations.measured();
    Ok(Json(measured.performance(look.by.unwrap_or_default(), span)))
}

/// `GET /api/alerts`.
pub(crate) async fn alerts(State(gateway): State<Arc<Gateway>>) -> Json<Alerts> {
    Json(gateway.operations.measured().alerts())
}
