use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use steward_domain::message::{Message, Role};
use steward_domain::model::{Model, ModelErrorKind, ModelEvent, ModelRequest};
use steward_domain::usage::{Usage, UsageSource};
use steward_testkit::script::{Reply, ScriptedError};

use super::bench::{Bench, Ledger, RealClock, caller, provider, server, two};

fn long_text() -> Reply {
    Reply::text("one two three four five six seven eight nine ten eleven twelve")
}

#[tokio::test]
async fn a_cut_after_content_is_told_and_booked_once() {
    let mut cut = long_text();
    cut.cut_after_events = Some(6);
    let (one, other) = (server([cut]).await, server([Reply::text("never")]).await);
    let bench = Bench::new(&(two(&one, &other) + "continuation = false\n"));
    let outcome = bench.ask("default").await;
    assert!(outcome.has_content() && outcome.text().starts_with("one "));
    assert_eq!(outcome.error().kind, ModelErrorKind::Cut);
    assert_eq!(outcome.error().target, "one/m");
    assert_eq!(other.count(), 0, "nothing is tried after content");
    let booked = bench.ledger.booked();
    assert_eq!(booked.len(), 1);
    assert_eq!((booked[0].status.as_str(), booked[0].source), ("cut", UsageSource::Estimated));
    assert!(booked[0].usage.output > 0 && booked[0].usage.input > 0 && booked[0].has_first_token);
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn an_error_event_after_content_ends_the_stream_with_its_cause() {
    let mut broken = long_text();
    broken.error = Some(ScriptedError {
        status: 529,
        after_events: Some(6),
        ..ScriptedError::default()
    });
    let server = server([broken]).await;
    let bench = Bench::new(&provider("mock", "anthropic", &server));
    let outcome = bench.ask("mock/m").await;
    assert!(outcome.has_content());
    assert_eq!(outcome.error().kind, ModelErrorKind::Overloaded);
    assert_eq!(bench.ledger.booked()[0].status, "overloaded");
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn silence_between_tokens_ends_the_stream() {
    let mut slow = long_text();
    slow.delay_token_ms = 400;
    let server = server([slow]).await;
    let route = "[routes.r]\ntargets = [{ model = \"mock/m\" }]\ntimeout = { between_tokens = \"50ms\" }\n";
    let bench = Bench::new(&(provider("mock", "openai-chat", &server) + route));
    let outcome = bench.ask("r").await;
    assert!(outcome.has_content());
    assert_eq!(outcome.error().kind, ModelErrorKind::Timeout);
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn a_caller_who_goes_away_mid_stream_pays_once_for_what_came() {
    let mut endless = Reply::text("again and again ");
    endless.endless = true;
    let server = server([endless]).await;
    let bench = Bench::new(&provider("mock", "openai-chat", &server));
    let request = ModelRequest::new("mock/m", vec![Message::text(Role::User, "hello")]);
    let mut stream = bench.router.stream(request, caller());
    let mut seen = 0;
    while seen < 5 {
        seen += usize::from(matches!(stream.next().await, Some(ModelEvent::Text(_))));
    }
    drop(stream);
    bench.router.drain().await;
    let booked = bench.ledger.booked();
    assert_eq!(booked.len(), 1);
    assert_eq!((booked[0].status.as_str(), booked[0].source), ("cancelled", UsageSource::Estimated));
    assert!(booked[0].usage.output > 0);
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn a_caller_who_goes_away_before_the_answer_gets_the_reservation_back() {
    let mut slow = Reply::text("late");
    slow.delay_first_ms = 60_000;
    let server = server([slow]).await;
    let bench = Bench::new(&provider("mock", "openai-chat", &server));
    let request = ModelRequest::new("mock/m", vec![Message::text(Role::User, "hello")]);
    let mut stream = bench.router.stream(request, caller());
    let waited = tokio::time::timeout(Duration::from_millis(200), stream.next()).await;
    assert!(waited.is_err() && server.count() == 1);
    drop(stream);
    bench.router.drain().await;
    assert!(bench.ledger.booked().is_empty());
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn reported_usage_is_booked_as_it_is() {
    let usage = Usage {
        input: 100,
        cached_input: 40,
        output: 7,
        reasoning: 3,
        ..Usage::default()
    };
    for dialect in ["openai-chat", "openai-responses", "gemini"] {
        let mut reply = Reply::text("done");
        reply.usage = Some(usage);
        let server = server([reply]).await;
        let bench = Bench::new(&provider("mock", dialect, &server));
        bench.ask("mock/m").await;
        let booked = bench.ledger.booked();
        assert_eq!((booked[0].usage, booked[0].source), (usage, UsageSource::Reported), "{dialect}");
    }
}

#[tokio::test]
async fn a_budget_refuses_before_anything_is_sent() {
    let (one, other) = (server([]).await, server([]).await);
    let ledger = Ledger {
        refuses: vec!["one/m"],
        ..Ledger::default()
    };
    let bench = Bench::with(&two(&one, &other), ledger, Arc::new(RealClock));
    let error = bench.ask("default").await.error().clone();
    assert_eq!(error.kind, ModelErrorKind::BudgetExceeded);
    assert_eq!(error.message, "budget team:a is used up until tomorrow");
    assert_eq!((one.count(), other.count()), (0, 0));
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn a_fallback_asks_the_budget_again() {
    let (one, other) = (server([Reply::error(500), Reply::error(500)]).await, server([]).await);
    let ledger = Ledger {
        refuses: vec!["two/m"],
        ..Ledger::default()
    };
    let bench = Bench::with(&two(&one, &other), ledger, Arc::new(RealClock));
    assert_eq!(bench.ask("default").await.error().kind, ModelErrorKind::BudgetExceeded);
    assert_eq!(other.count(), 0);
    bench.ledger.assert_balanced();
}
