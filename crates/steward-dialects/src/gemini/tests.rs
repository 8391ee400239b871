//! Gemini, out.

use serde_json::json;
use steward_domain::message::Part;
use steward_domain::model::{AnswerFormat, FinishReason, ModelErrorKind, ModelEvent, Reasoning, ToolChoice};

use super::schema::simplify;
use crate::Dialect;
use crate::egress::{Quirks, Streaming, encode_request};
use crate::fixtures::{decode, finished, full_request, json_of};

#[test]
fn a_full_request_is_written_as_contents() {
    let mut request = full_request();
    request.model = "gemini-3-pro".to_owned();
    request.tool_choice = ToolChoice::Named("read".to_owned());
    request.format = AnswerFormat::JsonSchema {
        name: "x".to_owned(),
        schema: json!({ "type": "object" }),
        is_strict: true,
    };
    request.reasoning = Some(Reasoning::Effort("low".to_owned()));
    let seal = Some("gemini:c2Vs".to_owned());
    request.messages[2].parts[0] = Part::Thinking {
        text: "hm".to_owned(),
        signature: seal,
        is_redacted: false,
    };
    let encoded = encode_request(Dialect::Gemini, &request, Streaming::Streamed, Quirks::default());
    assert_eq!(encoded.path, "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse");
    let image = json!({ "inlineData": { "mimeType": "image/png", "data": "aW1n" } });
    let parameters = json!({ "type": "object", "properties": { "path": { "type": "string" } }, "required": ["path"] });
    let first = json!({ "functionCall": { "id": "c1", "name": "read", "args": { "path": "a" } }, "thoughtSignature": "skip_thought_signature_validator" });
    let wanted = json!({
        "systemInstruction": { "parts": [{ "text": "be brief" }] },
        "contents": [
            { "role": "user", "parts": [{ "text": "look" }, image, { "inlineData": { "mimeType": "application/pdf", "data": "cGRm" } }] },
            { "role": "model", "parts": [
                { "text": "hm", "thought": true, "thoughtSignature": "c2Vs" },
                { "text": "ok" },
                first,
                { "functionCall": { "id": "c2", "name": "list", "args": { "path": "a" } } },
            ] },
            { "role": "user", "parts": [
                { "functionResponse": { "id": "c1", "name": "read", "response": { "result": "one" } } },
                image,
                { "functionResponse": { "id": "c2", "name": "list", "response": { "error": "no" } } },
            ] },
        ],
        "tools": [{ "functionDeclarations": [{ "name": "read", "description": "reads", "parameters": parameters }] }],
        "toolConfig": { "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["read"] } },
        "generationConfig": {
            "maxOutputTokens": 500,
            "temperature": 0.5,
            "stopSequences": ["END"],
            "responseMimeType": "application/json",
            "responseSchema": { "type": "object" },
            "thinkingConfig": { "thinkingBudget": 2048, "includeThoughts": true },
        },
    });
    assert_eq!(json_of(&encoded), wanted);
}

#[test]
fn a_model_cannot_leave_its_place_in_the_path() {
    let check = |model: &str, wanted: &str| {
        let mut request = full_request();
        request.model = model.to_owned();
        assert_eq!(
            encode_request(Dialect::Gemini, &request, Streaming::Whole, Quirks::default()).path,
            wanted
        );
    };
    check("g", "/v1beta/models/g:generateContent");
    check("tunedModels/g", "/v1beta/tunedModels/g:generateContent");
    check("a/../../b?x#y", "/v1beta/models/a%2F..%2F..%2Fb%3Fx%23y:generateContent");
}

#[test]
fn schemas_beyond_the_old_field_go_into_the_new_one() {
    let plain = json!({ "type": "object", "properties": { "type": { "type": "string", "enum": ["a"] } }, "$schema": "x", "additionalProperties": false });
    assert_eq!(
        simplify(&plain),
        Some(json!({ "type": "object", "properties": { "type": { "type": "string", "enum": ["a"] } } }))
    );
    assert_eq!(simplify(&json!({ "type": ["string", "null"] })), None);
    assert_eq!(simplify(&json!({ "$ref": "#/$defs/a" })), None);
    let mut request = full_request();
    request.tools[0].input_schema = json!({ "type": "object", "properties": { "a": { "oneOf": [{ "type": "string" }] } } });
    let body = json_of(&encode_request(Dialect::Gemini, &request, Streaming::Whole, Quirks::default()));
    let declaration = &body["tools"][0]["functionDeclarations"][0];
    assert_eq!(
        (declaration.get("parameters"), &declaration["parametersJsonSchema"]),
        (None, &request.tools[0].input_schema)
    );
}

#[test]
fn blocks_limits_and_errors_end_as_such() {
    let blocked = r#"data: {"promptFeedback":{"blockReason":"SAFETY"}}"#;
    assert_eq!(decode(Dialect::Gemini, blocked), [finished(FinishReason::ContentFilter, None)]);
    let limited = r#"data: {"candidates":[{"finishReason":"MAX_TOKENS"}]}"#;
    assert_eq!(decode(Dialect::Gemini, limited), [finished(FinishReason::Length, None)]);
    let busy = r#"data: {"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
    let events = decode(Dialect::Gemini, busy);
    let [ModelEvent::Failed(error)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((error.kind, error.message.as_str()), (ModelErrorKind::Overloaded, "busy"));
}

#[test]
fn a_seal_on_an_empty_text_and_parts_of_other_kinds_are_kept() {
    let code = json!({ "executableCode": { "language": "PYTHON", "code": "1" } });
    let piece = json!({ "candidates": [{
        "content": { "parts": [code, { "text": "", "thoughtSignature": "c2Vs" }] },
        "groundingMetadata": { "webSearchQueries": ["q"] },
        "finishReason": "STOP",
    }] });
    let events = decode(Dialect::Gemini, &format!("data: {piece}\n\n"));
    let opaque = |value| ModelEvent::Opaque {
        dialect: "gemini".to_owned(),
        value,
    };
    let sealed = ModelEvent::ThinkingSealed {
        signature: "gemini:c2Vs".to_owned(),
        is_redacted: false,
    };
    let grounding = opaque(json!({ "groundingMetadata": { "webSearchQueries": ["q"] } }));
    assert_eq!(events, [opaque(code), sealed, grounding, finished(FinishReason::Stop, None)]);
}
