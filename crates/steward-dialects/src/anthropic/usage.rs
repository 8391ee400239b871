//! Usage, both ways. Anthropic counts input, cache reads and cache writes apart, and thinking among the output.

use serde_json::{Value, json};
use steward_domain::model::Finish;
use steward_domain::usage::Usage;

use crate::json::count;

/// Adds what one usage object reports. Counts only grow: a stream reports some at its start and all at its end, and either may hold zeros.
pub(crate) fn merge_usage(known: &mut Option<Usage>, value: &Value) {
    let input = count(value, "/input_tokens");
    let total_output = count(value, "/output_tokens");
    if input.is_none() && total_output.is_none() {
        return;
    }
    let usage = known.get_or_insert_default();
    let raise = |field: &mut u64, pointer: &str| *field = (*field).max(count(value, pointer).unwrap_or(0));
    raise(&mut usage.input, "/input_tokens");
    raise(&mut usage.cached_input, "/cache_read_input_tokens");
    let hour = count(value, "/cache_creation/ephemeral_1h_input_tokens").unwrap_or(0);
    usage.cache_write_1h = usage.cache_write_1h.max(hour);
    // Where the split is not given, all writes are for five minutes.
    let written = count(value, "/cache_creation_input_tokens").unwrap_or(0);
    let short = count(value, "/cache_creation/ephemeral_5m_input_tokens").unwrap_or(written.saturating_sub(hour));
    let is_split_known_from_before = usage.cache_write_5m + usage.cache_write_1h >= written && hour == 0;
    if !is_split_known_from_before {
        usage.cache_write_5m = usage.cache_write_5m.max(short);
    }
    let details = ["/output_tokens_details/thinking_tokens", "/output_tokens_details/reasoning_tokens"];
    let thought = details
        .iter()
        .find_map(|pointer| count(value, pointer))
        .unwrap_or(0)
        .max(usage.reasoning);
    let total = total_output.unwrap_or(0).max(usage.output + usage.reasoning);
    usage.reasoning = thought.min(total);
    usage.output = total - usage.reasoning;
}

/// The usage object for a caller, with what the call cost.
pub(crate) fn encode_usage(finish: &Finish) -> Value {
    let usage = &finish.usage;
    json!({
        "input_tokens": usage.input + usage.audio_input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cached_input,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.total_output(),
        "output_tokens_details": { "thinking_tokens": usage.reasoning },
        "cost_usd": finish.cost.to_string(),
    })
}
