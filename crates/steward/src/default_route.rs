//! The route `default` of a home whose configuration names none: the best provider with a key, then the local model.

use std::collections::BTreeMap;

use steward_domain::secret::Secret;
use steward_inference::catalog::Catalog;
use steward_inference::config::{AuthStyle, AwsConfig, ProviderConfig, RouteConfig};

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

/// Known providers whose key, and with it their place, lies in the environment, unless the configuration has its own words on them.
pub(crate) fn add_keys_of_environment(catalog: &Catalog, providers: &mut BTreeMap<String, ProviderConfig>) {
    for (name, known) in catalog.providers() {
        let has_key = providers.get(name).is_some_and(ProviderConfig::has_key);
        if !has_key && let Some(key) = known.key_env.as_deref().and_then(variable) {
            let key = if known.auth == AuthStyle::GoogleOauth {
                account_file(key)
            } else {
                Some(key)
            };
            providers.entry(name.clone()).or_default().api_key = key.map(Secret::new);
        }
        if known.platform.is_some() {
            add_place_of_environment(name, providers);
        }
    }
}

/// What the clouds' own tools read: where the resource is, in which region or project, and Amazon's access keys.
fn add_place_of_environment(name: &str, providers: &mut BTreeMap<String, ProviderConfig>) {
    let found = |names: &[&str]| names.iter().find_map(|name| variable(name));
    let aws = match (name, variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        ("bedrock", Some(id), Some(secret)) => Some(AwsConfig {
            access_key_id: Secret::new(id),
            secret_access_key: Secret::new(secret),
            session_token: variable("AWS_SESSION_TOKEN").map(Secret::new),
        }),
        _ => None,
    };
    if aws.is_none() && !providers.contains_key(name) {
        return;
    }
    let provider = providers.entry(name.to_owned()).or_default();
    if !provider.has_key() {
        provider.aws = aws;
    }
    let own = |value: &Option<String>, names: &[&str]| value.clone().or_else(|| found(names));
    match name {
        "azure" if provider.resource.is_none() => provider.base_url = own(&provider.base_url, &["AZURE_OPENAI_ENDPOINT"]),
        "bedrock" => provider.region = own(&provider.region, &["AWS_REGION", "AWS_DEFAULT_REGION"]),
        "vertex" => {
            provider.region = own(&provider.region, &["GOOGLE_CLOUD_LOCATION", "VERTEXAI_LOCATION"]);
            provider.project = own(&provider.project, &["GOOGLE_CLOUD_PROJECT", "VERTEXAI_PROJECT"]);
        }
        _ => {}
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The service account itself: Google's variable names its file.
fn account_file(found: String) -> Option<String> {
    if found.trim_start().starts_with('{') {
        return Some(found);
    }
    let text = std::fs::read_to_string(&found);
    text.inspect_err(|error| tracing::warn!("the file that GOOGLE_APPLICATION_CREDENTIALS names cannot be read: {error}"))
        .ok()
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
