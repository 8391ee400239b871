//! Liveness and readiness.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::error::ApiError;
use crate::server::Gateway;
use crate::shapes::Health;

/// `GET /healthz`.
pub(crate) async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// `GET /readyz`: the store answers.
pub(crate) async fn ready(State(gateway): State<Arc<Gateway>>) -> Result<Json<Health>, ApiError> {
    gateway.runtime.has_administrator().await?;
    Ok(Json(Health { status: "ready" }))
}
