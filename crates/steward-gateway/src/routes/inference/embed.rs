//! Embeddings: OpenAI's call and Gemini's two.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::Response;
use bytes::Bytes;
use steward_dialects::Dialect;
use steward_dialects::embeddings::{self, EmbedRequest};
use steward_dialects::ingress::{GeminiAction, GeminiCall};
use steward_domain::id::RequestId;
use steward_domain::model::ModelError;

use super::{JSON, model_caller, set};
use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::server::Gateway;

/// `POST /v1/embeddings`.
pub(crate) async fn openai(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked = embeddings::decode_request(Dialect::OpenAiChat, None, false, &body);
    answer(&gateway, &caller, asked, Dialect::OpenAiChat).await
}

/// Gemini's `embedContent` and `batchEmbedContents`.
pub(super) async fn gemini(gateway: &Gateway, caller: &Authenticated, call: &GeminiCall, body: &[u8]) -> Result<Response, ApiError> {
    let is_batch = call.action == GeminiAction::BatchEmbed;
    let asked = embeddings::decode_request(Dialect::Gemini, Some(&call.model), is_batch, body);
    answer(gateway, caller, asked, Dialect::Gemini).await
}

async fn answer(
    gateway: &Gateway,
    caller: &Authenticated,
    asked: Result<EmbedRequest, ModelError>,
    dialect: Dialect,
) -> Result<Response, ApiError> {
    let began = Instant::now();
    let in_dialect = |error| ApiError::of_model(&error, dialect);
    let asked = asked.map_err(in_dialect)?;
    let request = RequestId::generate();
    let overhead_us = began.elapsed().as_micros();
    let answer = gateway
        .operations
        .embed(asked.clone(), model_caller(caller, &request))
        .await
        .map_err(in_dialect)?;
    let body = match answer.body {
        Some(body) => body,
        None => Bytes::from(embeddings::encode_response(&asked, &answer.embedded, answer.usage.total_input())),
    };
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    set(&mut response, "x-steward-request-id", request.as_str());
    set(&mut response, "x-steward-target", &answer.answerer.target);
    set(&mut response, "x-steward-attempts", &answer.answerer.attempts.to_string());
    set(&mut response, "x-steward-cost-usd", &answer.cost.to_string());
    set(&mut response, "x-steward-overhead-us", &overhead_us.to_string());
    set(&mut response, "x-steward-cache", "off");
    Ok(response)
}
