//! Speaks HTTP to providers: one pooled client for the process, a request out, a stream of model events back.
//!
//! Never follows a redirect, never logs a key, a header or a body, and never holds a whole stream in memory.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use steward_dialects::Dialect;
use steward_dialects::egress::{Quirks, StreamDecoder, Streaming, encode_request, join_url};
use steward_dialects::error::decode_error;
use steward_domain::clock::Timestamp;
use steward_domain::model::{ModelError, ModelErrorKind, ModelEvent, ModelRequest, Retry};
use steward_domain::secret::Secret;
use steward_domain::usage::Usage;

use crate::config::AuthStyle;
use crate::tables::Endpoint;

mod aside;

/// A stream may be this long in all.
const STREAM_LIMIT_BYTES: u64 = 256 * 1024 * 1024;

/// An error's body is read up to here.
const ERROR_LIMIT_BYTES: usize = 64 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("steward/", env!("CARGO_PKG_VERSION"));

/// The HTTP client of the process. Clones share its connections.
#[derive(Clone, Debug)]
pub struct HttpProvider {
    client: reqwest::Client,
}

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for providers could not be made: {0}")]
pub struct ClientError(#[from] reqwest::Error);

impl HttpProvider {
    /// Makes the client. Proxies of the environment are not used.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new() -> Result<Self, ClientError> {
        // Whoever was first in the process has installed it, and any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(90))
            .build()?;
        Ok(HttpProvider { client })
    }

    /// Writes a request, ready to be sent. `request.model` is the provider's own name for the model.
    ///
    /// # Errors
    /// The key or a header holds characters that cannot be sent.
    pub(crate) fn request(
        &self,
        endpoint: &Endpoint,
        key: Option<&Secret<String>>,
        request: &ModelRequest,
    ) -> Result<Outgoing, ModelError> {
        let encoded = encode_request(endpoint.dialect, request, Streaming::Streamed, endpoint.quirks);
        let mut headers = auth_headers(endpoint.auth, key)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        for (name, value) in &encoded.headers {
            let value = HeaderValue::from_str(value).map_err(|_| bad_header(name))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let url = join_url(&endpoint.base_url, &encoded.path);
        Ok(Outgoing {
            request: self.client.post(url).headers(headers).body(encoded.body),
            dialect: endpoint.dialect,
            quirks: endpoint.quirks,
        })
    }

    /// Asks for the list of models, which costs nothing, and gives the status.
    ///
    /// # Errors
    /// The connection failed.
    pub(crate) async fn list_models(&self, endpoint: &Endpoint, key: Option<&Secret<String>>) -> Result<u16, ModelError> {
        let path = match endpoint.dialect {
            Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => "/v1/models",
            Dialect::Gemini => "/v1beta/models",
        };
        self.look(endpoint, key, path).await
    }

    /// Asks for `path` below the provider's address and gives the status.
    ///
    /// # Errors
    /// The connection failed.
    pub(crate) async fn look(&self, endpoint: &Endpoint, key: Option<&Secret<String>>, path: &str) -> Result<u16, ModelError> {
        let mut headers = auth_headers(endpoint.auth, key)?;
        if endpoint.dialect == Dialect::Anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        }
        let url = join_url(&endpoint.base_url, path);
        let response = self.client.get(url).headers(headers).send().await;
        Ok(response.map_err(|error| network(error, "the request failed"))?.status().as_u16())
    }
}

/// A request ready to be sent.
pub(crate) struct Outgoing {
    request: reqwest::RequestBuilder,
    dialect: Dialect,
    quirks: Quirks,
}

impl Outgoing {
    /// Sends it and gives the stream of its answer once the provider has accepted it.
    ///
    /// # Errors
    /// The connection failed, or the provider refused.
    pub(crate) async fn stream(self, now: Timestamp) -> Result<AnswerStream, ModelError> {
        let response = self.request.send().await.map_err(|error| network(error, "the request failed"))?;
        if !response.status().is_success() {
            return Err(refusal(self.dialect, response, now).await);
        }
        Ok(AnswerStream {
            body: response.bytes_stream().boxed(),
            decoder: StreamDecoder::new(self.dialect, self.quirks),
            ready: VecDeque::new(),
            received_bytes: 0,
            is_ended: false,
        })
    }
}

/// An accepted answer on its way. Dropping it closes the connection.
pub(crate) struct AnswerStream {
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    decoder: StreamDecoder,
    ready: VecDeque<ModelEvent>,
    received_bytes: u64,
    is_ended: bool,
}

impl AnswerStream {
    /// The next event; `None` after the last. May be dropped and called again without loss.
    pub(crate) async fn next(&mut self) -> Option<ModelEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_ended || self.decoder.is_over() {
                return None;
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.take(&bytes),
                Some(Err(error)) => self.break_off(error),
                None => {
                    self.is_ended = true;
                    self.ready.extend(self.decoder.finish());
                }
            }
        }
    }

    /// What the provider has reported so far.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.decoder.usage()
    }

    /// Has the provider begun to answer?
    pub(crate) fn has_begun(&self) -> bool {
        self.received_bytes > 0
    }

    fn take(&mut self, bytes: &[u8]) {
        self.received_bytes += bytes.len() as u64;
        if self.received_bytes > STREAM_LIMIT_BYTES {
            self.is_ended = true;
            let message = format!("the answer is over the limit of {STREAM_LIMIT_BYTES} bytes");
            self.ready
                .push_back(ModelEvent::Failed(ModelError::new(ModelErrorKind::Malformed, message)));
            return;
        }
        self.ready.extend(self.decoder.push(bytes));
    }

    /// The connection broke: what is complete is still given, then why it ended.
    fn break_off(&mut self, error: reqwest::Error) {
        self.is_ended = true;
        let finished = self.decoder.finish();
        let is_whole = finished.iter().any(|event| matches!(event, ModelEvent::Finished(_)));
        if is_whole {
            self.ready.extend(finished);
            return;
        }
        let is_content = |event: &ModelEvent| !matches!(event, ModelEvent::Failed(_));
        self.ready.extend(finished.into_iter().filter(is_content));
        let mut cut = network(error, "the stream broke");
        cut.kind = ModelErrorKind::Cut;
        self.ready.push_back(ModelEvent::Failed(cut));
    }
}

fn auth_headers(style: AuthStyle, key: Option<&Secret<String>>) -> Result<HeaderMap, ModelError> {
    let mut headers = HeaderMap::with_capacity(8);
    let Some(key) = key else {
        return Ok(headers);
    };
    let (name, text) = match style {
        AuthStyle::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
        AuthStyle::XApiKey => (HeaderName::from_static("x-api-key"), key.expose().clone()),
        AuthStyle::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), key.expose().clone()),
        AuthStyle::None => return Ok(headers),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        ModelError::new(
            ModelErrorKind::Auth,
            "the key holds characters that no header can carry, such as a line break",
        )
    })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}

fn bad_header(name: &str) -> ModelError {
    ModelError::new(
        ModelErrorKind::BadRequest,
        format!("the header {name} holds characters that cannot be sent"),
    )
}

async fn refusal(dialect: Dialect, response: reqwest::Response, now: Timestamp) -> ModelError {
    let status = response.status();
    let headers = response.headers().clone();
    let body = error_body(response).await;
    if status.is_redirection() {
        let mut error = ModelError::new(
            ModelErrorKind::Server,
            format!("the provider redirects (status {status}), which is not followed"),
        );
        error.status = Some(status.as_u16());
        error.retry = Retry::Never;
        return error;
    }
    let pairs = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    decode_error(dialect, status.as_u16(), pairs, &body, now)
}

/// The beginning of an error's body; what cannot be read does not matter, the status says enough.
async fn error_body(response: reqwest::Response) -> Vec<u8> {
    let mut stream = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(Ok(bytes)) = stream.next().await {
        let room = ERROR_LIMIT_BYTES - body.len();
        body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if body.len() == ERROR_LIMIT_BYTES {
            break;
        }
    }
    body
}

/// A failure of the connection, with its causes and without its address.
fn network(error: reqwest::Error, what: &str) -> ModelError {
    let error = error.without_url();
    let mut message = what.to_owned();
    let mut cause: Option<&dyn Error> = error.source();
    let mut depth = 0;
    while let Some(inner) = cause.filter(|_| depth < 5) {
        message.push_str(": ");
        message.push_str(&inner.to_string());
        cause = inner.source();
        depth += 1;
    }
    if depth == 0 {
        message = format!("{what}: {error}");
    }
    let kind = if error.is_timeout() {
        ModelErrorKind::Timeout
    } else {
        ModelErrorKind::Network
    };
    ModelError::new(kind, message)
}
