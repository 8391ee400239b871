use steward_dialects::egress::Quirks;

use super::*;
use crate::config::AuthStyle;

fn endpoint(name: PlatformName, settings: &str, dialect: Dialect) -> Result<Endpoint, String> {
    let config: ProviderConfig = toml::from_str(settings).unwrap();
    let catalog = crate::catalog::Catalog::load(&std::collections::BTreeMap::new()).unwrap();
    let known = catalog.of_platform(name).unwrap();
    let base_url = config.base_url.as_ref().unwrap_or(&known.base_url);
    let (platform, base_url) = Platform::of(Some(name), &config, known.region.as_deref(), base_url)?;
    Ok(Endpoint::of_platform(
        platform,
        base_url,
        dialect,
        (AuthStyle::None, Quirks::default()),
    ))
}

fn encoded(path: &str, body: &str) -> EncodedRequest {
    EncodedRequest {
        path: path.to_owned(),
        body: body.as_bytes().to_vec(),
        headers: vec![
            ("anthropic-version", "2023-06-01".to_owned()),
            ("anthropic-beta", "a-1, b-2".to_owned()),
        ],
    }
}

fn placed(endpoint: &Endpoint, model: &str, path: &str, body: &str) -> (String, String) {
    let placed = place(
        endpoint,
        (model, Some("{\"project_id\":\"from-key\"}")),
        Streaming::Streamed,
        encoded(path, body),
    )
    .unwrap();
    (placed.url, String::from_utf8(placed.body).unwrap())
}

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

#[test]
fn azure_has_the_deployment_in_the_path_or_in_the_body() {
    let url = |settings: &str, path: &str| {
        placed(
            &endpoint(PlatformName::Azure, settings, Dialect::OpenAiChat).unwrap(),
            "my gpt",
            path,
            "{}",
        )
        .0
    };
    assert_eq!(
        url("resource = \"acme\"", CHAT),
        "https://acme.openai.azure.com/openai/v1/chat/completions"
    );
    assert_eq!(
        url("resource = \"acme\"\napi_version = \"2024-10-21\"", CHAT),
        "https://acme.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"
    );
    assert_eq!(
        url(
            "base_url = \"https://x.example/openai/v1/\"\napi_version = \"preview\"",
            "/v1/responses"
        ),
        "https://x.example/openai/v1/responses?api-version=preview"
    );
    assert_eq!(
        url("resource = \"acme\"\napi_version = \"2025-04-01-preview\"", "/v1/responses"),
        "https://acme.openai.azure.com/openai/responses?api-version=2025-04-01-preview"
    );
}

#[test]
fn bedrock_takes_anthropics_body_without_model_and_stream() {
    let bedrock = endpoint(PlatformName::Bedrock, "region = \"eu-central-1\"", Dialect::Anthropic).unwrap();
    let (url, body) = placed(
        &bedrock,
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        MESSAGES,
        r#"{"model":"x","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"\u0041 {}"}]}"#,
    );
    assert_eq!(
        url,
        "https://bedrock-runtime.eu-central-1.amazonaws.com/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream"
    );
    assert_eq!(
        body,
        r#"{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["a-1","b-2"],"max_tokens":5,"messages":[{"role":"user","content":"\u0041 {}"}]}"#
    );
    let chat = endpoint(PlatformName::Bedrock, "", Dialect::OpenAiChat).unwrap();
    assert_eq!(
        placed(&chat, "openai.gpt-oss-20b-1:0", CHAT, "{}").0,
        "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1/chat/completions"
    );
}

#[test]
fn vertex_has_project_and_location_in_the_path() {
    let vertex = |settings: &str, dialect| endpoint(PlatformName::Vertex, settings, dialect).unwrap();
    let claude = vertex("project = \"p-1\"\nlocation = \"europe-west1\"", Dialect::Anthropic);
    let (url, body) = placed(&claude, "claude-sonnet-4-5@20250929", MESSAGES, r#"{"model":"x","stream":true}"#);
    assert_eq!(
        url,
        "https://europe-west1-aiplatform.googleapis.com/v1/projects/p-1/locations/europe-west1/publishers/anthropic/models/claude-sonnet-4-5%4020250929:streamRawPredict"
    );
    assert_eq!(body, r#"{"anthropic_version":"vertex-2023-10-16","stream":true}"#);
    let gemini = vertex("", Dialect::Gemini);
    assert_eq!(
        placed(
            &gemini,
            "gemini-2.5-flash",
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
            "{}"
        )
        .0,
        "https://aiplatform.googleapis.com/v1/projects/from-key/locations/global/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    );
    let chat = vertex("region = \"us\"", Dialect::OpenAiChat);
    assert_eq!(
        placed(&chat, "meta/llama", CHAT, "{}").0,
        "https://aiplatform.us.rep.googleapis.com/v1/projects/from-key/locations/us/endpoints/openapi/chat/completions"
    );
    let error = place(&gemini, ("m", Some("ya29.token")), Streaming::Streamed, encoded(CHAT, "{}")).unwrap_err();
    assert!(error.message.contains("project"), "{error}");
}

#[test]
fn what_a_cloud_has_in_another_form_is_not_sent_as_an_answer() {
    let bedrock = endpoint(PlatformName::Bedrock, "", Dialect::Anthropic).unwrap();
    let vertex = endpoint(PlatformName::Vertex, "project = \"p\"", Dialect::Gemini).unwrap();
    for (endpoint, path) in [
        (&bedrock, "/v1/messages/count_tokens"),
        (&vertex, "/v1beta/models/m:countTokens"),
        (&vertex, "/v1beta/models/m:batchEmbedContents"),
    ] {
        let error = place(endpoint, ("m", None), Streaming::Whole, encoded(path, "{}")).unwrap_err();
        assert_eq!(error.kind, ModelErrorKind::Unsupported, "{path}");
    }
    let azure = endpoint(PlatformName::Azure, "resource = \"a\"", Dialect::OpenAiChat).unwrap();
    assert_eq!(
        placed(&azure, "e", "/v1/embeddings", "{}").0,
        "https://a.openai.azure.com/openai/v1/embeddings"
    );
}

#[test]
fn the_dialect_goes_by_the_model() {
    let bedrock = Platform::Bedrock { region: String::new() };
    let vertex = Platform::Vertex {
        region: String::new(),
        project: None,
    };
    let of = |platform: &Platform, model: &str| platform.dialect_of(model, Dialect::OpenAiChat);
    assert_eq!(of(&bedrock, "us.anthropic.claude-opus-4-1-20250805-v1:0"), Dialect::Anthropic);
    assert_eq!(of(&bedrock, "openai.gpt-oss-20b-1:0"), Dialect::OpenAiChat);
    assert_eq!(of(&vertex, "claude-sonnet-4-5"), Dialect::Anthropic);
    assert_eq!(of(&vertex, "gemini-2.5-pro"), Dialect::Gemini);
    assert_eq!(of(&vertex, "meta/llama-4"), Dialect::OpenAiChat);
}

#[test]
fn what_cannot_make_an_address_is_refused() {
    assert!(
        endpoint(PlatformName::Azure, "", Dialect::OpenAiChat)
            .unwrap_err()
            .contains("resource")
    );
    for evil in ["evil.example/", "a@b", ""] {
        let settings = format!("resource = \"{evil}\"");
        assert!(endpoint(PlatformName::Azure, &settings, Dialect::OpenAiChat).is_err(), "{evil}");
    }
    let bedrock = endpoint(PlatformName::Bedrock, "", Dialect::Anthropic).unwrap();
    for evil in ["..", ".", ""] {
        assert!(place(&bedrock, (evil, None), Streaming::Streamed, encoded(MESSAGES, "{}")).is_err());
    }
    let (url, _) = placed(&bedrock, "../../guardrail?x#y", MESSAGES, "{}");
    assert!(
        url.ends_with("/model/..%2F..%2Fguardrail%3Fx%23y/invoke-with-response-stream"),
        "{url}"
    );
}
