//! What callers see: our own streams read back, errors in each dialect, sentences that name the field.

use serde_json::{Value, json};
use steward_domain::model::{ModelError, ModelErrorKind, ModelEvent};

use super::{IngressOptions, StreamEncoder, decode_request, encode_error, encode_error_event, encode_response};
use crate::Dialect;
use crate::egress::{Quirks, decode_response};
use crate::fixtures::{decode, decode_in, meaning_of, started};
use crate::fold::fold;

fn options() -> IngressOptions {
    IngressOptions {
        model: "default".to_owned(),
        id: "req_1".to_owned(),
        created_unix: 1_700_000_000,
        wants_usage: true,
    }
}

fn encode(dialect: Dialect, events: &[ModelEvent]) -> Vec<u8> {
    let mut encoder = StreamEncoder::new(dialect, options());
    std::iter::once(&started())
        .chain(events)
        .flat_map(|event| encoder.encode(event))
        .collect()
}

#[test]
fn our_own_streams_mean_what_they_were_made_from() {
    for dialect in Dialect::ALL {
        let events = meaning_of(dialect);
        let stream = encode(dialect, &events);
        assert_eq!(decode_in(dialect, &stream, 11), events, "{}", dialect.name());
    }
}

#[test]
fn every_dialect_in_reaches_every_dialect_out() {
    for from in Dialect::ALL {
        let events = meaning_of(from);
        for to in Dialect::ALL {
            let stream = encode(to, &events);
            let back = decode_in(to, &stream, 64);
            let (wanted, mut got) = (fold(&events).expect("whole"), fold(&back).expect("whole"));
            // Where a call has no place for its seal, the seal stands before it and finds it again.
            crate::seal::give_to_calls(&mut got.message.parts);
            assert_eq!(got.finish, wanted.finish, "{} to {}", from.name(), to.name());
            assert_eq!(got.message.joined_text(), wanted.message.joined_text());
            assert_eq!(
                got.message.parts.len(),
                wanted.message.parts.len(),
                "{} to {}",
                from.name(),
                to.name()
            );
        }
    }
}

#[test]
fn whole_answers_mean_what_they_were_made_from() {
    for dialect in Dialect::ALL {
        let events = meaning_of(dialect);
        let body = encode_response(dialect, &events, &options()).expect("whole");
        let back = fold(&decode_response(dialect, &body, Quirks::default()).expect("readable")).expect("whole");
        let wanted = fold(&events).expect("whole");
        assert_eq!(back.finish, wanted.finish, "{}", dialect.name());
        if dialect != Dialect::OpenAiChat {
            // Chat has one place for all text, so its order is lost there.
            assert_eq!(back.message, wanted.message, "{}", dialect.name());
        }
    }
}

#[test]
fn a_failure_in_a_stream_is_an_error_event_that_we_read_back() {
    for dialect in Dialect::ALL {
        let failed = ModelEvent::Failed(ModelError::new(ModelErrorKind::Overloaded, "too busy"));
        let stream = encode(dialect, &[ModelEvent::Text("a".to_owned()), failed]);
        let events = decode_in(dialect, &stream, 9);
        let Some(ModelEvent::Failed(error)) = events.last() else {
            panic!("{events:?}")
        };
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ModelErrorKind::Overloaded, "too busy"),
            "{}",
            dialect.name()
        );
    }
}

#[test]
fn errors_have_the_form_of_the_callers_dialect() {
    let check = |dialect: Dialect, wanted: Value| {
        let body: Value = serde_json::from_slice(&encode_error(dialect, 402, "budget_exceeded", "spent")).expect("JSON");
        assert_eq!(body, wanted);
    };
    let openai = json!({ "error": { "message": "spent", "type": "insufficient_quota", "code": "budget_exceeded", "param": null } });
    check(Dialect::OpenAiChat, openai.clone());
    check(Dialect::OpenAiResponses, openai);
    check(
        Dialect::Anthropic,
        json!({ "type": "error", "error": { "type": "billing_error", "message": "spent", "code": "budget_exceeded" } }),
    );
    let info = json!({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "budget_exceeded", "domain": "steward" });
    check(
        Dialect::Gemini,
        json!({ "error": { "code": 402, "message": "spent", "status": "PERMISSION_DENIED", "details": [info] } }),
    );
}

#[test]
fn an_error_event_carries_the_same_code() {
    let text = |dialect| String::from_utf8(encode_error_event(dialect, 402, "budget_exceeded", "spent")).expect("UTF-8");
    assert!(text(Dialect::OpenAiChat).starts_with(r#"data: {"error":{"message":"spent""#));
    assert!(text(Dialect::OpenAiChat).ends_with("data: [DONE]\n\n"));
    assert!(text(Dialect::Anthropic).starts_with("event: error\ndata: {\"type\":\"error\""));
    assert!(text(Dialect::Gemini).starts_with(r#"data: {"error":"#));
    for dialect in Dialect::ALL {
        assert!(text(dialect).contains("budget_exceeded"));
        assert!(matches!(decode(dialect, &text(dialect)).as_slice(), [ModelEvent::Failed(_)]));
    }
}

#[test]
fn refusals_name_the_field() {
    let check = |dialect: Dialect, body: &str, wanted: &str| {
        let error = decode_request(dialect, body.as_bytes()).expect_err("refused");
        assert_eq!((error.kind, error.message.as_str()), (ModelErrorKind::BadRequest, wanted));
    };
    use Dialect::{Anthropic, OpenAiChat};
    check(OpenAiChat, "[]", "the request body must be a JSON object");
    check(OpenAiChat, "{}", "model is missing");
    check(OpenAiChat, r#"{"model":"m"}"#, "messages is missing or empty");
    check(
        OpenAiChat,
        r#"{"model":"m","messages":[{"role":"x"}]}"#,
        r#"messages[0].role is "x"; it must be system, developer, user, assistant or tool"#,
    );
    check(
        OpenAiChat,
        r#"{"model":"m","messages":[{"role":"user","content":5}]}"#,
        "messages[0].content must be a text or a list of parts",
    );
    let image = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#;
    check(OpenAiChat, image, "messages[0].content[0].image_url.url must be a text");
    let message = r#""messages":[{"role":"user","content":"a"}]"#;
    check(
        OpenAiChat,
        &format!(r#"{{"model":"m",{message},"max_tokens":-1}}"#),
        "max_tokens must be a whole number, not below 0",
    );
    check(
        OpenAiChat,
        &format!(r#"{{"model":"m",{message},"n":2}}"#),
        "n must be 1: one answer is given to a request",
    );
    check(
        OpenAiChat,
        &format!(r#"{{"model":"m",{message},"tools":[{{"type":"function","function":{{}}}}]}}"#),
        "tools[0].function.name must be a text",
    );
    check(Anthropic, &format!(r#"{{"model":"m",{message}}}"#), "max_tokens is missing");
    check(
        Anthropic,
        r#"{"model":"m","max_tokens":1,"messages":[{"role":"user"}]}"#,
        "messages[0].content is missing",
    );
    let bad_json = decode_request(OpenAiChat, b"{").expect_err("refused");
    assert!(bad_json.message.starts_with("the request body is no valid JSON"));
}

#[test]
fn random_bodies_never_panic() {
    let chat = br#"{"model":"m","messages":[{"role":"assistant","content":[{"type":"text","text":"a"}],"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}]}"#;
    let mut random = crate::fixtures::Random(3);
    for round in 0..4000 {
        let mut body = chat.to_vec();
        for _ in 0..3 {
            let at = random.below(body.len());
            let word: &[u8] = [&b"null"[..], b"[]", b"{}", b"1", b"\"\""][random.below(5)];
            let end = (at + random.below(12)).min(body.len());
            body.splice(at..end, word.iter().copied());
        }
        for dialect in Dialect::ALL {
            if let Ok(read) = decode_request(dialect, &body) {
                for out in Dialect::ALL {
                    let encoded = crate::egress::encode_request(out, &read.request, crate::egress::Streaming::Whole, Quirks::default());
                    assert!(serde_json::from_slice::<Value>(&encoded.body).is_ok(), "round {round}");
                }
            }
        }
    }
}
