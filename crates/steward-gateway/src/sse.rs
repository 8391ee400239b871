//! Server-sent events as a body: a stream of JSON objects, with a comment now and then so that dead peers show.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde_json::Value;

/// Silence after which a comment is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One event: an id where the stream can be taken up from, and its object.
pub(crate) struct Event {
    pub(crate) id: Option<i64>,
    pub(crate) data: Value,
}

/// A response of events.
pub(crate) fn response(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let frames = with_keep_alive(events.map(|event| frame(&event)).boxed());
    raw(frames.map(Ok::<Bytes, Infallible>))
}

/// A response of ready frames.
pub(crate) fn raw(frames: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn frame(event: &Event) -> Bytes {
    let id = event.id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("{id}data: {}\n\n", event.data))
}

fn with_keep_alive(frames: stream::BoxStream<'static, Bytes>) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::unfold(frames, |mut frames| async move {
        match tokio::time::timeout(KEEP_ALIVE, frames.next()).await {
            Ok(Some(frame)) => Some((frame, frames)),
            Ok(None) => None,
            Err(_) => Some((Bytes::from_static(b": still here\n\n"), frames)),
        }
    })
}
