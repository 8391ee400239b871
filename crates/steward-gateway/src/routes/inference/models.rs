//! What can be asked, as lists of models.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::error::ApiError;
use crate::operations::Reading;
use crate::server::Gateway;
use crate::shapes::{ModelId, ModelList};

/// `GET /v1/models`.
pub(crate) async fn list(State(gateway): State<Arc<Gateway>>) -> Result<Json<ModelList>, ApiError> {
    let routes = gateway.operations.read(Reading::Routes).await?;
    let agents = gateway.operations.read(Reading::Agents).await?;
    let models = gateway.operations.read(Reading::Models).await?;
    let names = |list: &Value, field: &str, prefix: &str| -> Vec<String> {
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .filter_map(|item| item[field].as_str().map(|name| format!("{prefix}{name}")))
            .collect()
    };
    let all = [
        names(&routes, "name", ""),
        names(&agents, "name", "agent/"),
        names(&models, "model", ""),
    ]
    .concat();
    let named = |id| ModelId {
        id,
        object: "model",
        created: 0,
        owned_by: "steward",
    };
    Ok(Json(ModelList {
        object: "list",
        data: all.into_iter().map(named).collect(),
    }))
}
