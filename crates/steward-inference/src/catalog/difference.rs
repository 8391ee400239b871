//! What another list of prices would change, before it takes effect.
//!
//! Compares what would be charged, so a model whose price the operator set himself does not appear as changed.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::money::Usd;

use super::Catalog;
use super::price::ModelPrice;

/// What another list changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Difference {
    /// Models that only the new list knows.
    pub added: Vec<String>,
    /// Models that only the old list knows.
    pub removed: Vec<String>,
    /// Prices that change, the greatest change first.
    pub prices: Vec<PriceChange>,
    /// Models whose context, output limit or abilities change.
    pub limits: Vec<String>,
}

/// One price that changes.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PriceChange {
    /// `provider/model`.
    pub model: String,
    /// Which price, as in the configuration.
    pub price: &'static str,
    /// In US dollars a million tokens, or for one image or request; absent where none was known.
    pub before_usd: Option<String>,
    /// The same afterwards.
    pub after_usd: Option<String>,
    /// By how much it changes, in percent of what it was; absent where it was nothing or unknown.
    pub percent: Option<f64>,
}

impl Difference {
    /// Does nothing change?
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.prices.is_empty() && self.limits.is_empty()
    }

    /// What changes when `after` takes the place of `before`.
    pub fn between(before: &Catalog, after: &Catalog) -> Self {
        let old: BTreeSet<&str> = before.names().collect();
        let new: BTreeSet<&str> = after.names().collect();
        let mut difference = Difference {
            added: new.difference(&old).map(|name| (*name).to_owned()).collect(),
            removed: old.difference(&new).map(|name| (*name).to_owned()).collect(),
            ..Difference::default()
        };
        for name in old.intersection(&new) {
            let (Some(was), Some(will)) = (before.model(name), after.model(name)) else {
                continue;
            };
            compare(name, (&was.price, &will.price), &mut difference.prices);
            let limits = |model: &super::KnownModel| (model.context_tokens, model.max_output_tokens, model.tools, model.images);
            if limits(&was) != limits(&will) {
                difference.limits.push((*name).to_owned());
            }
        }
        let size = |change: &PriceChange| change.percent.map_or(f64::INFINITY, f64::abs);
        difference.prices.sort_by(|left, right| size(right).total_cmp(&size(left)));
        difference
    }
}

fn compare(name: &str, (was, will): (&Option<ModelPrice>, &Option<ModelPrice>), changes: &mut Vec<PriceChange>) {
    type Pick = fn(&ModelPrice) -> Usd;
    const BY_TOKEN: u64 = 1_000_000;
    let parts: [(&'static str, Pick, u64); 10] = [
        ("input_usd_per_mtok", |price| price.input, BY_TOKEN),
        ("output_usd_per_mtok", |price| price.output, BY_TOKEN),
        ("cached_input_usd_per_mtok", |price| price.cached_input, BY_TOKEN),
        ("cache_write_5m_usd_per_mtok", |price| price.cache_write_5m, BY_TOKEN),
        ("cache_write_1h_usd_per_mtok", |price| price.cache_write_1h, BY_TOKEN),
        ("reasoning_usd_per_mtok", |price| price.reasoning, BY_TOKEN),
        ("audio_input_usd_per_mtok", |price| price.audio_input, BY_TOKEN),
        ("audio_output_usd_per_mtok", |price| price.audio_output, BY_TOKEN),
        ("image_usd", |price| price.image, 1),
        ("request_usd", |price| price.request, 1),
    ];
    for (part, pick, times) in parts {
        let (before, after) = (was.as_ref().map(pick), will.as_ref().map(pick));
        if before == after {
            continue;
        }
        let percent = match (before, after) {
            (Some(before), Some(after)) if before != Usd::ZERO => {
                let ratio = after.pico() as f64 / before.pico() as f64;
                Some(((ratio - 1.0) * 1000.0).round() / 10.0)
            }
            _ => None,
        };
        let shown = |price: Option<Usd>| price.map(|price| price.times(times).to_string());
        changes.push(PriceChange {
            model: name.to_owned(),
            price: part,
            before_usd: shown(before),
            after_usd: shown(after),
            percent,
        });
    }
}

#[cfg(test)]
mod tests;
