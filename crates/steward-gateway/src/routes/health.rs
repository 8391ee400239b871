//! Liveness and readiness.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::server::Gateway;

/// `GET /healthz`.
pub(crate) async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /readyz`: the store answers.
pub(crate) async fn ready(State(gateway): State<Arc<Gateway>>) -> Result<Json<Value>, ApiError> {
    gateway.runtime.has_administrator().await?;
    Ok(Json(json!({"status": "ready"})))
}
