//! Model calls in the vendors' dialects: for routes, for `provider/model`, and for agents.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::{Extension, Json};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use steward_dialects::Dialect;
use steward_dialects::ingress::{self, IngressOptions, IngressRequest, StreamEncoder};
use steward_domain::id::{ChannelName, RequestId};
use steward_domain::journal::TurnStatus;
use steward_domain::message::{Part, Role};
use steward_domain::model::{Answerer, Caller, Finish, FinishReason, ModelError, ModelErrorKind, ModelEvent};
use steward_domain::money::Usd;
use steward_domain::principal::Surface;
use steward_domain::usage::{Usage, UsageSource};
use steward_runtime::access::Identity;
use steward_runtime::inbox::NewMessage;

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::operations::Reading;
use crate::routes::sessions::agent_for;
use crate::server::Gateway;
use crate::shapes::{ModelId, ModelList};
use crate::sse;

/// `POST /v1/chat/completions`.
pub(crate) async fn chat_completions(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    answer(&gateway, Dialect::OpenAiChat, &caller, &headers, &body).await
}

/// `POST /v1/messages`.
pub(crate) async fn messages(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    answer(&gateway, Dialect::Anthropic, &caller, &headers, &body).await
}

/// `GET /v1/models`.
pub(crate) async fn models(State(gateway): State<Arc<Gateway>>) -> Result<Json<ModelList>, ApiError> {
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
    let all = [
        names(&routes, "name", ""),
        names(&agents, "name", "agent/"),
        names(&models, "model", ""),
    ]
    .concat();
    let named = |id| ModelId {
        id,
        object: "model",
        created: 0,
        owned_by: "steward",
    };
    Ok(Json(ModelList {
        object: "list",
        data: all.into_iter().map(named).collect(),
    }))
}

/// Facts of one call that its answer is labelled with.
struct Call {
    dialect: Dialect,
    options: IngressOptions,
    request: RequestId,
    began: Instant,
}

async fn answer(
    gateway: &Arc<Gateway>,
    dialect: Dialect,
    caller: &Authenticated,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, ApiError> {
    let began = Instant::now();
    let ingress = ingress::decode_request(dialect, body).map_err(|error| ApiError::of_model(&error, dialect))?;
    let request = RequestId::generate();
    let options = IngressOptions {
        model: ingress.request.model.clone(),
        id: request.to_string(),
        created_unix: gateway.runtime.now().as_second(),
        wants_usage: ingress.wants_usage,
    };
    let call = Call {
        dialect,
        options,
        request,
        began,
    };
    let is_stream = ingress.is_stream;
    let mut events = match ingress.request.model.strip_prefix("agent/").map(str::to_owned) {
        Some(agent) => agent_events(gateway, caller, headers, ingress, agent)
            .await
            .map_err(|error| error.in_dialect(dialect))?,
        None => gateway.model.stream(ingress.request, model_caller(caller, &call.request)),
    };
    let overhead_us = call.began.elapsed().as_micros();
    // Nothing is committed to the caller before the first content: a failure until then has a status of its own.
    let first = match events.next().await {
        Some(ModelEvent::Failed(error)) => return Err(ApiError::of_model(&error, dialect)),
        Some(first) => first,
        None => return Err(ApiError::new(502, "stream_cut", "the model gave no answer").in_dialect(dialect)),
    };
    let answerer = match &first {
        ModelEvent::Started(answerer) => answerer.clone(),
        _ => Answerer {
            target: String::new(),
            attempts: 1,
        },
    };
    let events = stream::iter([first]).chain(events).boxed();
    let response = if is_stream {
        streamed(&call, events)
    } else {
        whole(&call, events).await?
    };
    Ok(labelled(response, &call, &answerer, overhead_us))
}

fn model_caller(caller: &Authenticated, request: &RequestId) -> Caller {
    Caller {
        principal: caller.identity.principal.clone(),
        request: request.clone(),
        key: caller.identity.key.clone(),
        agent: None,
        session: None,
        turn: None,
    }
}

fn streamed(call: &Call, events: BoxStream<'static, ModelEvent>) -> Response {
    let encoder = StreamEncoder::new(call.dialect, call.options.clone());
    let frames = stream::unfold((encoder, events), |(mut encoder, mut events)| async move {
        let event = events.next().await?;
        let frame = Bytes::from(encoder.encode(&event));
        Some((frame, (encoder, events)))
    });
    sse::raw(
        frames
            .filter(|frame| std::future::ready(!frame.is_empty()))
            .map(Ok::<Bytes, Infallible>),
    )
}

async fn whole(call: &Call, events: BoxStream<'static, ModelEvent>) -> Result<Response, ApiError> {
    let events: Vec<ModelEvent> = events.collect().await;
    let body = ingress::encode_response(call.dialect, &events, &call.options).map_err(|error| ApiError::of_model(&error, call.dialect))?;
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(ModelEvent::Finished(finish)) = events.last() {
        set(&mut response, "x-steward-cost-usd", &finish.cost.to_string());
    }
    Ok(response)
}

fn labelled(mut response: Response, call: &Call, answerer: &Answerer, overhead_us: u128) -> Response {
    set(&mut response, "x-steward-request-id", call.request.as_str());
    set(&mut response, "x-steward-target", &answerer.target);
    set(&mut response, "x-steward-attempts", &answerer.attempts.to_string());
    set(&mut response, "x-steward-cache", "off");
    set(&mut response, "x-steward-overhead-us", &overhead_us.to_string());
    response
}

fn set(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// One turn of an agent as a stream of model events. The session is the caller's `user` or `x-steward-session`.
async fn agent_events(
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
