use std::collections::BTreeMap;

use steward_domain::money::Usd;

use super::*;

fn shipped() -> Catalog {
    Catalog::load(&BTreeMap::new()).unwrap()
}

#[test]
fn the_shipped_lists_are_whole() {
    let catalog = shipped();
    assert!(catalog.providers().len() >= 26);
    assert!(catalog.models().len() >= 30);
    for (name, provider) in catalog.providers() {
        let is_local = provider.base_url.starts_with("http://127.0.0.1:");
        assert!(is_local || provider.base_url.starts_with("https://"), "{name}");
        assert_eq!(provider.auth == AuthStyle::None, provider.key_env.is_none(), "{name}");
        assert_eq!(provider.is_own_machine, is_local, "{name}");
    }
    for (name, model) in catalog.models() {
        let provider = name.split_once('/').map(|(provider, _)| provider).unwrap();
        assert!(catalog.providers().contains_key(provider), "{name}");
        assert!(
            model.price.is_some() && model.context_tokens.is_some() && model.tier.is_some(),
            "{name}"
        );
        assert!(model.tools.is_some() && model.images.is_some(), "{name}");
    }
}

#[test]
fn prices_are_exact_per_token() {
    let price = shipped().price_of("anthropic/claude-sonnet-4-5").unwrap();
    assert_eq!(price.input, Usd::from_pico(3_000_000));
    assert_eq!(price.output, Usd::from_pico(15_000_000));
    assert_eq!(price.cached_input, Usd::from_pico(300_000));
    assert_eq!(price.cache_write_5m, Usd::from_pico(3_750_000));
    assert_eq!(price.cache_write_1h, Usd::from_pico(6_000_000));
    assert_eq!(price.reasoning, price.output);
}

#[test]
fn dated_names_have_the_price_of_the_plain_one() {
    let catalog = shipped();
    let price = |name: &str| catalog.price_of(name).map(|price| (price.input, price.cached_input, price.output));
    assert!(price("anthropic/claude-sonnet-4-5").is_some());
    for plain in ["anthropic/claude-sonnet-4-5", "openai/gpt-5"] {
        for date in ["-20250929", "-2025-08-07", "-20991231", "-latest"] {
            assert_eq!(price(&format!("{plain}{date}")), price(plain), "{plain}{date}");
        }
    }
    assert_eq!(catalog.price_of("openai/gpt-5-turbo-9000"), None);
}

#[test]
fn models_of_this_machine_are_free_and_others_are_unknown() {
    let catalog = shipped();
    assert_eq!(catalog.price_of("local/smollm2").unwrap().input, Usd::ZERO);
    assert_eq!(catalog.price_of("ollama/llama3").unwrap().output, Usd::ZERO);
    assert_eq!(catalog.price_of("nobody/nothing"), None);
}

fn overridden(name: &str, text: &str) -> Result<Catalog, ConfigError> {
    Catalog::load(&BTreeMap::from([(name.to_owned(), toml::from_str(text).unwrap())]))
}

#[test]
fn an_override_changes_only_what_it_names() {
    let catalog = overridden("openai/gpt-5", "input_usd_per_mtok = 0.0").unwrap();
    let price = catalog.price_of("openai/gpt-5").unwrap();
    assert_eq!((price.input, price.output), (Usd::ZERO, Usd::from_pico(10_000_000)));
    assert_eq!(price.version, "override");
    let context = overridden("openai/gpt-5", "context_tokens = 5").unwrap();
    let model = context.model("openai/gpt-5").unwrap();
    assert_eq!(model.context_tokens, Some(5));
    assert_eq!(model.price.as_ref().unwrap().version, context.snapshot());
}

#[test]
fn a_price_that_cannot_be_meant_is_refused() {
    for (text, wanted) in [
        ("input_usd_per_mtok = -1.0\noutput_usd_per_mtok = 1.0", "below zero"),
        ("input_usd_per_mtok = 1.0", "needs output_usd_per_mtok"),
        (
            "input_usd_per_mtok = 0.1234567\noutput_usd_per_mtok = 1.0",
            "more than six decimals",
        ),
    ] {
        let error = overridden("mock/one", text).unwrap_err().to_string();
        assert!(error.starts_with("models.\"mock/one\": ") && error.contains(wanted), "{error}");
    }
}

#[test]
fn the_long_list_knows_what_the_short_one_does_not() {
    let catalog = shipped();
    let price = |name: &str| catalog.price_of(name).map(|price| price.version);
    let wide = catalog.wide().origin().version();
    for name in [
        "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "azure/gpt-5",
        "vertex/gemini-2.5-pro",
    ] {
        assert_eq!(price(name), Some(wide.clone()), "{name}");
    }
    assert_eq!(price("anthropic/claude-sonnet-4-5").as_deref(), Some(catalog.snapshot()));
}

#[test]
fn a_model_of_the_long_list_speaks_like_its_kin_at_its_maker() {
    let catalog = shipped();
    for (name, maker) in [
        (
            "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic/claude-sonnet-4-5",
        ),
        ("vertex/claude-sonnet-4-5@20250929", "anthropic/claude-sonnet-4-5"),
        ("vertex/gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("azure/gpt-5", "openai/gpt-5"),
    ] {
        assert_eq!(family::maker_of(name).as_deref(), Some(maker));
        let (model, kin) = (catalog.model(name).unwrap(), catalog.model(maker).unwrap());
        assert_eq!((model.quirks, model.tier), (kin.quirks, kin.tier), "{name}");
    }
    assert_eq!(family::maker_of("openrouter/anthropic/claude-sonnet-4-5"), None);
}

#[test]
fn the_operators_price_holds_for_dated_names_too() {
    let catalog = overridden("openai/gpt-4o", "input_usd_per_mtok = 1.0\noutput_usd_per_mtok = 1.0").unwrap();
    assert!(catalog.wide().names().any(|name| name == "openai/gpt-4o-2024-08-06"));
    assert_eq!(catalog.price_of("openai/gpt-4o-2024-08-06").unwrap().version, "override");
}

#[test]
fn the_two_lists_differ_on_few_prices() {
    let catalog = shipped();
    let wide = |name: &str| catalog.wide().known(name).and_then(|wide| wide.price);
    let (mut both, mut apart) = (0, Vec::new());
    for (name, model) in catalog.models() {
        if let (Some(short), Some(wide)) = (&model.price, wide(name)) {
            both += 1;
            if (short.input, short.output) != (wide.input, wide.output) {
                apart.push((name, short.input, wide.input, short.output, wide.output));
            }
        }
    }
    // Where they differ, the short list has the dearer price of two, or a price that has changed since.
    assert!(both > 50 && apart.len() * 5 < both, "{both}: {apart:#?}");
}
