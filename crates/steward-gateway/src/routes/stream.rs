//! Live views: one turn as it happens, and everything from a journal cursor.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::id::{ApprovalId, TurnId};
use steward_domain::journal::TurnStatus;
use steward_runtime::access::Identity;
use steward_runtime::hub::{LiveEvent, Partial, Shown, Watch};
use steward_runtime::turns::TurnView;
use tokio::sync::broadcast::error::RecvError;

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::server::Gateway;
use crate::sse::{self, Event};

/// Journal entries read at once.
const BATCH: u32 = 500;

#[derive(Deserialize)]
pub(crate) struct Cursor {
    cursor: Option<i64>,
}

/// `GET /api/turns/{id}/stream`: a snapshot, what was shown of the running step, then what comes, until it ends.
pub(crate) async fn turn(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = TurnId::from_text(id);
    let (view, watch) = gateway.runtime.watch(&id, &caller.identity).await?;
    let plain = |data| Event { id: None, data };
    let mut first = vec![plain(json!({"type": "snapshot", "turn": view}))];
    let Some(watch) = watch else {
        first.push(plain(ended(&view)));
        return Ok(sse::response(stream::iter(first)));
    };
    first.extend(shown_so_far(&watch.so_far, &view).into_iter().map(plain));
    let viewer = Viewer {
        gateway: Arc::clone(&gateway),
        identity: caller.identity,
        turn: id,
        watch,
        is_over: false,
    };
    let rest = stream::unfold(viewer, |viewer| viewer.next());
    Ok(sse::response(stream::iter(first).chain(rest)))
}

struct Viewer {
    gateway: Arc<Gateway>,
    identity: Identity,
    turn: TurnId,
    watch: Watch,
    is_over: bool,
}

impl Viewer {
    async fn next(mut self) -> Option<(Event, Self)> {
        if self.is_over {
            return None;
        }
        let shutdown = self.gateway.shutdown.clone();
        let received = tokio::select! {
            received = self.watch.events.recv() => received,
            () = shutdown.cancelled() => return None,
        };
        let data = match received {
            Ok(Shown::Live(event)) => live(event),
            Ok(Shown::ApprovalOpened(id)) => self.approval(&id).await,
            // The end is read from the rows, so that it shows what the journal keeps.
            Ok(Shown::Ended { .. }) | Err(RecvError::Closed) => {
                self.is_over = true;
                self.end().await
            }
            Err(RecvError::Lagged(missed)) => {
                json!({"type": "note", "text": format!("{missed} updates were skipped; the turn's page has them all")})
            }
        };
        Some((Event { id: None, data }, self))
    }

    async fn approval(&self, id: &str) -> Value {
        match self.gateway.runtime.approval(&ApprovalId::from_text(id), &self.identity).await {
            Ok(approval) => json!({"type": "approval", "approval": approval}),
            Err(error) => json!({"type": "note", "text": error.to_string()}),
        }
    }

    async fn end(&self) -> Value {
        match self.gateway.runtime.turn(&self.turn, &self.identity).await {
            Ok(view) => ended(&view),
            Err(error) => json!({"type": "finished", "status": "failed", "text": error.to_string(), "cost_usd": "0", "steps": 0}),
        }
    }
}

fn ended(view: &TurnView) -> Value {
    json!({"type": "finished", "status": view.status, "text": view.text, "cost_usd": view.cost_usd, "steps": view.steps.len()})
}

/// What the running step has shown; a step that the snapshot already holds is not shown twice.
fn shown_so_far(partial: &Partial, view: &TurnView) -> Vec<Value> {
    let is_in_snapshot = view.steps.iter().any(|step| step.step >= partial.step) || partial.step == 0;
    if is_in_snapshot || view.status != TurnStatus::Running {
        return Vec::new();
    }
    let mut shown = vec![json!({"type": "step", "step": partial.step})];
    if !partial.thinking.is_empty() {
        shown.push(json!({"type": "thinking", "text": partial.thinking}));
    }
    if !partial.text.is_empty() {
        shown.push(json!({"type": "text", "text": partial.text}));
    }
    shown
}

fn live(event: LiveEvent) -> Value {
    match event {
        LiveEvent::StepStarted { step } => json!({"type": "step", "step": step}),
        LiveEvent::Thinking(text) => json!({"type": "thinking", "text": text}),
        LiveEvent::Text(text) => json!({"type": "text", "text": text}),
        LiveEvent::StepRestarted { reason } => json!({"type": "restart", "reason": reason}),
        LiveEvent::CallDecided(call) => json!({"type": "call", "call": {
            "id": call.id, "tool": call.tool, "args": call.arguments, "effect": call.effect,
            "decision": call.ruling.decision, "reason": call.ruling.reason, "rule": call.ruling.rule,
        }}),
        LiveEvent::CallFinished { call, outcome, output } => {
            json!({"type": "call_finished", "id": call, "outcome": outcome, "output": output})
        }
        LiveEvent::Note(text) => json!({"type": "note", "text": text}),
    }
}

/// `GET /api/stream`: small facts from a cursor on; a client that reconnects with the last id misses nothing.
pub(crate) async fn all(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Query(query): Query<Cursor>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let last_event: Option<i64> = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok());
    let cursor = match last_event.or(query.cursor) {
        Some(cursor) => cursor,
        None => gateway.runtime.journal_head().await?,
    };
    let follower = Follower {
        commits: gateway.runtime.store().committed(),
        gateway,
        identity: caller.identity,
        cursor,
        ready: Vec::new(),
    };
    let hello = Event {
        id: Some(cursor),
        data: json!({"type": "hello", "cursor": cursor}),
    };
    Ok(sse::response(stream::iter([hello]).chain(stream::unfold(follower, Follower::next))))
}

struct Follower {
    gateway: Arc<Gateway>,
    identity: Identity,
    cursor: i64,
    commits: tokio::sync::watch::Receiver<i64>,
    ready: Vec<Event>,
}

impl Follower {
    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            if let Some(event) = self.ready.pop() {
                return Some((event, self));
            }
            // Marked as seen before reading, so that a commit during the read is looked at again.
            self.commits.mark_unchanged();
            let facts = self.gateway.runtime.facts_after(self.cursor, BATCH, &self.identity).await.ok()?;
            if let Some(last) = facts.last_seq {
                self.cursor = last;
                self.ready = facts
                    .items
                    .into_iter()
                    .rev()
                    .map(|(seq, data)| Event { id: Some(seq), data })
                    .collect();
                continue;
            }
            let shutdown = self.gateway.shutdown.clone();
            tokio::select! {
                changed = self.commits.changed() => changed.ok()?,
                () = shutdown.cancelled() => return None,
            }
        }
    }
}
