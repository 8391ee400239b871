//! What every dialect promises on the way out: the same events however the bytes are cut, and never a panic.

use steward_domain::model::{ModelErrorKind, ModelEvent, Retry};

use super::{Quirks, StreamDecoder, decode_response, join_url};
use crate::Dialect;
use crate::fixtures::{Random, decode, decode_in, meaning_of, stream_of};

#[test]
fn every_stream_means_the_same_however_it_is_cut() {
    let mut random = Random(42);
    for dialect in Dialect::ALL {
        let stream = stream_of(dialect);
        let meaning = meaning_of(dialect);
        assert_eq!(decode(dialect, stream), meaning, "{} whole", dialect.name());
        assert_eq!(decode_in(dialect, stream.as_bytes(), 1), meaning, "{} byte by byte", dialect.name());
        for _ in 0..200 {
            let mut decoder = StreamDecoder::new(dialect, Quirks::default());
            let mut events = Vec::new();
            let mut rest = stream.as_bytes();
            while !rest.is_empty() {
                let (piece, next) = rest.split_at(1 + random.below(rest.len().min(300)));
                events.extend(decoder.push(piece));
                rest = next;
            }
            events.extend(decoder.finish());
            assert_eq!(events, meaning, "{} in random pieces", dialect.name());
        }
    }
}

#[test]
fn every_stream_may_end_its_lines_as_it_likes() {
    for dialect in Dialect::ALL {
        let plain = stream_of(dialect).replace("\r\n", "\n");
        for end in ["\n", "\r\n", "\r"] {
            let stream = plain.replace('\n', end);
            assert_eq!(
                decode_in(dialect, stream.as_bytes(), 7),
                meaning_of(dialect),
                "{} {end:?}",
                dialect.name()
            );
        }
    }
}

#[test]
fn a_stream_cut_anywhere_ends_with_one_last_event() {
    for dialect in Dialect::ALL {
        let stream = stream_of(dialect).as_bytes();
        let whole = meaning_of(dialect);
        for end in 0..stream.len() {
            let events = decode_in(dialect, &stream[..end], 64);
            let (last, before) = events.split_last().expect("there is a last event");
            assert!(
                before
                    .iter()
                    .all(|event| !matches!(event, ModelEvent::Finished(_) | ModelEvent::Failed(_)))
            );
            match last {
                ModelEvent::Finished(_) => assert_eq!(before.len(), whole.len() - 1, "{} at {end}", dialect.name()),
                ModelEvent::Failed(error) => {
                    assert_eq!(error.kind, ModelErrorKind::Cut, "{} at {end}: {error}", dialect.name());
                    let may_retry = error.retry != Retry::Never;
                    assert!(
                        before.is_empty() || !may_retry,
                        "{} at {end}: content is not repeated",
                        dialect.name()
                    );
                }
                other => panic!("{} at {end}: {other:?} is no last event", dialect.name()),
            }
        }
    }
}

#[test]
fn an_empty_stream_is_cut_and_may_be_tried_again() {
    for dialect in Dialect::ALL {
        for stream in ["", "\n\n", ": ping\n\n", "data: [DONE]\n\n"] {
            let events = decode(dialect, stream);
            let [ModelEvent::Failed(error)] = events.as_slice() else {
                panic!("{events:?}")
            };
            assert_eq!((error.kind, error.retry), (ModelErrorKind::Cut, Retry::Now));
        }
    }
}

#[test]
fn twenty_thousand_mutations_never_panic_and_always_end() {
    let mut random = Random(7);
    for round in 0..20_000 {
        let dialect = Dialect::ALL[round % 4];
        let mut bytes = stream_of(dialect).as_bytes().to_vec();
        for _ in 0..=random.below(8) {
            mutate(&mut bytes, &mut random);
        }
        let events = decode_in(dialect, &bytes, 1 + random.below(600));
        let ends = events
            .iter()
            .filter(|event| matches!(event, ModelEvent::Finished(_) | ModelEvent::Failed(_)))
            .count();
        assert_eq!(ends, 1, "{} round {round}", dialect.name());
        let _ = decode_response(dialect, &bytes, Quirks::default());
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const WORDS: [&[u8]; 12] = [
        b"null",
        b"\"",
        b"{",
        b"}",
        b"[]",
        b"-1",
        b"1e999",
        b"\n\n",
        b"data: ",
        b"\xff\xfe",
        b"true",
        b"18446744073709551615",
    ];
    let at = random.below(bytes.len());
    let length = random.below(40).min(bytes.len() - at);
    match random.below(5) {
        0 => bytes[at] = u8::try_from(random.below(256)).expect("a byte"),
        1 => drop(bytes.drain(at..at + length)),
        2 => {
            let word = WORDS[random.below(WORDS.len())];
            bytes.splice(at..at, word.iter().copied());
        }
        3 => {
            let copy = bytes[at..at + length].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, copy);
        }
        _ => {
            let word = WORDS[random.below(WORDS.len())];
            bytes.splice(at..at + length, word.iter().copied());
        }
    }
    if bytes.is_empty() {
        bytes.push(b'\n');
    }
}

#[test]
fn a_stream_that_is_plain_json_is_read_as_one_answer() {
    let body = br#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
    let events = decode_in(Dialect::OpenAiChat, body, 3);
    assert_eq!(events[0], ModelEvent::Text("hi".to_owned()));
    assert_eq!(events.len(), 2);
    let list = br#"[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]},{"candidates":[{"finishReason":"STOP"}]}]"#;
    let events = decode_in(Dialect::Gemini, list, 5);
    assert_eq!(events[0], ModelEvent::Text("a".to_owned()));
    assert_eq!(events.len(), 2);
}

#[test]
fn usage_is_known_before_the_end_for_the_bill_of_a_cut_stream() {
    let mut decoder = StreamDecoder::new(Dialect::Anthropic, Quirks::default());
    let start = stream_of(Dialect::Anthropic).split_once("event: ping").expect("there is a ping").0;
    decoder.push(start.as_bytes());
    let usage = decoder.usage().expect("message_start reports usage");
    assert_eq!((usage.input, usage.cached_input, usage.output), (60, 40, 1));
}

#[test]
fn nothing_follows_the_last_event() {
    let mut decoder = StreamDecoder::new(Dialect::OpenAiChat, Quirks::default());
    let stream = stream_of(Dialect::OpenAiChat);
    decoder.push(stream.as_bytes());
    assert!(decoder.is_over());
    assert_eq!(decoder.push(stream.as_bytes()), []);
    assert_eq!(decoder.finish(), []);
}

#[test]
fn an_event_over_the_limit_fails_in_place_of_filling_memory() {
    let mut decoder = StreamDecoder::new(Dialect::OpenAiChat, Quirks::default());
    let piece = vec![b'x'; 1024 * 1024];
    decoder.push(b"data: ");
    let events: Vec<ModelEvent> = (0..20).flat_map(|_| decoder.push(&piece)).collect();
    let [ModelEvent::Failed(error)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(error.kind, ModelErrorKind::Malformed);
}

#[test]
fn a_base_with_a_path_is_used_as_it_is() {
    let check = |base: &str, path: &str, wanted: &str| assert_eq!(join_url(base, path), wanted);
    check(
        "https://api.openai.com",
        "/v1/chat/completions",
        "https://api.openai.com/v1/chat/completions",
    );
    check(
        "https://api.openai.com/",
        "/v1/chat/completions",
        "https://api.openai.com/v1/chat/completions",
    );
    check(
        "https://api.openai.com/v1",
        "/v1/chat/completions",
        "https://api.openai.com/v1/chat/completions",
    );
    check(
        "https://api.groq.com/openai/v1/",
        "/v1/chat/completions",
        "https://api.groq.com/openai/v1/chat/completions",
    );
    check("http://127.0.0.1:8080", "/v1/messages", "http://127.0.0.1:8080/v1/messages");
    check(
        "https://x.test/v1beta",
        "/v1beta/models/g:generateContent",
        "https://x.test/v1beta/models/g:generateContent",
    );
}
