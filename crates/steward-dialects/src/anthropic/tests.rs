//! Anthropic messages, out and in.

use serde_json::{Value, json};
use steward_domain::id::CallId;
use steward_domain::message::{Message, Part, Role};
use steward_domain::model::{AnswerFormat, FinishReason, ModelErrorKind, ModelEvent, ModelRequest, Reasoning, ToolChoice};
use steward_domain::usage::Usage;

use crate::Dialect;
use crate::egress::{Quirks, Streaming, decode_response, encode_request};
use crate::fixtures::{arguments, decode, finished, full_request, json_of, started};
use crate::ingress::{IngressOptions, StreamEncoder, decode_request};

fn encode(request: &ModelRequest, quirks: Quirks) -> Value {
    json_of(&encode_request(Dialect::Anthropic, request, Streaming::Whole, quirks))
}

#[test]
fn a_full_request_is_written_as_messages() {
    let request = full_request();
    let encoded = encode_request(Dialect::Anthropic, &request, Streaming::Streamed, Quirks::default());
    assert_eq!(encoded.path, "/v1/messages");
    assert!(encoded.headers.contains(&("anthropic-version", "2023-06-01".to_owned())));
    let image = json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "aW1n" } });
    let call = |id: &str, name: &str| json!({ "type": "tool_use", "id": id, "name": name, "input": { "path": "a" } });
    let wanted = json!({
        "model": "m",
        "max_tokens": 500,
        "system": [{ "type": "text", "text": "be brief", "cache_control": { "type": "ephemeral" } }],
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "look" },
                image,
                { "type": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": "cGRm" }, "title": "a.pdf" },
            ] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "hm", "signature": "sig1" },
                { "type": "text", "text": "ok" },
                call("c1", "read"),
                call("c2", "list"),
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "c1", "content": [{ "type": "text", "text": "one" }, image] },
                { "type": "tool_result", "tool_use_id": "c2", "content": "no", "is_error": true },
            ] },
        ],
        "stream": true,
        "temperature": 0.5,
        "stop_sequences": ["END"],
        "tools": [{ "name": "read", "description": "reads", "input_schema": request.tools[0].input_schema }],
        "tool_choice": { "type": "auto", "disable_parallel_tool_use": true },
    });
    assert_eq!(json_of(&encoded), wanted);
}

fn ask(reasoning: Option<Reasoning>) -> ModelRequest {
    let mut request = ModelRequest::new("m", vec![Message::text(Role::User, "a")]);
    request.reasoning = reasoning;
    request
}

#[test]
fn the_limit_has_a_default_and_thinking_fits_under_it() {
    assert_eq!(encode(&ask(None), Quirks::default())["max_tokens"], 8192);
    let mut request = ask(Some(Reasoning::Effort("low".to_owned())));
    request.temperature = Some(0.2);
    let body = encode(&request, Quirks::default());
    assert_eq!(
        (&body["max_tokens"], &body["thinking"]),
        (&json!(10_240), &json!({ "type": "enabled", "budget_tokens": 2048 }))
    );
    assert_eq!(body.get("temperature"), None);
    request.max_output_tokens = Some(2000);
    assert_eq!(encode(&request, Quirks::default())["thinking"]["budget_tokens"], 1999);
    request.max_output_tokens = Some(500);
    assert_eq!(encode(&request, Quirks::default()).get("thinking"), None);
    request.tool_choice = ToolChoice::Required;
    request.max_output_tokens = None;
    assert_eq!(encode(&request, Quirks::default()).get("thinking"), None);
}

#[test]
fn adaptive_thinking_takes_a_word() {
    let quirks = Quirks {
        has_adaptive_thinking: true,
        ..Quirks::default()
    };
    let body = encode(&ask(Some(Reasoning::BudgetTokens(9000))), quirks);
    assert_eq!(
        (&body["thinking"], &body["output_config"]),
        (&json!({ "type": "adaptive" }), &json!({ "effort": "medium" }))
    );
}

#[test]
fn thinking_stays_off_in_a_loop_that_began_without_it() {
    let mut request = full_request();
    request.reasoning = Some(Reasoning::BudgetTokens(2048));
    request.max_output_tokens = Some(9000);
    assert!(encode(&request, Quirks::default()).get("thinking").is_some());
    request.messages[2].parts.remove(0);
    assert_eq!(encode(&request, Quirks::default()).get("thinking"), None);
}

#[test]
fn a_thought_sealed_by_another_provider_stays_behind() {
    let mut request = full_request();
    let seal = Some("gemini:xyz".to_owned());
    request.messages[2].parts[0] = Part::Thinking {
        text: "hm".to_owned(),
        signature: seal,
        is_redacted: false,
    };
    let body = encode(&request, Quirks::default());
    assert_eq!(body["messages"][1]["content"][0], json!({ "type": "text", "text": "ok" }));
}

#[test]
fn a_schema_becomes_a_forced_tool_whose_call_is_the_answer() {
    let mut request = ask(None);
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    request.format = AnswerFormat::JsonSchema {
        name: "x".to_owned(),
        schema: schema.clone(),
        is_strict: true,
    };
    let body = encode(&request, Quirks::default());
    assert_eq!(body["tool_choice"], json!({ "type": "tool", "name": "give_answer" }));
    assert_eq!(body["tools"][0]["input_schema"], schema);
    let native = encode(
        &request,
        Quirks {
            has_native_json_schema: true,
            ..Quirks::default()
        },
    );
    assert_eq!((native.get("tools"), &native["output_config"]["format"]["schema"]), (None, &schema));
    request.tools = full_request().tools;
    assert_eq!(encode(&request, Quirks::default())["tool_choice"], json!({ "type": "any" }));

    let whole =
        json!({ "content": [{ "type": "tool_use", "id": "t", "name": "give_answer", "input": { "a": 1 } }], "stop_reason": "tool_use" });
    let events = decode_response(Dialect::Anthropic, whole.to_string().as_bytes(), Quirks::default()).expect("readable");
    assert_eq!(
        events,
        [ModelEvent::Text(r#"{"a":1}"#.to_owned()), finished(FinishReason::Stop, None)]
    );
    let stream = concat!(
        r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"give_answer","input":{}}}"#,
        "\n\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#,
        "\n\n",
        r#"data: {"type":"content_block_stop","index":0}"#,
        "\n\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#,
        "\n\n",
        r#"data: {"type":"message_stop"}"#,
        "\n\n",
    );
    assert_eq!(decode(Dialect::Anthropic, stream), events);
}

#[test]
fn an_error_event_keeps_the_providers_words() {
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let events = decode(Dialect::Anthropic, error);
    let [ModelEvent::Failed(failed)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((failed.kind, failed.message.as_str()), (ModelErrorKind::Overloaded, "Overloaded"));
}

#[test]
fn redacted_thoughts_server_tools_and_citations_pass_through_both_ways() {
    let server = json!({ "type": "server_tool_use", "id": "s", "name": "web_search", "input": { "query": "q" } });
    let found = json!({ "type": "web_search_tool_result", "tool_use_id": "s", "content": [] });
    let citation = json!({ "type": "citations_delta", "citation": { "type": "char_location", "cited_text": "x" } });
    let opaque = |value: &Value| ModelEvent::Opaque {
        dialect: "anthropic".to_owned(),
        value: value.clone(),
    };
    let events = vec![
        ModelEvent::ThinkingSealed {
            signature: "blob".to_owned(),
            is_redacted: true,
        },
        opaque(&server),
        opaque(&found),
        ModelEvent::Text("a".to_owned()),
        opaque(&citation),
        finished(
            FinishReason::Pause,
            Some(Usage {
                input: 1,
                cache_write_5m: 2,
                cache_write_1h: 3,
                output: 4,
                ..Usage::default()
            }),
        ),
    ];
    let mut encoder = StreamEncoder::new(Dialect::Anthropic, options());
    let stream: Vec<u8> = events.iter().flat_map(|event| encoder.encode(event)).collect();
    assert_eq!(decode(Dialect::Anthropic, &String::from_utf8(stream).expect("UTF-8")), events);
}

fn options() -> IngressOptions {
    IngressOptions {
        model: "default".to_owned(),
        id: "req_1".to_owned(),
        created_unix: 1,
        wants_usage: true,
    }
}

#[test]
fn interleaved_calls_are_told_one_after_the_other() {
    let call = |index, id: &str| ModelEvent::ToolCallStarted {
        index,
        id: CallId::from(id),
        name: "f".to_owned(),
        signature: None,
    };
    let events = [
        started(),
        call(0, "a"),
        call(1, "b"),
        arguments(0, "{"),
        arguments(1, "["),
        arguments(0, "}"),
        arguments(1, "]"),
        finished(FinishReason::ToolCalls, None),
    ];
    let mut encoder = StreamEncoder::new(Dialect::Anthropic, options());
    let stream = String::from_utf8(events.iter().flat_map(|event| encoder.encode(event)).collect()).expect("UTF-8");
    let told: Vec<String> = stream.lines().filter_map(|line| line.strip_prefix("data: ")).map(summary).collect();
    let wanted = [
        "message_start -",
        "content_block_start 0",
        "content_block_delta 0",
        "content_block_delta 0",
        "content_block_stop 0",
        "content_block_start 1",
        "content_block_delta 1",
        "content_block_delta 1",
        "content_block_stop 1",
        "message_delta -",
        "message_stop -",
    ];
    assert_eq!(told, wanted);
    // Usage that we tell a caller counts as reported when it is read back.
    let told_end = finished(FinishReason::ToolCalls, Some(Usage::default()));
    let back = decode(Dialect::Anthropic, &stream);
    assert_eq!(
        back,
        [
            call(0, "a"),
            arguments(0, "{"),
            arguments(0, "}"),
            call(1, "b"),
            arguments(1, "["),
            arguments(1, "]"),
            told_end
        ]
    );
}

fn summary(data: &str) -> String {
    let event: Value = serde_json::from_str(data).expect("JSON");
    let index = event["index"].as_u64().map_or("-".to_owned(), |index| index.to_string());
    format!("{} {index}", event["type"].as_str().unwrap_or_default())
}

#[test]
fn a_callers_request_is_read_and_written_back_the_same() {
    let body = json!({
        "model": "m",
        "max_tokens": 9000,
        "system": [{ "type": "text", "text": "s", "cache_control": { "type": "ephemeral" } }],
        "messages": [
            { "role": "user", "content": "a" },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "t", "signature": "sig" },
                { "type": "redacted_thinking", "data": "blob" },
                { "type": "tool_use", "id": "c1", "name": "f", "input": { "x": 1 } },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "c1", "content": "r", "is_error": true, "cache_control": { "type": "ephemeral" } },
                { "type": "search_result", "title": "kept" },
            ] },
        ],
        "stream": true,
        "stop_sequences": ["END"],
        "tools": [
            { "name": "f", "description": "d", "input_schema": { "type": "object" }, "cache_control": { "type": "ephemeral" } },
            { "type": "web_search_20250305", "name": "web_search", "max_uses": 2 },
        ],
        "thinking": { "type": "enabled", "budget_tokens": 2048 },
        "metadata": { "user_id": "ana" },
        "top_k": 5,
    });
    let read = decode_request(Dialect::Anthropic, body.to_string().as_bytes()).expect("readable");
    assert_eq!((read.is_stream, read.wants_usage, read.user.as_deref()), (true, true, Some("ana")));
    let back = json_of(&encode_request(
        Dialect::Anthropic,
        &read.request,
        Streaming::Streamed,
        Quirks::default(),
    ));
    assert_eq!(back, body);
}
