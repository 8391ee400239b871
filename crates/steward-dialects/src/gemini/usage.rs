//! Usage, both ways. Gemini counts cached tokens among the prompt's, and thoughts beside the candidates'.

use serde_json::{Value, json};
use steward_domain::model::Finish;
use steward_domain::usage::Usage;

use crate::json::{count, list, text};

/// The usage an object reports.
pub(crate) fn decode_usage(value: &Value) -> Option<Usage> {
    let prompt = count(value, "/promptTokenCount")?;
    let cached = count(value, "/cachedContentTokenCount").unwrap_or(0).min(prompt);
    let audio_input = audio(value, "promptTokensDetails")
        .saturating_sub(audio(value, "cacheTokensDetails"))
        .min(prompt - cached);
    let candidates = count(value, "/candidatesTokenCount").unwrap_or(0);
    let audio_output = audio(value, "candidatesTokensDetails").min(candidates);
    Some(Usage {
        input: prompt - cached - audio_input + count(value, "/toolUsePromptTokenCount").unwrap_or(0),
        cached_input: cached,
        output: candidates - audio_output,
        reasoning: count(value, "/thoughtsTokenCount").unwrap_or(0),
        audio_input,
        audio_output,
        ..Usage::default()
    })
}

fn audio(value: &Value, key: &str) -> u64 {
    let details = list(value, key).iter().filter(|detail| text(detail, "modality") == "AUDIO");
    details.filter_map(|detail| count(detail, "/tokenCount")).sum()
}

/// The usage object for a caller, with what the call cost.
pub(crate) fn encode_usage(finish: &Finish) -> Value {
    let usage = &finish.usage;
    json!({
        "promptTokenCount": usage.total_input(),
        "cachedContentTokenCount": usage.cached_input,
        "candidatesTokenCount": usage.output + usage.audio_output,
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": usage.total_input() + usage.total_output(),
        "cost_usd": finish.cost.to_string(),
    })
}
