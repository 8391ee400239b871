//! Gemini's paths: the model and what is asked of it stand behind one another in the last part.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use steward_dialects::Dialect;
use steward_dialects::ingress::{GeminiAction, GeminiCall, decode_gemini_request};

use super::{Asked, answer, count, embed};
use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::server::Gateway;

/// `POST /v1beta/models/{model}:{action}`. The model may have slashes, raw or escaped.
pub(crate) async fn call(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    (Path(path), RawQuery(query)): (Path<String>, RawQuery),
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let began = Instant::now();
    let Some(call) = GeminiCall::parse(&path, query.as_deref().unwrap_or_default()) else {
        let message = format!(
            "there is no call at {path:?}; use MODEL:generateContent, :streamGenerateContent, :countTokens, :embedContent or :batchEmbedContents"
        );
        return Err(ApiError::new(404, "not_found", message).in_dialect(Dialect::Gemini));
    };
    match call.action {
        GeminiAction::Generate | GeminiAction::StreamGenerate => {
            let ingress = decode_gemini_request(&call, &body).map_err(|error| ApiError::of_model(&error, Dialect::Gemini))?;
            let asked = Asked {
                dialect: Dialect::Gemini,
                is_list: ingress.is_stream && !call.is_sse,
                ingress,
                began,
            };
            answer(&gateway, asked, &caller, &headers).await
        }
        GeminiAction::CountTokens => count::gemini(&gateway, &caller, &call.model, &body).await,
        GeminiAction::Embed | GeminiAction::BatchEmbed => embed::gemini(&gateway, &caller, &call, &body).await,
    }
}
