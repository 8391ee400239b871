//! What was spent, from the ledger.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use schemars::JsonSchema;
use serde::Deserialize;
use steward_domain::clock::Timestamp;
use steward_domain::id::RequestId;
use steward_runtime::spend::{ReportBy, SpendReport};

use crate::error::ApiError;
use crate::server::Gateway;
use crate::shapes::CallReport;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Filter {
    /// What a row stands for; `model` unless said.
    by: Option<ReportBy>,
    /// Since a day, a time, or a span such as `7d`.
    since: Option<String>,
}

/// `GET /api/spend`.
pub(crate) async fn report(State(gateway): State<Arc<Gateway>>, Query(filter): Query<Filter>) -> Result<Json<SpendReport>, ApiError> {
    let since = filter.since.as_deref().map(|text| instant_of(&gateway, text)).transpose()?;
    Ok(Json(
        gateway.runtime.spend_report(filter.by.unwrap_or(ReportBy::Model), since).await?,
    ))
}

/// An instant, or a span before now such as `7d`.
fn instant_of(gateway: &Gateway, text: &str) -> Result<Timestamp, ApiError> {
    if let Ok(span) = steward_runtime::config::parse_duration(text) {
        return Ok(gateway.runtime.before_now(span));
    }
    let day = format!("{text}T00:00:00Z");
    let parsed = text.parse::<Timestamp>().or_else(|_| day.parse::<Timestamp>());
    parsed.map_err(|_| {
        ApiError::new(
            400,
            "invalid_request",
            format!("since={text:?} is no time: write 2026-01-31, an RFC 3339 time, or a span such as 7d"),
        )
    })
}

/// `GET /api/calls/{id}`.
pub(crate) async fn call(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Result<Json<CallReport>, ApiError> {
    let call = gateway.runtime.call(&RequestId::from_text(id.clone())).await?;
    let route = gateway.operations.explain(&id);
    Ok(Json(CallReport { call, route }))
}
