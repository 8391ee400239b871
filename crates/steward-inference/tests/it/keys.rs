use steward_domain::model::ModelErrorKind;
use steward_testkit::script::{Reply, Script};
use steward_testkit::scripted_model::ScriptedModelServer;

use super::bench::{Bench, server};

fn several(server: &ScriptedModelServer, keys: &str) -> String {
    format!(
        "[providers.mock]\ndialect = \"openai-chat\"\nbase_url = \"{}\"\napi_keys = [{keys}]\n",
        server.base_url
    )
}

async fn wants(key: &str) -> ScriptedModelServer {
    let script = Script {
        require_key: Some(key.into()),
        ..Script::sequential([Reply::text("welcome")])
    };
    ScriptedModelServer::start(script).await.unwrap()
}

fn keys_sent(server: &ScriptedModelServer) -> Vec<String> {
    server
        .requests()
        .iter()
        .map(|request| request.headers["authorization"].clone())
        .collect()
}

#[tokio::test]
async fn a_refused_key_gives_way_to_the_next_and_is_not_used_again() {
    let server = wants("good").await;
    let bench = Bench::new(&several(&server, "\"bad-1\", \"bad-2\", \"good\""));
    for _ in 0..6 {
        assert_eq!(bench.ask("mock/m").await.text(), "welcome");
    }
    let sent = keys_sent(&server);
    for bad in ["Bearer bad-1", "Bearer bad-2"] {
        assert!(sent.iter().filter(|key| *key == bad).count() <= 1, "{sent:?}");
    }
}

#[tokio::test]
async fn without_a_good_key_the_error_is_provider_auth_and_shows_no_key() {
    let server = wants("good").await;
    let bench = Bench::new(&several(&server, "\"bad-1\", \"bad-2\""));
    let error = bench.ask("mock/m").await.error().clone();
    assert_eq!(error.kind, ModelErrorKind::Auth);
    assert!(
        error.message.starts_with("provider_auth: ") && !error.message.contains("bad-"),
        "{error}"
    );
    assert_eq!(server.count(), 2);
    assert_eq!(bench.ask("mock/m").await.error().kind, ModelErrorKind::Auth);
    assert_eq!(server.count(), 2, "refused keys rest");
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn a_provider_without_a_key_says_how_to_set_it() {
    let bench = Bench::new("");
    let error = bench.ask("anthropic/claude-sonnet-4-5").await.error().clone();
    assert_eq!(error.kind, ModelErrorKind::Auth);
    assert!(error.message.contains("no key is configured for provider anthropic"), "{error}");
}

#[tokio::test]
async fn a_rate_limited_key_gives_way_to_another_at_once() {
    let server = server([Reply::error(429), Reply::text("ok")]).await;
    let bench = Bench::new(&several(&server, "\"a\", \"b\""));
    assert_eq!(bench.ask("mock/m").await.text(), "ok");
    let sent = keys_sent(&server);
    assert_ne!(sent[0], sent[1]);
}

#[tokio::test]
async fn a_provider_is_tested_with_each_key() {
    let server = server([]).await;
    let bench = Bench::new(&several(&server, "\"a\", \"b\""));
    let test = bench.router.test_provider("mock").await;
    assert!(test.ok, "{test:?}");
    assert_eq!(server.count(), 0, "nothing is spent");
    assert!(!bench.router.test_provider("nobody").await.ok);
    let missing = bench.router.test_provider("openai").await;
    assert!(!missing.ok && missing.message.contains("OPENAI_API_KEY"), "{missing:?}");
}
