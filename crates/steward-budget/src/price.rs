//! Prices of a model and the exact cost of a call.
//!
//! A price is a whole number of pico-dollars a token: one US dollar a million tokens is 10⁶ pico-dollars a token,
//! so every published price is exact and a cost is a sum of whole products.

use steward_domain::money::Usd;
use steward_domain::usage::Usage;

/// What one model asks for, per token and dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
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
    /// Which price list this is from, kept in each ledger row.
    pub version: String,
}

impl Price {
    /// The price of a model that runs on the owner's own machine.
    pub fn free(version: impl Into<String>) -> Self {
        Price::flat(Usd::ZERO, Usd::ZERO, version)
    }

    /// A price with nothing but input and output; the other dimensions follow from these two.
    pub fn flat(input: Usd, output: Usd, version: impl Into<String>) -> Self {
        Price {
            input,
            cached_input: input,
            cache_write_5m: input,
            cache_write_1h: input,
            output,
            reasoning: output,
            audio_input: input,
            audio_output: output,
            image: Usd::ZERO,
            request: Usd::ZERO,
            version: version.into(),
        }
    }

    /// The exact cost of what a call used.
    pub fn cost(&self, usage: &Usage) -> Usd {
        [
            self.input.times(usage.input),
            self.cached_input.times(usage.cached_input),
            self.cache_write_5m.times(usage.cache_write_5m),
            self.cache_write_1h.times(usage.cache_write_1h),
            self.output.times(usage.output),
            self.reasoning.times(usage.reasoning),
            self.audio_input.times(usage.audio_input),
            self.audio_output.times(usage.audio_output),
            self.image.times(usage.images),
            self.request,
        ]
        .into_iter()
        .sum()
    }

    /// The most a call can cost that sends `input` tokens and may write `output` tokens.
    pub fn worst_case(&self, input: u64, output: u64) -> Usd {
        let dearest_input = self.input.max(self.cache_write_5m).max(self.cache_write_1h);
        let dearest_output = self.output.max(self.reasoning);
        dearest_input.times(input) + dearest_output.times(output) + self.request
    }
}

#[cfg(test)]
mod tests;
