//! Sessions and their messages.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;
use steward_domain::id::{AgentName, ChannelName, InboundId};
use steward_domain::message::Part;
use steward_domain::principal::Surface;
use steward_runtime::inbox::NewMessage;
use steward_runtime::sessions::SessionLine;

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::server::Gateway;
use crate::shapes::{List, Messages, Sent, TakenBy};

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SessionsPage")]
pub(crate) struct Page {
    /// At most this many.
    limit: Option<u32>,
    /// Messages: only those before this place in the journal.
    before: Option<i64>,
}

/// A message as a client writes it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Draft {
    /// The client's own id: the same again is the same message.
    client_id: Option<String>,
    /// What it says.
    text: String,
    /// To which agent; `main` unless said.
    agent: Option<String>,
    /// `web` or `terminal`.
    channel: Option<String>,
}

/// `GET /api/sessions`.
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Query(page): Query<Page>,
) -> Result<Json<List<SessionLine>>, ApiError> {
    let items = gateway.runtime.sessions(page.limit.unwrap_or(100), &caller.identity).await?;
    Ok(Json(List { items }))
}

/// `GET /api/sessions/{id}/messages`.
pub(crate) async fn messages(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Messages>, ApiError> {
    let (items, has_more) = gateway
        .runtime
        .messages(&id, page.before, page.limit.unwrap_or(60), &caller.identity)
        .await?;
    Ok(Json(Messages { items, has_more }))
}

/// `POST /api/sessions/{name}/messages`: 202 with the turn that takes it, 200 for a chat command.
pub(crate) async fn send(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(name): Path<String>,
    Json(draft): Json<Draft>,
) -> Result<Response, ApiError> {
    let channel = match draft.channel.as_deref() {
        None | Some("web") => "web",
        Some("terminal") => "terminal",
        Some(other) => {
            return Err(ApiError::new(
                400,
                "invalid_request",
                format!("channel {other:?} cannot be written to here; use web or terminal"),
            ));
        }
    };
    let message = NewMessage {
        principal: caller.identity.principal.clone(),
        surface: if caller.is_local {
            Surface::Cli
        } else if caller.cookie.is_some() {
            Surface::Console
        } else {
            Surface::Http
        },
        channel: ChannelName::from(channel),
        agent: agent_for(&caller, draft.agent)?,
        thread: thread_of(&gateway, &caller, name).await,
        external_id: draft.client_id.unwrap_or_else(|| InboundId::generate().to_string()),
        parts: vec![Part::text(draft.text)],
    };
    let taken = gateway.runtime.send(message).await?;
    let session_id = taken.session.to_string();
    if let Some(answer) = taken.command_answer {
        let said = Sent {
            session_id,
            command: Some(true),
            text: Some(answer),
            ..Sent::default()
        };
        return Ok(Json(said).into_response());
    }
    let sent = Sent {
        session_id,
        inbound_id: taken.inbound.map(|id| id.to_string()),
        turn_id: taken.turn.map(|id| id.to_string()),
        is_duplicate: Some(taken.is_duplicate),
        ..Sent::default()
    };
    Ok((StatusCode::ACCEPTED, Json(sent)).into_response())
}

/// A session's id may stand for its name.
async fn thread_of(gateway: &Gateway, caller: &Authenticated, name: String) -> String {
    if !name.starts_with("ses_") {
        return name;
    }
    gateway
        .runtime
        .session(&name, &caller.identity)
        .await
        .map_or(name, |session| session.thread)
}

/// A key bound to an agent reaches only that one.
pub(crate) fn agent_for(caller: &Authenticated, wanted: Option<String>) -> Result<AgentName, ApiError> {
    match (&caller.identity.agent, wanted) {
        (Some(bound), Some(wanted)) if *bound != wanted => Err(ApiError::new(
            403,
            "policy_denied",
            format!("this key may only talk to agent {bound}"),
        )),
        (Some(bound), _) => Ok(AgentName::from(bound.as_str())),
        (None, Some(wanted)) => Ok(AgentName::from(wanted.as_str())),
        (None, None) => Ok(AgentName::from("main")),
    }
}

/// `GET /api/inbox/{id}`: which turn took a message.
pub(crate) async fn inbound(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Result<Json<TakenBy>, ApiError> {
    let turn = gateway.runtime.turn_of(&InboundId::from_text(id)).await?;
    Ok(Json(TakenBy {
        turn_id: turn.map(|id| id.to_string()),
    }))
}
