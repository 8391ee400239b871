//! What can be asked, as lists of models: one answer that OpenAI's and Anthropic's clients both read, and Gemini's.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use steward_dialects::Dialect;

use crate::error::ApiError;
use crate::operations::Reading;
use crate::server::Gateway;
use crate::shapes::{GeminiModel, GeminiModelList, ModelId, ModelList};

/// When nobody knows.
const LONG_AGO: &str = "1970-01-01T00:00:00Z";

/// `GET /v1/models`. Google's clients ask here too, and name themselves.
pub(crate) async fn list(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Result<Response, ApiError> {
    if is_google(&headers) {
        return Ok(gemini_list(State(gateway)).await?.into_response());
    }
    let data: Vec<ModelId> = names(&gateway).await?.into_iter().map(named).collect();
    Ok(Json(ModelList {
        object: "list",
        first_id: data.first().map(|model| model.id.clone()),
        last_id: data.last().map(|model| model.id.clone()),
        has_more: false,
        data,
    })
    .into_response())
}

fn is_google(headers: &HeaderMap) -> bool {
    headers.contains_key("x-goog-api-client") || headers.contains_key("x-goog-api-key")
}

/// `GET /v1/models/{model}`.
pub(crate) async fn show(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    if is_google(&headers) {
        return Ok(gemini_show(State(gateway), Path(name)).await?.into_response());
    }
    Ok(Json(named(find(&gateway, &name, Dialect::OpenAiChat).await?)).into_response())
}

/// `GET /v1beta/models`.
pub(crate) async fn gemini_list(State(gateway): State<Arc<Gateway>>) -> Result<Json<GeminiModelList>, ApiError> {
    let models = names(&gateway).await?.into_iter().map(gemini_named).collect();
    Ok(Json(GeminiModelList { models }))
}

/// `GET /v1beta/models/{model}`.
pub(crate) async fn gemini_show(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>) -> Result<Json<GeminiModel>, ApiError> {
    Ok(Json(gemini_named(find(&gateway, &name, Dialect::Gemini).await?)))
}

async fn find(gateway: &Gateway, name: &str, dialect: Dialect) -> Result<String, ApiError> {
    let known = names(gateway).await?;
    known
        .into_iter()
        .find(|known| known == name)
        .ok_or_else(|| ApiError::new(404, "model_not_found", format!("there is no route or model {name:?}")).in_dialect(dialect))
}

async fn names(gateway: &Gateway) -> Result<Vec<String>, ApiError> {
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
    Ok([
        names(&routes, "name", ""),
        names(&agents, "name", "agent/"),
        names(&models, "model", ""),
    ]
    .concat())
}

fn named(id: String) -> ModelId {
    ModelId {
        display_name: id.clone(),
        id,
        object: "model",
        kind: "model",
        created: 0,
        created_at: LONG_AGO,
        owned_by: "steward",
    }
}

fn gemini_named(id: String) -> GeminiModel {
    GeminiModel {
        name: format!("models/{id}"),
        display_name: id,
        version: "1",
        supported_generation_methods: ["generateContent", "streamGenerateContent", "countTokens"],
    }
}
