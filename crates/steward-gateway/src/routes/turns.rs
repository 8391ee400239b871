//! Turns: list, inspect, stop, undo; and the page that says whether anything needs a person.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;
use steward_domain::id::{AgentName, TurnId};
use steward_domain::journal::TurnStatus;
use steward_runtime::spend::ReportBy;
use steward_runtime::turns::{TurnLine, TurnQuery, TurnView};
use steward_runtime::undo::Undone;

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::operations::Reading;
use crate::server::Gateway;
use crate::shapes::{Page, Stopped, Today, TurnContext};

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Filter {
    /// At most this many.
    limit: Option<u32>,
    /// Only turns older than this one.
    cursor: Option<String>,
    /// Only of this agent.
    agent: Option<String>,
    /// Only in this state.
    status: Option<TurnStatus>,
    /// Only of the session with this name or id.
    session: Option<String>,
}

impl Filter {
    fn query(self, default_limit: u32) -> TurnQuery {
        TurnQuery {
            agent: self.agent.as_deref().map(AgentName::from),
            status: self.status,
            session: self.session,
            cursor: self.cursor.map(TurnId::from_text),
            limit: self.limit.unwrap_or(default_limit),
        }
    }
}

/// `GET /api/turns`.
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<TurnLine>>, ApiError> {
    let items = gateway.runtime.turns(filter.query(50), &caller.identity).await?;
    let cursor = items.last().map(|turn| turn.id.clone());
    Ok(Json(Page { items, cursor }))
}

/// `GET /api/turns/{id}`.
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(id): Path<String>,
) -> Result<Json<TurnView>, ApiError> {
    Ok(Json(gateway.runtime.turn(&TurnId::from_text(id), &caller.identity).await?))
}

/// `GET /api/turns/{id}/context`.
pub(crate) async fn context(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(id): Path<String>,
) -> Result<Json<TurnContext>, ApiError> {
    let steps = gateway.runtime.turn_context(&TurnId::from_text(id), &caller.identity).await?;
    Ok(Json(TurnContext { steps }))
}

/// `POST /api/turns/{id}/stop`.
pub(crate) async fn stop(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(id): Path<String>,
) -> Result<Json<Stopped>, ApiError> {
    let status = gateway.runtime.stop(&TurnId::from_text(id), &caller.identity).await?;
    Ok(Json(Stopped { status }))
}

/// `POST /api/turns/{id}/undo`.
pub(crate) async fn undo(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(id): Path<String>,
) -> Result<Json<Undone>, ApiError> {
    Ok(Json(gateway.runtime.undo(&TurnId::from_text(id), &caller.identity).await?))
}

/// `GET /api/today`.
pub(crate) async fn today(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
) -> Result<Json<Today>, ApiError> {
    let identity = &caller.identity;
    let approvals = gateway.runtime.approvals(true, identity).await?;
    let running = TurnQuery {
        status: Some(TurnStatus::Running),
        limit: 50,
        ..TurnQuery::default()
    };
    let running = gateway.runtime.turns(running, identity).await?;
    let recent = gateway
        .runtime
        .turns(
            TurnQuery {
                limit: 10,
                ..TurnQuery::default()
            },
            identity,
        )
        .await?;
    let spent = gateway
        .runtime
        .spend_report(ReportBy::Day, Some(gateway.runtime.start_of_today()))
        .await?;
    let local_model = gateway.operations.read(Reading::LocalModel).await?;
    Ok(Json(Today {
        approvals,
        running,
        recent,
        spent_today_usd: spent.total_usd,
        local_model,
    }))
}
