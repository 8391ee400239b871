//! Model calls in the vendors' dialects: for routes, for `provider/model`, and for agents.

mod agent;
pub(crate) mod models;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use steward_dialects::Dialect;
use steward_dialects::ingress::{self, IngressOptions, StreamEncoder};
use steward_domain::id::RequestId;
use steward_domain::model::{Answerer, Caller, ModelEvent};

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::server::Gateway;
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
        Some(agent) => agent::events(gateway, caller, headers, ingress, agent)
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
