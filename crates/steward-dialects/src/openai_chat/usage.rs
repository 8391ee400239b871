//! Usage, both ways. Chat counts cached tokens among the prompt's and reasoning among the completion's; the domain keeps them apart.

use serde_json::{Value, json};
use steward_domain::model::Finish;
use steward_domain::usage::Usage;

use crate::egress::Quirks;
use crate::json::count;

/// The usage an object reports; `None` for null and for objects without counts.
pub(crate) fn decode_usage(value: &Value, quirks: Quirks) -> Option<Usage> {
    let first = |pointers: &[&str]| pointers.iter().find_map(|pointer| count(value, pointer));
    let prompt = first(&["/prompt_tokens", "/input_tokens"]);
    let completion = first(&["/completion_tokens", "/output_tokens"]);
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let (prompt, completion) = (prompt.unwrap_or(0), completion.unwrap_or(0));
    let cached = first(&[
        "/prompt_tokens_details/cached_tokens",
        "/prompt_cache_hit_tokens",
        "/cached_tokens",
        "/cache_read_input_tokens",
    ]);
    let written = first(&["/prompt_tokens_details/cache_write_tokens", "/cache_creation_input_tokens"]).unwrap_or(0);
    let cached = cached.unwrap_or(0).min(prompt);
    let written = written.min(prompt - cached);
    let audio_input = first(&["/prompt_tokens_details/audio_tokens"])
        .unwrap_or(0)
        .min(prompt - cached - written);
    let reasoning = first(&["/completion_tokens_details/reasoning_tokens", "/reasoning_tokens"]).unwrap_or(0);
    let audio_output = first(&["/completion_tokens_details/audio_tokens"]).unwrap_or(0).min(completion);
    // The total tells how a provider counts that we were not told about.
    let total = count(value, "/total_tokens");
    let is_apart =
        quirks.counts_reasoning_apart || reasoning > completion || (reasoning > 0 && total == Some(prompt + completion + reasoning));
    let spoken = if is_apart { completion } else { completion - reasoning };
    Some(Usage {
        input: prompt - cached - written - audio_input,
        cached_input: cached,
        cache_write_5m: written,
        output: spoken.saturating_sub(audio_output),
        reasoning,
        audio_input,
        audio_output,
        ..Usage::default()
    })
}

/// The usage object for a caller, with what the call cost.
pub(crate) fn encode_usage(finish: &Finish) -> Value {
    let usage = &finish.usage;
    json!({
        "prompt_tokens": usage.total_input(),
        "completion_tokens": usage.total_output(),
        "total_tokens": usage.total_input() + usage.total_output(),
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "audio_tokens": usage.audio_input,
        },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_output },
        "cost_usd": finish.cost.to_string(),
    })
}
