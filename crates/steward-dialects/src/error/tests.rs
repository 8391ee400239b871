//! Refusals as providers send them.

use std::time::Duration;

use steward_domain::clock::Timestamp;
use steward_domain::model::{ModelErrorKind, Retry};

use super::decode_error;
use crate::Dialect;

const NOW: &str = "2026-01-01T00:00:00Z";

#[track_caller]
fn check(dialect: Dialect, status: u16, body: &str, kind: ModelErrorKind, message: &str) {
    let now: Timestamp = NOW.parse().expect("an instant");
    let error = decode_error(dialect, status, [], body.as_bytes(), now);
    assert_eq!((error.kind, error.message.as_str(), error.status), (kind, message, Some(status)));
}

#[test]
fn statuses_and_words_give_the_kind() {
    use Dialect::{Anthropic, Gemini, OpenAiChat};
    use ModelErrorKind as Kind;
    check(
        OpenAiChat,
        429,
        r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#,
        Kind::RateLimited,
        "slow down",
    );
    check(
        OpenAiChat,
        429,
        r#"{"error":{"message":"no money","code":"insufficient_quota"}}"#,
        Kind::Auth,
        "no money",
    );
    check(OpenAiChat, 401, r#"{"error":{"message":"bad key"}}"#, Kind::Auth, "bad key");
    check(OpenAiChat, 402, r#"{"error":"pay"}"#, Kind::Auth, "pay");
    check(OpenAiChat, 403, r#"{"message":"no"}"#, Kind::Auth, "no");
    check(
        OpenAiChat,
        404,
        r#"{"error":{"message":"no such model"}}"#,
        Kind::NotFound,
        "no such model",
    );
    check(
        OpenAiChat,
        400,
        r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#,
        Kind::ContextTooLong,
        "too long",
    );
    check(
        OpenAiChat,
        400,
        r#"{"error":{"message":"bad field"}}"#,
        Kind::BadRequest,
        "bad field",
    );
    check(
        OpenAiChat,
        422,
        r#"{"detail":[{"loc":["x"],"msg":"Field required"}]}"#,
        Kind::BadRequest,
        "Field required",
    );
    check(OpenAiChat, 500, "oops", Kind::Server, "oops");
    check(
        OpenAiChat,
        502,
        "<html>bad</html>",
        Kind::Server,
        "the provider answered with status 502 and no message",
    );
    check(
        OpenAiChat,
        503,
        "",
        Kind::Server,
        "the provider answered with status 503 and no message",
    );
    check(
        OpenAiChat,
        408,
        "",
        Kind::Timeout,
        "the provider answered with status 408 and no message",
    );
    check(OpenAiChat, 409, r#"{"error":{"message":"conflict"}}"#, Kind::Server, "conflict");
    let too_long = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 3 tokens > 2 maximum"}}"#;
    check(
        Anthropic,
        400,
        too_long,
        Kind::ContextTooLong,
        "prompt is too long: 3 tokens > 2 maximum",
    );
    check(
        Anthropic,
        529,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        Kind::Overloaded,
        "Overloaded",
    );
    check(
        Anthropic,
        500,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        Kind::Overloaded,
        "Overloaded",
    );
    check(
        Anthropic,
        400,
        r#"{"error":{"message":"Your credit balance is too low"}}"#,
        Kind::Auth,
        "Your credit balance is too low",
    );
    let gemini = r#"[{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}}]"#;
    check(
        Gemini,
        400,
        gemini,
        Kind::ContextTooLong,
        "The input token count (9) exceeds the maximum number of tokens allowed (8).",
    );
    let key = r#"{"error":{"code":400,"message":"API key not valid.","details":[{"reason":"API_KEY_INVALID"}]}}"#;
    check(Gemini, 400, key, Kind::Auth, "API key not valid.");
    check(
        Gemini,
        503,
        r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#,
        Kind::Overloaded,
        "busy",
    );
}

#[track_caller]
fn check_wait(headers: &[(&str, &str)], body: &str, wanted: Retry) {
    let now: Timestamp = NOW.parse().expect("an instant");
    let error = decode_error(Dialect::OpenAiChat, 429, headers.iter().copied(), body.as_bytes(), now);
    assert_eq!(error.retry, wanted);
}

#[test]
fn waits_come_in_seconds_milliseconds_dates_and_bodies() {
    check_wait(&[], "", Retry::Now);
    check_wait(&[("Retry-After", "7")], "", Retry::After(Duration::from_secs(7)));
    check_wait(&[("retry-after", "1.5")], "", Retry::After(Duration::from_millis(1500)));
    check_wait(
        &[("retry-after", "7"), ("retry-after-ms", "250")],
        "",
        Retry::After(Duration::from_millis(250)),
    );
    check_wait(
        &[("retry-after", "Thu, 01 Jan 2026 00:01:00 GMT")],
        "",
        Retry::After(Duration::from_secs(60)),
    );
    check_wait(
        &[("retry-after", "Wed, 31 Dec 2025 00:00:00 GMT")],
        "",
        Retry::After(Duration::ZERO),
    );
    check_wait(&[("retry-after", "soon")], "", Retry::Now);
    check_wait(&[("retry-after", "1e300")], "", Retry::Now);
    check_wait(
        &[],
        r#"{"error":{"message":"x","details":[{"retryDelay":"34s"}]}}"#,
        Retry::After(Duration::from_secs(34)),
    );
}

#[test]
fn a_refusal_that_time_does_not_heal_asks_for_no_wait() {
    let now: Timestamp = NOW.parse().expect("an instant");
    let error = decode_error(Dialect::OpenAiChat, 400, [("retry-after", "7")], b"{}", now);
    assert_eq!(error.retry, Retry::Never);
}
