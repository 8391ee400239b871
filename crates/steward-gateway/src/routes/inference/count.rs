//! How many tokens a request has, before it is made: Anthropic's and Gemini's calls for it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use serde_json::{Value, json};
use steward_dialects::Dialect;
use steward_dialects::ingress::decode_count_request;
use steward_domain::id::RequestId;
use steward_domain::usage::UsageSource;
use steward_inference::route::TokenCount;

use super::model_caller;
use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::server::Gateway;

/// `POST /v1/messages/count_tokens`.
pub(crate) async fn messages(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let counted = count(&gateway, &caller, Dialect::Anthropic, None, &body).await?;
    Ok(said(counted, json!({ "input_tokens": counted.tokens })))
}

/// Gemini's `countTokens`.
pub(super) async fn gemini(gateway: &Gateway, caller: &Authenticated, model: &str, body: &[u8]) -> Result<Response, ApiError> {
    let counted = count(gateway, caller, Dialect::Gemini, Some(model), body).await?;
    Ok(said(counted, json!({ "totalTokens": counted.tokens })))
}

async fn count(
    gateway: &Gateway,
    caller: &Authenticated,
    dialect: Dialect,
    model: Option<&str>,
    body: &[u8],
) -> Result<TokenCount, ApiError> {
    let in_dialect = |error| ApiError::of_model(&error, dialect);
    let request = decode_count_request(dialect, model, body).map_err(in_dialect)?;
    let caller = model_caller(caller, &RequestId::generate());
    gateway.operations.count_tokens(request, caller).await.map_err(in_dialect)
}

/// The answer, which says whether a provider has counted.
fn said(counted: TokenCount, body: Value) -> Response {
    let source = match counted.source {
        UsageSource::Reported => "provider",
        UsageSource::Estimated => "estimate",
    };
    let mut response = Json(body).into_response();
    let headers = response.headers_mut();
    headers.insert("x-steward-token-source", HeaderValue::from_static(source));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
