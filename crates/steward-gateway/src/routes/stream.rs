//! Live views: one turn as it happens, and everything from a journal cursor.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use steward_domain::decision::{Decision, Effect};
use steward_domain::id::{ApprovalId, TurnId};
use steward_domain::journal::{CallIntent, TurnStatus};
use steward_domain::money::Usd;
use steward_runtime::access::Identity;
use steward_runtime::approvals::ApprovalView;
use steward_runtime::follow::Fact;
use steward_runtime::hub::{LiveEvent, Partial, Shown, Watch};
use steward_runtime::turns::TurnView;
use tokio::sync::broadcast::error::RecvError;

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::server::Gateway;
use crate::sse::{self, Event};

/// Journal entries read at once.
const BATCH: u32 = 500;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Cursor {
    /// The last place that was seen; now unless said.
    cursor: Option<i64>,
}

/// What a turn in view shows while it goes on.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum TurnEvent {
    /// The turn as it stands.
    Snapshot {
        /// The turn.
        turn: TurnView,
    },
    /// A step began.
    Step {
        /// From 1.
        step: u32,
    },
    /// More of what the model thinks.
    Thinking {
        /// The piece.
        text: String,
    },
    /// More of the answer.
    Text {
        /// The piece.
        text: String,
    },
    /// A tool call was decided.
    Call {
        /// The call.
        call: CallBegun,
    },
    /// A tool call ended.
    CallFinished {
        /// The call's id.
        id: String,
        /// How it ended.
        #[schemars(extend("enum" = ["done", "failed", "refused", "uncertain"]))]
        outcome: &'static str,
        /// What the model reads.
        output: String,
    },
    /// A question waits for a person.
    Approval {
        /// The question.
        approval: ApprovalView,
    },
    /// A word of Steward.
    Note {
        /// What it says.
        text: String,
    },
    /// The step begins again; what it showed does not count.
    Restart {
        /// Why.
        reason: String,
    },
    /// The turn is over, or waits.
    Finished {
        /// Where it stands.
        status: TurnStatus,
        /// The reply, or why there is none.
        text: String,
        /// US dollars.
        cost_usd: Usd,
        /// Model calls.
        steps: usize,
    },
}

/// A tool call when it was decided.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CallBegun {
    /// The model's id.
    id: String,
    /// The tool.
    tool: String,
    /// The arguments.
    args: Value,
    /// What it does.
    effect: Effect,
    /// Allow, ask or deny.
    decision: Decision,
    /// Why.
    reason: String,
    /// The rule that decided.
    rule: String,
}

impl From<CallIntent> for CallBegun {
    fn from(call: CallIntent) -> Self {
        CallBegun {
            id: call.id.to_string(),
            tool: call.tool,
            args: call.arguments,
            effect: call.effect,
            decision: call.ruling.decision,
            reason: call.ruling.reason,
            rule: call.ruling.rule,
        }
    }
}

/// `GET /api/turns/{id}/stream`: a snapshot, what was shown of the running step, then what comes, until it ends.
pub(crate) async fn turn(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = TurnId::from_text(id);
    let (view, watch) = gateway.runtime.watch(&id, &caller.identity).await?;
    let plain = |event: TurnEvent| Event {
        id: None,
        data: json!(event),
    };
    let mut first = vec![plain(TurnEvent::Snapshot { turn: view.clone() })];
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
        let event = match received {
            Ok(Shown::Live(event)) => live(event),
            Ok(Shown::ApprovalOpened(id)) => self.approval(&id).await,
            // The end is read from the rows, so that it shows what the journal keeps.
            Ok(Shown::Ended { .. }) | Err(RecvError::Closed) => {
                self.is_over = true;
                self.end().await
            }
            Err(RecvError::Lagged(missed)) => TurnEvent::Note {
                text: format!("{missed} updates were skipped; the turn's page has them all"),
            },
        };
        let data = json!(event);
        Some((Event { id: None, data }, self))
    }

    async fn approval(&self, id: &str) -> TurnEvent {
        match self.gateway.runtime.approval(&ApprovalId::from_text(id), &self.identity).await {
            Ok(approval) => TurnEvent::Approval { approval },
            Err(error) => TurnEvent::Note { text: error.to_string() },
        }
    }

    async fn end(&self) -> TurnEvent {
        match self.gateway.runtime.turn(&self.turn, &self.identity).await {
            Ok(view) => ended(&view),
            Err(error) => TurnEvent::Finished {
                status: TurnStatus::Failed,
                text: error.to_string(),
                cost_usd: Usd::ZERO,
                steps: 0,
            },
        }
    }
}

fn ended(view: &TurnView) -> TurnEvent {
    TurnEvent::Finished {
        status: view.status,
        text: view.text.clone(),
        cost_usd: view.cost_usd,
        steps: view.steps.len(),
    }
}

/// What the running step has shown; a step that the snapshot already holds is not shown twice.
fn shown_so_far(partial: &Partial, view: &TurnView) -> Vec<TurnEvent> {
    let is_in_snapshot = view.steps.iter().any(|step| step.step >= partial.step) || partial.step == 0;
    if is_in_snapshot || view.status != TurnStatus::Running {
        return Vec::new();
    }
    let mut shown = vec![TurnEvent::Step { step: partial.step }];
    if !partial.thinking.is_empty() {
        shown.push(TurnEvent::Thinking {
            text: partial.thinking.clone(),
        });
    }
    if !partial.text.is_empty() {
        shown.push(TurnEvent::Text {
            text: partial.text.clone(),
        });
    }
    shown
}

fn live(event: LiveEvent) -> TurnEvent {
    match event {
        LiveEvent::StepStarted { step } => TurnEvent::Step { step },
        LiveEvent::Thinking(text) => TurnEvent::Thinking { text },
        LiveEvent::Text(text) => TurnEvent::Text { text },
        LiveEvent::StepRestarted { reason } => TurnEvent::Restart { reason },
        LiveEvent::CallDecided(call) => TurnEvent::Call { call: call.into() },
        LiveEvent::CallFinished { call, outcome, output } => TurnEvent::CallFinished {
            id: call.to_string(),
            outcome,
            output,
        },
        LiveEvent::Note(text) => TurnEvent::Note { text },
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
        data: json!(Fact::hello(cursor)),
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
                    .map(|(seq, fact)| Event {
                        id: Some(seq),
                        data: json!(fact),
                    })
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
