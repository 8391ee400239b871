//! Every dialect on the way in, in the real binary: for models, for agents, for counts and lists.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steward_testkit::script::{Reply, Script};
use steward_testkit::wire::aside::vector_of;

use crate::house::{House, answer, data_lines, until};

const SAID: &str = "hello from the model";

async fn house() -> House {
    House::start(Script::by_step([Reply::text(SAID)])).await
}

async fn text_of(house: &House, path: &str, body: &Value) -> (StatusCode, String, String) {
    let response = house
        .request_as(&house.token(), Method::POST, path)
        .json(body)
        .send()
        .await
        .unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status(), kind, response.text().await.unwrap())
}

fn gemini_body() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
}

fn gemini_text(chunks: &[Value]) -> String {
    let parts = chunks
        .iter()
        .flat_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array().cloned().unwrap_or_default());
    parts.filter_map(|part| part["text"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn responses_answers_for_routes_and_agents() {
    let house = house().await;
    for model in ["default", "agent/main"] {
        let body = json!({"model": model, "input": "hi"});
        let (status, _, text) = text_of(&house, "/v1/responses", &body).await;
        assert_eq!(status, 200, "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["output"][0]["content"][0]["text"], SAID, "{value}");
        let (_, kind, text) = text_of(&house, "/v1/responses", &json!({"model": model, "input": "hi", "stream": true})).await;
        assert_eq!(kind, "text/event-stream");
        let events: Vec<Value> = data_lines(&text).map(|data| serde_json::from_str(data).unwrap()).collect();
        let said: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!(said, SAID, "{text}");
        assert_eq!(events.last().unwrap()["type"], "response.completed");
    }
}

#[tokio::test]
async fn gemini_answers_whole_as_events_and_as_a_list() {
    let house = house().await;
    for model in ["default", "agent/main", "agent%2Fmain"] {
        for version in ["v1", "v1beta"] {
            let path = format!("/{version}/models/{model}");
            let (status, _, text) = text_of(&house, &format!("{path}:generateContent"), &gemini_body()).await;
            assert_eq!(status, 200, "{text}");
            assert_eq!(gemini_text(&[serde_json::from_str(&text).unwrap()]), SAID);
            let (_, kind, text) = text_of(&house, &format!("{path}:streamGenerateContent?alt=sse"), &gemini_body()).await;
            assert_eq!(kind, "text/event-stream");
            let events: Vec<Value> = data_lines(&text).map(|data| serde_json::from_str(data).unwrap()).collect();
            assert_eq!(gemini_text(&events), SAID);
            let (_, kind, text) = text_of(&house, &format!("{path}:streamGenerateContent"), &gemini_body()).await;
            assert_eq!(kind, "application/json");
            assert_eq!(gemini_text(&serde_json::from_str::<Vec<Value>>(&text).unwrap()), SAID);
        }
    }
}

#[tokio::test]
async fn an_unknown_call_or_model_is_refused_in_geminis_words() {
    let house = house().await;
    for (path, status) in [
        ("/v1beta/models/default:sing", 404),
        ("/v1beta/models/nobody/m:generateContent", 404),
        ("/v1/models/nobody/m:generateContent", 404),
    ] {
        let (got, _, text) = text_of(&house, path, &gemini_body()).await;
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(got, status, "{text}");
        assert_eq!(value["error"]["status"], "NOT_FOUND", "{text}");
    }
    assert_eq!(house.model.count(), 0);
}

#[tokio::test]
async fn tokens_are_counted_without_a_call_and_without_cost() {
    let house = house().await;
    let body = json!({"model": "default", "messages": [{"role": "user", "content": "hello there"}]});
    let (status, _, text) = text_of(&house, "/v1/messages/count_tokens", &body).await;
    assert_eq!(status, 200, "{text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    assert!((1..50).contains(&value["input_tokens"].as_u64().unwrap()), "{value}");
    let (status, _, text) = text_of(&house, "/v1beta/models/default:countTokens", &gemini_body()).await;
    assert_eq!(status, 200, "{text}");
    assert!(serde_json::from_str::<Value>(&text).unwrap()["totalTokens"].as_u64().unwrap() > 0);
    let (status, value) = answer(
        house
            .request_as(&house.token(), Method::POST, "/v1/messages/count_tokens")
            .json(&json!({"messages": []})),
    )
    .await;
    assert_eq!((status.as_u16(), &value["type"]), (400, &json!("error")), "{value}");
    assert_eq!(house.get("/api/spend").await["calls"], 0);
}

#[tokio::test]
async fn the_list_of_models_fits_each_client() {
    let house = house().await;
    let ask = |path: &str| house.request_as(&house.token(), Method::GET, path);
    let (_, list) = answer(ask("/v1/models")).await;
    let ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert!(ids.contains(&"default") && ids.contains(&"agent/main"), "{ids:?}");
    assert_eq!((&list["object"], &list["data"][0]["type"]), (&json!("list"), &json!("model")));
    let (_, one) = answer(ask("/v1/models/agent/main")).await;
    assert_eq!(one["id"], "agent/main");
    let (status, value) = answer(ask("/v1/models/nobody")).await;
    assert_eq!((status.as_u16(), &value["error"]["code"]), (404, &json!("model_not_found")));
    for request in [ask("/v1beta/models"), ask("/v1/models").header("x-goog-api-client", "genai")] {
        let (_, list) = answer(request).await;
        assert!(
            list["models"]
                .as_array()
                .unwrap()
                .iter()
                .any(|item| item["name"] == "models/agent/main"),
            "{list}"
        );
    }
}

/// A house whose route has one target of this wire.
async fn house_of(wire: &str) -> House {
    let mut house = House::with_dialect(Script::by_step([Reply::text(SAID)]), wire).await;
    house.serve().await;
    house
}

#[tokio::test]
async fn providers_count_tokens_where_they_can() {
    let body = json!({"model": "default", "max_tokens": 5, "stream": true, "messages": [{"role": "user", "content": "three short words"}]});
    for (wire, source) in [("anthropic", "provider"), ("gemini", "provider"), ("openai-chat", "estimate")] {
        let house = house_of(wire).await;
        let request = house
            .request_as(&house.token(), Method::POST, "/v1/messages/count_tokens")
            .json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["x-steward-token-source"], source, "{wire}");
        let counted: Value = response.json().await.unwrap();
        if source == "provider" {
            assert_eq!(counted["input_tokens"], 3, "{wire}");
        }
    }
}

#[tokio::test]
async fn texts_are_embedded_through_both_wires_and_booked() {
    for wire in ["openai-chat", "gemini"] {
        let house = house_of(wire).await;
        let body = json!({"model": "default", "input": ["two words", "a"]});
        let (status, _, text) = text_of(&house, "/v1/embeddings", &body).await;
        assert_eq!(status, 200, "{wire}: {text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        let wanted = json!(vector_of("a"));
        assert_eq!(value["data"][1]["embedding"], wanted, "{wire}");
        let body = json!({"model": "default", "input": "a", "encoding_format": "base64"});
        let (_, _, text) = text_of(&house, "/v1/embeddings", &body).await;
        let bytes = vector_of("a").map(f32::to_le_bytes).concat();
        assert!(
            text.contains(&base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)),
            "{wire}: {text}"
        );
        let one = json!({"content": {"parts": [{"text": "a"}]}});
        let (_, _, text) = text_of(&house, "/v1beta/models/default:embedContent", &one).await;
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap()["embedding"]["values"],
            wanted,
            "{wire}"
        );
        let two = json!({"requests": [{"model": "models/default", "content": {"parts": [{"text": "b"}]}}, {"content": {"parts": [{"text": "a"}]}}]});
        let (_, _, text) = text_of(&house, "/v1beta/models/default:batchEmbedContents", &two).await;
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap()["embeddings"][1]["values"],
            wanted,
            "{wire}"
        );
        until("all four are booked", async || house.get("/api/spend").await["calls"] == 4).await;
        assert_eq!(house.get("/api/spend").await["output_tokens"], 0);
    }
}

#[tokio::test]
async fn embeddings_that_nobody_can_make_name_each_target() {
    let house = house_of("anthropic").await;
    let (status, value) = house.post("/v1/embeddings", json!({"model": "default", "input": "a"})).await;
    assert!(status.is_client_error() || status.is_server_error(), "{value}");
    assert!(value["error"]["message"].as_str().unwrap().contains("no embeddings"), "{value}");
}
