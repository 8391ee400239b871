//! Model calls in the vendors' dialects: for routes, for `provider/model`, and for agents.

mod agent;
pub(crate) mod count;
pub(crate) mod embed;
pub(crate) mod gemini;
pub(crate) mod models;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use http_body::{Frame, SizeHint};
use steward_dialects::Dialect;
use steward_dialects::ingress::{self, IngressOptions, IngressRequest, StreamEncoder};
use steward_domain::id::{RequestId, SessionId};
use steward_domain::model::{Answerer, Caller, ModelEvent};

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::server::Gateway;
use crate::sse;

/// The most of a session's name that counts.
const SESSION_NAME_BYTES: usize = 200;

/// `POST /v1/chat/completions`.
pub(crate) async fn chat_completions(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked = Asked::read(Dialect::OpenAiChat, &body)?;
    answer(&gateway, asked, &caller, &headers).await
}

/// `POST /v1/responses`.
pub(crate) async fn responses(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked = Asked::read(Dialect::OpenAiResponses, &body)?;
    answer(&gateway, asked, &caller, &headers).await
}

/// `POST /v1/messages`.
pub(crate) async fn messages(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked = Asked::read(Dialect::Anthropic, &body)?;
    answer(&gateway, asked, &caller, &headers).await
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A caller's request, read.
struct Asked {
    dialect: Dialect,
    ingress: IngressRequest,
    /// Gemini: the stream is one JSON list that grows, not events.
    is_list: bool,
    began: Instant,
}

impl Asked {
    fn read(dialect: Dialect, body: &[u8]) -> Result<Self, ApiError> {
        let began = Instant::now();
        let ingress = ingress::decode_request(dialect, body).map_err(|error| ApiError::of_model(&error, dialect))?;
        Ok(Asked {
            dialect,
            ingress,
            is_list: false,
            began,
        })
    }
}

/// Facts of one call that its answer is labelled with.
struct Call {
    dialect: Dialect,
    options: IngressOptions,
    request: RequestId,
    is_list: bool,
    began: Instant,
}

async fn answer(gateway: &Arc<Gateway>, asked: Asked, caller: &Authenticated, headers: &HeaderMap) -> Result<Response, ApiError> {
    let Asked {
        dialect,
        ingress,
        is_list,
        began,
    } = asked;
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
        is_list,
        began,
    };
    let is_stream = ingress.is_stream;
    let mut events = match ingress.request.model.strip_prefix("agent/").map(str::to_owned) {
        Some(agent) => agent::events(gateway, caller, headers, ingress, agent)
            .await
            .map_err(|error| error.in_dialect(dialect))?,
        None => {
            let caller = Caller {
                session: session_of(caller, headers, ingress.user.as_deref()),
                ..model_caller(caller, &call.request)
            };
            gateway.model.stream(ingress.request, caller)
        }
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
            ..Answerer::default()
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
        key: caller.identity.key.clone(),
        team: caller.identity.team.clone(),
        ..Caller::new(caller.identity.principal.clone(), request.clone())
    }
}

/// The session a caller names, for what stays the same within one; nobody's names are another's.
fn session_of(caller: &Authenticated, headers: &HeaderMap, user: Option<&str>) -> Option<SessionId> {
    let named = headers.get("x-steward-session").and_then(|value| value.to_str().ok()).or(user)?;
    let end = named.floor_char_boundary(SESSION_NAME_BYTES.min(named.len()));
    Some(SessionId::from_text(format!("{}/{}", caller.identity.principal, &named[..end])))
}

fn streamed(call: &Call, events: BoxStream<'static, ModelEvent>) -> Response {
    let encoder = if call.is_list {
        StreamEncoder::gemini_list(call.options.clone())
    } else {
        StreamEncoder::new(call.dialect, call.options.clone())
    };
    let frames = stream::unfold((encoder, events), |(mut encoder, mut events)| async move {
        let event = events.next().await?;
        let frame = Bytes::from(encoder.encode(&event));
        Some((frame, (encoder, events)))
    });
    let mut response = sse::raw(
        frames
            .filter(|frame| std::future::ready(!frame.is_empty()))
            .map(Ok::<Bytes, Infallible>),
    );
    if call.is_list {
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    }
    response
}

async fn whole(call: &Call, mut stream: BoxStream<'static, ModelEvent>) -> Result<Response, ApiError> {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        let is_last = matches!(event, ModelEvent::Finished(_) | ModelEvent::Failed(_));
        events.push(event);
        if is_last {
            break;
        }
    }
    let body = ingress::encode_response(call.dialect, &events, &call.options).map_err(|error| ApiError::of_model(&error, call.dialect))?;
    // The call ends when its last byte is on the way, not when it was computed.
    let mut response = Response::new(Body::new(Held {
        body: Body::from(body),
        _until_sent: stream,
    }));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    if let Some(ModelEvent::Finished(finish)) = events.last() {
        set(&mut response, "x-steward-cost-usd", &finish.cost.to_string());
    }
    Ok(response)
}

/// A body that keeps its call alive until it is sent.
struct Held {
    body: Body,
    _until_sent: BoxStream<'static, ModelEvent>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn labelled(mut response: Response, call: &Call, answerer: &Answerer, overhead_us: u128) -> Response {
    set(&mut response, "x-steward-request-id", call.request.as_str());
    set(&mut response, "x-steward-target", &answerer.target);
    set(&mut response, "x-steward-attempts", &answerer.attempts.to_string());
    set(&mut response, "x-steward-cache", answerer.cache.name());
    set(&mut response, "x-steward-overhead-us", &overhead_us.to_string());
    response
}

fn set(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
