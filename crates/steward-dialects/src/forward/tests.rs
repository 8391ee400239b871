//! The scan and the full readers agree, however the bytes are cut, and what passes is what came.

use bytes::Bytes;
use serde_json::{Value, json};
use steward_domain::message::Part;
use steward_domain::model::{FinishReason, ModelErrorKind, ModelEvent, ModelRequest};
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};

use super::{End, RequestHead, UsageScan, UsageWish, WholeScan};
use crate::Dialect;
use crate::egress::{Quirks, StreamDecoder, Streaming, decode_response, encode_request};
use crate::fixtures::{Random, full_request, meaning_of, stream_of};
use crate::ingress::{IngressOptions, decode_request, encode_error_event, encode_response};

/// What a reader made of a stream.
#[derive(Debug, PartialEq)]
struct Read {
    has_content: bool,
    usage: Option<Usage>,
    end: Result<FinishReason, ModelErrorKind>,
}

fn read_in_full(dialect: Dialect, pieces: &[&[u8]]) -> Read {
    let mut decoder = StreamDecoder::new(dialect, Quirks::default());
    let mut events: Vec<ModelEvent> = pieces.iter().flat_map(|piece| decoder.push(piece)).collect();
    events.extend(decoder.finish());
    let has_content = events.len() > 1;
    match events.pop() {
        Some(ModelEvent::Finished(finish)) => Read {
            has_content,
            usage: (finish.usage_source == UsageSource::Reported).then_some(finish.usage),
            end: Ok(finish.reason),
        },
        Some(ModelEvent::Failed(error)) => Read {
            has_content,
            usage: decoder.usage(),
            end: Err(error.kind),
        },
        other => panic!("{other:?}"),
    }
}

/// What the scan makes of it, and the bytes that pass.
fn scan(dialect: Dialect, pieces: &[&[u8]], wants_usage: bool, cost: Option<Usd>) -> (Read, Vec<u8>) {
    let mut scan = UsageScan::new(dialect, Quirks::default(), wants_usage);
    let mut out = Vec::new();
    for piece in pieces {
        scan.push(&Bytes::copy_from_slice(piece), &mut out);
    }
    scan.finish(&mut out);
    out.push(scan.close(cost));
    let end = match scan.end().expect("an end") {
        End::Finished(reason) => Ok(*reason),
        End::Failed(error) => Err(error.kind),
        End::Cut => Err(ModelErrorKind::Cut),
    };
    let read = Read {
        has_content: scan.has_content(),
        usage: scan.usage(),
        end,
    };
    (read, out.concat())
}

fn streams(dialect: Dialect) -> Vec<String> {
    let plain = stream_of(dialect).replace("\r\n", "\n");
    let half: String = plain.chars().take(plain.chars().count() / 2).collect();
    let error = String::from_utf8(encode_error_event(dialect, 503, "overloaded", "too busy")).expect("UTF-8");
    let start = plain.split_inclusive("\n\n").take(7).collect::<String>();
    let mut streams = vec![
        plain.replace('\n', "\r\n"),
        plain.replace('\n', "\r"),
        half,
        format!("{start}{error}"),
        error,
    ];
    // Where an answer rides in a forced tool, the full reader unwraps it; the scan tells what the wire says.
    let on_the_wire = |stream: &String| !stream.contains("give_answer");
    streams.extend(crate::golden::streams_of(dialect).into_iter().filter(on_the_wire));
    streams.push(plain);
    streams
}

#[test]
fn the_scan_agrees_with_the_full_reader_at_every_split_and_nothing_is_changed() {
    for dialect in Dialect::ALL {
        for stream in streams(dialect) {
            let bytes = stream.as_bytes();
            let wanted = read_in_full(dialect, &[bytes]);
            for at in 0..bytes.len() {
                let (first, second) = bytes.split_at(at);
                let (read, passed) = scan(dialect, &[first, second], true, None);
                assert_eq!(read, wanted, "{} cut at {at}: {stream}", dialect.name());
                let is_prefix = bytes.starts_with(&passed);
                // Line ends behind the last event may stay behind.
                let is_whole = wanted.end.is_err() || passed.trim_ascii_end() == bytes.trim_ascii_end();
                assert!(is_prefix && is_whole, "{} cut at {at}", dialect.name());
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(scan(dialect, &single, true, None).0, wanted, "{} byte by byte", dialect.name());
        }
    }
}

#[test]
fn random_pieces_of_mutated_streams_never_panic_and_agree_on_the_end() {
    let mut random = Random(99);
    for round in 0..4_000 {
        let dialect = Dialect::ALL[round % 4];
        let mut bytes = stream_of(dialect).as_bytes().to_vec();
        for _ in 0..random.below(4) {
            let at = random.below(bytes.len());
            let end = (at + random.below(30)).min(bytes.len());
            bytes.splice(at..end, [b'{', b'"', b'\n'].into_iter().take(random.below(4)));
        }
        let size = 1 + random.below(200);
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        let (_, in_pieces) = scan(dialect, &pieces, true, None);
        let (_, whole) = scan(dialect, &[&bytes], true, None);
        assert!(
            in_pieces.trim_ascii_end() == whole.trim_ascii_end(),
            "{} round {round}",
            dialect.name()
        );
    }
}

#[test]
fn the_cost_stands_in_the_last_usage_object_and_only_there() {
    let cost = Usd::from_pico(412_000_000);
    for dialect in Dialect::ALL {
        let stream = stream_of(dialect);
        for size in [1, 7, 100, 100_000] {
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            let (_, passed) = scan(dialect, &pieces, true, Some(cost));
            let passed = String::from_utf8(passed).expect("UTF-8");
            let added = ",\"cost_usd\":\"0.000412\"";
            assert_eq!(passed.matches(added).count(), 1, "{}", dialect.name());
            assert_eq!(passed.replace(added, "").trim_end(), stream.trim_end(), "{}", dialect.name());
        }
    }
}

#[test]
fn a_chat_client_that_did_not_ask_sees_no_usage_chunk() {
    let stream = stream_of(Dialect::OpenAiChat);
    let hidden = stream
        .split_inclusive("\n\n")
        .filter(|event| !event.contains("\"usage\""))
        .collect::<String>();
    for size in [1, 5, 64, 100_000] {
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
        let (read, passed) = scan(Dialect::OpenAiChat, &pieces, false, Some(Usd::from_pico(1)));
        assert_eq!(String::from_utf8(passed).expect("UTF-8"), hidden, "pieces of {size}");
        assert_eq!(read.usage.map(|usage| usage.total_output()), Some(30));
    }
}

#[test]
fn content_passes_before_the_end_without_a_copy() {
    let mut scan = UsageScan::new(Dialect::OpenAiChat, Quirks::default(), true);
    let chunk = Bytes::from_static(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"}}]}\n\n");
    let mut out = Vec::new();
    scan.push(&chunk, &mut out);
    assert!(scan.has_content() && scan.end().is_none());
    assert_eq!(out.len(), 1);
    assert_eq!((out[0].as_ptr(), out[0].len()), (chunk.as_ptr(), chunk.len()));
}

#[test]
fn whole_answers_are_read_like_the_full_reader_reads_them() {
    let options = IngressOptions {
        model: "m".to_owned(),
        id: "r".to_owned(),
        created_unix: 0,
        wants_usage: true,
    };
    for dialect in Dialect::ALL {
        let events = meaning_of(dialect);
        let body = Bytes::from(encode_response(dialect, &events, &options).expect("whole"));
        let read = WholeScan::scan(dialect, Quirks::default(), &body);
        let Some(ModelEvent::Finished(finish)) = events.last() else {
            panic!("an end")
        };
        assert_eq!(
            (read.usage, &read.result),
            (Some(finish.usage), &Ok(finish.reason)),
            "{}",
            dialect.name()
        );
        let priced = read.with_cost(&body, Usd::from_pico(5_000_000_000));
        let text = String::from_utf8(priced.to_vec()).expect("UTF-8");
        assert_eq!(text.matches("\"cost_usd\":\"0.005\"").count(), 1);
        let bare = String::from_utf8(body.to_vec()).expect("UTF-8").replace(",\"cost_usd\":\"0\"", "");
        assert!(
            WholeScan::scan(dialect, Quirks::default(), bare.as_bytes())
                .with_cost(&Bytes::from(bare), Usd::ZERO)
                .eq(&body)
        );
        for cut in [
            &body[..body.len() / 2],
            b"",
            b"[]",
            b"{}",
            br#"{"error":{"message":"no","type":"x"}}"#,
        ] {
            let read = WholeScan::scan(dialect, Quirks::default(), cut);
            let wanted = decode_response(dialect, cut, Quirks::default())
                .map(|_| ())
                .map_err(|error| error.kind);
            assert_eq!(read.result.map(|_| ()).map_err(|error| error.kind), wanted, "{}", dialect.name());
        }
    }
}

fn has_image(request: &ModelRequest) -> bool {
    fn holds(part: &Part) -> bool {
        match part {
            Part::Image { .. } => true,
            Part::ToolResult { content, .. } => content.iter().any(holds),
            _ => false,
        }
    }
    request.messages.iter().flat_map(|message| &message.parts).any(holds)
}

fn bodies(dialect: Dialect) -> Vec<Vec<u8>> {
    let mut plain = full_request();
    for message in &mut plain.messages {
        message
            .parts
            .retain(|part| matches!(part, Part::Text { .. } | Part::Thinking { .. } | Part::ToolCall(_)));
        message.parts.push(Part::text("image \"type\":\"image\" image_url \\ end"));
    }
    plain.tools.clear();
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    for request in [full_request(), plain] {
        for streaming in [Streaming::Whole, Streaming::Streamed] {
            let body = encode_request(dialect, &request, streaming, Quirks::default()).body;
            let value: Value = serde_json::from_slice(&body).expect("JSON");
            bodies.push(serde_json::to_vec_pretty(&value).expect("JSON"));
            bodies.push(body);
        }
    }
    bodies.extend(crate::golden::requests_of(dialect));
    bodies
}

#[test]
fn the_head_agrees_with_the_full_reader() {
    for dialect in Dialect::ALL {
        for body in bodies(dialect) {
            let head = RequestHead::scan(dialect, &body).expect("readable");
            let read = match dialect {
                Dialect::Gemini => {
                    let call = crate::ingress::GeminiCall::parse("m:generateContent", "").expect("a call");
                    crate::ingress::decode_gemini_request(&call, &body)
                }
                _ => decode_request(dialect, &body),
            };
            let read = read.expect("readable");
            let shown = String::from_utf8_lossy(&body).into_owned();
            if dialect != Dialect::Gemini {
                assert_eq!((&head.model, head.is_stream), (&read.request.model, read.is_stream), "{shown}");
            }
            assert_eq!(head.max_output_tokens, read.request.max_output_tokens, "{shown}");
            assert_eq!(head.has_tools, !read.request.tools.is_empty(), "{shown}");
            assert_eq!(head.has_images, has_image(&read.request), "{shown}");
            assert_eq!((&head.user, head.wants_usage), (&read.user, read.wants_usage), "{shown}");
            assert!(head.message_bytes > 0 && head.message_bytes < body.len());
        }
    }
}

#[test]
fn only_the_model_and_the_wish_for_usage_are_changed() {
    let check = |body: &str, wish: UsageWish, wanted: &str| {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let head = RequestHead::scan(Dialect::OpenAiChat, &bytes).expect("readable");
        let changed = head.with_model(&bytes, "gpt-\"5", wish);
        assert_eq!(String::from_utf8(changed.to_vec()).expect("UTF-8"), wanted);
    };
    check(
        r#" { "messages":[ {"role":"user"} ],  "model" : "openai/gpt-5" ,"x":1e3}"#,
        UsageWish::Ask,
        r#" { "messages":[ {"role":"user"} ],  "model" : "gpt-\"5" ,"x":1e3}"#,
    );
    check(
        r#"{"model":"m","stream":true}"#,
        UsageWish::Ask,
        r#"{"stream_options":{"include_usage":true},"model":"gpt-\"5","stream":true}"#,
    );
    check(
        r#"{"model":"m","stream":true}"#,
        UsageWish::Leave,
        r#"{"model":"gpt-\"5","stream":true}"#,
    );
    check(
        r#"{"stream_options":{"include_obfuscation":false},"model":"m","stream":true}"#,
        UsageWish::Ask,
        r#"{"stream_options":{"include_obfuscation":false,"include_usage":true},"model":"gpt-\"5","stream":true}"#,
    );
    check(
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
        UsageWish::Ask,
        r#"{"model":"gpt-\"5","stream":true,"stream_options":{"include_usage":true}}"#,
    );
    let bytes = Bytes::from_static(br#"{"model":"m"}"#);
    let head = RequestHead::scan(Dialect::Anthropic, &bytes).expect("readable");
    assert_eq!(head.with_model(&bytes, "m", UsageWish::Ask).as_ptr(), bytes.as_ptr());
}

#[test]
fn a_body_that_readers_could_understand_in_two_ways_is_refused() {
    let check = |body: &str, wanted: &str| {
        let error = RequestHead::scan(Dialect::OpenAiChat, body.as_bytes()).expect_err("refused");
        assert_eq!(error.kind, ModelErrorKind::BadRequest);
        assert!(error.message.contains(wanted), "{}", error.message);
    };
    check(r#"{"model":"a","model":"b"}"#, "model is given twice");
    check(r#"{"mod\u0065l":"a","model":"b"}"#, "model is given twice");
    check(r#"{"messages":[]}"#, "model is missing");
    check(r#"{"model":7}"#, "model must be a text");
    check(r#"{"model":"a","stream":"yes"}"#, "stream must be true or false");
    check(r#"{"model":"a","max_tokens":-1}"#, "max_tokens must be a whole number");
    check(r#"{"model":"a"} x"#, "no valid JSON");
    check(r#"{"model":"a","x":[}"#, "no valid JSON");
    check(r#"{"model":"a""#, "no valid JSON");
    check("[]", "must be a JSON object");
    check("", "no valid JSON");
    let deep = format!(r#"{{"model":"a","x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    check(&deep, "no valid JSON");
}

#[test]
fn several_answers_stored_state_and_media_are_seen() {
    let data = "A".repeat(1000);
    let body = json!({ "model": "m", "input": [{ "role": "user", "content": [{ "type": "input_image", "image_url": format!("data:image/png;base64,{data}") }] }], "previous_response_id": "r" });
    let head = RequestHead::scan(Dialect::OpenAiResponses, body.to_string().as_bytes()).expect("readable");
    assert!(head.needs_stored_state && head.has_images);
    assert_eq!(head.media_bytes, data.len() + "data:image/png;base64,".len());
    let head = RequestHead::scan(Dialect::OpenAiChat, br#"{"model":"m","n":3}"#).expect("readable");
    assert_eq!(head.answers, 3);
    let escaped = br#"{"model":"m","messages":[{"content":[{"t\u0079pe":"im\u0061ge_url"}]}]}"#;
    assert!(RequestHead::scan(Dialect::OpenAiChat, escaped).expect("readable").has_images);
}
