//! OpenAI responses, out.

use serde_json::json;
use steward_domain::message::Part;
use steward_domain::model::{AnswerFormat, FinishReason, ModelErrorKind, ModelEvent, Reasoning, ToolChoice};

use crate::Dialect;
use crate::egress::{Quirks, Streaming, decode_response, encode_request};
use crate::fixtures::{decode, finished, full_request, json_of};

#[test]
fn a_full_request_is_written_as_responses() {
    let mut request = full_request();
    request.tool_choice = ToolChoice::Named("read".to_owned());
    request.format = AnswerFormat::JsonSchema {
        name: "x".to_owned(),
        schema: json!({ "type": "object" }),
        is_strict: true,
    };
    request.reasoning = Some(Reasoning::Effort("low".to_owned()));
    let seal = Some("openai-responses:enc".to_owned());
    request.messages[2].parts[0] = Part::Thinking {
        text: "hm".to_owned(),
        signature: seal,
        is_redacted: false,
    };
    let encoded = encode_request(Dialect::OpenAiResponses, &request, Streaming::Streamed, Quirks::default());
    assert_eq!(encoded.path, "/v1/responses");
    let image = json!({ "type": "input_image", "image_url": "data:image/png;base64,aW1n", "detail": "low" });
    let call = |id: &str, name: &str| json!({ "type": "function_call", "call_id": id, "name": name, "arguments": r#"{"path":"a"}"# });
    let wanted = json!({
        "model": "m",
        "instructions": "be brief",
        "input": [
            { "type": "message", "role": "user", "content": [
                { "type": "input_text", "text": "look" },
                image,
                { "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,cGRm" },
            ] },
            { "type": "reasoning", "summary": [{ "type": "summary_text", "text": "hm" }], "encrypted_content": "enc" },
            { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "ok" }] },
            call("c1", "read"),
            call("c2", "list"),
            { "type": "function_call_output", "call_id": "c1", "output": [{ "type": "input_text", "text": "one" }, image] },
            { "type": "function_call_output", "call_id": "c2", "output": "no" },
        ],
        "stream": true,
        "max_output_tokens": 500,
        "temperature": 0.5,
        "tools": [{ "type": "function", "name": "read", "description": "reads", "parameters": request.tools[0].input_schema, "strict": false }],
        "tool_choice": { "type": "function", "name": "read" },
        "parallel_tool_calls": false,
        "text": { "format": { "type": "json_schema", "name": "x", "schema": { "type": "object" }, "strict": true } },
        "reasoning": { "effort": "low", "summary": "auto" },
        "include": ["reasoning.encrypted_content"],
        "store": false,
    });
    assert_eq!(json_of(&encoded), wanted);
}

#[test]
fn failed_and_incomplete_responses_end_as_such() {
    let failed =
        r#"data: {"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"}}}"#;
    let events = decode(Dialect::OpenAiResponses, failed);
    let [ModelEvent::Failed(error)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((error.kind, error.message.as_str()), (ModelErrorKind::RateLimited, "slow"));
    let incomplete =
        r#"data: {"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#;
    assert_eq!(decode(Dialect::OpenAiResponses, incomplete), [finished(FinishReason::Length, None)]);
    let plain = "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"oops\"}\n\n";
    let events = decode(Dialect::OpenAiResponses, plain);
    let [ModelEvent::Failed(error)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((error.kind, error.message.as_str()), (ModelErrorKind::Server, "oops"));
}

#[test]
fn items_of_the_provider_pass_through() {
    let item = json!({ "type": "web_search_call", "id": "ws", "status": "completed" });
    let refusal = json!({ "type": "message", "content": [{ "type": "refusal", "refusal": "no" }] });
    let body = json!({ "status": "completed", "output": [item, refusal] });
    let events = decode_response(Dialect::OpenAiResponses, body.to_string().as_bytes(), Quirks::default()).expect("readable");
    let opaque = ModelEvent::Opaque {
        dialect: "openai-responses".to_owned(),
        value: item,
    };
    assert_eq!(
        events,
        [opaque, ModelEvent::Text("no".to_owned()), finished(FinishReason::Refusal, None)]
    );
}
