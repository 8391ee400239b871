//! What a model call used, in tokens by type, as the provider counts them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tokens by type. The parts do not overlap: `input` holds neither cached nor written tokens, `output` no reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Usage {
    /// Input tokens at full price.
    pub input: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cached_input: u64,
    /// Input tokens written to the prompt cache for 5 minutes.
    pub cache_write_5m: u64,
    /// Input tokens written to the prompt cache for an hour.
    pub cache_write_1h: u64,
    /// Output tokens without reasoning.
    pub output: u64,
    /// Reasoning tokens.
    pub reasoning: u64,
    /// Audio tokens in.
    pub audio_input: u64,
    /// Audio tokens out.
    pub audio_output: u64,
    /// Images taken in, where the provider bills them apart.
    pub images: u64,
}

impl Usage {
    /// All input tokens, cached ones included.
    pub fn total_input(&self) -> u64 {
        self.input + self.cached_input + self.cache_write_5m + self.cache_write_1h + self.audio_input
    }

    /// All output tokens, reasoning included.
    pub fn total_output(&self) -> u64 {
        self.output + self.reasoning + self.audio_output
    }
}

/// Where the figures of a ledger row come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider said so.
    Reported,
    /// The provider did not say; Steward counted.
    Estimated,
}
