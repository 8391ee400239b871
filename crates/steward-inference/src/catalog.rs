//! What is known of providers and models: the shipped lists with the operator's overrides.
//!
//! Never asks the network; a price is known exactly or not at all.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use steward_dialects::egress::Quirks;

use crate::config::{AuthStyle, ConfigError, ModelConfig, PlatformName, ProviderDialect, Tier};

mod family;

pub mod difference;
pub mod import;
pub mod price;
pub mod snapshot;

use price::ModelPrice;
use snapshot::{Origin, Snapshot};

const PROVIDERS: &str = include_str!("../catalog/providers.toml");
const MODELS: &str = include_str!("../catalog/models.toml");

/// The version of prices that an operator set.
const OVERRIDE_VERSION: &str = "override";

/// The version of the price of models that run on the owner's own machine.
const OWN_MACHINE_VERSION: &str = "own-machine";

/// Providers and models.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    providers: BTreeMap<String, KnownProvider>,
    models: BTreeMap<String, KnownModel>,
    /// The date of the short list.
    snapshot: String,
    /// The long list.
    wide: Snapshot,
    /// The models that the operator described.
    overridden: BTreeSet<String>,
}

/// A provider of the shipped list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownProvider {
    /// Its wire format.
    pub dialect: ProviderDialect,
    /// Its address. That of a platform may hold `{resource}` and `{region}`.
    pub base_url: String,
    /// The cloud it is in, where that has paths and signatures of its own.
    #[serde(default)]
    pub platform: Option<PlatformName>,
    /// Its region where nobody says another.
    #[serde(default)]
    pub region: Option<String>,
    /// How its key is sent.
    pub auth: AuthStyle,
    /// The environment variable in which people usually keep the key.
    #[serde(default)]
    pub key_env: Option<String>,
    /// It serves models on the owner's own machine, free of charge.
    #[serde(default)]
    pub is_own_machine: bool,
    /// Where it departs from its dialect.
    #[serde(default)]
    pub quirks: Quirks,
}

/// What is known of one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownModel {
    /// What it costs; `None` when that is not known.
    pub price: Option<ModelPrice>,
    /// The most tokens a conversation may have.
    pub context_tokens: Option<u64>,
    /// The most tokens one answer may have.
    pub max_output_tokens: Option<u64>,
    /// How dear and able it is.
    pub tier: Option<Tier>,
    /// Can it call tools? `None` when that is not known.
    pub tools: Option<bool>,
    /// Can it see images? `None` when that is not known.
    pub images: Option<bool>,
    /// Where it departs from the dialect, if otherwise than its provider.
    pub quirks: Option<Quirks>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    snapshot: String,
    models: BTreeMap<String, ModelConfig>,
}

impl Catalog {
    /// The shipped lists with `overrides` of `[models]` laid over them, field by field.
    ///
    /// # Errors
    /// A price that is negative or finer than a pico-dollar a token, or an input price without an output price.
    pub fn load(overrides: &BTreeMap<String, ModelConfig>) -> Result<Self, ConfigError> {
        Catalog::load_with(overrides, Snapshot::shipped())
    }

    /// The same with a list of prices that the operator may have put in place of the shipped one; then its prices and limits
    /// go before those of the short list.
    ///
    /// # Errors
    /// As [`Catalog::load`].
    pub fn load_with(overrides: &BTreeMap<String, ModelConfig>, wide: Snapshot) -> Result<Self, ConfigError> {
        let providers = toml::from_str(PROVIDERS).expect("the shipped list of providers is read by a test");
        let file: ModelFile = toml::from_str(MODELS).expect("the shipped list of models is read by a test");
        let mut models = BTreeMap::new();
        for (name, short) in &file.models {
            if !overrides.contains_key(name) {
                let (shipped, version) = layered(name, Some(short), &file.snapshot, &wide);
                models.insert(name.clone(), known(name, &shipped, &version)?);
            }
        }
        for (name, changes) in overrides {
            let (shipped, version) = layered(name, file.models.get(name), &file.snapshot, &wide);
            let version = if sets_price(changes) { OVERRIDE_VERSION } else { &version };
            models.insert(name.clone(), known(name, &merged(changes, shipped), version)?);
        }
        Ok(Catalog {
            providers,
            models,
            snapshot: file.snapshot,
            wide,
            overridden: overrides.keys().cloned().collect(),
        })
    }

    /// The date of the shipped price list.
    pub fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// The shipped providers by name.
    pub fn providers(&self) -> &BTreeMap<String, KnownProvider> {
        &self.providers
    }

    /// The shipped provider of a platform.
    pub(crate) fn of_platform(&self, platform: PlatformName) -> Option<&KnownProvider> {
        self.providers.values().find(|known| known.platform == Some(platform))
    }

    /// Where the short list is from. Its checksum is its own.
    pub fn short_origin(&self) -> Origin {
        Origin {
            source: "genai-prices-0.2.3".to_owned(),
            date: self.snapshot.clone(),
            sha256: import::hex_digest(MODELS.as_bytes()),
            licence: "MIT".to_owned(),
        }
    }

    /// How many models the short list describes beside the operator's own.
    pub fn short_count(&self) -> usize {
        self.models.len() - self.overridden.len()
    }

    /// How many models the operator described.
    pub fn own_count(&self) -> usize {
        self.overridden.len()
    }

    /// The long list of prices.
    pub fn wide(&self) -> &Snapshot {
        &self.wide
    }

    /// The names of every model something is known of, in no order; a name may come twice.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str).chain(self.wide.names())
    }

    /// The models of the short list and those that the operator described, by `provider/model`.
    pub fn models(&self) -> &BTreeMap<String, KnownModel> {
        &self.models
    }

    /// What is known of `provider/model`. A dated or `-latest` name is found under its plain one.
    pub fn model(&self, target: &str) -> Option<Cow<'_, KnownModel>> {
        let described = |name: &str| self.models.get(name).map(Cow::Borrowed);
        let plain = plain_name(target);
        let plain_of_operator = || plain.filter(|plain| self.overridden.contains(*plain)).and_then(described);
        described(target)
            .or_else(plain_of_operator)
            .or_else(|| self.listed(target))
            .or_else(|| described(plain?))
            .or_else(|| self.listed(plain?))
    }

    /// What the long list says of a model; where it departs from its dialect, it does so like its kin at its maker.
    fn listed(&self, name: &str) -> Option<Cow<'_, KnownModel>> {
        let mut model = self.wide.known(name)?;
        let at_maker = family::maker_of(name).and_then(|maker| self.models.get(&maker));
        if let Some(kin) = at_maker.or_else(|| self.models.get(plain_name(name)?)) {
            model.quirks = kin.quirks;
            model.tier = kin.tier;
        }
        Some(Cow::Owned(model))
    }

    /// What `provider/model` costs; `None` when that is not known. Models of this machine cost nothing.
    pub fn price_of(&self, target: &str) -> Option<ModelPrice> {
        if let Some(price) = self.model(target).and_then(|model| model.into_owned().price) {
            return Some(price);
        }
        let provider = target.split_once('/').map_or(target, |(provider, _)| provider);
        let is_own_machine = provider == "local" || self.providers.get(provider).is_some_and(|known| known.is_own_machine);
        is_own_machine.then(|| ModelPrice::free(OWN_MACHINE_VERSION))
    }
}

fn known(name: &str, model: &ModelConfig, version: &str) -> Result<KnownModel, ConfigError> {
    let price = ModelPrice::from_config(model, version).map_err(|problem| ConfigError::new(format!("models.{name:?}"), problem))?;
    Ok(KnownModel {
        price,
        context_tokens: model.context_tokens,
        max_output_tokens: model.max_output_tokens,
        tier: model.tier,
        tools: model.tools,
        images: model.images,
        quirks: model.quirks,
    })
}

/// What the lists say of a model together, and the version of its price. A price is taken whole from one list.
fn layered(name: &str, short: Option<&ModelConfig>, short_version: &str, wide: &Snapshot) -> (ModelConfig, String) {
    let wide_version = || wide.origin().version();
    match (short, wide.row(name)) {
        (None, None) => (ModelConfig::default(), short_version.to_owned()),
        (Some(short), None) => (short.clone(), short_version.to_owned()),
        (None, Some(row)) => (row, wide_version()),
        (Some(short), Some(row)) => {
            let (first, second) = if wide.is_shipped() { (short, &row) } else { (&row, short) };
            let has_price = |model: &ModelConfig| model.input_usd_per_mtok.is_some();
            let is_of_wide = if wide.is_shipped() { !has_price(short) } else { has_price(&row) };
            let both = if has_price(first) {
                merged(first, without_price(second))
            } else {
                merged(first, second.clone())
            };
            (both, if is_of_wide { wide_version() } else { short_version.to_owned() })
        }
    }
}

fn without_price(model: &ModelConfig) -> ModelConfig {
    ModelConfig {
        context_tokens: model.context_tokens,
        max_output_tokens: model.max_output_tokens,
        tier: model.tier,
        tools: model.tools,
        images: model.images,
        quirks: model.quirks,
        ..ModelConfig::default()
    }
}

/// `changes` where it says something, else `shipped`.
fn merged(changes: &ModelConfig, shipped: ModelConfig) -> ModelConfig {
    ModelConfig {
        input_usd_per_mtok: changes.input_usd_per_mtok.or(shipped.input_usd_per_mtok),
        output_usd_per_mtok: changes.output_usd_per_mtok.or(shipped.output_usd_per_mtok),
        cached_input_usd_per_mtok: changes.cached_input_usd_per_mtok.or(shipped.cached_input_usd_per_mtok),
        cache_write_5m_usd_per_mtok: changes.cache_write_5m_usd_per_mtok.or(shipped.cache_write_5m_usd_per_mtok),
        cache_write_1h_usd_per_mtok: changes.cache_write_1h_usd_per_mtok.or(shipped.cache_write_1h_usd_per_mtok),
        reasoning_usd_per_mtok: changes.reasoning_usd_per_mtok.or(shipped.reasoning_usd_per_mtok),
        audio_input_usd_per_mtok: changes.audio_input_usd_per_mtok.or(shipped.audio_input_usd_per_mtok),
        audio_output_usd_per_mtok: changes.audio_output_usd_per_mtok.or(shipped.audio_output_usd_per_mtok),
        image_usd: changes.image_usd.or(shipped.image_usd),
        request_usd: changes.request_usd.or(shipped.request_usd),
        context_tokens: changes.context_tokens.or(shipped.context_tokens),
        max_output_tokens: changes.max_output_tokens.or(shipped.max_output_tokens),
        tier: changes.tier.or(shipped.tier),
        tools: changes.tools.or(shipped.tools),
        images: changes.images.or(shipped.images),
        quirks: changes.quirks.or(shipped.quirks),
    }
}

fn sets_price(changes: &ModelConfig) -> bool {
    *changes != without_price(changes)
}

/// The name without a date (`-20250929`, `-2025-09-29`) or `-latest` at its end.
fn plain_name(target: &str) -> Option<&str> {
    if let Some(plain) = target.strip_suffix("-latest") {
        return Some(plain);
    }
    let is_date = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(letter, wanted)| {
                if wanted == b'0' {
                    letter.is_ascii_digit()
                } else {
                    letter == wanted
                }
            })
    };
    ["-00000000", "-0000-00-00"].into_iter().find_map(|shape| {
        let at = target.len().checked_sub(shape.len())?;
        let date = target.get(at..)?;
        is_date(date, shape).then(|| &target[..at])
    })
}

#[cfg(test)]
mod tests;
