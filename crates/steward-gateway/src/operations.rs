//! What the API does to the program itself: configuration, providers, models, doctor, backups.
//!
//! Implemented where everything is wired; the gateway only asks.

use std::time::Duration;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use steward_dialects::embeddings::EmbedRequest;
use steward_domain::model::{Caller, ModelError, ModelRequest};
use steward_inference::chaos::ChaosPlan;
use steward_inference::measure::alert::Alerts;
use steward_inference::measure::performance::{Dimension, Performance};
use steward_inference::rollout::Signal;
use steward_inference::rollout::order::Order;
use steward_inference::route::{EmbedAnswer, TokenCount};
use steward_runtime::error::ServiceError;

/// Operations on the running program. Values are in the shapes of the API.
pub trait Operations: Send + Sync {
    /// Readings: models, providers, routes, agents, configuration, doctor.
    fn read(&self, what: Reading) -> BoxFuture<'_, Result<Value, ServiceError>>;
    /// Changes and trials: test a provider, check or change the configuration, pull a model, make a backup.
    fn run(&self, operation: Operation) -> BoxFuture<'_, Result<Value, ServiceError>>;
    /// Why a call went where it went.
    fn explain(&self, request_id: &str) -> Option<Value>;
    /// How many input tokens a request has.
    fn count_tokens(&self, request: ModelRequest, caller: Caller) -> BoxFuture<'_, Result<TokenCount, ModelError>>;
    /// Vectors for texts.
    fn embed(&self, request: EmbedRequest, caller: Caller) -> BoxFuture<'_, Result<EmbedAnswer, ModelError>>;
    /// The choice of a call computed again from what was known then.
    fn replay(&self, request_id: &str) -> Option<Value>;
    /// How a route and its targets stand now.
    fn standing(&self, route: &str) -> Option<Value>;
    /// Something of one route; `None` where it has none.
    fn route(&self, name: &str, what: RouteReading) -> Option<Value>;
    /// What is measured, for those who read it.
    fn measured(&self) -> &dyn Measured;
}

/// Measures of the running program.
pub trait Measured: Send + Sync {
    /// All of them as Prometheus text.
    fn prometheus(&self) -> String;
    /// May anyone who reaches the server read that text?
    fn is_open(&self) -> bool;
    /// How everything performed of late.
    fn performance(&self, by: Dimension, span: Duration) -> Performance;
    /// Alerts of routes.
    fn alerts(&self) -> Alerts;
}

/// What can be read of one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteReading {
    /// How its rollout stands.
    Rollout,
    /// How its cache does.
    Cache,
}

/// What can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Agents with routes, tools and limits.
    Agents,
    /// Models with prices.
    Models,
    /// Where the lists of prices are from.
    Catalogue,
    /// What callers saw of the last drill.
    Chaos,
    /// Providers and whether they have a key.
    Providers,
    /// Routes with their targets.
    Routes,
    /// The configuration's text.
    Config,
    /// Its JSON Schema.
    ConfigSchema,
    /// The checks of the doctor.
    Doctor,
    /// The local model's state.
    LocalModel,
}

/// Another list of prices.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
pub struct CatalogueText {
    /// LiteLLM's JSON or a list of Steward's own; absent for the list that came with the program.
    #[serde(default)]
    pub text: Option<String>,
    /// Shall it take effect? Otherwise only the difference is shown.
    #[serde(default)]
    pub apply: bool,
}

/// What can be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// One real call to a provider.
    TestProvider(String),
    /// Is this a valid configuration?
    CheckConfig(String),
    /// Sets one value of the configuration file.
    SetConfig {
        /// Dotted path, such as `agents.main.route`.
        key: String,
        /// The value.
        value: Value,
    },
    /// Fetches a local model.
    PullModel(String),
    /// Removes a local model.
    RemoveModel(String),
    /// Shows what another list of prices changes, and puts it in place where that is asked for.
    RefreshCatalogue(CatalogueText),
    /// Begins a drill.
    StartChaos(ChaosPlan),
    /// What callers have seen of a drill, which this keeps alive.
    WatchChaos(String),
    /// Ends a drill.
    StopChaos(String),
    /// A backup of the store.
    Backup,
    /// Mends what the doctor can mend safely, and checks again.
    FixDoctor,
    /// An order to a route's rollout.
    Rollout {
        /// The route.
        route: String,
        /// What.
        order: Order,
        /// Who gives it.
        who: String,
        /// Why, a sentence; may be empty.
        why: String,
    },
    /// A word on an answer.
    Feedback {
        /// The call.
        request: String,
        /// What is said.
        signal: Signal,
    },
}
