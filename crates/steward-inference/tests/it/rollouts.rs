use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use steward_domain::clock::Timestamp;
use steward_domain::message::{Message, Role};
use steward_domain::model::{ModelErrorKind, ModelRequest};
use steward_inference::rollout::order::Order;
use steward_inference::rollout::{Action, Phase, Signal};
use steward_inference::route::{OrderFailure, RolloutStore, SavedRollout};
use steward_testkit::fake_clock::FakeClock;
use steward_testkit::script::Reply;
use steward_testkit::scripted_model::ScriptedModelServer;

use super::bench::{Bench, Ledger, provider, server};

/// A store in memory.
#[derive(Default)]
struct Kept(Mutex<Vec<SavedRollout>>);

impl Kept {
    fn actions(&self) -> Vec<(Action, String, String)> {
        let saved = self.0.lock().unwrap();
        let events = saved.iter().flat_map(|saved| &saved.events);
        events.map(|event| (event.action, event.who.clone(), event.why.clone())).collect()
    }
}

impl RolloutStore for Kept {
    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, String>> {
        let last = self
            .0
            .lock()
            .unwrap()
            .last()
            .map(|saved| (saved.route.clone(), saved.state.clone()));
        async move { Ok(last.into_iter().collect()) }.boxed()
    }

    fn save(&self, saved: SavedRollout) -> BoxFuture<'_, Result<(), String>> {
        self.0.lock().unwrap().push(saved);
        async { Ok(()) }.boxed()
    }
}

/// A route over `one`, with `two` as the candidate of this rollout.
fn config(one: &ScriptedModelServer, two: &ScriptedModelServer, rollout: &str) -> String {
    let route = format!(
        "[routes.default]\ntargets = [{{ model = \"one/m\" }}]\nretry = {{ attempts = 0 }}\nbreaker = {{ failures = 1000 }}\n\
         rollout = {{ candidate = \"two/m\", {rollout} }}\n"
    );
    provider("one", "openai-chat", one) + &provider("two", "anthropic", two) + &route
}

async fn bench(config: &str) -> (Bench, Arc<Kept>) {
    let clock = FakeClock::at(Timestamp::UNIX_EPOCH);
    let bench = Bench::with(config, Ledger::default(), Arc::new(clock));
    let kept = Arc::new(Kept::default());
    bench
        .router
        .keep_rollouts(Arc::clone(&kept) as Arc<dyn RolloutStore>)
        .await
        .unwrap();
    (bench, kept)
}

#[tokio::test]
async fn blue_green_switches_at_once_and_back_and_says_who_and_why() {
    let (one, two) = (server([Reply::text("blue")]).await, server([Reply::text("green")]).await);
    let (bench, kept) = bench(&config(&one, &two, "kind = \"blue-green\"")).await;
    assert_eq!(bench.ask("default").await.text(), "blue");
    bench
        .router
        .order("default", Order::Promote, "user:ana", "it is ready")
        .await
        .unwrap();
    assert_eq!(bench.ask("default").await.text(), "green");
    bench
        .router
        .order("default", Order::Rollback, "user:bob", "it is not")
        .await
        .unwrap();
    assert_eq!(bench.ask("default").await.text(), "blue");
    let said = |who: &str, why: &str, action| (action, who.to_owned(), why.to_owned());
    assert_eq!(
        kept.actions(),
        [
            said("user:ana", "it is ready", Action::Promote),
            said("user:bob", "it is not", Action::Rollback)
        ]
    );
    let none = bench.router.order("other", Order::Promote, "user:ana", "").await;
    assert!(matches!(none, Err(OrderFailure::NoRollout(_))));
}

#[tokio::test]
async fn a_failing_candidate_is_rolled_back_and_no_caller_notices() {
    let (one, two) = (server([Reply::text("fine")]).await, server([Reply::error(500)]).await);
    let (bench, kept) = bench(&config(&one, &two, "kind = \"canary\", share = 0.3")).await;
    for _ in 0..400 {
        assert_eq!(bench.ask("default").await.text(), "fine");
        if !kept.actions().is_empty() {
            break;
        }
    }
    let actions = kept.actions();
    assert_eq!((actions[0].0, actions[0].1.as_str()), (Action::Rollback, "system"));
    assert!(actions[0].2.starts_with("errors is worse"), "{}", actions[0].2);
    let asked = two.count();
    assert!(asked < 60, "{asked} calls were given to a candidate that answers none");
    for _ in 0..20 {
        bench.ask("default").await;
    }
    assert_eq!(two.count(), asked);
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn a_restart_goes_on_where_the_rollout_was() {
    let (one, two) = (server([Reply::text("blue")]).await, server([Reply::text("green")]).await);
    let text = config(&one, &two, "kind = \"canary\"");
    let (first, kept) = bench(&text).await;
    first.router.order("default", Order::Shift(1.0), "user:ana", "").await.unwrap();
    let second = Bench::new(&text);
    assert_eq!(second.ask("default").await.text(), "blue");
    second.router.keep_rollouts(kept).await.unwrap();
    assert_eq!(second.router.rollout("default").unwrap().phase, Phase::Promoted);
    assert_eq!(second.ask("default").await.text(), "green");
}

#[tokio::test]
async fn a_shadow_is_asked_compared_and_booked_but_never_shown() {
    let (one, two) = (
        server([Reply::text("the sky is blue today")]).await,
        server([Reply::text("the sky is blue today")]).await,
    );
    let (bench, _) = bench(&config(&one, &two, "kind = \"shadow\"")).await;
    for _ in 0..10 {
        let outcome = bench.ask("default").await;
        assert_eq!(
            (outcome.text().as_str(), outcome.answerer().target.as_str()),
            ("the sky is blue today", "one/m")
        );
    }
    assert_eq!((one.count(), two.count()), (10, 10));
    let booked = bench.ledger.booked();
    let of = |route: &str, target: &str| booked.iter().filter(|row| row.route == route && row.target == target).count();
    assert_eq!((of("default", "one/m"), of("default/shadow", "two/m")), (10, 10));
    let status = bench.router.rollout("default").unwrap();
    assert_eq!((status.arms[0].calls, status.arms[1].calls), (10, 10));
    assert_eq!(status.gates[4].candidate, Some(1.0), "all copies were answered alike");
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn what_a_person_says_of_an_answer_reaches_the_arm_that_gave_it() {
    let (one, two) = (server([Reply::text("blue")]).await, server([Reply::text("green")]).await);
    let (bench, _) = bench(&config(&one, &two, "kind = \"champion-challenger\", share = 1.0")).await;
    let outcome = bench.ask("default").await;
    assert_eq!(outcome.text(), "green");
    assert!(bench.router.signal(&outcome.request, Signal::ThumbDown));
    assert!(!bench.router.signal(&"req_none".into(), Signal::ThumbDown));
    assert_eq!(bench.router.rollout("default").unwrap().gates[4].candidate, Some(0.0));
}

#[tokio::test]
async fn a_candidate_that_calls_a_request_wrong_pays_for_it_in_its_evidence() {
    let (one, two) = (server([Reply::text("blue")]).await, server([Reply::error(400)]).await);
    let (bench, _) = bench(&config(&one, &two, "kind = \"canary\", share = 0.999")).await;
    let request = ModelRequest::new("default", vec![Message::text(Role::User, "hi")]);
    assert_eq!(bench.ask_with(request).await.error().kind, ModelErrorKind::BadRequest);
    assert_eq!(bench.router.rollout("default").unwrap().arms[1].errors, 1);
}
