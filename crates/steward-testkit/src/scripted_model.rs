//! A model server on loopback that says what its script says, in the wire of whoever asks.
//!
//! It refuses requests that a real provider would refuse, such as a tool result without its call, and records every request.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::conversation::Conversation;
use crate::record::{Fate, Keep, RecordedRequest, Recorder};
use crate::script::{Playing, Reply, Script, ScriptedError};
use crate::stream::{self, FateGuard, Framing};
use crate::wire::aside::{self, Aside};
use crate::wire::{Answer, Wire, Wishes};

const BODY_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Where requests are recorded beside memory.
    pub record: Option<PathBuf>,
    /// What is kept in memory.
    pub keep: Keep,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            port: 0,
            record: None,
            keep: Keep::Bodies,
        }
    }
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct ScriptedModelServer {
    /// Where it listens: `http://127.0.0.1:PORT`, without a path.
    pub base_url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    playing: Mutex<Playing>,
    recorder: Arc<Recorder>,
}

impl ScriptedModelServer {
    /// Starts a server on a free port of loopback.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(script: Script) -> io::Result<Self> {
        Self::start_with(script, Options::default()).await
    }

    /// Starts a server.
    ///
    /// # Errors
    /// When the port is taken or the record cannot be opened.
    pub async fn start_with(script: Script, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], options.port))).await?;
        let address = listener.local_addr()?;
        let recorder = Arc::new(Recorder::open(options.keep, options.record.as_deref())?);
        let shared = Arc::new(Shared {
            playing: Mutex::new(Playing::new(script)),
            recorder,
        });
        // Pieces leave at once; a socket that takes no such order only makes them later.
        let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            // `axum::serve` only returns when it is dropped.
            let _ = axum::serve(listener, app).await;
        });
        Ok(ScriptedModelServer {
            base_url: format!("http://{address}"),
            shared,
            serving,
        })
    }

    /// From now on another script is played, from its beginning.
    pub fn set_script(&self, script: Script) {
        *self.shared.playing.lock().unwrap_or_else(PoisonError::into_inner) = Playing::new(script);
    }

    /// All requests so far, oldest first.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.recorder.requests()
    }

    /// How many requests came.
    pub fn count(&self) -> u64 {
        self.shared.recorder.count()
    }

    /// The requests for one conversation: more than one with fate `Completed` means that an answer was paid for twice.
    pub fn calls_for(&self, key: &str) -> Vec<RecordedRequest> {
        let mut requests = self.requests();
        requests.retain(|request| request.key == key);
        requests
    }

    /// Resolves when `count` requests have come, at the latest after `patience`. Tells whether they came.
    pub async fn wait_for_requests(&self, count: u64, patience: Duration) -> bool {
        let until = tokio::time::Instant::now() + patience;
        while self.count() < count {
            if tokio::time::Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }

    /// Serves until the task is dropped; for the binary.
    pub async fn run(mut self) {
        // It ends only by being aborted, which is no failure.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for ScriptedModelServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What a path means.
enum Endpoint {
    Models,
    Requests,
    Inference {
        wire: Wire,
        model: String,
        framing: Framing,
        streams: bool,
    },
    /// Vectors or a count of tokens; not recorded, as nothing is scripted.
    Aside(Aside),
    Unknown,
}

fn endpoint(uri: &Uri) -> Endpoint {
    let inference = |wire| Endpoint::Inference {
        wire,
        model: String::new(),
        framing: Framing::Events,
        streams: false,
    };
    match uri.path() {
        "/v1/models" => Endpoint::Models,
        "/_requests" => Endpoint::Requests,
        "/v1/chat/completions" => inference(Wire::OpenaiChat),
        "/v1/responses" => inference(Wire::OpenaiResponses),
        "/v1/messages" => inference(Wire::Anthropic),
        "/v1/messages/count_tokens" => Endpoint::Aside(Aside::AnthropicCount),
        "/v1/embeddings" => Endpoint::Aside(Aside::OpenaiEmbeddings),
        path => gemini_endpoint(path, uri.query().unwrap_or_default()),
    }
}

/// The vendor's documentation says `v1beta`; its Python SDK asks for `v1`.
fn gemini_endpoint(path: &str, query: &str) -> Endpoint {
    let rest = path.strip_prefix("/v1beta/models/").or_else(|| path.strip_prefix("/v1/models/"));
    let call = rest.and_then(|rest| rest.rsplit_once(':'));
    let (model, streams) = match call {
        Some((model, "generateContent")) => (model, false),
        Some((model, "streamGenerateContent")) => (model, true),
        Some((_, "countTokens")) => return Endpoint::Aside(Aside::GeminiCount),
        Some((_, "embedContent")) => return Endpoint::Aside(Aside::GeminiEmbed),
        Some((_, "batchEmbedContents")) => return Endpoint::Aside(Aside::GeminiBatch),
        Some(_) | None => return Endpoint::Unknown,
    };
    let is_sse = query.split('&').any(|pair| pair == "alt=sse");
    Endpoint::Inference {
        wire: Wire::Gemini,
        model: model.replace("%2F", "/"),
        framing: if is_sse { Framing::Events } else { Framing::JsonList },
        streams,
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT_BYTES).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broke off").into_response();
    };
    match endpoint(&parts.uri) {
        Endpoint::Models => axum::Json(model_list(&shared)).into_response(),
        Endpoint::Requests => axum::Json(json!(shared.recorder.requests())).into_response(),
        Endpoint::Unknown => (StatusCode::NOT_FOUND, axum::Json(json!({"error": {"message": "no such path"}}))).into_response(),
        Endpoint::Aside(call) => answer_aside(call, &body),
        Endpoint::Inference {
            wire,
            model,
            framing,
            streams,
        } => {
            let asked = Asked {
                wire,
                framing,
                path: parts.uri.to_string(),
                headers: parts.headers,
                body,
            };
            asked.answer(&shared, &model, streams).await
        }
    }
}

fn answer_aside(call: Aside, body: &[u8]) -> Response {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    match aside::answer(call, &body) {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(message) => {
            let error =
                json!({"type": "error", "error": {"message": message, "type": "invalid_request_error", "status": "INVALID_ARGUMENT"}});
            (StatusCode::BAD_REQUEST, axum::Json(error)).into_response()
        }
    }
}

fn model_list(shared: &Shared) -> Value {
    let playing = shared.playing.lock().unwrap_or_else(PoisonError::into_inner);
    let models = playing.script().models.clone();
    let models = if models.is_empty() { vec!["scripted".to_owned()] } else { models };
    let rows: Vec<Value> = models
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": 1_760_000_000, "owned_by": "steward-testkit"}))
        .collect();
    json!({"object": "list", "data": rows})
}

/// A request to one of the inference paths.
struct Asked {
    wire: Wire,
    framing: Framing,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    async fn answer(self, shared: &Shared, model: &str, streams: bool) -> Response {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        let read = if body.is_object() {
            self.wire.read(&body, model)
        } else {
            Err("the body is no JSON object".to_owned())
        };
        let (conversation, reply) = match read {
            Ok(conversation) => {
                let reply = self.choose(shared, &conversation);
                (conversation, reply)
            }
            Err(rule) => (Conversation::default(), refusal(400, &self.wire_error(400, &rule))),
        };
        let wishes = Wishes {
            is_stream: streams || self.wire.wishes(&body).is_stream,
            ..self.wire.wishes(&body)
        };
        let guard = self.record(shared, &conversation, body);
        if reply.delay_first_ms > 0 {
            tokio::time::sleep(Duration::from_millis(reply.delay_first_ms)).await;
        }
        self.respond(&conversation, reply, wishes, guard)
    }

    fn choose(&self, shared: &Shared, conversation: &Conversation) -> Reply {
        let mut playing = shared.playing.lock().unwrap_or_else(PoisonError::into_inner);
        let has_key = playing.script().require_key.as_ref().is_none_or(|key| self.key() == Some(key));
        if has_key { playing.choose(conversation) } else { Reply::error(401) }
    }

    fn key(&self) -> Option<&str> {
        let text = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        match self.wire {
            Wire::OpenaiChat | Wire::OpenaiResponses => text("authorization").and_then(|value| value.strip_prefix("Bearer ")),
            Wire::Anthropic => text("x-api-key"),
            Wire::Gemini => text("x-goog-api-key"),
        }
    }

    /// The wire's error object with a message of ours.
    fn wire_error(&self, status: u16, message: &str) -> Value {
        let mut body = self.wire.error_body(&ScriptedError {
            status,
            ..ScriptedError::default()
        });
        body["error"]["message"] = json!(message);
        body
    }

    fn record(&self, shared: &Shared, conversation: &Conversation, body: Value) -> FateGuard {
        let headers: BTreeMap<String, String> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let number = shared.recorder.asked(RecordedRequest {
            number: 0,
            at_ms: 0,
            wire: self.wire.name().to_owned(),
            path: self.path.clone(),
            headers,
            body,
            body_bytes: self.body.len(),
            key: conversation.key(),
            last_user_text: conversation.last_user_text().to_owned(),
            step: conversation.step(),
            fate: Fate::Open,
        });
        FateGuard::new(Arc::clone(&shared.recorder), number)
    }

    fn respond(&self, conversation: &Conversation, reply: Reply, wishes: Wishes, mut guard: FateGuard) -> Response {
        let fails_at_once = reply
            .error
            .as_ref()
            .filter(|error| !wishes.is_stream || error.after_events.is_none());
        if let Some(error) = fails_at_once {
            guard.end(Fate::Refused);
            return self.fail(error);
        }
        let answer = Answer::new(&reply, conversation);
        if wishes.is_stream {
            return self.stream(&answer, reply, wishes, guard);
        }
        let whole = self.wire.whole(&answer).to_string();
        if reply.cut_after_events.is_some() {
            return cut_json(&whole);
        }
        guard.end(Fate::Completed);
        json_response(StatusCode::OK, whole)
    }

    fn stream(&self, answer: &Answer, reply: Reply, wishes: Wishes, guard: FateGuard) -> Response {
        let mut events = self.wire.events(answer, wishes);
        if let Some(error) = &reply.error {
            events.truncate(error.after_events.unwrap_or(0));
            events.push(self.wire.error_event(error));
        }
        let content_type = match self.framing {
            Framing::Events => "text/event-stream; charset=utf-8",
            Framing::JsonList => "application/json; charset=UTF-8",
        };
        let body = Body::from_stream(stream::body(events, self.wire, self.framing, reply, guard));
        ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")], body).into_response()
    }

    fn fail(&self, error: &ScriptedError) -> Response {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json_response(status, self.wire.error_body(error).to_string());
        let wait = error.retry_after.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
        if let Some(wait) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        response
    }
}

fn refusal(status: u16, body: &Value) -> Reply {
    Reply {
        error: Some(ScriptedError {
            status,
            body: Some(body.clone()),
            ..ScriptedError::default()
        }),
        ..Reply::default()
    }
}

fn json_response(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Promises the whole length and breaks off in the middle.
fn cut_json(whole: &str) -> Response {
    let half = Bytes::copy_from_slice(&whole.as_bytes()[..whole.len() / 2]);
    let pieces = futures_util::stream::iter([Ok(half), Err(io::Error::other("the script cuts the connection here"))]);
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_LENGTH, whole.len().to_string()),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

#[cfg(test)]
mod tests;
