//! What the API does to the running program.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use steward_domain::id::RequestId;
use steward_gateway::operations::{Operation, Operations, Reading};
use steward_inference::config::ProviderDialect;
use steward_inference::pull;
use steward_runtime::config::ModelFacts;
use steward_runtime::error::ServiceError;

use crate::backup;
use crate::configuration::Configuration;
use crate::default_route;
use crate::doctor;
use crate::failure::Failure;
use crate::wiring::House;

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
                Reading::Agents => agents(house),
                Reading::Models => models(house),
                Reading::Providers => providers(house),
                Reading::Routes => routes(house),
                Reading::Config => config(house),
                Reading::ConfigSchema => crate::commands::config_schema(),
                Reading::Doctor => doctor::report(house).await,
                Reading::LocalModel => local_model(house),
            })
        }
        .boxed()
    }

    fn run(&self, operation: Operation) -> BoxFuture<'_, Result<Value, ServiceError>> {
        async move {
            match operation {
                Operation::TestProvider(name) => test_provider(&self.house, &name).await,
                Operation::CheckConfig(text) => Ok(check_config(&self.house, &text)),
                Operation::SetConfig { key, value } => set_config(&self.house, &key, value).await,
                Operation::PullModel(name) => pull_model(&self.house, name).await,
                Operation::RemoveModel(name) => remove_model(&self.house, &name),
                Operation::Backup => backup::create(&self.house).await.map_err(failed),
                Operation::FixDoctor => Ok(doctor::fix(&self.house).await),
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
}

fn failed(error: anyhow::Error) -> ServiceError {
    ServiceError::Invalid(Failure::of(error).to_string())
}

fn agents(house: &House) -> Value {
    let settings = house.runtime.settings();
    let items: Vec<Value> = settings
        .agents
        .values()
        .map(|agent| {
            let limits = &agent.limits;
            json!({
                "name": agent.name, "route": agent.route, "workspace": agent.workspace, "tools": agent.tools,
                "limits": {"steps": limits.steps, "turn_usd": limits.turn_usd, "turn_time_s": limits.turn_time.as_secs(), "tokens": limits.tokens},
            })
        })
        .collect();
    json!({"items": items})
}

fn models(house: &House) -> Value {
    let catalog = house.router.catalog();
    let local = house.facts.local_models();
    let priced = catalog.models().iter().map(|(name, model)| {
        let per_mtok = |pick: fn(&steward_inference::catalog::price::ModelPrice) -> steward_domain::money::Usd| model.price.as_ref().map(|price| pick(price).times(1_000_000));
        json!({
            "model": name, "provider": name.split('/').next(), "context_tokens": model.context_tokens, "tier": model.tier.map(|tier| format!("{tier:?}").to_lowercase()),
            "input_usd_per_mtok": per_mtok(|price| price.input), "output_usd_per_mtok": per_mtok(|price| price.output), "is_local": false, "state": "known",
        })
    });
    let in_process = pull::sources().iter().map(|source| {
        let name = format!("local/{}", source.name);
        let is_installed = local.contains(&name);
        json!({
            "model": name, "provider": "local", "context_tokens": house.facts.context_tokens("local/"), "tier": "economy",
            "input_usd_per_mtok": "0", "output_usd_per_mtok": "0", "is_local": true, "state": if is_installed { "installed" } else { "can be pulled" },
        })
    });
    let items: Vec<Value> = in_process.chain(priced).collect();
    json!({"items": items})
}

fn providers(house: &House) -> Value {
    let catalog = house.router.catalog();
    let mut configured = house.configuration.load().providers.clone();
    default_route::add_keys_of_environment(&catalog, &mut configured);
    let mut names: Vec<&String> = catalog.providers().keys().chain(configured.keys()).collect();
    names.sort();
    names.dedup();
    let items: Vec<Value> = names
        .into_iter()
        .map(|name| {
            let (own, known) = (configured.get(name), catalog.providers().get(name));
            let dialect = own.and_then(|own| own.dialect).or(known.map(|known| known.dialect));
            let base_url = own
                .and_then(|own| own.base_url.clone())
                .or_else(|| known.map(|known| known.base_url.clone()));
            json!({
                "name": name, "dialect": dialect.map(dialect_name), "base_url": base_url, "has_key": own.is_some_and(|own| own.has_key()),
                "known": known.is_some(), "key_env": known.and_then(|known| known.key_env.clone()),
            })
        })
        .collect();
    json!({"items": items})
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

fn routes(house: &House) -> Value {
    let items: Vec<Value> = house
        .facts
        .routes()
        .into_iter()
        .map(|(name, targets)| json!({"name": name, "strategy": "priority", "targets": targets}))
        .collect();
    json!({"items": items})
}

fn config(house: &House) -> Value {
    let file = house.home.config_file();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let mut value = check_config(house, &text);
    value["path"] = json!(file);
    value["valid"] = value["ok"].clone();
    value["text"] = json!(text);
    value
}

fn check_config(house: &House, text: &str) -> Value {
    match Configuration::parse(text, &house.home.config_file()) {
        Ok(_) => json!({"ok": true}),
        Err(error) => json!({"ok": false, "error": Failure::of(error).to_string()}),
    }
}

/// Writes one value into the file, keeping the rest as it is written; nothing changes when the whole would be wrong.
async fn set_config(house: &House, key: &str, value: Value) -> Result<Value, ServiceError> {
    let file = house.home.config_file();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let changed = crate::commands::set_in_text(&text, key, &value).map_err(failed)?;
    let configuration = Configuration::parse(&changed, &file).map_err(failed)?;
    house.replace(configuration).await.map_err(failed)?;
    let temporary = file.with_extension("toml.new");
    let written = std::fs::write(&temporary, &changed).and_then(|()| std::fs::rename(&temporary, &file));
    written.map_err(|error| ServiceError::Unavailable(format!("{} cannot be written: {error}", file.display())))?;
    Ok(json!({"key": key, "value": value}))
}

fn local_model(house: &House) -> Value {
    let installed = house.facts.local_models();
    let state = if installed.is_empty() { "absent" } else { "installed" };
    json!({"state": state, "installed": installed, "default": default_route::LOCAL})
}

async fn pull_model(house: &Arc<House>, name: String) -> Result<Value, ServiceError> {
    let folder = house.home.models();
    let wanted = name.clone();
    let pulled = tokio::task::spawn_blocking(move || pull::pull(&wanted, &folder, &mut |_| {})).await;
    let installed = pulled
        .map_err(|error| ServiceError::Unavailable(error.to_string()))?
        .map_err(|error| ServiceError::Invalid(error.to_string()))?;
    house.refresh_local_models().map_err(failed)?;
    Ok(
        json!({"model": format!("local/{}", installed.name), "bytes": installed.size_bytes, "licence": installed.licence, "state": "installed"}),
    )
}

fn remove_model(house: &House, name: &str) -> Result<Value, ServiceError> {
    let removed = pull::remove(name, &house.home.models()).map_err(|error| ServiceError::Unavailable(error.to_string()))?;
    if !removed {
        return Err(ServiceError::not_found("local model", name));
    }
    house.refresh_local_models().map_err(failed)?;
    Ok(json!({"model": name, "state": "removed"}))
}
