//! `[agents.NAME]` and `[channels]` of the configuration file, checked, and what else the flows are set with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use steward_budget::price::Price;
use steward_domain::id::AgentName;
use steward_domain::limits::TurnLimits;
use steward_domain::money::Usd;
use steward_policy::policy::Policy;

/// One agent, as written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// The route, or `provider/model`, that it thinks with.
    pub route: String,
    /// Its workspace folder; relative to the home. Empty: `workspaces/NAME`.
    pub workspace: String,
    /// Groups or names of tools.
    pub tools: Vec<String>,
    /// Limits of one turn.
    pub limits: LimitsConfig,
    /// What a message does that comes while a turn runs.
    pub mode: QueueMode,
}

impl Default for AgentConfig {
    fn default() -> Self {
        AgentConfig {
            route: "default".into(),
            workspace: String::new(),
            tools: ["files", "shell", "web", "sessions"].map(str::to_owned).to_vec(),
            limits: LimitsConfig::default(),
            mode: QueueMode::Steer,
        }
    }
}

/// Limits of one turn, as written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Model calls; 20 unless said.
    #[schemars(extend("default" = TurnLimits::default().steps))]
    pub steps: Option<u32>,
    /// Tokens in and out; 2,000,000 unless said.
    #[schemars(extend("default" = TurnLimits::default().tokens))]
    pub tokens: Option<u64>,
    /// US dollars for model calls; 0.50 unless said.
    #[schemars(extend("default" = 0.5))]
    pub turn_usd: Option<f64>,
    /// Wall time, such as `30m`.
    #[schemars(extend("default" = "30m"))]
    pub turn_time: Option<String>,
    /// Characters of one tool result in the prompt; 16,000 unless said.
    #[schemars(extend("default" = TurnLimits::default().tool_output_chars))]
    pub tool_output_chars: Option<usize>,
    /// Equal calls with equal results that end the turn; 3 unless said.
    #[schemars(extend("default" = TurnLimits::default().repeats))]
    pub repeats: Option<u32>,
}

impl LimitsConfig {
    /// The limits, with defaults for what is not said.
    ///
    /// # Errors
    /// A sentence naming the field that makes no sense.
    pub fn checked(&self) -> Result<TurnLimits, String> {
        let defaults = TurnLimits::default();
        let turn_usd = self
            .turn_usd
            .map(Usd::from_config)
            .transpose()
            .map_err(|error| format!("limits.turn_usd: {error}"))?;
        let turn_time = self
            .turn_time
            .as_deref()
            .map(parse_duration)
            .transpose()
            .map_err(|error| format!("limits.turn_time: {error}"))?;
        if self.steps == Some(0) {
            return Err("limits.steps: an agent needs at least 1 step".into());
        }
        Ok(TurnLimits {
            steps: self.steps.unwrap_or(defaults.steps),
            tokens: self.tokens.unwrap_or(defaults.tokens),
            turn_usd: turn_usd.unwrap_or(defaults.turn_usd),
            turn_time: turn_time.unwrap_or(defaults.turn_time),
            tool_output_chars: self.tool_output_chars.unwrap_or(defaults.tool_output_chars),
            repeats: self.repeats.unwrap_or(defaults.repeats),
            ..defaults
        })
    }
}

/// What a message does that comes while a turn runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueMode {
    /// It joins the running turn before the next model call.
    #[default]
    Steer,
    /// It becomes a turn of its own afterwards, one a message.
    Followup,
    /// All that came becomes one turn afterwards.
    Collect,
    /// The running turn is stopped and a new one begins.
    Interrupt,
}

/// Reads `500ms`, `20s`, `30m`, `12h` or `7d`.
///
/// # Errors
/// A sentence that shows the form.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("{text:?} is no duration: write a number and ms, s, m, h or d, such as \"30m\"");
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
    let number: u64 = text[..digits_end].parse().map_err(|_| refuse())?;
    let seconds = match &text[digits_end..] {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(refuse()),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(refuse)
}

/// A checked agent.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its name.
    pub name: AgentName,
    /// The route, or `provider/model`.
    pub route: String,
    /// Its workspace folder.
    pub workspace: PathBuf,
    /// Groups or names of tools.
    pub tools: Vec<String>,
    /// Limits of one turn.
    pub limits: TurnLimits,
    /// What a message does that comes while a turn runs.
    pub mode: QueueMode,
}

/// Everything the flows are set with; replaced whole when the configuration changes.
#[derive(Clone)]
pub struct Settings {
    /// The agents by name.
    pub agents: BTreeMap<AgentName, Agent>,
    /// The rules.
    pub policy: Arc<Policy>,
    /// Prices and windows of models.
    pub models: Arc<dyn ModelFacts>,
}

/// What the flows must know about models.
pub trait ModelFacts: Send + Sync {
    /// The price of `provider/model`; `None` when nobody knows it.
    fn price(&self, target: &str) -> Option<Price>;
    /// Tokens that the context window of a route's smallest target, or of a model, holds.
    fn context_tokens(&self, route_or_model: &str) -> u64;
    /// Does such a route or model exist?
    fn exists(&self, route_or_model: &str) -> bool;
}

#[cfg(test)]
mod tests;
