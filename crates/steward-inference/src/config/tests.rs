use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    providers: BTreeMap<String, ProviderConfig>,
    #[serde(default)]
    models: BTreeMap<String, ModelConfig>,
    #[serde(default)]
    routes: BTreeMap<String, RouteConfig>,
}

fn read(text: &str) -> Result<File, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

fn refused(text: &str, wanted: &str) {
    let message = read(text).expect_err("it must be refused");
    assert!(message.contains(wanted), "{message}");
}

#[test]
fn the_example_of_the_contract_is_read_but_for_what_comes_later() {
    let file = read(
        r#"
        [providers.anthropic]
        dialect = "anthropic"
        base_url = "https://api.anthropic.com"
        api_key = "${ANTHROPIC_API_KEY}"
        [[providers.openai.keys]]
        value = "vault:one"
        weight = 3
        agents = ["main"]
        [models."anthropic/claude-sonnet-4-5"]
        input_usd_per_mtok = 3.0
        context_tokens = 200000
        tier = "mid"
        [routes.default]
        strategy = "priority"
        targets = [ { model = "anthropic/claude-sonnet-4-5" }, { model = "openai/gpt-5", weight = 1 } ]
        timeout = { first_token = "20s", between_tokens = "30s", total = "10m" }
        retry   = { attempts = 2, base = "250ms", max = "8s" }
        breaker = { failures = 5, window = "60s", cooldown = "30s" }
        "#,
    )
    .unwrap();
    let route = &file.routes["default"];
    assert_eq!(route.timeout.first_token, Some(Duration::from_secs(20)));
    assert_eq!(route.retry.base, Duration::from_millis(250));
    assert_eq!(route.targets[1].weight, Some(1.0));
    assert_eq!(file.providers["anthropic"].dialect, Some(ProviderDialect::Anthropic));
    assert_eq!(file.providers["openai"].keys[0].weight, 3);
    assert_eq!(file.models["anthropic/claude-sonnet-4-5"].tier, Some(Tier::Mid));
}

#[test]
fn unknown_keys_and_words_are_refused() {
    refused("[providers.x]\nbase_ulr = \"http://a\"", "base_ulr");
    refused("[routes.x]\ntargets = []\nstrategy = \"fastest\"", "fastest");
    refused("[routes.x]\ntargets = []\ncache = { exactly = true }", "exactly");
    refused(
        "[routes.x]\ntargets = []\ntimeout = { total = \"soon\" }",
        "\"soon\" is no duration",
    );
    refused("[routes.x]\ntargets = []\ntimeout = { total = \"10\" }", "is no duration");
}

#[test]
fn keys_never_show() {
    let file = read("[providers.x]\napi_key = \"sk-very-secret\"\napi_keys = [\"sk-other\"]").unwrap();
    let shown = format!("{file:?}");
    assert!(!shown.contains("secret") && !shown.contains("other"), "{shown}");
}

#[test]
fn every_key_is_resolved() {
    let mut file = read("[providers.x]\napi_key = \"a\"\napi_keys = [\"b\"]\nkeys = [{ value = \"c\" }]").unwrap();
    let provider = file.providers.get_mut("x").unwrap();
    let resolved = provider.resolve_keys(|name| Ok::<_, ()>(Secret::new(format!("<{name}>"))));
    assert_eq!(resolved, Ok(()));
    assert_eq!(provider.api_key.as_ref().unwrap().expose(), "<a>");
    assert_eq!(provider.api_keys[0].expose(), "<b>");
    assert_eq!(provider.keys[0].value.expose(), "<c>");
}

#[test]
fn durations_are_read_as_people_write_them() {
    let cases = [("250ms", 250), ("20s", 20_000), ("1m30s", 90_000), ("2h", 7_200_000), ("0s", 0)];
    for (text, milliseconds) in cases {
        assert_eq!(duration::parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in ["", "s", "10", "10x", "-1s", "1.5s"] {
        assert_eq!(duration::parse(text), None, "{text}");
    }
}

#[test]
fn the_finer_keys_of_a_route_are_read() {
    let file = read(
        r#"
        [routes.fast]
        strategy = "adaptive"
        targets = [ { model = "a/x", weight = 2 }, { model = "b/x", prefill = true } ]
        objective = { ttft = "500ms", tpot = "50ms", share = 0.95 }
        weights = { latency = 0.5, cost = 0.5 }
        congestion = { start = 8, when_full = "wait", queue = 10, wait = "2s" }
        breaker = { ratio = 0.5, min_requests = 50 }
        probe = { every = "30s", path = "/health" }
        hedge = {}
        coalesce = true
        continuation = false
        "#,
    )
    .unwrap();
    let route = &file.routes["fast"];
    assert_eq!(route.objective.ttft, Some(Duration::from_millis(500)));
    assert_eq!((route.weights.latency, route.weights.health), (0.5, 0.2));
    assert_eq!(
        (route.congestion.when_full, route.congestion.wait),
        (WhenFull::Wait, Duration::from_secs(2))
    );
    assert_eq!((route.breaker.ratio, route.breaker.failures), (Some(0.5), 5));
    assert_eq!(route.hedge, Some(HedgeConfig::default()));
    assert!(route.coalesce && !route.continuation);
    assert_eq!(route.targets[1].prefill, Some(true));
    assert!(RouteConfig::to(["a/x"]).continuation && RouteConfig::to(["a/x"]).hedge.is_none());
}
