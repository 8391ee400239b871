//! The seam to a model: one request in, a stream of events out.

use std::fmt;
use std::time::Duration;

use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{AgentName, CallId, KeyId, RequestId, SessionId, TurnId};
use crate::message::Message;
use crate::money::Usd;
use crate::principal::Principal;
use crate::usage::{Usage, UsageSource};

/// Streams one answer.
pub trait Model: Send + Sync {
    /// Starts the call. The stream's last event is [`ModelEvent::Finished`] or [`ModelEvent::Failed`];
    /// dropping the stream cancels the call.
    fn stream(&self, request: ModelRequest, caller: Caller) -> BoxStream<'static, ModelEvent>;
}

/// What a model is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// A route (`default`), `provider/model`, or a model's own name once a target is chosen.
    pub model: String,
    /// The conversation; system messages come first.
    pub messages: Vec<Message>,
    /// Tools the model may call.
    #[serde(default)]
    pub tools: Vec<ToolDefinition>,
    /// Whether it may, must, or must not call one.
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// May it ask for several calls at once? `None` leaves it to the provider.
    #[serde(default)]
    pub parallel_tool_calls: Option<bool>,
    /// The most output tokens it may write.
    #[serde(default)]
    pub max_output_tokens: Option<u64>,
    /// Sampling temperature.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    #[serde(default)]
    pub top_p: Option<f64>,
    /// Texts that end the answer.
    #[serde(default)]
    pub stop: Vec<String>,
    /// The form the answer must have.
    #[serde(default)]
    pub format: AnswerFormat,
    /// How much to think before answering.
    #[serde(default)]
    pub reasoning: Option<Reasoning>,
    /// Fields of the caller's dialect that Steward does not know, passed on to a target of the same dialect.
    #[serde(default)]
    pub extra: Map<String, Value>,
}

impl ModelRequest {
    /// A request with nothing but a model and messages.
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        ModelRequest {
            model: model.into(),
            messages,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: None,
            max_output_tokens: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            format: AnswerFormat::Text,
            reasoning: None,
            extra: Map::new(),
        }
    }
}

/// A tool as the model sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolDefinition {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// JSON Schema of its arguments.
    pub input_schema: Value,
    /// Extra fields of the caller's dialect (`strict`, `cache_control`, whole server tools), passed on to the same dialect.
    #[serde(default)]
    pub extra: Map<String, Value>,
}

/// Whether the model may call tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// It may.
    #[default]
    Auto,
    /// It must not.
    None,
    /// It must call one.
    Required,
    /// It must call this one.
    Named(String),
}

/// The form of the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    /// Free text.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// A name for the schema.
        name: String,
        /// The schema.
        schema: Value,
        /// The provider shall enforce it.
        is_strict: bool,
    },
}

/// How much to think.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reasoning {
    /// By word: `minimal`, `low`, `medium`, `high` (OpenAI).
    Effort(String),
    /// By tokens (Anthropic, Gemini).
    BudgetTokens(u64),
}

/// On whose behalf a call is made: what the meter charges and the ledger records.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who acts.
    pub principal: Principal,
    /// The id of this call.
    pub request: RequestId,
    /// The key used, on the gateway.
    pub key: Option<KeyId>,
    /// The team that the key or user belongs to, where that is known.
    pub team: Option<String>,
    /// The agent, in a turn.
    pub agent: Option<AgentName>,
    /// The session, in a turn.
    pub session: Option<SessionId>,
    /// The turn and its step, in a turn.
    pub turn: Option<(TurnId, u32)>,
}

impl Caller {
    /// A call of which nothing is known but who makes it.
    pub fn new(principal: Principal, request: RequestId) -> Self {
        Caller {
            principal,
            request,
            key: None,
            team: None,
            agent: None,
            session: None,
            turn: None,
        }
    }

    /// Whose calls may share answers with this one: the team's, else the principal's own.
    pub fn tenant(&self) -> String {
        match &self.team {
            Some(team) => format!("team:{team}"),
            None => self.principal.to_string(),
        }
    }
}

/// One thing that happens while a model answers.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// A target answered with content on its way. Comes once, before any content.
    Started(Answerer),
    /// More text.
    Text(String),
    /// More thinking.
    Thinking(String),
    /// The seal of the thinking block that ends here; for a redacted block with its whole content.
    ThinkingSealed {
        /// The seal.
        signature: String,
        /// See [`crate::message::Part::Thinking`].
        is_redacted: bool,
    },
    /// A tool call begins. `index` counts calls from 0 in the order they began.
    ToolCallStarted {
        /// Position among the calls of this answer.
        index: usize,
        /// Its id.
        id: CallId,
        /// The tool's name.
        name: String,
        /// A seal that must come back with it.
        signature: Option<String>,
    },
    /// More of the arguments of call `index`, as JSON text.
    ToolCallArguments {
        /// Which call.
        index: usize,
        /// The piece.
        json: String,
    },
    /// A block only the provider's own dialect understands.
    Opaque {
        /// The dialect, by its configuration name.
        dialect: String,
        /// The block.
        value: Value,
    },
    /// The answer is whole. Last event.
    Finished(Box<Finish>),
    /// The call failed. Last event.
    Failed(ModelError),
}

/// Which target answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answerer {
    /// `provider/model`.
    pub target: String,
    /// Upstream requests made so far, this one included.
    pub attempts: u32,
    /// What the cache had to do with it.
    #[serde(default)]
    pub cache: CacheUse,
}

/// What the cache had to do with an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheUse {
    /// There is no cache on this way.
    #[default]
    Off,
    /// It had nothing that fits.
    Miss,
    /// The answer is from it.
    Hit,
    /// The answer is from it, too old, and given because every target failed.
    Stale,
}

impl CacheUse {
    /// As the header `x-steward-cache` says it.
    pub fn name(self) -> &'static str {
        match self {
            CacheUse::Off => "off",
            CacheUse::Miss => "miss",
            CacheUse::Hit => "hit",
            CacheUse::Stale => "stale",
        }
    }
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// Why.
    pub reason: FinishReason,
    /// What it used.
    pub usage: Usage,
    /// Whether the provider said so.
    pub usage_source: UsageSource,
    /// What it cost; zero until the meter has priced it.
    pub cost: Usd,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// It asks for tools.
    ToolCalls,
    /// It ran into the output limit.
    Length,
    /// The provider's filter stopped it.
    ContentFilter,
    /// It refused.
    Refusal,
    /// A pause that the caller resumes (Anthropic `pause_turn`).
    Pause,
}

/// Why a call failed, and whether trying again can help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct ModelError {
    /// The cause, as a router branches on it.
    pub kind: ModelErrorKind,
    /// When to try again.
    pub retry: Retry,
    /// The provider's own words, or ours.
    pub message: String,
    /// The HTTP status upstream, where there was one.
    pub status: Option<u16>,
    /// The target that failed, `provider/model`; empty when no target was reached.
    pub target: String,
}

impl ModelError {
    /// An error of a kind with the retry hint that is usual for it.
    pub fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        let retry = match kind {
            ModelErrorKind::RateLimited
            | ModelErrorKind::Overloaded
            | ModelErrorKind::Server
            | ModelErrorKind::Network
            | ModelErrorKind::Timeout => Retry::Now,
            ModelErrorKind::Auth
            | ModelErrorKind::BadRequest
            | ModelErrorKind::ContextTooLong
            | ModelErrorKind::NotFound
            | ModelErrorKind::Unsupported
            | ModelErrorKind::BudgetExceeded
            | ModelErrorKind::NoTarget
            | ModelErrorKind::Cut
            | ModelErrorKind::Malformed => Retry::Never,
        };
        ModelError {
            kind,
            retry,
            message: message.into(),
            status: None,
            target: String::new(),
        }
    }
}

/// Causes of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelErrorKind {
    /// 429.
    RateLimited,
    /// 529, or a provider's word for it.
    Overloaded,
    /// 5xx.
    Server,
    /// The connection failed.
    Network,
    /// No first token, or none for too long.
    Timeout,
    /// 401, 402 or 403 upstream.
    Auth,
    /// The caller's own mistake.
    BadRequest,
    /// The request does not fit the model's context.
    ContextTooLong,
    /// No such model or route.
    NotFound,
    /// The target cannot do what is asked (tools, images).
    Unsupported,
    /// A budget refused.
    BudgetExceeded,
    /// Every target failed.
    NoTarget,
    /// The stream broke after content had begun.
    Cut,
    /// The provider's bytes made no sense.
    Malformed,
}

impl ModelErrorKind {
    /// Did targets fail for reasons of their own? Else it was the request, or the caller's means.
    pub fn is_of_targets(self) -> bool {
        match self {
            ModelErrorKind::RateLimited
            | ModelErrorKind::Overloaded
            | ModelErrorKind::Server
            | ModelErrorKind::Network
            | ModelErrorKind::Timeout
            | ModelErrorKind::Auth
            | ModelErrorKind::NoTarget
            | ModelErrorKind::Cut
            | ModelErrorKind::Malformed => true,
            ModelErrorKind::BadRequest
            | ModelErrorKind::ContextTooLong
            | ModelErrorKind::NotFound
            | ModelErrorKind::Unsupported
            | ModelErrorKind::BudgetExceeded => false,
        }
    }
}

impl fmt::Display for ModelErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ModelErrorKind::RateLimited => "rate limited",
            ModelErrorKind::Overloaded => "overloaded",
            ModelErrorKind::Server => "server error",
            ModelErrorKind::Network => "network error",
            ModelErrorKind::Timeout => "timed out",
            ModelErrorKind::Auth => "key refused",
            ModelErrorKind::BadRequest => "bad request",
            ModelErrorKind::ContextTooLong => "context too long",
            ModelErrorKind::NotFound => "not found",
            ModelErrorKind::Unsupported => "not supported",
            ModelErrorKind::BudgetExceeded => "budget exceeded",
            ModelErrorKind::NoTarget => "no target",
            ModelErrorKind::Cut => "stream cut",
            ModelErrorKind::Malformed => "malformed answer",
        })
    }
}

/// When trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It cannot.
    Never,
    /// At once, with backoff.
    Now,
    /// Not before this has passed.
    After(Duration),
}
