use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use steward_domain::model::ModelErrorKind;
use steward_inference::catalog::Catalog;
use steward_testkit::fake_clock::FakeClock;

use super::bench::{Bench, Ledger};
use super::loopback::{Answer, Loopback, Seen};

const RSA_KEY: &str = include_str!("../../fixtures/rsa_for_tests.b64");
const SSE: &str = "text/event-stream";

const ANTHROPIC: [&str; 6] = [
    r#"{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"welcome"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
    r#"{"type":"message_stop"}"#,
];

const CHAT: [&str; 3] = [
    r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"welcome"}}]}"#,
    r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
    "[DONE]",
];

const GEMINI: [&str; 1] = [
    r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"welcome"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}"#,
];

/// Answers in the dialect of the path, as the provider would.
fn welcome(seen: &Seen) -> Answer {
    let events = |list: &[&str]| list.iter().map(|data| format!("data: {data}\n\n")).collect::<String>().into_bytes();
    if seen.path.ends_with("/token") {
        let token = json!({ "access_token": "ya29.fresh", "expires_in": 3600, "token_type": "Bearer" });
        return (200, "application/json", token.to_string().into_bytes());
    }
    if seen.path.ends_with("/invoke-with-response-stream") {
        let framed = ANTHROPIC.iter().flat_map(|event| framed("event", "chunk", event)).collect();
        return (200, "application/vnd.amazon.eventstream", framed);
    }
    if seen.path.contains("/messages") || seen.path.contains("RawPredict") {
        return (200, SSE, events(&ANTHROPIC));
    }
    if seen.path.contains("GenerateContent") {
        return (200, SSE, events(&GEMINI));
    }
    (200, SSE, events(&CHAT))
}

/// One message of Amazon's framing.
fn framed(kind: &str, name: &str, event: &str) -> Vec<u8> {
    let payload = match kind {
        "event" => json!({ "bytes": STANDARD.encode(event) }).to_string(),
        _ => event.to_owned(),
    };
    let header = |name: &str, value: &str| {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [
            &[u8::try_from(name.len()).unwrap()],
            name.as_bytes(),
            &[7],
            &length,
            value.as_bytes(),
        ]
        .concat()
    };
    let headers = [header(&format!(":{kind}-type"), name), header(":message-type", kind)].concat();
    let total = 16 + headers.len() + payload.len();
    let mut bytes = [
        u32::try_from(total).unwrap().to_be_bytes(),
        u32::try_from(headers.len()).unwrap().to_be_bytes(),
    ]
    .concat();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend_from_slice(&headers);
    bytes.extend_from_slice(payload.as_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

/// What a provider must be sent.
struct Wanted {
    name: &'static str,
    model: &'static str,
    path: &'static str,
    auth: (&'static str, &'static str),
    /// A field that must be in the body.
    field: &'static str,
}

const fn wanted(
    name: &'static str,
    model: &'static str,
    path: &'static str,
    auth: (&'static str, &'static str),
    field: &'static str,
) -> Wanted {
    Wanted {
        name,
        model,
        path,
        auth,
        field,
    }
}

const BEARER: (&str, &str) = ("authorization", "Bearer k-1");
const NO_KEY: (&str, &str) = ("authorization", "");
const LIMIT: &str = "max_tokens";
const NEW_LIMIT: &str = "max_completion_tokens";

const ALL: [Wanted; 32] = [
    wanted("anthropic", "claude-x", "/v1/messages", ("x-api-key", "k-1"), LIMIT),
    wanted("openai", "gpt-x", "/v1/chat/completions", BEARER, NEW_LIMIT),
    wanted("azure", "my-gpt", "/openai/v1/chat/completions", ("api-key", "k-1"), NEW_LIMIT),
    wanted(
        "gemini",
        "gemini-x",
        "/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
        ("x-goog-api-key", "k-1"),
        "contents",
    ),
    wanted(
        "vertex",
        "gemini-x",
        "/v1/projects/p-1/locations/global/publishers/google/models/gemini-x:streamGenerateContent?alt=sse",
        BEARER,
        "contents",
    ),
    wanted(
        "vertex",
        "claude-x",
        "/v1/projects/p-1/locations/global/publishers/anthropic/models/claude-x:streamRawPredict",
        BEARER,
        "anthropic_version",
    ),
    wanted(
        "vertex",
        "meta/x",
        "/v1/projects/p-1/locations/global/endpoints/openapi/chat/completions",
        BEARER,
        LIMIT,
    ),
    wanted(
        "bedrock",
        "anthropic.x-v1:0",
        "/model/anthropic.x-v1%3A0/invoke-with-response-stream",
        BEARER,
        "anthropic_version",
    ),
    wanted("bedrock", "openai.x-1:0", "/openai/v1/chat/completions", BEARER, LIMIT),
    wanted("ollama", "m", "/v1/chat/completions", NO_KEY, LIMIT),
    wanted("lmstudio", "m", "/v1/chat/completions", NO_KEY, LIMIT),
    wanted("llama-cpp", "m", "/v1/chat/completions", NO_KEY, LIMIT),
    wanted("vllm", "m", "/v1/chat/completions", NO_KEY, LIMIT),
    wanted("clarifai", "m", "/v2/ext/openai/v1/chat/completions", BEARER, LIMIT),
    wanted("openrouter", "a/m", "/api/v1/chat/completions", BEARER, LIMIT),
    wanted("groq", "m", "/openai/v1/chat/completions", BEARER, NEW_LIMIT),
    wanted("mistral", "m", "/v1/chat/completions", BEARER, LIMIT),
    wanted("deepseek", "m", "/v1/chat/completions", BEARER, LIMIT),
    wanted("together", "a/m", "/v1/chat/completions", BEARER, LIMIT),
    wanted("fireworks", "accounts/a/models/m", "/inference/v1/chat/completions", BEARER, LIMIT),
    wanted("xai", "m", "/v1/chat/completions", BEARER, LIMIT),
    wanted("cerebras", "m", "/v1/chat/completions", BEARER, NEW_LIMIT),
    wanted("moonshot", "m", "/v1/chat/completions", BEARER, LIMIT),
    wanted("zai", "m", "/api/paas/v4/chat/completions", BEARER, LIMIT),
    wanted("minimax", "m", "/v1/chat/completions", BEARER, LIMIT),
    wanted("qwen", "m", "/compatible-mode/v1/chat/completions", BEARER, LIMIT),
    wanted("huggingface", "a/m", "/v1/chat/completions", BEARER, LIMIT),
    wanted("nvidia", "a/m", "/v1/chat/completions", BEARER, LIMIT),
    wanted("perplexity", "m", "/chat/completions", BEARER, LIMIT),
    wanted("cohere", "m", "/compatibility/v1/chat/completions", BEARER, LIMIT),
    wanted("github-models", "a/m", "/inference/chat/completions", BEARER, LIMIT),
    wanted("vercel", "a/m", "/v1/chat/completions", BEARER, LIMIT),
];

/// The shipped address with the host of the loopback server.
fn moved(base_url: &str, server: &Loopback) -> String {
    let path = base_url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map(|(_, path)| path);
    path.map_or_else(|| server.base_url.clone(), |path| format!("{}/{path}", server.base_url))
}

fn request(model: &str) -> steward_domain::model::ModelRequest {
    use steward_domain::message::{Message, Role};
    let mut request = steward_domain::model::ModelRequest::new(model, vec![Message::text(Role::User, "hello there")]);
    request.max_output_tokens = Some(64);
    request
}

#[tokio::test]
async fn every_shipped_provider_is_sent_a_request_it_understands() {
    let server = Loopback::start(welcome).await;
    let catalog = Catalog::load(&BTreeMap::new()).unwrap();
    let named: std::collections::BTreeSet<&str> = ALL.iter().map(|wanted| wanted.name).collect();
    let shipped: std::collections::BTreeSet<&str> = catalog.providers().keys().map(String::as_str).collect();
    assert_eq!(named, shipped, "a provider of the list has no case here");
    for wanted in &ALL {
        let known = &catalog.providers()[wanted.name];
        let mut config = format!("[providers.{}]\nbase_url = \"{}\"\n", wanted.name, moved(&known.base_url, &server));
        if !wanted.auth.1.is_empty() {
            config.push_str("api_key = \"k-1\"\n");
        }
        if wanted.name == "vertex" {
            config.push_str("project = \"p-1\"\n");
        }
        let outcome = Bench::new(&config)
            .ask_with(request(&format!("{}/{}", wanted.name, wanted.model)))
            .await;
        assert_eq!(outcome.text(), "welcome", "{}: {:?}", wanted.name, outcome.events);
        assert_eq!(
            (outcome.finish().usage.input, outcome.finish().usage.output),
            (3, 2),
            "{}",
            wanted.name
        );
        let seen = server.take();
        let [sent] = &seen[..] else {
            panic!("{}: {} requests", wanted.name, seen.len())
        };
        assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", wanted.path), "{}", wanted.name);
        assert_eq!(
            sent.headers.get(wanted.auth.0).map_or("", String::as_str),
            wanted.auth.1,
            "{}",
            wanted.name
        );
        assert_eq!(sent.headers["content-type"], "application/json", "{}", wanted.name);
        let body: Value = serde_json::from_str(&sent.body).unwrap();
        assert!(body.get(wanted.field).is_some(), "{}: {body}", wanted.name);
        let has_model_in_path = sent.path.contains("/model");
        assert_eq!(
            body.get("model").and_then(Value::as_str),
            (!has_model_in_path).then_some(wanted.model),
            "{}",
            wanted.name
        );
    }
}

#[tokio::test]
async fn bedrock_is_signed_with_access_keys() {
    let server = Loopback::start(welcome).await;
    let config = format!(
        "[providers.bedrock]\nbase_url = \"{}\"\nregion = \"eu-west-1\"\n\
         aws = {{ access_key_id = \"AKIDEXAMPLE\", secret_access_key = \"sEcReT\", session_token = \"to/ken==\" }}\n",
        server.base_url
    );
    let outcome = Bench::new(&config).ask("bedrock/anthropic.x-v1:0").await;
    assert_eq!(outcome.text(), "welcome");
    let sent = &server.seen()[0];
    let authorization = &sent.headers["authorization"];
    let day = &sent.headers["x-amz-date"][..8];
    let start = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{day}/eu-west-1/bedrock/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="
    );
    assert!(authorization.starts_with(&start), "{authorization}");
    assert_eq!(sent.headers["x-amz-security-token"], "to/ken==");
    assert_eq!(sent.headers["accept"], "application/vnd.amazon.eventstream");
    assert!(!format!("{sent:?}").contains("sEcReT"));
}

#[tokio::test]
async fn an_exception_in_bedrocks_stream_is_an_error_and_a_cut_is_a_cut() {
    let server = Loopback::start(|seen| {
        let throttled = seen.body.contains("throttle");
        let mut bytes: Vec<u8> = ANTHROPIC[..3].iter().flat_map(|event| framed("event", "chunk", event)).collect();
        if throttled {
            bytes.clear();
            bytes.extend(framed("exception", "throttlingException", "{\"message\":\"too many\"}"));
        }
        (200, "application/vnd.amazon.eventstream", bytes)
    })
    .await;
    let config = format!("[providers.bedrock]\nbase_url = \"{}\"\napi_key = \"ABSKx\"\n", server.base_url);
    let bench = Bench::new(&config);
    let cut = bench.ask("bedrock/anthropic.x").await;
    assert_eq!((cut.text().as_str(), cut.error().kind), ("welcome", ModelErrorKind::Cut));
    let mut throttled = request("bedrock/anthropic.x");
    throttled.messages = vec![steward_domain::message::Message::text(
        steward_domain::message::Role::User,
        "throttle",
    )];
    let outcome = bench.ask_with(throttled).await;
    assert_eq!(outcome.error().kind, ModelErrorKind::RateLimited);
}

fn service_account(server: &Loopback) -> String {
    let key = format!("-----BEGIN PRIVATE KEY-----\n{RSA_KEY}-----END PRIVATE KEY-----\n");
    json!({
        "type": "service_account",
        "project_id": "p-of-key",
        "private_key_id": "id-1",
        "private_key": key,
        "client_email": "robot@p-of-key.example",
        "token_uri": format!("{}/token", server.base_url),
    })
    .to_string()
}

fn vertex(server: &Loopback, clock: &Arc<FakeClock>) -> Bench {
    let config = format!(
        "[providers.vertex]\nbase_url = \"{}\"\nlocation = \"europe-west4\"\napi_key = {:?}\n",
        server.base_url,
        service_account(server)
    );
    Bench::with(&config, Ledger::default(), Arc::clone(clock) as Arc<_>)
}

#[tokio::test]
async fn a_service_account_is_exchanged_once_and_again_before_the_token_ends() {
    let server = Loopback::start(welcome).await;
    let clock = Arc::new(FakeClock::default());
    let bench = vertex(&server, &clock);
    let exchanges = || server.seen().iter().filter(|seen| seen.path == "/token").count();
    for _ in 0..3 {
        assert_eq!(bench.ask("vertex/gemini-2.5-flash").await.text(), "welcome");
    }
    assert_eq!(exchanges(), 1);
    let seen = server.seen();
    assert!(
        seen[0]
            .body
            .starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey")
    );
    assert_eq!(seen[1].headers["authorization"], "Bearer ya29.fresh");
    assert!(
        seen[1]
            .path
            .starts_with("/v1/projects/p-of-key/locations/europe-west4/publishers/google/models/gemini-2.5-flash:")
    );
    clock.jump(Duration::from_secs(3600 - 301));
    bench.ask("vertex/gemini-2.5-flash").await;
    assert_eq!(exchanges(), 1, "it is good for more than five minutes");
    clock.jump(Duration::from_secs(2));
    bench.ask("vertex/gemini-2.5-flash").await;
    assert_eq!(exchanges(), 2, "it is renewed before it ends");
}

#[tokio::test]
async fn callers_who_come_at_once_share_one_exchange() {
    let server = Loopback::start(welcome).await;
    let bench = vertex(&server, &Arc::new(FakeClock::default()));
    let asks = (0..8).map(|_| bench.ask("vertex/claude-x"));
    for outcome in futures_util::future::join_all(asks).await {
        assert_eq!(outcome.text(), "welcome");
    }
    assert_eq!(server.seen().iter().filter(|seen| seen.path == "/token").count(), 1);
}

#[tokio::test]
async fn a_refused_account_is_an_auth_error_that_shows_no_key() {
    let server = Loopback::start(|_| {
        (
            400,
            "application/json",
            b"{\"error\":\"invalid_grant\",\"error_description\":\"gone\"}".to_vec(),
        )
    })
    .await;
    let bench = vertex(&server, &Arc::new(FakeClock::default()));
    let error = bench.ask("vertex/gemini-x").await.error().clone();
    assert_eq!(error.kind, ModelErrorKind::Auth);
    assert!(
        error.message.contains("invalid_grant") && !error.message.contains("PRIVATE"),
        "{error}"
    );
}

#[tokio::test]
async fn a_platform_that_nobody_set_up_says_what_it_needs() {
    let error = Bench::new("").ask("azure/gpt-x").await.error().clone();
    assert_eq!(error.kind, ModelErrorKind::NotFound);
    assert!(
        error.message.contains("it needs a resource, or a base_url in [providers.azure]"),
        "{error}"
    );
    let further = Bench::new("[providers.azure-eu]\nplatform = \"azure\"\nresource = \"x\"\napi_key = \"k\"\n");
    assert!(further.router.exists("azure-eu/gpt-x"));
}
