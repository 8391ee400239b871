//! What the API does to the running program.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use steward_dialects::embeddings::EmbedRequest;
use steward_domain::id::RequestId;
use steward_domain::model::{Caller, ModelError, ModelRequest};
use steward_domain::money::Usd;
use steward_gateway::operations::{Measured, Operation, Operations, Reading, RouteReading};
use steward_gateway::shapes::{
    AgentLimits, AgentLine, ConfigCheck, ConfigEntry, ConfigFile, FeedbackTaken, List, LocalModels, ModelLine, ProviderLine, PulledModel,
    RemovedModel, RouteLine,
};
use steward_inference::catalog::price::ModelPrice;
use steward_inference::chaos::{ChaosError, ChaosPlan, ChaosReport};
use steward_inference::config::ProviderDialect;
use steward_inference::measure::alert::Alerts;
use steward_inference::measure::performance::{Dimension, Performance};
use steward_inference::pull;
use steward_inference::route::{EmbedAnswer, OrderFailure, RouteStanding, TokenCount};
use steward_runtime::config::{Agent, ModelFacts};
use steward_runtime::error::ServiceError;

use crate::backup;
use crate::configuration::{Configuration, MetricsAccess};
use crate::default_route;
use crate::doctor;
use crate::failure::Failure;
use crate::prices;
use crate::whole_file;
use crate::wiring::House;

/// A model whose file is here and that another program must run.
const NEEDS_SERVER: &str = "installed, needs a server";

/// Operations on a house.
pub(crate) struct HouseOperations {
    house: Arc<House>,
}

impl HouseOperations {
    pub(crate) fn new(house: Arc<House>) -> Self {
        HouseOperations { house }
    }
}

impl Operations for HouseOperations {
    fn read(&self, what: Reading) -> BoxFuture<'_, Result<Value, ServiceError>> {
        async move {
            let house = &self.house;
            Ok(match what {
                Reading::Agents => json!(agents(house)),
                Reading::Models => json!(models(house)),
                Reading::Catalogue => json!(prices::lists(house)),
                Reading::Chaos => json!(house.router.last_chaos().ok_or_else(|| ServiceError::not_found("drill", "last"))?),
                Reading::Providers => json!(providers(house)),
                Reading::Routes => json!(routes(house)),
                Reading::Config => json!(config(house)),
                Reading::ConfigSchema => crate::commands::config_schema(),
                Reading::Doctor => json!(doctor::report(house).await),
                Reading::LocalModel => json!(local_model(house)),
            })
        }
        .boxed()
    }

    fn run(&self, operation: Operation) -> BoxFuture<'_, Result<Value, ServiceError>> {
        async move {
            match operation {
                Operation::TestProvider(name) => test_provider(&self.house, &name).await,
                Operation::CheckConfig(text) => Ok(json!(check_config(&self.house, &text))),
                Operation::SetConfig { key, value } => set_config(&self.house, &key, value).await,
                Operation::PullModel(name) => pull_model(&self.house, name).await,
                Operation::RemoveModel(name) => remove_model(&self.house, &name),
                Operation::RefreshCatalogue(text) => prices::refresh(&self.house, text).map(|refreshed| json!(refreshed)),
                Operation::StartChaos(plan) => start_chaos(&self.house, plan),
                Operation::WatchChaos(id) => told(self.house.router.watch_chaos(&id), &id),
                Operation::StopChaos(id) => told(self.house.router.stop_chaos(&id), &id),
                Operation::Backup => backup::create(&self.house).await.map(|made| json!(made)).map_err(failed),
                Operation::FixDoctor => Ok(json!(doctor::fix(&self.house).await)),
                Operation::Rollout { route, order, who, why } => {
                    let event = self.house.router.order(&route, order, &who, &why).await;
                    event.map(|event| json!(event)).map_err(order_failed)
                }
                Operation::Feedback { request, signal } => {
                    let taken = self.house.router.signal(&RequestId::from_text(request.clone()), signal);
                    Ok(json!(FeedbackTaken { request, taken }))
                }
            }
        }
        .boxed()
    }

    fn explain(&self, request_id: &str) -> Option<Value> {
        self.house
            .router
            .explain(&RequestId::from_text(request_id))
            .map(|record| json!(record))
    }

    fn count_tokens(&self, request: ModelRequest, caller: Caller) -> BoxFuture<'_, Result<TokenCount, ModelError>> {
        async move { self.house.router.count_tokens(request, &caller).await }.boxed()
    }

    fn embed(&self, request: EmbedRequest, caller: Caller) -> BoxFuture<'_, Result<EmbedAnswer, ModelError>> {
        async move { self.house.router.embed(request, caller).await }.boxed()
    }

    fn replay(&self, request_id: &str) -> Option<Value> {
        self.house
            .router
            .replay(&RequestId::from_text(request_id))
            .map(|replay| json!(replay))
    }

    fn standing(&self, route: &str) -> Option<Value> {
        self.house.router.standing(route).map(|standing| json!(standing))
    }

    fn route(&self, name: &str, what: RouteReading) -> Option<Value> {
        let router = &self.house.router;
        match what {
            RouteReading::Rollout => router.rollout(name).map(|status| json!(status)),
            RouteReading::Cache => router.cache_report(name).map(|report| json!(report)),
        }
    }

    fn measured(&self) -> &dyn Measured {
        self
    }
}

impl Measured for HouseOperations {
    fn prometheus(&self) -> String {
        self.house.router.prometheus()
    }

    fn is_open(&self) -> bool {
        self.house.configuration.load().server.metrics == MetricsAccess::Open
    }

    fn performance(&self, by: Dimension, span: Duration) -> Performance {
        self.house.router.performance(by, span)
    }

    fn alerts(&self) -> Alerts {
        self.house.router.measures().alerts()
    }
}

fn start_chaos(house: &House, plan: ChaosPlan) -> Result<Value, ServiceError> {
    let shown = json!(plan);
    let id = house.router.start_chaos(plan).map_err(|error| refused(&error, ""))?;
    tracing::warn!(drill = id, plan = %shown, "a drill has begun: providers of its route will seem to fail");
    told(house.router.watch_chaos(&id), &id)
}

fn told(report: Result<ChaosReport, ChaosError>, id: &str) -> Result<Value, ServiceError> {
    report.map(|report| json!(report)).map_err(|error| refused(&error, id))
}

fn refused(error: &ChaosError, id: &str) -> ServiceError {
    match error {
        ChaosError::Plan(problem) => ServiceError::Invalid(problem.clone()),
        ChaosError::Busy(_) => ServiceError::Conflict(error.to_string()),
        ChaosError::Unknown => ServiceError::not_found("drill", id),
    }
}

pub(crate) fn failed(error: anyhow::Error) -> ServiceError {
    ServiceError::Invalid(Failure::of(error).to_string())
}

fn order_failed(failure: OrderFailure) -> ServiceError {
    match failure {
        OrderFailure::NoRollout(route) => ServiceError::not_found("rollout of route", route),
        OrderFailure::Order(error) => ServiceError::Invalid(error.to_string()),
        OrderFailure::NotStored(problem) => ServiceError::Unavailable(problem),
    }
}

fn agents(house: &House) -> List<AgentLine> {
    let settings = house.runtime.settings();
    let line = |agent: &Agent| AgentLine {
        name: agent.name.to_string(),
        route: agent.route.clone(),
        workspace: agent.workspace.display().to_string(),
        tools: agent.tools.clone(),
        limits: AgentLimits {
            steps: agent.limits.steps,
            turn_usd: agent.limits.turn_usd,
            turn_time_s: agent.limits.turn_time.as_secs(),
            tokens: agent.limits.tokens,
        },
    };
    List {
        items: settings.agents.values().map(line).collect(),
    }
}

fn models(house: &House) -> List<ModelLine> {
    let catalog = house.router.catalog();
    let local = house.facts.local_models();
    let priced = catalog.models().iter().map(|(name, model)| {
        let per_mtok = |pick: fn(&ModelPrice) -> Usd| model.price.as_ref().map(|price| pick(price).times(1_000_000));
        ModelLine {
            model: name.clone(),
            provider: name.split('/').next().unwrap_or_default().to_owned(),
            context_tokens: model.context_tokens,
            tier: model.tier.map(|tier| format!("{tier:?}").to_lowercase()),
            input_usd_per_mtok: per_mtok(|price| price.input),
            output_usd_per_mtok: per_mtok(|price| price.output),
            is_local: false,
            state: "known".to_owned(),
        }
    });
    let in_process = pull::sources().iter().map(|source| {
        let name = format!("local/{}", source.name);
        let state = match (local.contains(&name), source.runs_in_process) {
            (true, true) => "installed",
            (true, false) => NEEDS_SERVER,
            (false, true) => "can be pulled",
            (false, false) => "can be pulled, needs a server",
        };
        ModelLine {
            model: name,
            provider: "local".to_owned(),
            context_tokens: Some(house.facts.context_tokens("local/")),
            tier: Some("economy".to_owned()),
            input_usd_per_mtok: Some(Usd::ZERO),
            output_usd_per_mtok: Some(Usd::ZERO),
            is_local: true,
            state: state.to_owned(),
        }
    });
    List {
        items: in_process.chain(priced).collect(),
    }
}

fn providers(house: &House) -> List<ProviderLine> {
    let catalog = house.router.catalog();
    let mut configured = house.configuration.load().providers.clone();
    default_route::add_keys_of_environment(&catalog, &mut configured);
    let mut names: Vec<&String> = catalog.providers().keys().chain(configured.keys()).collect();
    names.sort();
    names.dedup();
    let items = names
        .into_iter()
        .map(|name| {
            let (own, known) = (configured.get(name), catalog.providers().get(name));
            let dialect = own.and_then(|own| own.dialect).or(known.map(|known| known.dialect));
            let base_url = own
                .and_then(|own| own.base_url.clone())
                .or_else(|| known.map(|known| known.base_url.clone()));
            ProviderLine {
                name: name.clone(),
                dialect: dialect.map(|dialect| dialect_name(dialect).to_owned()),
                base_url,
                has_key: own.is_some_and(|own| own.has_key()),
                known: known.is_some(),
                key_env: known.and_then(|known| known.key_env.clone()),
            }
        })
        .collect();
    List { items }
}

async fn test_provider(house: &House, name: &str) -> Result<Value, ServiceError> {
    let is_configured = house.configuration.load().providers.contains_key(name);
    if name != "local" && !is_configured && !house.router.catalog().providers().contains_key(name) {
        return Err(ServiceError::not_found("provider", name));
    }
    Ok(json!(house.router.test_provider(name).await))
}

fn dialect_name(dialect: ProviderDialect) -> &'static str {
    match dialect {
        ProviderDialect::OpenAiChat => "openai-chat",
        ProviderDialect::OpenAiResponses => "openai-responses",
        ProviderDialect::Anthropic => "anthropic",
        ProviderDialect::Gemini => "gemini",
        ProviderDialect::Local => "local",
    }
}

fn routes(house: &House) -> List<RouteLine> {
    let line = |standing: RouteStanding| RouteLine {
        name: standing.name,
        strategy: standing.strategy.name().to_owned(),
        targets: standing.targets.into_iter().map(|target| target.target).collect(),
    };
    List {
        items: house.router.standings().into_iter().map(line).collect(),
    }
}

fn config(house: &House) -> ConfigFile {
    let file = house.home.config_file();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let check = check_config(house, &text);
    ConfigFile {
        text,
        path: file.display().to_string(),
        valid: check.ok,
        error: check.error,
    }
}

fn check_config(house: &House, text: &str) -> ConfigCheck {
    let parsed = Configuration::parse(text, &house.home.config_file());
    ConfigCheck {
        ok: parsed.is_ok(),
        error: parsed.err().map(|error| Failure::of(error).to_string()),
    }
}

/// Writes one value into the file, keeping the rest as it is written; nothing changes when the whole would be wrong.
async fn set_config(house: &House, key: &str, value: Value) -> Result<Value, ServiceError> {
    let file = house.home.config_file();
    let unavailable =
        |what: &str, error: std::io::Error| ServiceError::Unavailable(format!("{} cannot be {what}: {error}", file.display()));
    // From reading to writing nobody else may change it, or one of two changes is lost.
    let _alone = house.editing.lock().await;
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(unavailable("read", error)),
    };
    let changed = crate::commands::set_in_text(&text, key, &value).map_err(failed)?;
    let configuration = Configuration::parse(&changed, &file).map_err(failed)?;
    let before = Configuration::clone(&house.configuration.load());
    house.replace(configuration).await.map_err(failed)?;
    if let Err(error) = whole_file::write(&file, changed.as_bytes()) {
        // What is not in the file must not be in force either.
        house.replace(before).await.map_err(failed)?;
        return Err(unavailable("written", error));
    }
    Ok(json!(ConfigEntry {
        key: key.to_owned(),
        value
    }))
}

fn local_model(house: &House) -> LocalModels {
    let installed = house.facts.local_models();
    let state = if installed.is_empty() { "absent" } else { "installed" };
    LocalModels {
        state: state.to_owned(),
        installed,
        default: default_route::LOCAL.to_owned(),
    }
}

async fn pull_model(house: &Arc<House>, name: String) -> Result<Value, ServiceError> {
    let folder = house.home.models();
    let wanted = name.clone();
    let pulled = tokio::task::spawn_blocking(move || pull::pull(&wanted, &folder, &mut |_| {})).await;
    let installed = pulled
        .map_err(|error| ServiceError::Unavailable(error.to_string()))?
        .map_err(|error| ServiceError::Invalid(error.to_string()))?;
    house.refresh_tables().map_err(failed)?;
    let runs_here = pull::sources()
        .iter()
        .any(|source| source.name == installed.name && source.runs_in_process);
    Ok(json!(PulledModel {
        model: format!("local/{}", installed.name),
        bytes: installed.size_bytes,
        licence: installed.licence,
        state: if runs_here { "installed" } else { NEEDS_SERVER }.to_owned(),
    }))
}

fn remove_model(house: &House, name: &str) -> Result<Value, ServiceError> {
    let removed = pull::remove(name, &house.home.models()).map_err(|error| ServiceError::Unavailable(error.to_string()))?;
    if !removed {
        return Err(ServiceError::not_found("local model", name));
    }
    house.refresh_tables().map_err(failed)?;
    Ok(json!(RemovedModel {
        model: name.to_owned(),
        state: "removed".to_owned(),
    }))
}
