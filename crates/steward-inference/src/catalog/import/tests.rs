use super::*;
use crate::config::ModelConfig;

fn list(json: &str) -> Snapshot {
    from_litellm(json, "litellm-test", "2026-01-02").unwrap()
}

fn row(json: &str, name: &str) -> ModelConfig {
    list(json)
        .row(name)
        .unwrap_or_else(|| panic!("{name} is not in {:?}", list(json).names().collect::<Vec<_>>()))
}

#[test]
fn prices_are_taken_over_exactly() {
    let json = r#"{"gemini/g": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 1.25e-07,
        "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 3.1e-08, "input_cost_per_audio_token": 1e-06,
        "max_input_tokens": 1048576, "max_output_tokens": 65536, "supports_function_calling": true, "supports_vision": false}}"#;
    let model = row(json, "gemini/g");
    assert_eq!((model.input_usd_per_mtok, model.output_usd_per_mtok), (Some(0.125), Some(10.0)));
    assert_eq!(
        (model.cached_input_usd_per_mtok, model.audio_input_usd_per_mtok),
        (Some(0.031), Some(1.0))
    );
    assert_eq!((model.context_tokens, model.max_output_tokens), (Some(1_048_576), Some(65_536)));
    assert_eq!((model.tools, model.images), (Some(true), Some(false)));
    assert_eq!(list(json).origin().sha256, hex_digest(json.as_bytes()));
}

#[test]
fn a_price_that_rises_with_length_bounds_the_context() {
    let json = r#"{"xai/x": {"litellm_provider": "xai", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
        "input_cost_per_token_above_200k_tokens": 2e-06, "output_cost_per_token_above_128k_tokens": 2e-06, "max_input_tokens": 1000000}}"#;
    assert_eq!(row(json, "xai/x").context_tokens, Some(200_000));
}

#[test]
fn a_price_of_nothing_is_unknown_unless_the_name_says_free() {
    let free = r#"{"openrouter/a/b:free": {"litellm_provider": "openrouter", "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0},
        "nvidia_nim/x": {"litellm_provider": "nvidia_nim", "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0, "max_input_tokens": 5}}"#;
    assert_eq!(row(free, "openrouter/a/b:free").input_usd_per_mtok, Some(0.0));
    let unknown = row(free, "nvidia/x");
    assert_eq!((unknown.input_usd_per_mtok, unknown.context_tokens), (None, Some(5)));
}

#[test]
fn only_models_that_can_be_asked_for_here_are_taken() {
    let json = r#"{"sample_spec": {}, "dall-e": {"litellm_provider": "openai", "mode": "image_generation"},
        "novita/x": {"litellm_provider": "novita", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
        "azure/eu/gpt": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
        "azure/gpt": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
        "us.anthropic.claude-x-v1:0": {"litellm_provider": "bedrock_converse", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
        "vertex_ai/claude-x@1": {"litellm_provider": "vertex_ai-anthropic_models", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06}}"#;
    let names: Vec<String> = list(json).names().map(str::to_owned).collect();
    assert_eq!(names, ["azure/gpt", "bedrock/us.anthropic.claude-x-v1:0", "vertex/claude-x@1"]);
}

#[test]
fn what_is_no_catalogue_is_refused() {
    for text in ["", "[]", "{}", "{\"a\": 5}"] {
        assert!(from_litellm(text, "s", "2026-01-02").is_err(), "{text}");
    }
}
