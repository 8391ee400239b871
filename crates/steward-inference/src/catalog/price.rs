//! What one model asks for, exact.
//!
//! One US dollar a million tokens is 10⁶ pico-dollars a token, so every published price is a whole number of pico-dollars.

use steward_domain::money::Usd;

use crate::config::ModelConfig;

const TOKENS_PER_MTOK: i128 = 1_000_000;

/// The price of one token of each kind, of an image and of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPrice {
    /// Input at full price.
    pub input: Usd,
    /// Input read from the provider's prompt cache.
    pub cached_input: Usd,
    /// Input written to the cache for 5 minutes.
    pub cache_write_5m: Usd,
    /// Input written to the cache for an hour.
    pub cache_write_1h: Usd,
    /// Output.
    pub output: Usd,
    /// Reasoning.
    pub reasoning: Usd,
    /// Audio in.
    pub audio_input: Usd,
    /// Audio out.
    pub audio_output: Usd,
    /// One image in, where billed apart.
    pub image: Usd,
    /// One request, whatever it holds.
    pub request: Usd,
    /// The date of the list it is from, or `override`.
    pub version: String,
}

impl ModelPrice {
    /// The price of what costs nothing.
    pub(crate) fn free(version: &str) -> Self {
        ModelPrice {
            input: Usd::ZERO,
            cached_input: Usd::ZERO,
            cache_write_5m: Usd::ZERO,
            cache_write_1h: Usd::ZERO,
            output: Usd::ZERO,
            reasoning: Usd::ZERO,
            audio_input: Usd::ZERO,
            audio_output: Usd::ZERO,
            image: Usd::ZERO,
            request: Usd::ZERO,
            version: version.to_owned(),
        }
    }

    /// The price that a configuration gives; `None` when it names neither input nor output.
    pub(crate) fn from_config(model: &ModelConfig, version: &str) -> Result<Option<Self>, String> {
        let (input, output) = match (model.input_usd_per_mtok, model.output_usd_per_mtok) {
            (Some(input), Some(output)) => (per_token("input_usd_per_mtok", input)?, per_token("output_usd_per_mtok", output)?),
            (None, None) => return Ok(None),
            (Some(_), None) => return Err("input_usd_per_mtok needs output_usd_per_mtok beside it".into()),
            (None, Some(_)) => return Err("output_usd_per_mtok needs input_usd_per_mtok beside it".into()),
        };
        let or = |name: &str, price: Option<f64>, otherwise: Usd| price.map_or(Ok(otherwise), |price| per_token(name, price));
        let cache_write_5m = or("cache_write_5m_usd_per_mtok", model.cache_write_5m_usd_per_mtok, input)?;
        Ok(Some(ModelPrice {
            input,
            cached_input: or("cached_input_usd_per_mtok", model.cached_input_usd_per_mtok, input)?,
            cache_write_5m,
            cache_write_1h: or("cache_write_1h_usd_per_mtok", model.cache_write_1h_usd_per_mtok, cache_write_5m)?,
            output,
            reasoning: or("reasoning_usd_per_mtok", model.reasoning_usd_per_mtok, output)?,
            audio_input: or("audio_input_usd_per_mtok", model.audio_input_usd_per_mtok, input)?,
            audio_output: or("audio_output_usd_per_mtok", model.audio_output_usd_per_mtok, output)?,
            image: model.image_usd.map_or(Ok(Usd::ZERO), |price| amount("image_usd", price))?,
            request: model.request_usd.map_or(Ok(Usd::ZERO), |price| amount("request_usd", price))?,
            version: version.to_owned(),
        }))
    }
}

fn amount(name: &str, price: f64) -> Result<Usd, String> {
    let amount = Usd::from_config(price).map_err(|error| format!("{name}: {error}"))?;
    if amount < Usd::ZERO {
        return Err(format!("{name} = {price} is below zero"));
    }
    Ok(amount)
}

fn per_token(name: &str, price: f64) -> Result<Usd, String> {
    let pico = amount(name, price)?.pico();
    if pico % TOKENS_PER_MTOK != 0 {
        return Err(format!("{name} = {price} has more than six decimals"));
    }
    Ok(Usd::from_pico(pico / TOKENS_PER_MTOK))
}
