//! Speaks HTTP to providers: one pooled client for the process, a request out, a stream of model events back.
//!
//! Never follows a redirect, never logs a key, a header or a body, and never holds a whole stream in memory.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use steward_dialects::Dialect;
use steward_dialects::egress::{Quirks, StreamDecoder, Streaming, encode_request, join_url};
use steward_dialects::error::decode_error;
use steward_domain::clock::Timestamp;
use steward_domain::model::{ModelError, ModelErrorKind, ModelEvent, ModelRequest, Retry};
use steward_domain::secret::Secret;
use steward_domain::usage::Usage;

use crate::chaos::{Fault, Spoiled};
use crate::config::AuthStyle;
use crate::platform::event_stream::EventStream;
use crate::platform::{Placed, list_url, place};
use crate::signing::google::GoogleTokens;
use crate::signing::{Unsigned, authenticate};
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
    tokens: Arc<GoogleTokens>,
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
        Ok(HttpProvider {
            client,
            tokens: Arc::default(),
        })
    }

    /// Writes a request, ready to be sent. `request.model` is the provider's own name for the model.
    ///
    /// # Errors
    /// A header holds characters that cannot be sent, or the model's name cannot stand in a path.
    pub(crate) fn request(
        &self,
        endpoint: &Endpoint,
        key: Option<&Secret<String>>,
        request: &ModelRequest,
    ) -> Result<Outgoing, ModelError> {
        let encoded = encode_request(endpoint.dialect, request, Streaming::Streamed, endpoint.quirks);
        let exposed = key.map(|key| key.expose().as_str());
        let placed = place(endpoint, (&request.model, exposed), Streaming::Streamed, encoded)?;
        Ok(Outgoing {
            provider: self.clone(),
            headers: headers_of(&placed)?,
            placed,
            auth: endpoint.auth,
            key: key.cloned(),
            region: endpoint.platform.region().to_owned(),
            dialect: endpoint.dialect,
            quirks: endpoint.quirks,
        })
    }

    /// Asks for the list of models, which costs nothing, and gives the status.
    ///
    /// # Errors
    /// The connection failed, or the key is of the wrong form.
    pub(crate) async fn list_models(&self, endpoint: &Endpoint, key: Option<&Secret<String>>, now: Timestamp) -> Result<u16, ModelError> {
        let url = list_url(endpoint, key.map(|key| key.expose().as_str()))?;
        self.get(endpoint, key, &url, now).await
    }

    /// Asks for `path` below the provider's address and gives the status.
    ///
    /// # Errors
    /// The connection failed, or the key is of the wrong form.
    pub(crate) async fn look(
        &self,
        endpoint: &Endpoint,
        key: Option<&Secret<String>>,
        path: &str,
        now: Timestamp,
    ) -> Result<u16, ModelError> {
        self.get(endpoint, key, &join_url(&endpoint.base_url, path), now).await
    }

    async fn get(&self, endpoint: &Endpoint, key: Option<&Secret<String>>, url: &str, now: Timestamp) -> Result<u16, ModelError> {
        let mut headers = HeaderMap::new();
        if endpoint.dialect == Dialect::Anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        }
        let url = address(url)?;
        let unsigned = Unsigned {
            method: "GET",
            url: &url,
            body: &[],
            region: endpoint.platform.region(),
            now,
        };
        authenticate((endpoint.auth, key), &unsigned, (&self.client, &self.tokens), &mut headers).await?;
        let response = self.client.get(url).headers(headers).send().await;
        Ok(response.map_err(|error| network(error, "the request failed"))?.status().as_u16())
    }
}

/// A request that lacks nothing but its authentication.
pub(crate) struct Outgoing {
    provider: HttpProvider,
    placed: Placed,
    headers: HeaderMap,
    auth: AuthStyle,
    key: Option<Secret<String>>,
    region: String,
    dialect: Dialect,
    quirks: Quirks,
}

impl Outgoing {
    /// Sends it and gives the stream of its answer once the provider has accepted it.
    ///
    /// # Errors
    /// The connection failed, the key is of the wrong form, or the provider refused.
    pub(crate) async fn stream(self, now: Timestamp) -> Result<AnswerStream, ModelError> {
        let Outgoing {
            provider,
            placed,
            mut headers,
            ..
        } = self;
        let url = address(&placed.url)?;
        let unsigned = Unsigned {
            method: "POST",
            url: &url,
            body: &placed.body,
            region: &self.region,
            now,
        };
        let HttpProvider { client, tokens } = &provider;
        authenticate((self.auth, self.key.as_ref()), &unsigned, (client, tokens), &mut headers).await?;
        let response = client.post(url).headers(headers).body(placed.body).send().await;
        let response = response.map_err(|error| network(error, "the request failed"))?;
        if !response.status().is_success() {
            return Err(refusal(self.dialect, response, now).await);
        }
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_framed = media_type.is_some_and(EventStream::is_spoken_in);
        Ok(AnswerStream {
            fault: None,
            framing: is_framed.then(EventStream::default),
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
    /// What a drill has in store for this answer.
    fault: Option<Fault>,
    /// Takes the events out of Amazon's framing, where the answer comes in it.
    framing: Option<EventStream>,
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
                Some(Ok(bytes)) => match &mut self.fault {
                    None => self.take(&bytes),
                    Some(fault) => match fault.strike() {
                        Spoiled::Passes => self.take(&bytes),
                        Spoiled::Garbled(before) => {
                            self.take(before);
                            self.take(&bytes);
                        }
                        Spoiled::Cut => {
                            self.take(&bytes[..bytes.len() / 2]);
                            self.is_ended = true;
                            self.ready.extend(self.decoder.finish());
                        }
                    },
                },
                Some(Err(error)) => self.break_off(error),
                None => {
                    self.is_ended = true;
                    self.ready.extend(self.decoder.finish());
                }
            }
        }
    }

    /// The same answer with what a drill has in store for it.
    pub(crate) fn with_fault(mut self, fault: Option<Fault>) -> Self {
        self.fault = fault;
        self
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
        let Some(framing) = &mut self.framing else {
            self.ready.extend(self.decoder.push(bytes));
            return;
        };
        match framing.push(bytes) {
            Ok(events) => self.ready.extend(self.decoder.push(&events)),
            Err(garbled) => {
                self.is_ended = true;
                let error = ModelError::new(ModelErrorKind::Malformed, garbled.to_string());
                self.ready.push_back(ModelEvent::Failed(error));
            }
        }
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

/// All headers but authentication.
fn headers_of(placed: &Placed) -> Result<HeaderMap, ModelError> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static(placed.accept));
    for (name, value) in &placed.headers {
        let value = HeaderValue::from_str(value).map_err(|_| bad_header(name))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

fn address(text: &str) -> Result<reqwest::Url, ModelError> {
    reqwest::Url::parse(text).map_err(|_| ModelError::new(ModelErrorKind::BadRequest, "the model's name makes no address"))
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
