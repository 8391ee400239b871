//! Providers, routes and targets, checked and ready for calls.
//!
//! Built once for each configuration and never changed: a call keeps the tables it began with.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use steward_dialects::Dialect;
use steward_dialects::egress::Quirks;
use steward_domain::model::{Model, ModelError, ModelErrorKind};

use crate::catalog::{Catalog, KnownModel};
use crate::config::{AuthStyle, ConfigError, ProviderConfig, ProviderDialect, RouteConfig, TargetConfig};
use crate::health::Health;
use crate::keys::KeyRing;
use crate::measure::{DIRECT, Measures, TargetMeasures};
use crate::platform::Platform;

mod extras;
mod plan;

pub(crate) use extras::Extras;
pub(crate) use plan::{Place, Plan, Target};

/// The most characters of a model's name.
const NAME_LIMIT_BYTES: usize = 200;

/// Plans kept for targets that were asked for by name.
const DIRECT_LIMIT: usize = 1_024;

/// What a router works from. Keys are resolved.
#[derive(Clone)]
pub struct RouterTables {
    /// The shipped lists with overrides.
    pub catalog: Catalog,
    /// `[providers]`; the shipped ones need no entry.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// `[routes]`.
    pub routes: BTreeMap<String, RouteConfig>,
    /// Models in this process, by `local/NAME`.
    pub models: HashMap<String, Arc<dyn Model>>,
}

/// The checked form of [`RouterTables`].
pub(crate) struct Tables {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) providers: BTreeMap<String, Arc<Provider>>,
    routes: BTreeMap<String, Arc<Plan>>,
    models: HashMap<String, Arc<dyn Model>>,
    health: Arc<Health>,
    pub(crate) measures: Arc<Measures>,
    direct: RwLock<HashMap<String, Arc<Plan>>>,
    /// Of the routes that have any.
    extras: BTreeMap<String, Arc<Extras>>,
}

/// A provider over HTTP, or this process.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) reach: Reach,
    pub(crate) keys: KeyRing,
    /// Where people usually keep its key.
    pub(crate) key_env: Option<String>,
}

impl Provider {
    /// How to give it a key, for people.
    pub(crate) fn key_hint(&self) -> String {
        let variable = self.key_env.as_ref().map(|variable| format!(" or the variable {variable}"));
        format!("set api_key in [providers.{}]{}", self.name, variable.unwrap_or_default())
    }
}

/// How a provider is reached.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// Over HTTP.
    Http(Endpoint),
    /// In this process.
    Local,
    /// Nowhere yet: a shipped provider that lacks a setting, and which.
    Unset(String),
}

/// Where and how a provider is spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) dialect: Dialect,
    pub(crate) base_url: String,
    pub(crate) auth: AuthStyle,
    pub(crate) quirks: Quirks,
    pub(crate) platform: Platform,
    /// The operator named the dialect, so the platform does not choose one by model.
    has_own_dialect: bool,
}

#[cfg(test)]
impl Endpoint {
    /// An endpoint for tests of the platforms.
    pub(crate) fn of_platform(platform: Platform, base_url: String, dialect: Dialect, (auth, quirks): (AuthStyle, Quirks)) -> Self {
        Endpoint {
            dialect,
            base_url,
            auth,
            quirks,
            platform,
            has_own_dialect: false,
        }
    }
}

impl Tables {
    /// Checks the tables. What `before` knew of keys and targets stays known.
    pub(crate) fn build(parts: RouterTables, before: Option<&Tables>) -> Result<Self, ConfigError> {
        let mut tables = Tables {
            providers: providers(&parts, before)?,
            catalog: Arc::new(parts.catalog),
            routes: BTreeMap::new(),
            models: parts.models,
            health: before.map(|tables| Arc::clone(&tables.health)).unwrap_or_default(),
            measures: before.map(|tables| Arc::clone(&tables.measures)).unwrap_or_default(),
            direct: RwLock::default(),
            extras: BTreeMap::new(),
        };
        for (name, route) in &parts.routes {
            let old = before.and_then(|tables| tables.routes.get(name));
            let plan = tables.plan(name, route, old.map(|plan| &**plan))?;
            tables.routes.insert(name.clone(), Arc::new(plan));
        }
        tables.extras = Extras::of_all(&tables, &parts.routes)?;
        Ok(tables)
    }

    /// The plan for what a caller wrote as model.
    pub(crate) fn resolve(&self, model: &str) -> Result<Arc<Plan>, ModelError> {
        if let Some(plan) = self.routes.get(model) {
            return Ok(Arc::clone(plan));
        }
        if let Some(plan) = self.direct.read().unwrap_or_else(PoisonError::into_inner).get(model) {
            return Ok(Arc::clone(plan));
        }
        let route = RouteConfig::to([model]);
        let target = self
            .target(&route.targets[0], (DIRECT, &route))
            .map_err(|problem| ModelError::new(ModelErrorKind::NotFound, problem))?;
        let plan = Arc::new(Plan::new(model, &route, vec![Arc::new(target)]));
        let mut direct = self.direct.write().unwrap_or_else(PoisonError::into_inner);
        if direct.len() < DIRECT_LIMIT {
            direct.insert(model.to_owned(), Arc::clone(&plan));
        }
        Ok(plan)
    }

    /// The plan of a route; `None` when there is no such route.
    pub(crate) fn route(&self, name: &str) -> Option<&Arc<Plan>> {
        self.routes.get(name)
    }

    /// The plans of all routes.
    pub(crate) fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.routes.values().map(|plan| &**plan)
    }

    /// What a route has beyond its plan.
    pub(crate) fn extras_of(&self, route: &str) -> Option<&Arc<Extras>> {
        self.extras.get(route)
    }

    /// The routes that have more than a plan.
    pub(crate) fn extras(&self) -> &BTreeMap<String, Arc<Extras>> {
        &self.extras
    }

    /// The names of the routes.
    pub(crate) fn route_names(&self) -> impl Iterator<Item = &String> {
        self.routes.keys()
    }

    fn plan(&self, name: &str, route: &RouteConfig, old: Option<&Plan>) -> Result<Plan, ConfigError> {
        plan::check(name, route)?;
        let mut targets = Vec::new();
        for (index, config) in route.targets.iter().enumerate() {
            let mut target = self
                .target(config, (name, route))
                .map_err(|problem| ConfigError::new(format!("routes.{name}.targets[{index}]"), problem))?;
            if let Some(known) = old.and_then(|plan| plan.targets.iter().find(|known| known.name == target.name)) {
                target.attained = Arc::clone(&known.attained);
            }
            targets.push(Arc::new(target));
        }
        Ok(Plan::new(name, route, targets))
    }

    fn target(&self, config: &TargetConfig, (route_name, route): (&str, &RouteConfig)) -> Result<Target, String> {
        let name = config.model.as_str();
        let well_formed = name
            .split_once('/')
            .filter(|(_, model)| !model.is_empty() && name.len() <= NAME_LIMIT_BYTES);
        let Some((provider_name, model)) = well_formed else {
            return Err(format!("there is no route or model {:?}{}", clipped(name), self.near(name)));
        };
        let known = self.catalog.model(name).map(Cow::into_owned).unwrap_or_default();
        let place = self.place(name, (provider_name, model), &known)?;
        let name: Arc<str> = name.into();
        let health = self.health.of(&name);
        let lanes = place.key_numbers().map(|number| health.lane(number, &route.congestion)).collect();
        Ok(Target {
            model: model.to_owned(),
            price: self.catalog.price_of(&name),
            weight: config.weight.unwrap_or(1.0),
            can_prefill: config.prefill.unwrap_or_else(|| place.can_prefill()),
            attained: Arc::default(),
            measures: TargetMeasures::new(&self.measures, route_name, &name),
            name,
            place,
            known,
            health,
            lanes,
        })
    }

    fn place(&self, name: &str, (provider_name, model): (&str, &str), known: &KnownModel) -> Result<Place, String> {
        if provider_name == "local" {
            return self.local_place(name, model);
        }
        let Some(provider) = self.providers.get(provider_name) else {
            return Err(format!("there is no provider {provider_name:?}{}", self.near(name)));
        };
        let endpoint = match &provider.reach {
            Reach::Http(endpoint) => endpoint,
            Reach::Local => return self.local_place(name, model),
            Reach::Unset(problem) => {
                return Err(format!(
                    "provider {provider_name} is not set up: {problem} in [providers.{provider_name}]"
                ));
            }
        };
        let dialect = match endpoint.has_own_dialect {
            true => endpoint.dialect,
            false => endpoint.platform.dialect_of(model, endpoint.dialect),
        };
        let endpoint = Endpoint {
            dialect,
            quirks: known.quirks.unwrap_or(endpoint.quirks),
            ..endpoint.clone()
        };
        Ok(Place::Http {
            provider: Arc::clone(provider),
            endpoint,
        })
    }

    fn local_place(&self, name: &str, model: &str) -> Result<Place, String> {
        let local_name = format!("local/{model}");
        let running = self.models.get(&local_name);
        let missing = || format!("there is no model {local_name:?} on this machine{}", self.near(name));
        Ok(Place::Local(Arc::clone(running.ok_or_else(missing)?)))
    }

    /// `; did you mean …?` with the nearest names, or nothing.
    fn near(&self, name: &str) -> String {
        let names = self.routes.keys().chain(self.catalog.models().keys()).chain(self.models.keys());
        let likeness = |candidate: &str| {
            let own_name = candidate.rsplit('/').next().unwrap_or(candidate);
            strsim::jaro_winkler(name, candidate).max(strsim::jaro_winkler(name, own_name))
        };
        let mut scored: Vec<(f64, &String)> = names.map(|candidate| (likeness(candidate), candidate)).collect();
        scored.retain(|(score, _)| *score > 0.85);
        scored.sort_by(|left, right| right.0.total_cmp(&left.0));
        scored.truncate(3);
        if scored.is_empty() {
            return String::new();
        }
        let names: Vec<&str> = scored.iter().map(|(_, name)| name.as_str()).collect();
        format!("; did you mean {}?", names.join(", "))
    }
}

fn clipped(name: &str) -> &str {
    let end = name.floor_char_boundary(NAME_LIMIT_BYTES.min(name.len()));
    &name[..end]
}

fn providers(parts: &RouterTables, before: Option<&Tables>) -> Result<BTreeMap<String, Arc<Provider>>, ConfigError> {
    let nothing_said = ProviderConfig::default();
    let names = parts.catalog.providers().keys().chain(parts.providers.keys());
    let mut providers = BTreeMap::new();
    for name in names {
        let config = parts.providers.get(name).unwrap_or(&nothing_said);
        let old = before.and_then(|tables| tables.providers.get(name));
        let provider = Provider {
            name: name.clone(),
            reach: reach(name, config, &parts.catalog)?,
            keys: KeyRing::new(&config.with_aws_as_key(), old.map(|provider| &provider.keys)),
            key_env: parts.catalog.providers().get(name).and_then(|known| known.key_env.clone()),
        };
        providers.insert(name.clone(), Arc::new(provider));
    }
    Ok(providers)
}

fn reach(name: &str, config: &ProviderConfig, catalog: &Catalog) -> Result<Reach, ConfigError> {
    let place = || format!("providers.{name}");
    let of_platform = config.platform.and_then(|platform| catalog.of_platform(platform));
    let known = catalog.providers().get(name).or(of_platform);
    if name.contains('/') {
        return Err(ConfigError::new(place(), "a provider's name has no slash"));
    }
    let Some(dialect) = config.dialect.or(known.map(|known| known.dialect)) else {
        let hint = "it is not in the shipped list, so it needs a dialect: openai-chat, openai-responses, anthropic, gemini or local";
        return Err(ConfigError::new(place(), hint));
    };
    let dialect = match dialect {
        ProviderDialect::OpenAiChat => Dialect::OpenAiChat,
        ProviderDialect::OpenAiResponses => Dialect::OpenAiResponses,
        ProviderDialect::Anthropic => Dialect::Anthropic,
        ProviderDialect::Gemini => Dialect::Gemini,
        ProviderDialect::Local => return Ok(Reach::Local),
    };
    let platform = config.platform.or(known.and_then(|known| known.platform));
    let Some(base_url) = config.base_url.as_ref().or(known.map(|known| &known.base_url)) else {
        return Err(ConfigError::new(place(), "it is not in the shipped list, so it needs a base_url"));
    };
    let usual_region = known.and_then(|known| known.region.as_deref());
    let (platform, base_url) = match Platform::of(platform, config, usual_region, base_url) {
        Ok(found) => found,
        // Said of a shipped provider that nobody has set up, it waits until somebody asks for one of its models.
        Err(problem) if config.is_untouched() => return Ok(Reach::Unset(problem)),
        Err(problem) => return Err(ConfigError::new(place(), problem)),
    };
    let is_address = reqwest::Url::parse(&base_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !is_address {
        return Err(ConfigError::new(
            format!("{}.base_url", place()),
            "it must begin with http:// or https:// and name a host",
        ));
    }
    Ok(Reach::Http(Endpoint {
        dialect,
        base_url,
        auth: auth(config, known.map(|known| (known.dialect, known.auth)), dialect),
        quirks: config.quirks.or(known.map(|known| known.quirks)).unwrap_or_default(),
        platform,
        has_own_dialect: config.dialect.is_some(),
    }))
}

/// How the key is sent: as said, as the shipped list says for the same dialect, else as the dialect's vendor wants it.
fn auth(config: &ProviderConfig, known: Option<(ProviderDialect, AuthStyle)>, dialect: Dialect) -> AuthStyle {
    let vendors = match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => AuthStyle::Bearer,
        Dialect::Anthropic => AuthStyle::XApiKey,
        Dialect::Gemini => AuthStyle::XGoogApiKey,
    };
    let is_same_dialect = |known: ProviderDialect| config.dialect.is_none_or(|said| said == known);
    let is_of_platform = |auth: AuthStyle| matches!(auth, AuthStyle::ApiKey | AuthStyle::AwsSigv4 | AuthStyle::GoogleOauth);
    let shipped = known
        .filter(|(dialect, auth)| is_of_platform(*auth) || is_same_dialect(*dialect))
        .map(|(_, auth)| auth);
    match (config.auth, shipped) {
        (Some(said), _) => said,
        // An address of the operator's own and no key: a gateway or a server that wants none.
        (None, _) if config.base_url.is_some() && !config.has_key() => AuthStyle::None,
        (None, Some(AuthStyle::None) | None) if config.has_key() => vendors,
        (None, Some(shipped)) => shipped,
        (None, None) => AuthStyle::None,
    }
}

#[cfg(test)]
mod tests;
