//! Identical calls under way at the same time: who shares, who does not, who pays.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use steward_domain::message::{Message, Role};
use steward_domain::model::{Caller, Model, ModelEvent, ModelRequest};
use steward_domain::money::Usd;
use steward_domain::principal::Principal;
use steward_testkit::script::Reply;
use steward_testkit::scripted_model::ScriptedModelServer;

use super::bench::{Bench, caller, provider, server};

fn by(user: &str) -> Caller {
    Caller {
        principal: Principal::User(user.into()),
        ..caller()
    }
}

fn ask(text: &str) -> ModelRequest {
    ModelRequest::new("r", vec![Message::text(Role::User, text)])
}

async fn bench(replies: usize) -> (Arc<Bench>, ScriptedModelServer) {
    let slow = Reply {
        delay_first_ms: 150,
        delay_token_ms: 20,
        ..Reply::text("one two three four five")
    };
    let server = server(std::iter::repeat_n(slow, replies)).await;
    let config = provider("mock", "openai-chat", &server) + "[routes.r]\ntargets = [{ model = \"mock/m\" }]\ncoalesce = true\n";
    (Arc::new(Bench::new(&config)), server)
}

fn text(events: &[ModelEvent]) -> String {
    let text = |event: &ModelEvent| match event {
        ModelEvent::Text(text) => Some(text.clone()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

fn cost(events: &[ModelEvent]) -> Usd {
    match events.last() {
        Some(ModelEvent::Finished(finish)) => finish.cost,
        other => panic!("the last event is {other:?}"),
    }
}

#[tokio::test]
async fn the_same_question_at_the_same_time_is_asked_once() {
    let (bench, server) = bench(3).await;
    let first = by("ana");
    let (first_id, second) = (first.request.clone(), by("ana"));
    let second_id = second.request.clone();
    let one = tokio::spawn(bench.router.stream(ask("hi"), first).collect::<Vec<_>>());
    assert!(server.wait_for_requests(1, Duration::from_secs(5)).await);
    let two = tokio::spawn(bench.router.stream(ask("hi"), second).collect::<Vec<_>>());
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    assert_eq!((text(&one), text(&two)), ("one two three four five".into(), text(&one)));
    assert_eq!(server.count(), 1);
    assert!(cost(&one) > Usd::ZERO && cost(&two) == Usd::ZERO);
    bench.router.drain().await;
    assert_eq!(bench.ledger.booked().len(), 1);
    bench.ledger.assert_balanced();
    let shared = bench.router.explain(&second_id).unwrap();
    assert!(shared.attempts[0].cause.contains(first_id.as_str()), "{shared:?}");
    // It is shared while it is under way, and asked anew after.
    bench.router.stream(ask("hi"), by("ana")).collect::<Vec<_>>().await;
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn other_tenants_and_other_questions_share_nothing() {
    let (bench, server) = bench(3).await;
    let calls = [(ask("hi"), by("ana")), (ask("hi"), by("ben")), (ask("ho"), by("ana"))];
    let calls = calls.map(|(request, caller)| tokio::spawn(bench.router.stream(request, caller).collect::<Vec<_>>()));
    for call in calls {
        assert_eq!(text(&call.await.unwrap()), "one two three four five");
    }
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn who_stays_gets_all_of_it_though_the_first_has_left() {
    let (bench, server) = bench(3).await;
    let mut one = bench.router.stream(ask("hi"), by("ana"));
    let first = one.next().await;
    assert!(matches!(first, Some(ModelEvent::Started(_))));
    let two = bench.router.stream(ask("hi"), by("ana"));
    drop(one);
    let two: Vec<_> = two.collect().await;
    assert_eq!(text(&two), "one two three four five");
    assert_eq!(server.count(), 1);
    bench.router.drain().await;
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn when_all_have_left_the_call_ends_and_is_booked() {
    let (bench, _server) = bench(3).await;
    let mut one = bench.router.stream(ask("hi"), by("ana"));
    while !matches!(one.next().await, Some(ModelEvent::Text(_))) {}
    drop(one);
    bench.router.drain().await;
    assert_eq!(bench.ledger.booked()[0].status, "cancelled");
    bench.ledger.assert_balanced();
}
