//! An agent behind a model's name: one turn as a stream of model events.

use std::sync::Arc;

use axum::http::HeaderMap;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use steward_dialects::ingress::IngressRequest;
use steward_domain::id::{ChannelName, RequestId};
use steward_domain::journal::TurnStatus;
use steward_domain::message::{Part, Role};
use steward_domain::model::{Answerer, Finish, FinishReason, ModelError, ModelErrorKind, ModelEvent};
use steward_domain::money::Usd;
use steward_domain::principal::Surface;
use steward_domain::usage::{Usage, UsageSource};
use steward_runtime::access::Identity;
use steward_runtime::inbox::NewMessage;

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::routes::sessions::agent_for;
use crate::server::Gateway;

/// One turn of an agent as a stream of model events. The session is the caller's `user` or `x-steward-session`.
pub(super) async fn events(
    gateway: &Arc<Gateway>,
    caller: &Authenticated,
    headers: &HeaderMap,
    ingress: IngressRequest,
    agent: String,
) -> Result<BoxStream<'static, ModelEvent>, ApiError> {
    let parts = ingress
        .request
        .messages
        .into_iter()
        .rev()
        .find(|message| message.role == Role::User)
        .map(|message| message.parts)
        .unwrap_or_default();
    let parts: Vec<Part> = parts
        .into_iter()
        .filter(|part| matches!(part, Part::Text { .. } | Part::Image { .. } | Part::File { .. }))
        .collect();
    let named = headers
        .get("x-steward-session")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
        .or(ingress.user);
    let message = NewMessage {
        principal: caller.identity.principal.clone(),
        surface: Surface::Http,
        channel: ChannelName::from("api"),
        agent: agent_for(caller, Some(agent.clone()))?,
        thread: named.unwrap_or_else(|| RequestId::generate().to_string()),
        external_id: RequestId::generate().to_string(),
        parts,
    };
    let taken = gateway.runtime.send(message).await?;
    if let Some(text) = taken.command_answer {
        return Ok(stream::iter(said(&agent, text)).boxed());
    }
    let inbound = taken
        .inbound
        .ok_or_else(|| ApiError::new(500, "internal", "the message has no row"))?;
    let turn = gateway.runtime.turn_taking(&inbound).await?;
    let identity = caller.identity.clone();
    Ok(turn_events(Arc::clone(gateway), identity, turn, agent))
}

fn started(agent: &str) -> ModelEvent {
    ModelEvent::Started(Answerer {
        target: format!("agent/{agent}"),
        attempts: 1,
        ..Answerer::default()
    })
}

fn finished(usage: Usage, cost: Usd) -> ModelEvent {
    ModelEvent::Finished(Box::new(Finish {
        reason: FinishReason::Stop,
        usage,
        usage_source: UsageSource::Reported,
        cost,
    }))
}

fn said(agent: &str, text: String) -> Vec<ModelEvent> {
    vec![started(agent), ModelEvent::Text(text), finished(Usage::default(), Usd::ZERO)]
}

fn turn_events(
    gateway: Arc<Gateway>,
    identity: Identity,
    turn: steward_domain::id::TurnId,
    agent: String,
) -> BoxStream<'static, ModelEvent> {
    let follow = gateway.runtime.follow_text(turn.clone());
    let runtime = Arc::clone(&gateway.runtime);
    let end = stream::once(async move {
        let Ok(view) = runtime.turn(&turn, &identity).await else {
            return vec![ModelEvent::Failed(ModelError::new(
                ModelErrorKind::Server,
                "the turn cannot be read",
            ))];
        };
        let usage = Usage {
            input: view.steps.iter().map(|step| step.input_tokens - step.cached_input_tokens).sum(),
            cached_input: view.steps.iter().map(|step| step.cached_input_tokens).sum(),
            output: view.steps.iter().map(|step| step.output_tokens).sum(),
            ..Usage::default()
        };
        match view.status {
            TurnStatus::Failed => vec![ModelEvent::Failed(ModelError::new(ModelErrorKind::Server, view.text))],
            TurnStatus::Refused => vec![ModelEvent::Failed(ModelError::new(ModelErrorKind::BudgetExceeded, view.text))],
            TurnStatus::Waiting => {
                let text = format!("Waiting for a person: see `steward approvals list` (turn {}).", view.id);
                vec![ModelEvent::Text(text), finished(usage, view.cost_usd)]
            }
            TurnStatus::Done | TurnStatus::Stopped | TurnStatus::Running => vec![finished(usage, view.cost_usd)],
        }
    });
    let head = stream::iter([started(&agent)]);
    head.chain(follow.map(ModelEvent::Text)).chain(end.flat_map(stream::iter)).boxed()
}
