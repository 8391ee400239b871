//! The route `default` of a home whose configuration names none: the best provider with a key, then the local model.

use std::collections::BTreeMap;

use steward_domain::secret::Secret;
use steward_inference::catalog::Catalog;
use steward_inference::config::{ProviderConfig, RouteConfig};

/// Models that a found key gives, in the order of preference.
const BY_PROVIDER: [(&str, &str); 8] = [
    ("anthropic", "anthropic/claude-sonnet-4-5"),
    ("openai", "openai/gpt-5"),
    ("gemini", "gemini/gemini-2.5-flash"),
    ("openrouter", "openrouter/openai/gpt-5"),
    ("mistral", "mistral/mistral-large-latest"),
    ("deepseek", "deepseek/deepseek-chat"),
    ("groq", "groq/llama-3.3-70b-versatile"),
    ("xai", "xai/grok-4"),
];

/// The model that runs without any key.
pub(crate) const LOCAL: &str = "local/smollm2-135m";

/// Known providers whose key lies in the environment, unless the configuration has its own words on them.
pub(crate) fn add_keys_of_environment(catalog: &Catalog, providers: &mut BTreeMap<String, ProviderConfig>) {
    for (name, known) in catalog.providers() {
        let found = known
            .key_env
            .as_deref()
            .and_then(|variable| std::env::var(variable).ok())
            .filter(|value| !value.is_empty());
        let Some(key) = found else { continue };
        let provider = providers.entry(name.clone()).or_default();
        if !provider.has_key() {
            provider.api_key = Some(Secret::new(key));
        }
    }
}

/// Adds the route `default` where there is none.
pub(crate) fn add(routes: &mut BTreeMap<String, RouteConfig>, providers: &BTreeMap<String, ProviderConfig>) {
    if routes.contains_key("default") {
        return;
    }
    let has_key = |name: &str| providers.get(name).is_some_and(ProviderConfig::has_key);
    let keyed = BY_PROVIDER
        .iter()
        .filter(|(provider, _)| has_key(provider))
        .map(|(_, model)| (*model).to_owned());
    let targets: Vec<String> = keyed.chain([LOCAL.to_owned()]).collect();
    routes.insert("default".into(), RouteConfig::to(targets));
}
