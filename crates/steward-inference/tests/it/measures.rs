//! What the router measures of real calls, on a clock that tests move.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use steward_domain::clock::{Clock, Timestamp};
use steward_domain::message::{Message, Role};
use steward_domain::model::{Caller, Finish, FinishReason, Model, ModelEvent, ModelRequest};
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};
use steward_inference::measure::TraceSettings;
use steward_inference::measure::performance::{Dimension, PerformanceRow};
use steward_inference::route::{Router, RouterParts};
use steward_testkit::fake_clock::FakeClock;
use steward_testkit::script::Reply;

use super::bench::{Bench, Ledger, caller, server, tables, two};

/// First content after 300 ms, ten more pieces 20 ms apart, 21 tokens billed.
struct Steady(FakeClock);

impl Model for Steady {
    fn stream(&self, _: ModelRequest, _: Caller) -> BoxStream<'static, ModelEvent> {
        let clock = self.0.clone();
        let piece = move |number: u64| {
            let wait = Duration::from_millis(if number == 0 { 300 } else { 20 });
            clock.sleep(wait).map(move |()| ModelEvent::Text("piece".into()))
        };
        let usage = Usage {
            input: 8,
            output: 21,
            ..Usage::default()
        };
        let finish = ModelEvent::Finished(Box::new(Finish {
            reason: FinishReason::Stop,
            usage,
            usage_source: UsageSource::Reported,
            cost: Usd::ZERO,
        }));
        stream::iter(0..11).then(piece).chain(stream::iter([finish])).boxed()
    }
}

const OBJECTIVE: &str = "[routes.default]\ntargets = [{ model = \"local/steady\" }]\nobjective = { ttft = \"310ms\", tpot = \"15ms\" }\n";

async fn one_steady_answer(config: &str) -> (Router, FakeClock) {
    let clock = FakeClock::at(Timestamp::UNIX_EPOCH);
    let model: Arc<dyn Model> = Arc::new(Steady(clock.clone()));
    let router = Router::new(RouterParts {
        tables: tables(config, HashMap::from([("local/steady".to_owned(), model)])),
        meter: Arc::new(Ledger::default()),
        clock: Arc::new(clock.clone()),
    })
    .unwrap();
    router.measures().spans.set(TraceSettings { share: 1.0 });
    let request = ModelRequest::new("default", vec![Message::text(Role::User, "hi")]);
    let of_team = Caller {
        team: Some("red".to_owned()),
        ..caller()
    };
    let mut events = router.stream(request, of_team);
    let call = async {
        while let Some(event) = events.next().await {
            if matches!(event, ModelEvent::Finished(_)) {
                break;
            }
        }
    };
    let time = async {
        for _ in 0..11 {
            assert!(clock.wait_for_sleepers(1).await);
            clock.advance(Duration::from_millis(10)).await;
            while clock.sleepers() > 0 {
                clock.advance(Duration::from_millis(10)).await;
            }
        }
    };
    tokio::select! { () = call => {}, () = time => panic!("the call does not end") }
    // The last byte takes another 50 ms to the caller, which is time inside Steward.
    clock.jump(Duration::from_millis(50));
    drop(events);
    router.drain().await;
    (router, clock)
}

fn row(router: &Router) -> PerformanceRow {
    let mut rows = router.performance(Dimension::Route, Duration::from_secs(60)).rows;
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

fn near(told: Option<f64>, wanted: f64) {
    let told = told.expect("a value");
    assert!((told - wanted).abs() / wanted < 0.01, "{told} for {wanted}");
}

#[tokio::test]
async fn one_answer_is_measured_as_the_definitions_say() {
    let (router, _) = one_steady_answer(OBJECTIVE).await;
    let row = row(&router);
    near(row.ttft_ms.p50, 300.0);
    near(row.tpot_ms.p50, 10.0);
    near(row.itl_ms.p99, 20.0);
    near(row.tps.p50, 105.0);
    near(row.total_ms.p50, 550.0);
    near(row.overhead_ms.p50, 50.0);
    near(row.prefill.share, 0.6);
    assert_eq!((row.requests, row.answered, row.attainment), (1, 1, Some(1.0)));
    assert_eq!(row.batch.answered, 1);
    assert_eq!(row.goodput.tokens_per_s, 21.0);
    assert_eq!(row.tokens["output"], 21);
    assert_eq!(row.cost_usd, Usd::from_pico(8 + 2 * 21));
    let teams = router.performance(Dimension::Team, Duration::from_secs(60)).rows;
    assert_eq!((teams[0].name.as_str(), teams[0].requests), ("red", 1));
}

#[tokio::test]
async fn an_answer_that_is_too_slow_is_throughput_and_no_goodput() {
    let (router, _) = one_steady_answer(&OBJECTIVE.replace("310ms", "290ms")).await;
    let row = row(&router);
    assert_eq!((row.attainment, row.goodput.requests_per_s), (Some(0.0), 0.0));
    assert_eq!(row.throughput.tokens_per_s, 21.0);
    let excess = row.excess.unwrap().ttft_ms.p50.unwrap();
    assert!((7.0..13.1).contains(&excess), "{excess}");
    assert_eq!(row.excess.unwrap().tpot_ms.p99, Some(0.0));
}

#[tokio::test]
async fn a_traced_call_is_a_span_with_its_attempt_below_it() {
    let (router, clock) = one_steady_answer(OBJECTIVE).await;
    let traces = router.measures().otlp_traces().unwrap();
    let spans = traces["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 2);
    assert_eq!((&spans[0]["kind"], &spans[1]["kind"]), (&2.into(), &3.into()));
    assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
    assert_eq!(spans[1]["traceId"], spans[0]["traceId"]);
    assert_eq!(spans[0]["endTimeUnixNano"], "500000000");
    assert!(router.measures().otlp_traces().is_none());
    let metrics = router.measures().otlp_metrics(Timestamp::UNIX_EPOCH, clock.now(), &router.gauges());
    let all = metrics["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let ttft = all
        .iter()
        .find(|metric| metric["name"] == "gen_ai.server.time_to_first_token")
        .unwrap();
    assert_eq!(ttft["exponentialHistogram"]["dataPoints"][0]["count"], "1");
    assert_eq!(ttft["exponentialHistogram"]["dataPoints"][0]["scale"], 6);
}

#[tokio::test]
async fn a_fallback_is_counted_at_the_target_that_was_left_with_its_cause() {
    let (one, other) = (
        server([Reply::error(500), Reply::error(500)]).await,
        server([Reply::text("from two")]).await,
    );
    let bench = Bench::new(&two(&one, &other));
    bench.ask("default").await;
    let rows = bench.router.performance(Dimension::Model, Duration::from_secs(60)).rows;
    assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["two/m"]);
    let text = bench.router.prometheus();
    let fallback = text.lines().find(|line| line.starts_with("steward_fallback_total{")).unwrap();
    assert!(
        fallback.contains("gen_ai_provider_name=\"one\"") && fallback.ends_with("cause=\"server\"} 1"),
        "{fallback}"
    );
    assert!(text.contains("steward_target_state{target=\"one/m\"} 0"), "{text}");
}

#[tokio::test]
async fn a_call_that_fails_or_is_given_up_is_counted_as_such() {
    let failing = server([Reply::error(500), Reply::error(500), Reply::error(500), Reply::error(500)]).await;
    let slow = Reply {
        delay_token_ms: 5,
        endless: true,
        ..Reply::text("on and on")
    };
    let other = server([Reply::error(500), Reply::error(500), slow]).await;
    let bench = Bench::new(&two(&failing, &other));
    bench.ask("default").await.error();
    let request = ModelRequest::new("two/m", vec![Message::text(Role::User, "hi")]);
    let mut events = bench.router.stream(request, caller());
    events.next().await;
    events.next().await;
    drop(events);
    bench.router.drain().await;
    let rows = bench.router.performance(Dimension::Route, Duration::from_secs(60)).rows;
    let names: Vec<_> = rows
        .iter()
        .map(|row| (row.name.as_str(), row.cancelled, row.failed.values().sum::<u64>()))
        .collect();
    assert_eq!(names, [("default", 0, 1), ("direct", 1, 0)]);
    assert_eq!((rows[0].attainment, rows[1].attainment), (Some(0.0), None));
}
