//! Our dialects against the scripted model's wires, which share no code: what one writes, the other reads.

use serde_json::{Value, json};
use steward_dialects::Dialect;
use steward_dialects::egress::{Quirks, StreamDecoder, Streaming, decode_response, encode_request};
use steward_dialects::fold::{Answer as Folded, fold};
use steward_domain::message::{Message, Part, Role, ToolCall};
use steward_domain::model::{FinishReason, ModelErrorKind, ModelEvent, ModelRequest, ToolDefinition};
use steward_domain::usage::Usage;
use steward_testkit::conversation::Conversation;
use steward_testkit::script::{Reply, ScriptedError};
use steward_testkit::wire::{Answer, Wire};

const PAIRS: [(Dialect, Wire); 4] = [
    (Dialect::OpenAiChat, Wire::OpenaiChat),
    (Dialect::OpenAiResponses, Wire::OpenaiResponses),
    (Dialect::Anthropic, Wire::Anthropic),
    (Dialect::Gemini, Wire::Gemini),
];

const USAGE: Usage = Usage {
    input: 40,
    cached_input: 10,
    cache_write_5m: 0,
    cache_write_1h: 0,
    output: 7,
    reasoning: 0,
    audio_input: 0,
    audio_output: 0,
    images: 0,
};

fn call(id: &str, path: &str) -> Part {
    Part::ToolCall(ToolCall {
        id: id.into(),
        name: "read".to_owned(),
        arguments: json!({"path": path}).to_string(),
        signature: None,
    })
}

fn result(id: &str, text: &str) -> Part {
    Part::ToolResult {
        call_id: id.into(),
        name: "read".to_owned(),
        content: vec![Part::text(text)],
        is_error: false,
    }
}

/// Rules, a question, two calls at once, their results.
fn request() -> ModelRequest {
    let message = |role, parts| Message { role, parts };
    let mut request = ModelRequest::new(
        "m",
        vec![
            Message::text(Role::System, "rules"),
            Message::text(Role::User, "read both"),
            message(
                Role::Assistant,
                vec![Part::text("Reading."), call("call_1", "a.txt"), call("call_2", "b.txt")],
            ),
            message(Role::User, vec![result("call_1", "alpha"), result("call_2", "beta")]),
        ],
    );
    request.tools = vec![ToolDefinition {
        name: "read".to_owned(),
        description: "Reads a file.".to_owned(),
        input_schema: json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}),
        extra: serde_json::Map::new(),
    }];
    request.max_output_tokens = Some(100);
    request
}

fn heard(dialect: Dialect, wire: Wire) -> Conversation {
    let encoded = encode_request(dialect, &request(), Streaming::Streamed, Quirks::default());
    let body: Value = serde_json::from_slice(&encoded.body).expect("the request is JSON");
    wire.read(&body, "m")
        .unwrap_or_else(|rule| panic!("{dialect:?}: the provider refuses: {rule}\n{body:#}"))
}

/// Streams an answer through the decoder in slices that cut characters and lines.
fn decode(dialect: Dialect, bytes: &[u8]) -> Vec<ModelEvent> {
    let mut decoder = StreamDecoder::new(dialect, Quirks::default());
    let mut events: Vec<ModelEvent> = bytes.chunks(3).flat_map(|slice| decoder.push(slice)).collect();
    events.extend(decoder.finish());
    events
}

fn stream(wire: Wire, answer: &Answer) -> Vec<u8> {
    let events = wire.events(answer, wire.wishes(&json!({"stream_options": {"include_usage": true}})));
    events.iter().map(|event| wire.frame(event)).collect::<String>().into_bytes()
}

#[test]
fn every_provider_takes_what_we_send() {
    for (dialect, wire) in PAIRS {
        let conversation = heard(dialect, wire);
        assert_eq!(conversation.system_text(), "rules", "{dialect:?}");
        assert_eq!(conversation.last_user_text(), "read both", "{dialect:?}");
        assert_eq!(conversation.step(), 1, "{dialect:?}");
        assert_eq!(conversation.recent_tool_results(), ["alpha", "beta"], "{dialect:?}");
        assert_eq!(conversation.tools, ["read"], "{dialect:?}");
    }
}

#[track_caller]
fn check_answer(folded: &Folded, reply: &Reply, dialect: Dialect) {
    assert_eq!(folded.message.joined_text(), reply.text, "{dialect:?}");
    let calls = folded.message.parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some((
            call.name.clone(),
            serde_json::from_str::<Value>(&call.arguments).expect("arguments are JSON"),
        )),
        Part::Text { .. }
        | Part::Image { .. }
        | Part::File { .. }
        | Part::Thinking { .. }
        | Part::ToolResult { .. }
        | Part::Opaque { .. } => None,
    });
    let wanted: Vec<(String, Value)> = reply
        .tool_calls
        .iter()
        .map(|call| (call.name.clone(), call.arguments.clone()))
        .collect();
    assert_eq!(calls.collect::<Vec<_>>(), wanted, "{dialect:?}");
    assert_eq!(folded.finish.usage, USAGE, "{dialect:?}");
    let reason = if reply.tool_calls.is_empty() {
        FinishReason::Stop
    } else {
        FinishReason::ToolCalls
    };
    assert_eq!(folded.finish.reason, reason, "{dialect:?}");
}

#[test]
fn we_read_what_every_provider_answers() {
    let replies = [
        Reply::text("Grüße aus dem Süden 🙂, all is well."),
        Reply {
            text: "Looking at both.".to_owned(),
            ..Reply::calls([("read", json!({"path": "ä.txt"})), ("list", json!({}))])
        },
    ];
    for (dialect, wire) in PAIRS {
        for reply in &replies {
            let reply = Reply {
                usage: Some(USAGE),
                ..reply.clone()
            };
            let answer = Answer::new(&reply, &heard(dialect, wire));
            let streamed = fold(&decode(dialect, &stream(wire, &answer))).expect("the stream is an answer");
            check_answer(&streamed, &reply, dialect);
            let body = wire.whole(&answer).to_string();
            let events = decode_response(dialect, body.as_bytes(), Quirks::default()).expect("the body is an answer");
            check_answer(&fold(&events).expect("the body is an answer"), &reply, dialect);
        }
    }
}

#[test]
fn a_thought_comes_before_the_text_and_can_be_sent_back() {
    for (dialect, wire) in PAIRS {
        let reply = Reply {
            thinking: Some("Let me see.".to_owned()),
            ..Reply::text("Done.")
        };
        let answer = Answer::new(&reply, &heard(dialect, wire));
        let folded = fold(&decode(dialect, &stream(wire, &answer))).expect("the stream is an answer");
        let first = folded.message.parts.first();
        assert!(
            matches!(first, Some(Part::Thinking { text, .. }) if text == "Let me see."),
            "{dialect:?}: {first:?}"
        );

        let mut next = request();
        next.messages.push(folded.message);
        next.messages.push(Message::text(Role::User, "and now?"));
        let encoded = encode_request(dialect, &next, Streaming::Whole, Quirks::default());
        let body: Value = serde_json::from_slice(&encoded.body).expect("the request is JSON");
        let conversation = wire
            .read(&body, "m")
            .unwrap_or_else(|rule| panic!("{dialect:?}: the provider refuses: {rule}\n{body:#}"));
        assert_eq!(conversation.last_user_text(), "and now?", "{dialect:?}");
    }
}

#[test]
fn a_stream_that_breaks_off_is_an_error_and_never_an_answer() {
    for (dialect, wire) in PAIRS {
        let answer = Answer::new(&Reply::text("one two three four"), &heard(dialect, wire));
        let whole = stream(wire, &answer);
        for end in (0..whole.len() / 2).step_by(17) {
            let events = decode(dialect, &whole[..end]);
            assert!(
                matches!(events.last(), Some(ModelEvent::Failed(_))),
                "{dialect:?} cut at {end}: {events:?}"
            );
        }
    }
}

#[test]
fn an_error_in_a_stream_keeps_its_kind() {
    for (dialect, wire) in PAIRS {
        for (status, kind) in [(429, ModelErrorKind::RateLimited), (500, ModelErrorKind::Server)] {
            let error = ScriptedError {
                status,
                ..ScriptedError::default()
            };
            let events = decode(dialect, wire.frame(&wire.error_event(&error)).as_bytes());
            let Some(ModelEvent::Failed(failure)) = events.last() else {
                panic!("{dialect:?} {status}: {events:?}");
            };
            assert_eq!(failure.kind, kind, "{dialect:?} {status}: {failure:?}");
        }
    }
}
