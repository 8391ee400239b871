//! Usage, both ways. Cached tokens are counted among the input, reasoning among the output; the domain keeps them apart.

use serde_json::{Value, json};
use steward_domain::model::Finish;
use steward_domain::usage::Usage;

use crate::json::count;

/// The usage an object reports.
pub(crate) fn decode_usage(value: &Value) -> Option<Usage> {
    let input = count(value, "/input_tokens")?;
    let output = count(value, "/output_tokens").unwrap_or(0);
    let cached = count(value, "/input_tokens_details/cached_tokens").unwrap_or(0).min(input);
    let written = count(value, "/input_tokens_details/cache_write_tokens")
        .unwrap_or(0)
        .min(input - cached);
    let reasoning = count(value, "/output_tokens_details/reasoning_tokens").unwrap_or(0).min(output);
    Some(Usage {
        input: input - cached - written,
        cached_input: cached,
        cache_write_5m: written,
        output: output - reasoning,
        reasoning,
        ..Usage::default()
    })
}

/// The usage object for a caller, with what the call cost.
pub(crate) fn encode_usage(finish: &Finish) -> Value {
    let usage = &finish.usage;
    json!({
        "input_tokens": usage.total_input(),
        "input_tokens_details": {
            "cached_tokens": usage.cached_input,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "output_tokens": usage.total_output(),
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.total_input() + usage.total_output(),
        "cost_usd": finish.cost.to_string(),
    })
}
