//! Chat completions, out and in.

use serde_json::{Value, json};
use steward_domain::id::CallId;
use steward_domain::message::{MediaSource, Part, Role};
use steward_domain::model::{AnswerFormat, Answerer, FinishReason, ModelErrorKind, ModelEvent, Reasoning, Retry, ToolChoice};
use steward_domain::usage::Usage;

use crate::Dialect;
use crate::egress::{Quirks, Streaming, decode_response, encode_request};
use crate::fixtures::{arguments, decode_chat, finished, full_request, json_of};
use crate::ingress::{IngressOptions, StreamEncoder, decode_request};

#[test]
fn a_full_request_is_written_as_chat() {
    let mut request = full_request();
    request.tool_choice = ToolChoice::Named("read".to_owned());
    request.format = AnswerFormat::JsonSchema {
        name: "x".to_owned(),
        schema: json!({ "type": "object" }),
        is_strict: true,
    };
    request.reasoning = Some(Reasoning::BudgetTokens(8192));
    let encoded = encode_request(Dialect::OpenAiChat, &request, Streaming::Streamed, Quirks::default());
    assert_eq!(encoded.path, "/v1/chat/completions");
    let call = |id: &str, name: &str| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": r#"{"path":"a"}"# } });
    let image = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,aW1n", "detail": "low" } });
    let wanted = json!({
        "model": "m",
        "messages": [
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": [
                { "type": "text", "text": "look" },
                image,
                { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,cGRm" } },
            ] },
            { "role": "assistant", "content": "ok", "tool_calls": [call("c1", "read"), call("c2", "list")] },
            { "role": "tool", "tool_call_id": "c1", "content": "one" },
            { "role": "tool", "tool_call_id": "c2", "content": "no" },
            { "role": "user", "content": [{ "type": "text", "text": "Attached by the tool read (call c1):" }, image] },
        ],
        "stream": true,
        "stream_options": { "include_usage": true },
        "max_tokens": 500,
        "temperature": 0.5,
        "stop": ["END"],
        "tools": [{ "type": "function", "function": { "name": "read", "description": "reads", "parameters": request.tools[0].input_schema } }],
        "tool_choice": { "type": "function", "function": { "name": "read" } },
        "parallel_tool_calls": false,
        "response_format": { "type": "json_schema", "json_schema": { "name": "x", "schema": { "type": "object" }, "strict": true } },
        "reasoning_effort": "medium",
    });
    assert_eq!(json_of(&encoded), wanted);
}

#[test]
fn quirks_change_what_is_written() {
    let mut request = full_request();
    request.format = AnswerFormat::JsonSchema {
        name: "x".to_owned(),
        schema: json!({ "type": "object" }),
        is_strict: true,
    };
    let quirks = Quirks {
        wants_max_completion_tokens: true,
        rejects_stream_options: true,
        rejects_json_schema: true,
        takes_reasoning_content: true,
        takes_reasoning_details: true,
        wants_short_call_ids: true,
        ..Quirks::default()
    };
    let body = json_of(&encode_request(Dialect::OpenAiChat, &request, Streaming::Streamed, quirks));
    assert_eq!((body.get("max_tokens"), body.get("stream_options")), (None, None));
    assert_eq!(body["max_completion_tokens"], 500);
    assert_eq!(body["response_format"], json!({ "type": "json_object" }));
    assert!(
        body["messages"][0]["content"]
            .as_str()
            .is_some_and(|text| text.contains(r#"{"type":"object"}"#))
    );
    let assistant = &body["messages"][3];
    assert_eq!(assistant["reasoning_content"], "hm");
    assert_eq!(
        assistant["reasoning_details"],
        json!([{ "type": "reasoning.text", "index": 0, "text": "hm", "signature": "sig1" }])
    );
    let id = assistant["tool_calls"][0]["id"].as_str().expect("an id");
    assert_eq!((id.len(), body["messages"][4]["tool_call_id"].as_str()), (9, Some(id)));
}

#[test]
fn a_callers_own_fields_reach_only_the_same_dialect() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"a"}],"seed":7,"__dialect":"anthropic","tools":[{"type":"web_search","size":1}]}"#;
    let read = decode_request(Dialect::OpenAiChat, body).expect("readable");
    let out = |dialect| json_of(&encode_request(dialect, &read.request, Streaming::Whole, Quirks::default()));
    let same = out(Dialect::OpenAiChat);
    assert_eq!((&same["seed"], &same["tools"][0]["size"]), (&json!(7), &json!(1)));
    for dialect in [Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini] {
        let other = out(dialect);
        assert_eq!(
            (other.get("seed"), other.get("tools"), other.get("__dialect")),
            (None, None, None),
            "{}",
            dialect.name()
        );
    }
    assert_eq!(same.get("__dialect"), None);
}

fn call(index: usize, id: &str, name: &str) -> ModelEvent {
    ModelEvent::ToolCallStarted {
        index,
        id: CallId::from(id),
        name: name.to_owned(),
        signature: None,
    }
}

const STOP: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;

#[test]
fn calls_without_an_index_are_told_apart() {
    let events = decode_chat(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"x\":"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"1}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"id":"b","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        STOP,
    ]);
    let wanted = [
        call(0, "a", "f"),
        arguments(0, "{\"x\":"),
        arguments(0, "1}"),
        call(1, "b", "f"),
        arguments(1, "{}"),
    ];
    assert_eq!(events[..5], wanted);
    assert_eq!(events[5], finished(FinishReason::ToolCalls, None));
}

#[test]
fn calls_that_all_have_the_index_0_are_told_apart_by_id() {
    let events = decode_chat(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]}}]}"#,
        STOP,
    ]);
    assert_eq!(
        events[..4],
        [call(0, "a", "f"), arguments(0, "{}"), call(1, "b", "g"), arguments(1, "{}")]
    );
}

#[test]
fn calls_without_an_id_get_one_of_their_own() {
    let events = decode_chat(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"f","arguments":"{}"}}]}}]}"#,
        STOP,
    ]);
    let ids: Vec<&CallId> = events
        .iter()
        .filter_map(|event| match event {
            ModelEvent::ToolCallStarted { id, .. } => Some(id),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn interleaved_arguments_stay_with_their_calls() {
    let events = decode_chat(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"g"}},{"index":0,"id":"a","function":{"name":"f"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}},{"index":1,"function":{"arguments":"["}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":"]"}},{"index":0,"function":{"arguments":"}"}}]}}]}"#,
        STOP,
    ]);
    let wanted = [
        call(0, "b", "g"),
        call(1, "a", "f"),
        arguments(1, "{"),
        arguments(0, "["),
        arguments(0, "]"),
        arguments(1, "}"),
    ];
    assert_eq!(events[..6], wanted);
}

#[test]
fn arguments_before_the_name_are_kept() {
    let events = decode_chat(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":":1}"}}]}}]}"#,
        STOP,
    ]);
    assert_eq!(events[..2], [call(0, "a", "f"), arguments(0, "{\"a\":1}")]);
}

#[test]
fn the_end_may_come_without_done_but_not_without_a_reason() {
    let whole = decode_chat(&[r#"{"choices":[{"delta":{"content":"a"}}]}"#, STOP]);
    assert_eq!(whole.last(), Some(&finished(FinishReason::Stop, None)));
    let cut = decode_chat(&[r#"{"choices":[{"delta":{"content":"a"}}]}"#]);
    let Some(ModelEvent::Failed(error)) = cut.last() else {
        panic!("{cut:?}")
    };
    assert_eq!((error.kind, error.retry), (ModelErrorKind::Cut, Retry::Never));
}

#[test]
fn an_error_before_content_may_be_tried_again_and_after_it_not() {
    let error = r#"{"error":{"message":"too busy","code":529,"type":"overloaded_error"}}"#;
    let before = decode_chat(&[error]);
    let [ModelEvent::Failed(failed)] = before.as_slice() else {
        panic!("{before:?}")
    };
    assert_eq!(
        (failed.kind, failed.retry, failed.message.as_str()),
        (ModelErrorKind::Overloaded, Retry::Now, "too busy")
    );
    let after = decode_chat(&[r#"{"choices":[{"delta":{"content":"a"}}]}"#, error, STOP]);
    let [_, ModelEvent::Failed(failed)] = after.as_slice() else {
        panic!("{after:?}")
    };
    assert_eq!((failed.kind, failed.retry), (ModelErrorKind::Overloaded, Retry::Never));
}

#[test]
fn refusals_lists_and_other_names_for_thinking_are_read() {
    let events = decode_chat(&[
        r#"{"choices":[{"delta":{"reasoning":"a"}}]}"#,
        r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"b"}]},{"type":"text","text":"c"}]}}]}"#,
        r#"{"choices":[{"delta":{"refusal":"no"}}]}"#,
        STOP,
    ]);
    let text = |text: &str| ModelEvent::Text(text.to_owned());
    let thought = |text: &str| ModelEvent::Thinking(text.to_owned());
    assert_eq!(
        events,
        [
            thought("a"),
            thought("b"),
            text("c"),
            text("no"),
            finished(FinishReason::Refusal, None)
        ]
    );
}

#[track_caller]
fn check_usage(usage: Value, quirks: Quirks, wanted: Usage) {
    let body = json!({ "choices": [{ "message": { "content": "a" }, "finish_reason": "length" }], "usage": usage });
    let events = decode_response(Dialect::OpenAiChat, body.to_string().as_bytes(), quirks).expect("readable");
    assert_eq!(events.last(), Some(&finished(FinishReason::Length, Some(wanted))));
}

#[test]
fn usage_does_not_overlap_however_it_is_counted() {
    let usage = Usage {
        input: 10,
        output: 20,
        reasoning: 5,
        ..Usage::default()
    };
    let reasoning = json!({ "reasoning_tokens": 5 });
    let among = json!({ "prompt_tokens": 10, "completion_tokens": 25, "total_tokens": 35, "completion_tokens_details": reasoning });
    check_usage(among, Quirks::default(), usage);
    let beside = json!({ "prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 35, "completion_tokens_details": reasoning });
    check_usage(beside, Quirks::default(), usage);
    let untold = json!({ "prompt_tokens": 10, "completion_tokens": 20, "completion_tokens_details": reasoning });
    check_usage(
        untold,
        Quirks {
            counts_reasoning_apart: true,
            ..Quirks::default()
        },
        usage,
    );
    let cached = json!({ "prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 8 });
    check_usage(
        cached,
        Quirks::default(),
        Usage {
            input: 2,
            cached_input: 8,
            output: 1,
            ..Usage::default()
        },
    );
    let nonsense = json!({ "prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": { "cached_tokens": 9 } });
    check_usage(
        nonsense,
        Quirks::default(),
        Usage {
            cached_input: 3,
            output: 1,
            ..Usage::default()
        },
    );
}

#[test]
fn thoughts_and_seals_come_back_from_a_caller_as_they_went() {
    let mut encoder = StreamEncoder::new(Dialect::OpenAiChat, options(true));
    let seal = |signature: &str, is_redacted| ModelEvent::ThinkingSealed {
        signature: signature.to_owned(),
        is_redacted,
    };
    let thought = |text: &str| ModelEvent::Thinking(text.to_owned());
    let events = [
        thought("a"),
        seal("s1", false),
        seal("blob", true),
        thought("b"),
        thought("c"),
        seal("s2", false),
    ];
    let stream: Vec<u8> = events.iter().flat_map(|event| encoder.encode(event)).collect();
    let text = String::from_utf8(stream).expect("UTF-8");
    let (mut content, mut details) = (String::new(), Vec::new());
    for line in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let chunk: Value = serde_json::from_str(line).expect("JSON");
        let delta = &chunk["choices"][0]["delta"];
        content.push_str(delta["reasoning_content"].as_str().unwrap_or_default());
        details.extend(delta["reasoning_details"].as_array().cloned().unwrap_or_default());
    }
    let indices: Vec<u64> = details.iter().filter_map(|entry| entry["index"].as_u64()).collect();
    assert_eq!((content.as_str(), indices), ("abc", vec![0, 1, 2]));
    let message = json!({ "role": "assistant", "content": "x", "reasoning_content": content, "reasoning_details": details });
    let body = json!({ "model": "m", "messages": [message] }).to_string();
    let read = decode_request(Dialect::OpenAiChat, body.as_bytes()).expect("readable");
    let part = |text: &str, signature: &str, is_redacted| Part::Thinking {
        text: text.to_owned(),
        signature: Some(signature.to_owned()),
        is_redacted,
    };
    let wanted = vec![
        part("a", "s1", false),
        part("", "blob", true),
        part("bc", "s2", false),
        Part::text("x"),
    ];
    assert_eq!(read.request.messages[0].parts, wanted);
}

fn options(wants_usage: bool) -> IngressOptions {
    IngressOptions {
        model: "default".to_owned(),
        id: "req_1".to_owned(),
        created_unix: 1,
        wants_usage,
    }
}

#[test]
fn usage_is_hidden_from_a_caller_that_did_not_ask() {
    let run = |wants_usage| {
        let mut encoder = StreamEncoder::new(Dialect::OpenAiChat, options(wants_usage));
        let who = Answerer {
            target: "p/m".to_owned(),
            attempts: 1,
            ..Answerer::default()
        };
        let events = [
            ModelEvent::Started(who),
            ModelEvent::Text("a".to_owned()),
            finished(
                FinishReason::Stop,
                Some(Usage {
                    input: 5,
                    ..Usage::default()
                }),
            ),
        ];
        String::from_utf8(events.iter().flat_map(|event| encoder.encode(event)).collect()).expect("UTF-8")
    };
    let hidden = run(false);
    assert!(!hidden.contains("usage") && !hidden.contains("cost_usd"));
    assert!(hidden.starts_with(r#"data: {"id":"req_1","object":"chat.completion.chunk","created":1,"model":"default","choices":[{"index":0,"delta":{"role":"assistant","content":""}"#));
    let shown = run(true);
    let frames: Vec<&str> = shown.split_terminator("\n\n").collect();
    let usage: Value = serde_json::from_str(frames[frames.len() - 2].trim_start_matches("data: ")).expect("JSON");
    assert_eq!(
        (&usage["choices"], &usage["usage"]["prompt_tokens"], &usage["usage"]["cost_usd"]),
        (&json!([]), &json!(5), &json!("0"))
    );
    assert_eq!(frames.last(), Some(&"data: [DONE]"));
}

#[test]
fn a_callers_request_is_read() {
    let body = json!({
        "model": "default",
        "messages": [
            { "role": "developer", "content": "be brief" },
            { "role": "user", "content": [
                { "type": "text", "text": "look" },
                { "type": "image_url", "image_url": { "url": "https://x.test/a.png" } },
                { "type": "input_audio", "input_audio": { "data": "YQ==", "format": "mp3" } },
            ] },
            { "role": "assistant", "content": null, "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"a\": 1}" } },
                { "id": "c2", "type": "function", "function": { "name": "g", "arguments": "{}" } },
            ] },
            { "role": "tool", "tool_call_id": "c1", "content": "one" },
            { "role": "tool", "tool_call_id": "c2", "content": [{ "type": "text", "text": "two" }] },
        ],
        "stream": true,
        "stream_options": { "include_usage": true },
        "max_completion_tokens": 9,
        "stop": "END",
        "tool_choice": "required",
        "reasoning_effort": "low",
        "user": "ana",
    });
    let read = decode_request(Dialect::OpenAiChat, body.to_string().as_bytes()).expect("readable");
    assert_eq!((read.is_stream, read.wants_usage, read.user.as_deref()), (true, true, Some("ana")));
    let request = read.request;
    assert_eq!(
        (request.max_output_tokens, request.stop, request.tool_choice),
        (Some(9), vec!["END".to_owned()], ToolChoice::Required)
    );
    assert_eq!(request.reasoning, Some(Reasoning::Effort("low".to_owned())));
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
    let audio = MediaSource::Inline {
        media_type: "audio/mpeg".to_owned(),
        data: "YQ==".to_owned(),
    };
    assert_eq!(request.messages[1].parts[2], Part::File { name: None, source: audio });
    let result = |id: &str, name: &str, text: &str| Part::ToolResult {
        call_id: CallId::from(id),
        name: name.to_owned(),
        content: vec![Part::text(text)],
        is_error: false,
    };
    assert_eq!(request.messages[3].parts, [result("c1", "f", "one"), result("c2", "g", "two")]);
}
