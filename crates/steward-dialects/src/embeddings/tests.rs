use serde_json::{Value, json};
use steward_domain::model::ModelErrorKind;

use super::*;

fn openai(body: Value) -> EmbedRequest {
    decode_request(Dialect::OpenAiChat, None, false, &json::bytes(&body)).unwrap()
}

fn body_of(dialect: Dialect, request: &EmbedRequest) -> Value {
    serde_json::from_slice(&encode_request(dialect, request).unwrap().body).unwrap()
}

#[test]
fn an_openai_request_reaches_both_wires() {
    let mut request = openai(json!({"model": "default", "input": ["a", "b"], "dimensions": 8, "encoding_format": "base64", "user": "u"}));
    request.model = "small".into();
    assert_eq!(
        body_of(Dialect::OpenAiChat, &request),
        json!({"model": "small", "input": ["a", "b"], "dimensions": 8, "encoding_format": "base64", "user": "u"})
    );
    let gemini = encode_request(Dialect::Gemini, &request).unwrap();
    assert_eq!(gemini.path, "/v1beta/models/small:batchEmbedContents");
    assert_eq!(
        body_of(Dialect::Gemini, &request)["requests"][1],
        json!({"content": {"parts": [{"text": "b"}]}, "model": "models/small", "outputDimensionality": 8})
    );
}

#[test]
fn a_gemini_request_keeps_its_task_for_gemini_only() {
    let body = json!({"requests": [{"model": "models/x", "content": {"parts": [{"text": "a"}]}, "task_type": "RETRIEVAL_QUERY"}]});
    let request = decode_request(Dialect::Gemini, Some("m"), true, &json::bytes(&body)).unwrap();
    assert_eq!(body_of(Dialect::Gemini, &request)["requests"][0]["taskType"], "RETRIEVAL_QUERY");
    assert_eq!(body_of(Dialect::OpenAiChat, &request), json!({"model": "m", "input": ["a"]}));
}

#[test]
fn tokens_reach_openai_and_are_refused_for_gemini() {
    let request = openai(json!({"model": "m", "input": [[1, 2], [3]]}));
    assert_eq!(body_of(Dialect::OpenAiResponses, &request)["input"], json!([[1, 2], [3]]));
    assert_eq!(
        encode_request(Dialect::Gemini, &request).unwrap_err().kind,
        ModelErrorKind::Unsupported
    );
    assert_eq!(
        openai(json!({"model": "m", "input": [1, 2]})).inputs,
        [EmbedInput::Tokens(vec![1, 2])]
    );
}

#[test]
fn vectors_come_back_in_order_and_in_the_form_asked_for() {
    let answer =
        json!({"data": [{"index": 1, "embedding": [0.5, -2.0]}, {"index": 0, "embedding": "AACAPwAAAMA="}], "usage": {"prompt_tokens": 7}});
    let embedded = decode_response(Dialect::OpenAiChat, &json::bytes(&answer), 2).unwrap();
    assert_eq!(embedded.vectors, [[1.0, -2.0], [0.5, -2.0]]);
    assert_eq!(embedded.input_tokens, Some(7));
    let request = openai(json!({"model": "m", "input": ["a", "b"], "encoding_format": "base64"}));
    let body: Value = serde_json::from_slice(&encode_response(&request, &embedded, 7)).unwrap();
    assert_eq!(body["data"][0]["embedding"], "AACAPwAAAMA=");
    assert_eq!(body["usage"]["total_tokens"], 7);
    let single = decode_request(Dialect::Gemini, Some("m"), false, br#"{"content": {"parts": [{"text": "a"}]}}"#).unwrap();
    let one = Embedded {
        vectors: vec![vec![0.25]],
        input_tokens: None,
    };
    assert_eq!(encode_response(&single, &one, 1), br#"{"embedding":{"values":[0.25]}}"#);
}

#[test]
fn a_missing_vector_is_malformed() {
    let answer = json!({"embeddings": [{"values": [1.0]}]});
    let error = decode_response(Dialect::Gemini, &json::bytes(&answer), 2).unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Malformed);
    assert_eq!(error.message, "the provider gave 1 vectors for 2 inputs");
}

#[test]
fn bad_requests_name_the_field() {
    let refused = |body: Value| {
        decode_request(Dialect::OpenAiChat, None, false, &json::bytes(&body))
            .unwrap_err()
            .message
    };
    assert_eq!(refused(json!({"input": "a"})), "model is missing");
    assert_eq!(refused(json!({"model": "m", "input": []})), "input is empty");
    assert_eq!(refused(json!({"model": "m", "input": ["a", ""]})), "input holds an empty text");
    assert_eq!(
        refused(json!({"model": "m", "input": "a", "dimensions": 0})),
        "dimensions must be a whole number above 0"
    );
    assert_eq!(
        refused(json!({"model": "m", "input": {"a": 1}})),
        "input must be a text, a list of texts, or tokens"
    );
}
