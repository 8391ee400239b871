//! `steward.toml`: read whole, checked whole, or refused whole with line, column and the nearest right name.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use steward_domain::id::AgentName;
use steward_domain::secret::Secret;
use steward_inference::config::{ModelConfig, ProviderConfig, RouteConfig};
use steward_inference::measure::check_address;
use steward_runtime::config::{Agent, AgentConfig};

use crate::failure::{Exit, Failure};
use crate::home::Home;

/// Letters by which a wrong name may differ from the one that is suggested.
const NEAR: usize = 3;

/// The file as written.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "steward.toml")]
pub(crate) struct Configuration {
    /// Where the server listens.
    pub(crate) server: ServerConfig,
    /// Where the rows are.
    pub(crate) store: StoreConfig,
    /// Who serves models.
    pub(crate) providers: BTreeMap<String, ProviderConfig>,
    /// What is known of models beyond the shipped list.
    pub(crate) models: BTreeMap<String, ModelConfig>,
    /// Named policies over targets.
    pub(crate) routes: BTreeMap<String, RouteConfig>,
    /// The employees.
    pub(crate) agents: BTreeMap<String, AgentConfig>,
    /// Who may do what.
    pub(crate) policy: steward_policy::config::Config,
    /// How processes are isolated.
    pub(crate) sandbox: steward_sandbox::Config,
    /// Search and fetch.
    pub(crate) tools: steward_tools::config::Config,
    /// Models in this process.
    pub(crate) local: LocalSettings,
    /// Where measures, traces and alerts are told.
    pub(crate) telemetry: TelemetryConfig,
}

/// `[server]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServerConfig {
    /// Address and port.
    pub(crate) bind: String,
    /// Further names, with port, under which the server may be called, such as `steward.lan:7717`.
    pub(crate) host_names: Vec<String>,
    /// Who may read `/metrics`: `key` for keys with the viewer's rights or better, `open` for everyone who reaches the server.
    pub(crate) metrics: MetricsAccess,
}

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MetricsAccess {
    /// Keys with the viewer's rights or better.
    #[default]
    Key,
    /// Everyone who reaches the server.
    Open,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            bind: "127.0.0.1:7717".into(),
            host_names: Vec::new(),
            metrics: MetricsAccess::Key,
        }
    }
}

/// `[store]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreConfig {
    /// `sqlite:FILE`, relative to the home, or `postgres://…`.
    pub(crate) url: String,
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig {
            url: "sqlite:steward.db".into(),
        }
    }
}

/// `[local]`: models that run in this process.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LocalSettings {
    /// Threads for arithmetic; 0 leaves one core free.
    pub(crate) threads: usize,
    /// Help small models to choose tools and fill arguments.
    pub(crate) tool_help: bool,
    /// Unload a model after this long without a call.
    pub(crate) unload_after: String,
}

impl Default for LocalSettings {
    fn default() -> Self {
        LocalSettings {
            threads: 0,
            tool_help: true,
            unload_after: "10m".into(),
        }
    }
}

/// `[telemetry]`: where measures, traces and alerts are told beside this program.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TelemetryConfig {
    /// An OpenTelemetry collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`; none unless said.
    pub(crate) otlp: Option<String>,
    /// How often it is told.
    pub(crate) every: String,
    /// The share of calls whose course is traced, from 0 to 1.
    pub(crate) traces: f64,
    /// Addresses that are told of alerts, each once, with a POST that is tried again until it is taken.
    pub(crate) webhooks: Vec<String>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        TelemetryConfig {
            otlp: None,
            every: "15s".into(),
            traces: 1.0,
            webhooks: Vec::new(),
        }
    }
}

impl TelemetryConfig {
    /// How often the collector is told.
    fn interval(&self) -> Result<Duration> {
        let wrong = |problem: String| invalid(format!("telemetry.every: {problem}"));
        let every = steward_runtime::config::parse_duration(&self.every).map_err(wrong)?;
        if every < Duration::from_secs(1) {
            return Err(wrong("it must be at least 1s".into()));
        }
        Ok(every)
    }

    fn check(&self) -> Result<()> {
        self.interval()?;
        if !(0.0..=1.0).contains(&self.traces) {
            return Err(invalid("telemetry.traces: it must be between 0 and 1".into()));
        }
        if let Some(url) = &self.otlp {
            check_address(url).map_err(|problem| invalid(format!("telemetry.otlp: {problem}")))?;
        }
        for url in &self.webhooks {
            check_address(url).map_err(|problem| invalid(format!("telemetry.webhooks: {problem}")))?;
        }
        Ok(())
    }

    /// How often the collector is told; checked when the file was read.
    pub(crate) fn every(&self) -> Duration {
        self.interval().unwrap_or(Duration::from_secs(15))
    }
}

impl Configuration {
    /// The home's file; a home without one has the defaults.
    pub(crate) fn load(home: &Home) -> Result<Self> {
        let file = home.config_file();
        if !file.exists() {
            return Configuration::parse("", &file);
        }
        let text = std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        Configuration::parse(&text, &file)
    }

    /// Reads and checks a text. Keys are resolved.
    pub(crate) fn parse(text: &str, file: &Path) -> Result<Self> {
        let mut configuration: Configuration = toml::from_str(text).map_err(|error| sentence(&error, text, file))?;
        for (name, provider) in &mut configuration.providers {
            provider.resolve_keys(|written| resolve_key(written, name))?;
        }
        configuration.agents.entry("main".into()).or_default();
        for (name, agent) in &configuration.agents {
            agent
                .limits
                .checked()
                .map_err(|problem| invalid(format!("agents.{name}.{problem}")))?;
        }
        steward_runtime::config::parse_duration(&configuration.local.unload_after)
            .map_err(|problem| invalid(format!("local.unload_after: {problem}")))?;
        configuration.telemetry.check()?;
        Ok(configuration)
    }

    /// The agents, checked, with their workspaces in the home.
    pub(crate) fn checked_agents(&self, home: &Home) -> Result<BTreeMap<AgentName, Agent>> {
        let mut agents = BTreeMap::new();
        for (name, config) in &self.agents {
            let workspace = if config.workspace.is_empty() {
                format!("workspaces/{name}")
            } else {
                config.workspace.clone()
            };
            let agent = Agent {
                name: AgentName::from(name.as_str()),
                route: config.route.clone(),
                workspace: home.resolve(&workspace),
                tools: config.tools.clone(),
                limits: config
                    .limits
                    .checked()
                    .map_err(|problem| invalid(format!("agents.{name}.{problem}")))?,
                mode: config.mode,
            };
            agents.insert(agent.name.clone(), agent);
        }
        Ok(agents)
    }

    /// The store's address with the file's path made absolute.
    pub(crate) fn store_url(&self, home: &Home) -> String {
        match self.store.url.strip_prefix("sqlite:") {
            Some(path) => format!("sqlite:{}", home.resolve(path).display()),
            None => self.store.url.clone(),
        }
    }
}

fn invalid(message: String) -> anyhow::Error {
    Failure::new(Exit::Failed, "invalid_config", message).into()
}

/// `${NAME}` from the environment, the contents of `file:PATH`, or the text itself.
fn resolve_key(written: &str, provider: &str) -> Result<Secret<String>> {
    if let Some(name) = written.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        let missing = || {
            invalid(format!(
                "providers.{provider}: the environment variable {name} is not set; set it, or remove the key"
            ))
        };
        return Ok(Secret::new(value.ok_or_else(missing)?));
    }
    if let Some(path) = written.strip_prefix("file:") {
        let text = std::fs::read_to_string(path)
            .map_err(|error| invalid(format!("providers.{provider}: the key's file {path} cannot be read: {error}")))?;
        return Ok(Secret::new(text.trim().to_owned()));
    }
    if written.starts_with("vault:") {
        return Err(invalid(format!(
            "providers.{provider}: this build has no vault; name an environment variable, such as \"${{NAME}}\""
        )));
    }
    tracing::warn!(
        "providers.{provider} has its key in the configuration file; better name an environment variable, such as \"${{NAME}}\""
    );
    Ok(Secret::new(written.to_owned()))
}

/// Line, column, what is wrong, and the nearest right name.
fn sentence(error: &toml::de::Error, text: &str, file: &Path) -> anyhow::Error {
    let (line, column) = error.span().map_or((1, 1), |span| place_of(text, span.start));
    let message = error.message().trim().replace('\n', "; ");
    let name = file
        .file_name()
        .map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned());
    let failure = Failure::new(
        Exit::Failed,
        "invalid_config",
        format!("{name}, line {line}, column {column}: {message}"),
    );
    match nearest(&message) {
        Some(right) => failure.with_hint(format!("did you mean `{right}`?")).into(),
        None => failure.into(),
    }
}

fn place_of(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The closest of the names that the parser expected.
fn nearest(message: &str) -> Option<String> {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (wrong, right) = quoted.split_first()?;
    let is_unknown = message.starts_with("unknown");
    let best = right.iter().min_by_key(|name| strsim::damerau_levenshtein(wrong, name))?;
    let is_near = strsim::damerau_levenshtein(wrong, best) <= NEAR.max(wrong.len() / 3);
    (is_unknown && is_near).then(|| (*best).to_owned())
}

#[cfg(test)]
mod tests;
