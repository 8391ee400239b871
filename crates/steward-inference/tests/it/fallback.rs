use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use steward_domain::message::{Message, Role};
use steward_domain::model::{ModelErrorKind, ModelRequest, Retry, ToolDefinition};
use steward_testkit::fake_clock::FakeClock;
use steward_testkit::script::{ErrorKind, Reply, ScriptedError};

use super::bench::{Bench, Ledger, attempts, provider, server, tables, two};

fn limited(retry_after: &str) -> Reply {
    Reply {
        error: Some(ScriptedError {
            status: 429,
            retry_after: Some(retry_after.into()),
            ..ScriptedError::default()
        }),
        ..Reply::default()
    }
}

fn too_long() -> Reply {
    Reply {
        error: Some(ScriptedError {
            status: 400,
            kind: ErrorKind::ContextTooLong,
            ..ScriptedError::default()
        }),
        ..Reply::default()
    }
}

fn named(attempts: &[(String, Option<u16>)]) -> Vec<(&str, Option<u16>)> {
    attempts.iter().map(|(target, status)| (target.as_str(), *status)).collect()
}

#[tokio::test]
async fn a_rate_limit_is_tried_again_and_then_the_next_target_answers() {
    let (one, other) = (
        server([Reply::error(429), Reply::error(429)]).await,
        server([Reply::text("from two")]).await,
    );
    let bench = Bench::new(&two(&one, &other));
    let outcome = bench.ask("default").await;
    assert_eq!(outcome.text(), "from two");
    assert_eq!((outcome.answerer().target.as_str(), outcome.answerer().attempts), ("two/m", 3));
    assert_eq!((one.count(), other.count()), (2, 1));
    assert_eq!(
        named(&attempts(&bench, &outcome)),
        [("one/m", Some(429)), ("one/m", Some(429)), ("two/m", None)]
    );
    let booked = bench.ledger.booked();
    assert_eq!(booked.len(), 1);
    assert_eq!(
        (booked[0].route.as_str(), booked[0].target.as_str(), booked[0].status.as_str()),
        ("default", "two/m", "ok")
    );
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn a_server_error_heals_on_the_second_try() {
    let (one, other) = (server([Reply::error(500), Reply::text("better")]).await, server([]).await);
    let bench = Bench::new(&two(&one, &other));
    let outcome = bench.ask("default").await;
    assert_eq!((outcome.text().as_str(), outcome.answerer().attempts), ("better", 2));
    assert_eq!(other.count(), 0);
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn nothing_of_the_first_provider_reaches_the_second() {
    let (one, other) = (server([Reply::error(500)]).await, server([Reply::text("ok")]).await);
    let bench = Bench::new(&two(&one, &other));
    bench.ask("default").await;
    let sent = &other.requests()[0];
    let shown = format!("{:?} {}", sent.headers, sent.body);
    assert!(
        !shown.contains("key-of-one") && !sent.headers.contains_key("authorization"),
        "{shown}"
    );
    assert_eq!(sent.headers["x-api-key"], "key-of-two");
    assert_eq!(sent.body["model"], "m");
}

#[tokio::test]
async fn silence_before_the_first_token_falls_back() {
    let mut slow = Reply::text("too late");
    slow.delay_first_ms = 60_000;
    let (one, other) = (server([slow]).await, server([Reply::text("in time")]).await);
    let config = two(&one, &other) + "timeout = { first_token = \"80ms\" }\n";
    let bench = Bench::new(&config.replace("attempts = 1", "attempts = 0"));
    let outcome = bench.ask("default").await;
    assert_eq!(outcome.text(), "in time");
    assert_eq!(outcome.answerer().attempts, 2);
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn an_error_event_before_content_falls_back() {
    let broken = Reply {
        error: Some(ScriptedError {
            status: 529,
            after_events: Some(0),
            ..ScriptedError::default()
        }),
        ..Reply::default()
    };
    let (one, other) = (server([broken.clone(), broken]).await, server([Reply::text("calm")]).await);
    let bench = Bench::new(&two(&one, &other));
    let outcome = bench.ask("default").await;
    assert_eq!((outcome.text().as_str(), outcome.answerer().target.as_str()), ("calm", "two/m"));
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn a_target_that_is_not_there_falls_back() {
    let other = server([Reply::text("here")]).await;
    let gone = server([]).await;
    let config = two(&gone, &other);
    drop(gone);
    let outcome = Bench::new(&config).ask("default").await;
    assert_eq!(outcome.text(), "here");
}

#[tokio::test]
async fn a_bad_request_is_told_at_once() {
    let (one, other) = (server([Reply::error(400)]).await, server([Reply::text("no")]).await);
    let bench = Bench::new(&two(&one, &other));
    let outcome = bench.ask("default").await;
    assert_eq!(
        (outcome.error().kind, outcome.error().target.as_str()),
        (ModelErrorKind::BadRequest, "one/m")
    );
    assert!(!outcome.has_content());
    assert_eq!((one.count(), other.count()), (1, 0));
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn when_all_fail_each_is_named() {
    let (one, other) = (
        server([Reply::error(500), Reply::error(500)]).await,
        server([Reply::error(503), Reply::error(503)]).await,
    );
    let bench = Bench::new(&two(&one, &other));
    let outcome = bench.ask("default").await;
    let error = outcome.error();
    assert_eq!(error.kind, ModelErrorKind::NoTarget);
    assert!(error.message.contains("one/m: ") && error.message.contains("two/m: "), "{error}");
    assert!(!outcome.has_content());
    assert!(bench.ledger.booked().is_empty());
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn when_all_are_rate_limited_the_soonest_retry_is_told() {
    let (one, other) = (server([limited("40")]).await, server([limited("7")]).await);
    let bench = Bench::new(&two(&one, &other));
    let error = bench.ask("default").await.error().clone();
    assert_eq!(error.kind, ModelErrorKind::RateLimited);
    assert_eq!(error.retry, Retry::After(Duration::from_secs(7)));
    assert_eq!((one.count(), other.count()), (1, 1));
    bench.ask("default").await;
    assert_eq!((one.count(), other.count()), (1, 1), "a retry-after holds for later calls too");
}

#[tokio::test]
async fn a_retry_after_is_obeyed_to_the_second() {
    let (one, other) = (server([limited("5"), Reply::text("now")]).await, server([]).await);
    let clock = FakeClock::default();
    let config = two(&one, &other).replace("max = \"50ms\"", "max = \"8s\"");
    let bench = Arc::new(Bench::with(&config, Ledger::default(), Arc::new(clock.clone())));
    let asking = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move { bench.ask("default").await }
    });
    assert!(one.wait_for_requests(1, Duration::from_secs(5)).await);
    // The attempt's own limit is a sleeper too: it is gone once the refusal is in and the wait has begun.
    let mut steady = 0;
    for _ in 0..2_000 {
        steady = if clock.sleepers() == 1 { steady + 1 } else { 0 };
        if steady > 100 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    clock.advance(Duration::from_millis(4_900)).await;
    assert_eq!(one.count(), 1);
    clock.advance(Duration::from_millis(200)).await;
    assert!(one.wait_for_requests(2, Duration::from_secs(5)).await);
    assert_eq!(asking.await.unwrap().text(), "now");
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn a_target_that_keeps_failing_is_left_alone() {
    let one = server(std::iter::repeat_n(Reply::error(500), 10)).await;
    let other = server(std::iter::repeat_n(Reply::text("fine"), 10)).await;
    let config = two(&one, &other) + "breaker = { failures = 3, window = \"60s\", cooldown = \"60s\" }\n";
    let bench = Bench::new(&config);
    for _ in 0..4 {
        assert_eq!(bench.ask("default").await.text(), "fine");
    }
    assert_eq!((one.count(), other.count()), (3, 4));
    let outcome = bench.ask("default").await;
    let candidates = bench.router.explain(&outcome.request).unwrap().candidates;
    let broken = candidates.iter().find(|candidate| candidate.target == "one/m").unwrap();
    assert_eq!(broken.state, "open");
}

#[tokio::test]
async fn a_request_that_is_too_long_goes_to_a_larger_context_only() {
    let (one, other) = (server([too_long(), too_long()]).await, server([Reply::text("fits")]).await);
    let sizes = "[models.\"one/m\"]\ncontext_tokens = 1000\n[models.\"two/m\"]\ncontext_tokens = 9000\n";
    let bench = Bench::new(&(two(&one, &other) + sizes));
    assert_eq!(bench.ask("default").await.text(), "fits");
    let bench = Bench::new(&(two(&one, &other) + &sizes.replace("9000", "900")));
    assert_eq!(bench.ask("default").await.error().kind, ModelErrorKind::ContextTooLong);
    assert_eq!((one.count(), other.count()), (2, 1));
}

#[tokio::test]
async fn what_a_target_is_known_to_lack_is_not_asked_of_it() {
    let (one, other) = (server([]).await, server([Reply::text("with tools")]).await);
    let bench = Bench::new(&(two(&one, &other) + "[models.\"one/m\"]\ntools = false\n"));
    let mut request = ModelRequest::new("default", vec![Message::text(Role::User, "hello")]);
    request.tools.push(ToolDefinition {
        name: "read".into(),
        description: String::new(),
        input_schema: json!({"type": "object"}),
        extra: serde_json::Map::new(),
    });
    let outcome = bench.ask_with(request).await;
    assert_eq!(
        (outcome.text().as_str(), outcome.answerer().attempts, one.count()),
        ("with tools", 1, 0)
    );
    let candidates = bench.router.explain(&outcome.request).unwrap().candidates;
    let left_out = candidates.iter().find(|candidate| candidate.target == "one/m").unwrap();
    assert_eq!(left_out.state, "it cannot call tools");
}

#[tokio::test]
async fn an_unknown_model_is_not_found() {
    let bench = Bench::new("");
    let error = bench.ask("nobody/nothing").await.error().clone();
    assert_eq!(error.kind, ModelErrorKind::NotFound);
    assert!(bench.ledger.reserved.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_route_is_as_wide_as_its_narrowest_target() {
    let bench = Bench::new("[routes.r]\ntargets = [{ model = \"openai/gpt-4o\" }, { model = \"openai/gpt-5\" }]\n");
    assert_eq!(bench.router.context_tokens("r"), Some(128_000));
    assert!(bench.router.exists("r") && bench.router.exists("openai/anything") && !bench.router.exists("nothing"));
}

#[tokio::test]
async fn new_tables_hold_for_the_next_call() {
    let (one, other) = (server([Reply::text("old")]).await, server([Reply::text("new")]).await);
    let bench = Bench::new(&provider("mock", "openai-chat", &one));
    assert_eq!(bench.ask("mock/m").await.text(), "old");
    let next = tables(&provider("mock", "openai-chat", &other), Default::default());
    bench.router.replace(next).unwrap();
    assert_eq!(bench.ask("mock/m").await.text(), "new");
    let wrong = tables("[providers.odd]\n", Default::default());
    assert!(bench.router.replace(wrong).is_err());
    assert_eq!(bench.ask("mock/m").await.text(), "new");
}
