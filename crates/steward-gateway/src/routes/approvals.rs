//! Questions to a person and their answers.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;
use steward_domain::approval::Scope;
use steward_domain::id::ApprovalId;
use steward_runtime::approvals::{ApprovalView, Verdict};

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::server::Gateway;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Filter {
    /// `waiting`, or `all` for answered ones too.
    state: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ApprovalWord")]
enum Word {
    Allow,
    Deny,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ApprovalAnswer")]
pub(crate) struct Body {
    /// Yes or no.
    decision: Word,
    /// How long a yes holds; once unless said.
    scope: Option<Scope>,
    /// The question's digest; an answer to another question is refused.
    digest: Option<String>,
    /// A word with it; the answer itself for a question.
    note: Option<String>,
}

/// `GET /api/approvals`.
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<ApprovalView>>, ApiError> {
    let only_waiting = filter.state.as_deref().unwrap_or("waiting") == "waiting";
    Ok(Json(gateway.runtime.approvals(only_waiting, &caller.identity).await?))
}

/// `GET /api/approvals/{id}`.
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(id): Path<String>,
) -> Result<Json<ApprovalView>, ApiError> {
    Ok(Json(gateway.runtime.approval(&ApprovalId::from_text(id), &caller.identity).await?))
}

/// `POST /api/approvals/{id}/decision`.
pub(crate) async fn decide(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(id): Path<String>,
    Json(body): Json<Body>,
) -> Result<Json<ApprovalView>, ApiError> {
    let verdict = Verdict {
        is_allowed: matches!(body.decision, Word::Allow),
        scope: body.scope.unwrap_or_default(),
        digest: body.digest,
        note: body.note.unwrap_or_default(),
    };
    Ok(Json(
        gateway
            .runtime
            .decide(&ApprovalId::from_text(id), verdict, &caller.identity)
            .await?,
    ))
}

/// `POST /api/approvals/{id}/approve`.
pub(crate) async fn approve(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(id): Path<String>,
) -> Result<Json<ApprovalView>, ApiError> {
    short(&gateway, &caller, id, true).await
}

/// `POST /api/approvals/{id}/deny`.
pub(crate) async fn deny(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(id): Path<String>,
) -> Result<Json<ApprovalView>, ApiError> {
    short(&gateway, &caller, id, false).await
}

async fn short(gateway: &Gateway, caller: &Authenticated, id: String, is_allowed: bool) -> Result<Json<ApprovalView>, ApiError> {
    let verdict = Verdict {
        is_allowed,
        scope: Scope::Once,
        digest: None,
        note: String::new(),
    };
    Ok(Json(
        gateway
            .runtime
            .decide(&ApprovalId::from_text(id), verdict, &caller.identity)
            .await?,
    ))
}
