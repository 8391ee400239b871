//! Golden files of our own making: each caller's request as each provider gets it, and each provider's stream as each caller gets it.
//!
//! `STEWARD_GOLDEN=write cargo test -p steward-dialects --test golden` writes the outputs again; without it they are compared byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

use steward_dialects::Dialect;
use steward_dialects::egress::{EncodedRequest, Quirks, StreamDecoder, Streaming, encode_request};
use steward_dialects::ingress::{
    GeminiCall, IngressOptions, IngressRequest, StreamEncoder, decode_gemini_request, decode_request, encode_error, encode_response,
    public_status,
};
use steward_domain::model::ModelEvent;
use steward_domain::money::Usd;

const REQUESTS: [&str; 2] = ["full", "schema"];
const STREAMS: [&str; 5] = ["turns", "json", "limit", "refusal", "error"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Compares, or writes where that was asked for.
fn check(path: &Path, made: &[u8], wrong: &mut Vec<String>) {
    if std::env::var_os("STEWARD_GOLDEN").is_some_and(|word| word == "write") {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        fs::write(path, made).expect("a golden file can be written");
        return;
    }
    let wanted = fs::read(path).unwrap_or_default();
    if wanted != made {
        let made = String::from_utf8_lossy(made);
        wrong.push(format!("{} differs; made was:\n{made}", path.display()));
    }
}

fn read_request(dialect: Dialect, body: &[u8]) -> IngressRequest {
    let read = match dialect {
        Dialect::Gemini => {
            let call = GeminiCall::parse("default:streamGenerateContent", "alt=sse").expect("a call");
            decode_gemini_request(&call, body)
        }
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => decode_request(dialect, body),
    };
    read.unwrap_or_else(|error| panic!("{}: {error}", dialect.name()))
}

fn shown(request: &EncodedRequest) -> Vec<u8> {
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("a body is JSON");
    let mut text = format!("POST {}\n", request.path).into_bytes();
    text.extend(serde_json::to_vec_pretty(&body).expect("JSON"));
    text.push(b'\n');
    text
}

fn options() -> IngressOptions {
    IngressOptions {
        model: "default".to_owned(),
        id: "req_1".to_owned(),
        created_unix: 1_700_000_000,
        wants_usage: true,
    }
}

/// The provider's events, priced as the meter would.
fn events(dialect: Dialect, stream: &[u8]) -> Vec<ModelEvent> {
    let mut decoder = StreamDecoder::new(dialect, Quirks::default());
    let mut events = decoder.push(stream);
    events.extend(decoder.finish());
    if let Some(ModelEvent::Finished(finish)) = events.last_mut() {
        finish.cost = Usd::from_pico(412_000_000);
    }
    events
}

#[test]
fn every_request_reaches_every_provider_as_written_down() {
    let mut wrong = Vec::new();
    for ingress in Dialect::ALL {
        for case in REQUESTS {
            let body = fs::read(root().join(format!("callers/{}.{case}.json", ingress.name()))).expect("a caller's request");
            let read = read_request(ingress, &body);
            for egress in Dialect::ALL {
                let mut request = read.request.clone();
                request.model = "m".to_owned();
                let quirks = Quirks {
                    takes_reasoning_content: true,
                    takes_reasoning_details: true,
                    takes_thought_signatures: true,
                    ..Quirks::default()
                };
                let encoded = encode_request(egress, &request, Streaming::Streamed, quirks);
                let folder = root().join(format!("{}-{}", ingress.name(), egress.name()));
                check(&folder.join(format!("{case}.request-out.txt")), &shown(&encoded), &mut wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_stream_reaches_every_caller_as_written_down() {
    let mut wrong = Vec::new();
    for egress in Dialect::ALL {
        for case in STREAMS {
            let stream = fs::read(root().join(format!("providers/{}.{case}.sse", egress.name()))).expect("a provider's stream");
            let events = events(egress, &stream);
            for ingress in Dialect::ALL {
                let folder = root().join(format!("{}-{}", ingress.name(), egress.name()));
                let mut encoder = StreamEncoder::new(ingress, options());
                let told: Vec<u8> = events.iter().flat_map(|event| encoder.encode(event)).collect();
                check(&folder.join(format!("{case}.client.sse")), &told, &mut wrong);
                let mut whole = encode_response(ingress, &events, &options()).unwrap_or_else(|error| {
                    let (status, code) = public_status(error.kind);
                    encode_error(ingress, status, code, &error.message)
                });
                whole.push(b'\n');
                check(&folder.join(format!("{case}.client.json")), &whole, &mut wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_chunking_of_a_provider_does_not_show() {
    for egress in Dialect::ALL {
        for case in STREAMS {
            let stream = fs::read(root().join(format!("providers/{}.{case}.sse", egress.name()))).expect("a provider's stream");
            let wanted = events(egress, &stream);
            for at in 0..stream.len() {
                let mut decoder = StreamDecoder::new(egress, Quirks::default());
                let mut got = decoder.push(&stream[..at]);
                got.extend(decoder.push(&stream[at..]));
                got.extend(decoder.finish());
                if let Some(ModelEvent::Finished(finish)) = got.last_mut() {
                    finish.cost = Usd::from_pico(412_000_000);
                }
                assert_eq!(got, wanted, "{} {case} cut at {at}", egress.name());
            }
        }
    }
}
