//! OpenAI responses, in.

use serde_json::{Value, json};
use steward_domain::message::{MediaSource, Part, Role};
use steward_domain::model::{AnswerFormat, Reasoning, ToolChoice};

use crate::Dialect;
use crate::egress::{Quirks, Streaming, encode_request};
use crate::fixtures::{full_request, json_of};
use crate::ingress::decode_request;

fn read(body: &Value) -> crate::ingress::IngressRequest {
    decode_request(Dialect::OpenAiResponses, body.to_string().as_bytes()).expect("readable")
}

#[test]
fn what_we_write_for_a_provider_we_read_from_a_caller() {
    let mut request = full_request();
    request.tool_choice = ToolChoice::Named("read".to_owned());
    request.format = AnswerFormat::JsonSchema {
        name: "x".to_owned(),
        schema: json!({ "type": "object" }),
        is_strict: true,
    };
    request.reasoning = Some(Reasoning::Effort("low".to_owned()));
    request.messages[2].parts[0] = Part::Thinking {
        text: "hm".to_owned(),
        signature: Some("openai-responses:enc".to_owned()),
        is_redacted: false,
    };
    let written = json_of(&encode_request(
        Dialect::OpenAiResponses,
        &request,
        Streaming::Streamed,
        Quirks::default(),
    ));
    let back = read(&written);
    assert!(back.is_stream);
    let again = json_of(&encode_request(
        Dialect::OpenAiResponses,
        &back.request,
        Streaming::Streamed,
        Quirks::default(),
    ));
    assert_eq!(again, written);
    assert_eq!(back.request.tool_choice, request.tool_choice);
    assert_eq!(back.request.messages[1..], {
        let mut wanted = request.messages[1..].to_vec();
        // The dialect has no word for a failed call and no place for a cache mark.
        if let Part::ToolResult { is_error, .. } = &mut wanted[2].parts[1] {
            *is_error = false;
        }
        wanted
    });
}

#[test]
fn items_of_every_kind_are_read() {
    let body = json!({
        "model": "m",
        "instructions": "be brief",
        "input": [
            { "role": "developer", "content": "rules" },
            { "role": "user", "content": [
                { "type": "input_text", "text": "look" },
                { "type": "input_image", "image_url": "https://x.test/a.png", "detail": "high" },
                { "type": "input_image", "file_id": "file_1" },
                { "type": "input_audio", "input_audio": { "data": "YQ==", "format": "mp3" } },
            ] },
            { "type": "reasoning", "id": "rs", "summary": [{ "type": "summary_text", "text": "hm" }], "encrypted_content": "gemini:c2ln" },
            { "type": "web_search_call", "id": "ws", "status": "completed" },
            { "type": "message", "role": "assistant", "id": "msg", "content": [{ "type": "output_text", "text": "ok", "annotations": [] }] },
            { "type": "function_call", "id": "fc", "call_id": "c1", "name": "read", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "c1", "output": [{ "type": "input_image", "image_url": "data:image/png;base64,aW1n" }] },
        ],
        "tools": [{ "type": "web_search" }, { "type": "function", "name": "read", "parameters": { "type": "object" }, "strict": true }],
        "tool_choice": { "type": "web_search" },
        "store": true,
        "text": { "verbosity": "low" },
        "reasoning": { "summary": "detailed" },
        "stream": false,
    });
    let request = read(&body).request;
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::System, Role::User, Role::Assistant, Role::User]);
    assert_eq!(request.messages[3].parts.len(), 4);
    assert_eq!(
        request.messages[3].parts[0],
        Part::Thinking {
            text: "hm".to_owned(),
            signature: Some("gemini:c2ln".to_owned()),
            is_redacted: false,
        }
    );
    let Part::ToolResult { name, content, .. } = &request.messages[4].parts[0] else {
        panic!("a result")
    };
    assert_eq!(name, "read");
    assert!(matches!(
        &content[0],
        Part::Image {
            source: MediaSource::Inline { .. },
            ..
        }
    ));
    let again = json_of(&encode_request(
        Dialect::OpenAiResponses,
        &request,
        Streaming::Whole,
        Quirks::default(),
    ));
    assert_eq!(again["tool_choice"], json!({ "type": "web_search" }));
    assert_eq!(
        again["tools"],
        body["tools"]
            .as_array()
            .map(|tools| {
                let mut tools = tools.clone();
                tools[1]["description"] = json!("");
                Value::Array(tools)
            })
            .expect("a list")
    );
    assert_eq!((&again["store"], &again["text"]), (&json!(true), &json!({ "verbosity": "low" })));
    assert_eq!(again["reasoning"], json!({ "summary": "detailed" }));
    assert!(again["input"].to_string().contains("file_1") && again["input"].to_string().contains("web_search_call"));
    let chat = json_of(&encode_request(Dialect::OpenAiChat, &request, Streaming::Whole, Quirks::default()));
    assert_eq!(chat.get("store"), None);
    assert_eq!(chat["verbosity"], "low");
    assert_eq!(chat["tools"][0]["function"]["strict"], true);
}

#[test]
fn what_only_a_store_could_serve_is_refused_with_a_way_out() {
    for (key, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("background", json!(true)),
    ] {
        let mut body = json!({ "model": "m", "input": "a" });
        body[key] = value;
        let error = decode_request(Dialect::OpenAiResponses, body.to_string().as_bytes()).expect_err("refused");
        assert!(error.message.starts_with(key), "{}", error.message);
        body[key] = Value::Null;
        read(&body);
    }
}

#[test]
fn a_seal_of_a_call_goes_to_its_call() {
    let body = json!({ "model": "m", "input": [
        { "role": "user", "content": "a" },
        { "type": "reasoning", "summary": [], "encrypted_content": "call:c1:c2ln" },
        { "type": "function_call", "call_id": "c1", "name": "read", "arguments": "{}" },
        { "type": "function_call_output", "call_id": "c1", "output": "x" },
    ] });
    let request = read(&body).request;
    let [Part::ToolCall(call)] = request.messages[1].parts.as_slice() else {
        panic!("{:?}", request.messages[1])
    };
    assert_eq!(call.signature.as_deref(), Some("c2ln"));
}
