//! `[providers]`, `[models]` and `[routes]` of the configuration file, as written.
//!
//! Names of the environment and of the vault are resolved by the caller, see [`ProviderConfig::resolve_keys`]; nothing is looked up here.

use std::borrow::Cow;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use steward_dialects::egress::Quirks;
use steward_domain::secret::Secret;

use cache::CacheConfig;
use rollout::RolloutConfig;

mod alert;
pub mod cache;
mod duration;
mod place;
pub mod rollout;
mod route;

pub use alert::{AlertConfig, AlertOn};
pub use place::{AwsConfig, PlatformName};
pub use route::{CongestionConfig, HedgeConfig, ObjectiveConfig, ProbeConfig, WeightsConfig, WhenFull};

/// One provider: who serves models, and how to reach it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderConfig {
    /// The wire format; providers of the shipped catalogue need none.
    pub dialect: Option<ProviderDialect>,
    /// The address; without a path it gets the dialect's usual version. Known providers need none.
    pub base_url: Option<String>,
    /// How the key is sent; by default as the dialect's vendor wants it.
    pub auth: Option<AuthStyle>,
    /// The one key: `${NAME}` of the environment, `vault:NAME`, `file:PATH`, or the key itself.
    #[serde(deserialize_with = "optional_secret")]
    #[schemars(with = "Option<String>")]
    pub api_key: Option<Secret<String>>,
    /// Several keys of equal weight.
    #[serde(deserialize_with = "secrets")]
    #[schemars(with = "Vec<String>")]
    pub api_keys: Vec<Secret<String>>,
    /// Several keys with weights and scopes.
    pub keys: Vec<KeyConfig>,
    /// Where it departs from its dialect; set at all, it replaces what the catalogue says.
    pub quirks: Option<Quirks>,
    /// The cloud it is in, for a further provider beside the shipped `azure`, `bedrock` and `vertex`.
    pub platform: Option<PlatformName>,
    /// Azure: the name of the resource; a `base_url` can stand in its place.
    pub resource: Option<String>,
    /// Azure: the version of the interface; a date puts the deployment into the path, without one the `v1` interface is used.
    pub api_version: Option<String>,
    /// Bedrock and Vertex: the region, such as `eu-central-1` or `europe-west4`.
    #[serde(alias = "location")]
    pub region: Option<String>,
    /// Vertex: the project; by default the one of the service account.
    pub project: Option<String>,
    /// Bedrock: access keys that sign the calls, in place of a Bedrock API key.
    pub aws: Option<AwsConfig>,
}

impl ProviderConfig {
    /// Replaces every key by what `resolve` makes of it.
    ///
    /// # Errors
    /// The first error of `resolve`.
    pub fn resolve_keys<E>(&mut self, mut resolve: impl FnMut(&str) -> Result<Secret<String>, E>) -> Result<(), E> {
        let listed = self.keys.iter_mut().map(|key| &mut key.value);
        for key in self.api_key.iter_mut().chain(self.api_keys.iter_mut()).chain(listed) {
            *key = resolve(key.expose())?;
        }
        if let Some(aws) = &mut self.aws {
            aws.access_key_id = resolve(aws.access_key_id.expose())?;
            aws.secret_access_key = resolve(aws.secret_access_key.expose())?;
            if let Some(token) = &mut aws.session_token {
                *token = resolve(token.expose())?;
            }
        }
        Ok(())
    }

    /// Has it nothing but perhaps a key, which may have been found in the environment?
    pub(crate) fn is_untouched(&self) -> bool {
        let without_keys = ProviderConfig {
            api_key: None,
            api_keys: Vec::new(),
            keys: Vec::new(),
            aws: None,
            ..self.clone()
        };
        without_keys == ProviderConfig::default()
    }

    /// The same with access keys of Amazon as one key among the others, `ID:SECRET` or `ID:SECRET:TOKEN`.
    pub(crate) fn with_aws_as_key(&self) -> Cow<'_, ProviderConfig> {
        let Some(aws) = &self.aws else {
            return Cow::Borrowed(self);
        };
        let mut key = format!("{}:{}", aws.access_key_id.expose(), aws.secret_access_key.expose());
        if let Some(token) = &aws.session_token {
            key.push(':');
            key.push_str(token.expose());
        }
        let mut config = self.clone();
        config.api_keys.push(Secret::new(key));
        Cow::Owned(config)
    }

    /// Has it a key of any kind?
    pub fn has_key(&self) -> bool {
        self.api_key.is_some() || !self.api_keys.is_empty() || !self.keys.is_empty() || self.aws.is_some()
    }
}

/// The wire format of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ProviderDialect {
    /// OpenAI chat completions.
    #[serde(rename = "openai-chat")]
    OpenAiChat,
    /// OpenAI responses.
    #[serde(rename = "openai-responses")]
    OpenAiResponses,
    /// Anthropic messages.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// Gemini generateContent.
    #[serde(rename = "gemini")]
    Gemini,
    /// Models that run inside this process; no address, no key.
    #[serde(rename = "local")]
    Local,
}

/// How a key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthStyle {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `x-api-key: KEY`.
    XApiKey,
    /// `x-goog-api-key: KEY`.
    XGoogApiKey,
    /// `api-key: KEY`, as Azure wants it.
    ApiKey,
    /// `ID:SECRET` or `ID:SECRET:TOKEN` of Amazon signs each request; any other key is a Bedrock API key and sent as bearer.
    AwsSigv4,
    /// The JSON of a Google service account is exchanged for access tokens; any other key is an access token and sent as bearer.
    GoogleOauth,
    /// No key at all.
    None,
}

impl AuthStyle {
    /// Is a key sent at all?
    pub fn wants_key(self) -> bool {
        self != AuthStyle::None
    }
}

/// One of several keys.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// `${NAME}` of the environment, `vault:NAME`, `file:PATH`, or the key itself.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String")]
    pub value: Secret<String>,
    /// Its share of the calls beside the other keys' weights; 1 unless said.
    #[serde(default = "one")]
    pub weight: u32,
    /// Only for these agents; empty: no limit by agent.
    #[serde(default)]
    pub agents: Vec<String>,
    /// Only for these teams; empty: no limit by team.
    #[serde(default)]
    pub teams: Vec<String>,
}

/// What is known of one model: overrides the shipped catalogue field by field. Prices in US dollars, at most six decimals a million tokens.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Input, a million tokens.
    pub input_usd_per_mtok: Option<f64>,
    /// Output, a million tokens.
    pub output_usd_per_mtok: Option<f64>,
    /// Input read from the provider's prompt cache; like input unless said.
    pub cached_input_usd_per_mtok: Option<f64>,
    /// Input written to the prompt cache for 5 minutes; like input unless said.
    pub cache_write_5m_usd_per_mtok: Option<f64>,
    /// Input written to the prompt cache for an hour; like the 5-minute price unless said.
    pub cache_write_1h_usd_per_mtok: Option<f64>,
    /// Reasoning; like output unless said.
    pub reasoning_usd_per_mtok: Option<f64>,
    /// Audio in; like input unless said.
    pub audio_input_usd_per_mtok: Option<f64>,
    /// Audio out; like output unless said.
    pub audio_output_usd_per_mtok: Option<f64>,
    /// One image in, where billed apart; nothing unless said.
    pub image_usd: Option<f64>,
    /// One request, whatever it holds; nothing unless said.
    pub request_usd: Option<f64>,
    /// The most tokens a conversation may have, the answer included.
    pub context_tokens: Option<u64>,
    /// The most tokens one answer may have.
    pub max_output_tokens: Option<u64>,
    /// How dear and able it is.
    pub tier: Option<Tier>,
    /// Can it call tools?
    pub tools: Option<bool>,
    /// Can it see images?
    pub images: Option<bool>,
    /// Where this model departs from the dialect; set at all, it replaces the provider's.
    pub quirks: Option<Quirks>,
}

/// How dear and able a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Cheap and quick.
    Economy,
    /// Between.
    Mid,
    /// The ablest.
    Premium,
}

/// One route: a named policy over targets.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// How a target is picked.
    #[serde(default)]
    pub strategy: Strategy,
    /// The targets, first choice first.
    pub targets: Vec<TargetConfig>,
    /// How long to wait.
    #[serde(default)]
    pub timeout: TimeoutConfig,
    /// How often to try again on one target.
    #[serde(default)]
    pub retry: RetryConfig,
    /// When to leave a failing target alone.
    #[serde(default)]
    pub breaker: BreakerConfig,
    /// What is wanted of an answer.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// What `adaptive` weighs.
    #[serde(default)]
    pub weights: WeightsConfig,
    /// How many requests a target takes at once.
    #[serde(default)]
    pub congestion: CongestionConfig,
    /// Asks the targets from time to time whether they are there; off unless said.
    #[serde(default)]
    pub probe: Option<ProbeConfig>,
    /// A second attempt for late answers; off unless said, `{}` turns it on.
    #[serde(default)]
    pub hedge: Option<HedgeConfig>,
    /// Identical requests of one tenant that are under way at the same time share one upstream request; off unless said.
    #[serde(default)]
    pub coalesce: bool,
    /// A plain answer that breaks off is continued by another target where its dialect allows; on unless said.
    #[serde(default = "yes")]
    pub continuation: bool,
    /// Which answers are kept and given again; none unless said.
    #[serde(default)]
    pub cache: CacheConfig,
    /// How a candidate is tried and takes over.
    #[serde(default)]
    pub rollout: Option<RolloutConfig>,
    /// What must not be exceeded without someone being told, such as `{ on = "ttft_p95", above = "800ms" }`; nothing unless said.
    #[serde(default)]
    pub alerts: Vec<AlertConfig>,
}

impl RouteConfig {
    /// A route with defaults and the given targets, in order.
    pub fn to(targets: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let target = |model: String| TargetConfig {
            model,
            weight: None,
            prefill: None,
        };
        RouteConfig {
            strategy: Strategy::Priority,
            targets: targets.into_iter().map(|name| target(name.into())).collect(),
            timeout: TimeoutConfig::default(),
            retry: RetryConfig::default(),
            breaker: BreakerConfig::default(),
            objective: ObjectiveConfig::default(),
            weights: WeightsConfig::default(),
            congestion: CongestionConfig::default(),
            probe: None,
            hedge: None,
            coalesce: false,
            continuation: true,
            cache: CacheConfig::default(),
            rollout: None,
            alerts: Vec::new(),
        }
    }
}

/// How a target is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The first healthy one.
    #[default]
    Priority,
    /// By the targets' weights, evenly spread.
    Weighted,
    /// The quicker of two, by recent times and requests in flight.
    Latency,
    /// The cheapest that meets the objective, cache hits counted.
    Cost,
    /// Latency, cost, health and headroom together, by `weights`.
    Adaptive,
}

impl Strategy {
    /// Its name, as written in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Priority => "priority",
            Strategy::Weighted => "weighted",
            Strategy::Latency => "latency",
            Strategy::Cost => "cost",
            Strategy::Adaptive => "adaptive",
        }
    }
}

/// One target of a route.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// `provider/model`.
    pub model: String,
    /// Its share, for `weighted`; 1 unless said, 0 for none while another can answer.
    #[serde(default)]
    pub weight: Option<f64>,
    /// Can it go on from the beginning of an answer? By its dialect unless said.
    #[serde(default)]
    pub prefill: Option<bool>,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutConfig {
    /// For the first content of one attempt; 2m unless said. Models in this process have no such limit unless it is said.
    #[serde(deserialize_with = "duration::optional")]
    #[schemars(with = "Option<String>")]
    pub first_token: Option<Duration>,
    /// Between two pieces of content; 1m unless said.
    #[serde(with = "duration::text")]
    #[schemars(with = "String")]
    pub between_tokens: Duration,
    /// For the whole call, retries and fallbacks included; 10m unless said.
    #[serde(with = "duration::text")]
    #[schemars(with = "String")]
    pub total: Duration,
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        TimeoutConfig {
            first_token: None,
            between_tokens: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

/// How often to try again on one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Retries after the first try; 0 is legal, 2 unless said.
    pub attempts: u32,
    /// The first backoff is at most this; 250ms unless said.
    #[serde(with = "duration::text")]
    #[schemars(with = "String")]
    pub base: Duration,
    /// No backoff and no obeyed `retry-after` is longer; 8s unless said.
    #[serde(with = "duration::text")]
    #[schemars(with = "String")]
    pub max: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig {
            attempts: 2,
            base: Duration::from_millis(250),
            max: Duration::from_secs(8),
        }
    }
}

/// When to leave a failing target alone.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// This many failures …
    pub failures: u32,
    /// … within this time open it. 5 in 60s unless said.
    #[serde(with = "duration::text")]
    #[schemars(with = "String")]
    pub window: Duration,
    /// Once open, one probe is let through after this; 30s unless said.
    #[serde(with = "duration::text")]
    #[schemars(with = "String")]
    pub cooldown: Duration,
    /// From `min_requests` on this share of failures within `window` decides in place of their number; none unless said.
    pub ratio: Option<f64>,
    /// With so many requests within `window` the ratio decides; 20 unless said.
    pub min_requests: u32,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        BreakerConfig {
            failures: 5,
            window: Duration::from_secs(60),
            cooldown: Duration::from_secs(30),
            ratio: None,
            min_requests: 20,
        }
    }
}

/// What is wrong with the configuration, with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// The key, such as `routes.default.targets[1]`.
    pub place: String,
    /// A sentence.
    pub problem: String,
}

impl ConfigError {
    pub(crate) fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        ConfigError {
            place: place.into(),
            problem: problem.into(),
        }
    }
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    secret(deserializer).map(Some)
}

fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Secret<String>>, D::Error> {
    let values = Vec::<String>::deserialize(deserializer)?;
    Ok(values.into_iter().map(Secret::new).collect())
}

#[cfg(test)]
mod tests;
