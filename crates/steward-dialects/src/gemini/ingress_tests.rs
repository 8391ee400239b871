//! Gemini, in.

use serde_json::json;
use steward_domain::message::{MediaSource, Part, Role};
use steward_domain::model::{AnswerFormat, ModelEvent, Reasoning, ToolChoice};

use crate::Dialect;
use crate::egress::{Quirks, Streaming, encode_request};
use crate::fixtures::{decode_in, full_request, json_of, meaning_of};
use crate::ingress::{GeminiAction, GeminiCall, IngressOptions, StreamEncoder, decode_gemini_request};

fn call(stream: bool) -> GeminiCall {
    let action = if stream { "streamGenerateContent" } else { "generateContent" };
    GeminiCall::parse(&format!("anthropic%2Fclaude:{action}"), "alt=sse").expect("a call")
}

#[test]
fn what_we_write_for_a_provider_we_read_from_a_caller() {
    let mut request = full_request();
    request.model = "anthropic/claude".to_owned();
    request.messages[2].parts[0] = Part::Thinking {
        text: "hm".to_owned(),
        signature: Some("gemini:c2ln".to_owned()),
        is_redacted: false,
    };
    request.format = AnswerFormat::JsonSchema {
        name: "answer".to_owned(),
        schema: json!({ "type": "object", "properties": { "a": { "type": "integer" } } }),
        is_strict: true,
    };
    request.reasoning = Some(Reasoning::BudgetTokens(2048));
    let written = encode_request(Dialect::Gemini, &request, Streaming::Streamed, Quirks::default());
    let back = decode_gemini_request(&call(true), &written.body).expect("readable");
    assert!(back.is_stream);
    let again = encode_request(Dialect::Gemini, &back.request, Streaming::Streamed, Quirks::default());
    assert_eq!(json_of(&again), json_of(&written));
    assert_eq!(back.request.messages[2], request.messages[2]);
    assert_eq!(back.request.reasoning, request.reasoning);
    assert_eq!(back.request.format, request.format);
}

#[test]
fn underscores_missing_ids_and_types_in_capitals_are_understood() {
    let body = json!({
        "system_instruction": { "parts": { "text": "rules" } },
        "contents": [
            { "role": "user", "parts": [{ "text": "a" }, { "inline_data": { "mime_type": "audio/wav", "data": "YQ==" } }, { "file_data": { "file_uri": "gs://b/a.png", "mime_type": "image/png" } }] },
            { "role": "model", "parts": [
                { "text": "Let ", "thought": true }, { "text": "me", "thought": true }, { "text": "", "thought_signature": "c2ln" },
                { "function_call": { "name": "read", "args": { "p": 1 } }, "thought_signature": "c2ln" },
                { "function_call": { "name": "read", "args": { "p": 2 } } },
            ] },
            { "role": "function", "parts": [
                { "function_response": { "name": "read", "response": { "result": "one" } } },
                { "function_response": { "name": "read", "response": { "error": "no" } } },
            ] },
        ],
        "tools": [{ "function_declarations": [{ "name": "read", "parameters": { "type": "OBJECT", "properties": { "p": { "type": "INTEGER", "nullable": true } } } }], "google_search": {} }],
        "tool_config": { "function_calling_config": { "mode": "ANY", "allowed_function_names": ["read"] } },
        "generation_config": { "max_output_tokens": 5, "top_k": 3, "response_mime_type": "application/json", "thinking_config": { "thinking_budget": -1 } },
        "safetySettings": [],
    });
    let request = decode_gemini_request(&call(false), body.to_string().as_bytes())
        .expect("readable")
        .request;
    assert_eq!(request.model, "anthropic/claude");
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
    assert!(
        matches!(&request.messages[1].parts[1], Part::File { source: MediaSource::Inline { media_type, .. }, .. } if media_type == "audio/wav")
    );
    assert!(matches!(&request.messages[1].parts[2], Part::Opaque { .. }));
    let thought = Part::Thinking {
        text: "Let me".to_owned(),
        signature: Some("gemini:c2ln".to_owned()),
        is_redacted: false,
    };
    assert_eq!(request.messages[2].parts[0], thought);
    let ids: Vec<String> = request.messages[2].parts[1..]
        .iter()
        .map(|part| match part {
            Part::ToolCall(call) => format!("{} {:?}", call.id, call.signature),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, ["call_0 Some(\"c2ln\")", "call_1 None"]);
    let results: Vec<(&str, bool)> = request.messages[3]
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolResult { call_id, is_error, .. } => (call_id.as_str(), *is_error),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(results, [("call_0", false), ("call_1", true)]);
    assert_eq!(
        request.tools[0].input_schema,
        json!({ "type": "object", "properties": { "p": { "type": ["integer", "null"] } } })
    );
    assert_eq!(request.tools[1].name, "googleSearch");
    assert_eq!(request.tool_choice, ToolChoice::Named("read".to_owned()));
    assert_eq!((request.max_output_tokens, &request.format), (Some(5), &AnswerFormat::JsonObject));
    assert_eq!(request.reasoning, Some(Reasoning::Effort("medium".to_owned())));
    let anthropic = json_of(&encode_request(Dialect::Anthropic, &request, Streaming::Whole, Quirks::default()));
    assert_eq!(anthropic["top_k"], 3);
    let gemini = json_of(&encode_request(Dialect::Gemini, &request, Streaming::Whole, Quirks::default()));
    assert_eq!(gemini["generationConfig"]["thinkingConfig"], json!({ "thinking_budget": -1 }));
    assert_eq!(gemini["safetySettings"], json!([]));
}

#[test]
fn paths_name_the_model_and_the_action() {
    let check = |path: &str, query: &str, wanted: Option<(&str, GeminiAction, bool)>| {
        let call = GeminiCall::parse(path, query);
        assert_eq!(call.as_ref().map(|call| (call.model.as_str(), call.action, call.is_sse)), wanted);
    };
    check("a/b:generateContent", "", Some(("a/b", GeminiAction::Generate, false)));
    check(
        "a%2Fb:streamGenerateContent",
        "alt=sse",
        Some(("a/b", GeminiAction::StreamGenerate, true)),
    );
    check(
        "ollama/q:7b:countTokens",
        "",
        Some(("ollama/q:7b", GeminiAction::CountTokens, false)),
    );
    check("m:unknown", "", None);
    check(":generateContent", "", None);
    check("m%zz:generateContent", "", None);
}

#[test]
fn a_stream_without_events_is_one_json_list() {
    let events = meaning_of(Dialect::Gemini);
    let options = IngressOptions {
        model: "m".to_owned(),
        id: "r".to_owned(),
        created_unix: 0,
        wants_usage: true,
    };
    let mut encoder = StreamEncoder::gemini_list(options.clone());
    let list: Vec<u8> = events.iter().flat_map(|event| encoder.encode(event)).collect();
    assert!(serde_json::from_slice::<Vec<serde_json::Value>>(&list).is_ok());
    assert_eq!(decode_in(Dialect::Gemini, &list, 7), events);
    let mut encoder = StreamEncoder::gemini_list(options);
    let failed = ModelEvent::Failed(steward_domain::model::ModelError::new(
        steward_domain::model::ModelErrorKind::Overloaded,
        "busy",
    ));
    let list: Vec<u8> = [ModelEvent::Text("a".to_owned()), failed]
        .iter()
        .flat_map(|event| encoder.encode(event))
        .collect();
    let list: Vec<serde_json::Value> = serde_json::from_slice(&list).expect("a list");
    assert_eq!(
        list[1].as_object().and_then(|error| error.keys().next()).map(String::as_str),
        Some("error")
    );
}
